//! Commands typed into `fanfare chat`, and the acts that they mean.

use serde_json::{Value, json};

/// A typed line, parsed.
#[derive(Debug, PartialEq)]
pub(super) enum Command {
    /// An act, in the JSON form of pages.
    Act(Value),
    /// The line is empty.
    Nothing,
    /// Leave the room.
    Quit,
}

impl Command {
    /// Parses a line; `poll` is the number of the open poll.
    pub(super) fn parse(line: &str, poll: Option<u32>) -> Result<Self, String> {
        let line = line.trim();
        let Some(command) = line.strip_prefix('/') else {
            return Ok(if line.is_empty() {
                Self::Nothing
            } else {
                Self::Act(json!({ "say": { "text": line } }))
            });
        };
        let (name, rest) = command.split_once(char::is_whitespace).unwrap_or((command, ""));
        let rest = rest.trim();
        let mut words = rest.split_whitespace();
        let mut number = |what: &str| number(words.next(), name, what);
        let act = match name {
            "quit" => return Ok(Self::Quit),
            "cheer" if rest.is_empty() => json!({ "cheer": { "kind": 0, "count": 1 } }),
            "cheer" => json!({ "cheer": { "kind": 0, "count": number("a count")? } }),
            "gift" => {
                let gift = number("the ID of a gift")?;
                let count = if rest.contains(char::is_whitespace) { number("a count")? } else { 1 };
                let key: [u8; 8] = ::token::random().map_err(|error| error.to_string())?;
                json!({ "gift": { "gift": gift, "count": count, "key": format!("{:016x}", u64::from_be_bytes(key)) } })
            }
            "vote" => {
                let poll = poll.ok_or("/vote: no poll is open")?;
                let option =
                    number("the number of an option")?.checked_sub(1).ok_or("/vote: options begin with 1")?;
                json!({ "vote": { "poll": poll, "option": option } })
            }
            "ask" => json!({ "ask": { "text": text(rest, name, "a question")? } }),
            "upvote" => json!({ "upvote": { "question": number("the ID of a question")? } }),
            "name" => json!({ "rename": { "name": text(rest, name, "a name")? } }),
            "reply" => {
                let id = number("the ID of a line")?;
                let said = rest.split_once(char::is_whitespace).map_or("", |(_, said)| said.trim());
                json!({ "say": { "text": text(said, name, "a text")?, "reply": id } })
            }
            "delete" | "pin" | "approve" | "refuse" => moderate(json!({ name: number("the ID of a line")? })),
            "unpin" => moderate(json!({ "unpin": null })),
            "timeout" => {
                let subject = json!({ "author": number("the ID of a line")? });
                moderate(
                    json!({ "timeout": { "subject": subject, "seconds": number("a number of seconds")? } }),
                )
            }
            "ban" | "pardon" => moderate(json!({ name: { "author": number("the ID of a line")? } })),
            "mute" => moderate(json!({ "shadowMute": { "author": number("the ID of a line")? } })),
            "close" => moderate(json!({ "closePoll": number("the ID of a poll")? })),
            "answered" => moderate(json!({ "answer": number("the ID of a question")? })),
            "title" => moderate(json!({ "setTitle": rest })),
            "slow" => moderate(json!({ "setModes": { "slowSeconds": number("a number of seconds")? } })),
            "poll" => {
                let seconds = number("a number of seconds")?;
                let asked = rest.split_once(char::is_whitespace).map_or("", |(_, asked)| asked.trim_start());
                let (who, asked) = match asked.strip_prefix("who=") {
                    Some(rest) => rest.split_once(char::is_whitespace).unwrap_or((rest, "")),
                    None => ("everyone", asked),
                };
                if !["everyone", "address", "named"].contains(&who) {
                    return Err(format!("/poll: who={who} is not known: give everyone, address or named"));
                }
                let mut parts = asked.split('|').map(str::trim).filter(|part| !part.is_empty());
                let question = text(parts.next().unwrap_or_default(), name, "a question")?;
                let options: Vec<_> = parts.collect();
                moderate(json!({ "openPoll":
                    { "question": question, "options": options, "seconds": seconds, "changeable": true, "who": who } }))
            }
            other => return Err(format!("/{other}: unknown command; see fanfare chat --help")),
        };
        Ok(Self::Act(act))
    }
}

fn moderate(act: Value) -> Value {
    json!({ "moderate": act })
}

fn number(word: Option<&str>, command: &str, what: &str) -> Result<u64, String> {
    let word = word.ok_or_else(|| format!("/{command}: give {what}"))?;
    let word = word.strip_prefix('#').unwrap_or(word);
    word.parse().map_err(|_| format!("/{command}: {word:?} is not a number: give {what}"))
}

fn text<'a>(text: &'a str, command: &str, what: &str) -> Result<&'a str, String> {
    if text.is_empty() { Err(format!("/{command}: give {what}")) } else { Ok(text) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_an_act_or_one_clear_error() {
        for line in [
            "hello",
            "/cheer",
            "/cheer 20",
            "/gift 1",
            "/gift 1 3",
            "/vote 2",
            "/ask why?",
            "/upvote 3",
            "/name Ann",
            "/reply #7 indeed",
            "/delete 7",
            "/pin 7",
            "/unpin",
            "/approve 7",
            "/refuse 7",
            "/timeout 7 60",
            "/ban 7",
            "/mute 7",
            "/pardon 7",
            "/poll 60 Encore? | yes | no",
            "/poll 60 who=address Encore? | yes | no",
            "/close 1",
            "/title A night",
            "/slow 5",
            "/answered 2",
        ] {
            let Ok(Command::Act(act)) = Command::parse(line, Some(1)) else { panic!("{line}") };
            let act = outbox::act_json::ActJson::parse(&act.to_string()).expect("JSON");
            assert!(act.act().is_ok(), "{line}: {:?}", act.act());
        }
        for line in [
            "/vote 0",
            "/vote",
            "/cheer x",
            "/dance",
            "/ask",
            "/reply 7",
            "/gift",
            "/poll 60 who=me Encore? | yes | no",
        ] {
            assert!(Command::parse(line, Some(1)).is_err(), "{line}");
        }
        assert!(Command::parse("/vote 1", None).is_err());
        assert_eq!(Command::parse("  ", None), Ok(Command::Nothing));
        assert_eq!(Command::parse("/quit", None), Ok(Command::Quit));
    }
}
