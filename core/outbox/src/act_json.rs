//! The JSON form of an act, as a page sends it: `{"say": {"text": "hello"}}`, `{"moderate": {"ban": {"author": 7}}}`.
//!
//! The fields are read by hand: the code that serde derives for as many types is larger than the rest of the outbox,
//! and every fan downloads it.

use serde_json::{Map, Value};
use wire::{
    Act, ChatId, Choice, Danmaku, DanmakuSize, FanId, Gift, GiftId, Lane, Links, List, Moderation, Modes,
    OnMatch, Pattern, PollId, QuestionId, Role, Say, Subject, Who,
};

/// A reason why JSON is not an act.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The text is not JSON, or is neither a name nor an object with exactly one field.
    #[error("an act must be JSON: a name, or an object with one field")]
    Json,
    /// No act, or moderator's act, has this name.
    #[error("there is no such act")]
    Unknown,
    /// The named field is missing, has another type, or is out of range.
    #[error("`{0}` is missing or invalid")]
    Field(&'static str),
}

/// One act as JSON, parsed but not yet checked. It owns the text that the borrowed [`Act`] points into.
#[derive(Debug)]
pub struct ActJson(Value);

impl ActJson {
    /// Parses the JSON that a page sent.
    pub fn parse(json: &str) -> Result<Self, Error> {
        serde_json::from_slice(json.as_bytes()).map(Self).map_err(|_| Error::Json)
    }

    /// Checks the fields and returns the act in its wire type.
    pub fn act(&self) -> Result<Act<'_>, Error> {
        let (name, of) = tagged(&self.0)?;
        Ok(match name {
            "say" => Act::Say(Say {
                text: text(of, "text")?,
                reply: maybe(of, "reply").map(|_| number(of, "reply")).transpose()?.map(ChatId),
                mentions: each(of, "mentions", |fan| self::fan(fan, "mentions"))?,
                danmaku: maybe(of, "danmaku").map(danmaku).transpose()?,
            }),
            "cheer" => Act::Cheer { kind: small(of, "kind")?, count: small(of, "count")? },
            "gift" => Act::Gift {
                gift: GiftId(small(of, "gift")?),
                count: small(of, "count")?,
                key: hex(field(of, "key"), "key")?,
            },
            "vote" => Act::Vote { poll: PollId(small(of, "poll")?), option: small(of, "option")? },
            "ask" => Act::Ask { text: text(of, "text")? },
            "upvote" => Act::Upvote { question: QuestionId(small(of, "question")?) },
            "rename" => Act::Rename { name: text(of, "name")? },
            "moderate" => Act::Moderate(moderation(of)?),
            _ => return Err(Error::Unknown),
        })
    }
}

fn moderation(of: &Value) -> Result<Moderation<'_>, Error> {
    let (name, of) = tagged(of)?;
    Ok(match name {
        "delete" => Moderation::Delete(ChatId(whole(of, "delete")?)),
        "pin" => Moderation::Pin(ChatId(whole(of, "pin")?)),
        "unpin" => Moderation::Unpin,
        "timeout" => {
            Moderation::Timeout { subject: subject(field(of, "subject"))?, seconds: small(of, "seconds")? }
        }
        "ban" => Moderation::Ban(subject(of)?),
        "shadowMute" => Moderation::ShadowMute(subject(of)?),
        "pardon" => Moderation::Pardon(subject(of)?),
        "approve" => Moderation::Approve(ChatId(whole(of, "approve")?)),
        "refuse" => Moderation::Refuse(ChatId(whole(of, "refuse")?)),
        "openPoll" => Moderation::OpenPoll {
            question: text(of, "question")?,
            options: each(of, "options", |option| option.as_str().ok_or(Error::Field("options")))?,
            seconds: small(of, "seconds")?,
            choice: Choice::new(is(of, "changeable")?, who(of)?),
        },
        "closePoll" => Moderation::ClosePoll(PollId(fitting(of, "closePoll")?)),
        "answer" => Moderation::Answer(QuestionId(fitting(of, "answer")?)),
        "dismiss" => Moderation::Dismiss(QuestionId(fitting(of, "dismiss")?)),
        "setModes" => Moderation::SetModes(modes(of)?),
        "setPatterns" => Moderation::SetPatterns(list(of, "setPatterns", |pattern| {
            let action = if is(pattern, "hold")? { OnMatch::Hold } else { OnMatch::Reject };
            Ok(Pattern { text: text(pattern, "text")?, action })
        })?),
        "setTitle" => Moderation::SetTitle(of.as_str().ok_or(Error::Field("setTitle"))?),
        "setGifts" => Moderation::SetGifts(list(of, "setGifts", |gift| {
            let (id, name) = (GiftId(small(gift, "id")?), text(gift, "name")?);
            Ok(Gift { id, name, icon: text(gift, "icon")?, value: small(gift, "value")? })
        })?),
        "setRole" => Moderation::SetRole {
            subject: subject(field(of, "subject"))?,
            role: match field(of, "role").as_str() {
                Some("fan") => Role::Fan,
                Some("moderator") => Role::Moderator,
                _ => return Err(Error::Field("role")),
            },
        },
        _ => return Err(Error::Unknown),
    })
}

fn who(poll: &Value) -> Result<Who, Error> {
    match maybe(poll, "who").map(|_| text(poll, "who")).transpose()? {
        None | Some("everyone") => Ok(Who::Everyone),
        Some("address") => Ok(Who::Address),
        Some("named") => Ok(Who::Named),
        Some(_) => Err(Error::Field("who")),
    }
}

fn danmaku(of: &Value) -> Result<Danmaku, Error> {
    let lane = maybe(of, "lane").map(|_| small(of, "lane")).transpose()?;
    let colour = maybe(of, "colour").map(|_| small(of, "colour")).transpose()?;
    let size = match field(of, "size").as_str() {
        Some("small") => DanmakuSize::Small,
        Some("large") => DanmakuSize::Large,
        Some("normal") | None => DanmakuSize::Normal,
        Some(_) => return Err(Error::Field("size")),
    };
    Ok(Danmaku { lane: lane.map_or(Lane::Any, Lane::At), colour: colour.unwrap_or(0), size })
}

fn modes(of: &Value) -> Result<Modes, Error> {
    let slow = maybe(of, "slowSeconds").map(|_| small(of, "slowSeconds")).transpose()?;
    Ok(Modes {
        slow_seconds: slow.unwrap_or(0),
        followers_only: is(of, "followersOnly")?,
        emoji_only: is(of, "emojiOnly")?,
        hold_all: is(of, "holdAll")?,
        links: match field(of, "links").as_str() {
            Some("allow") => Links::Allow,
            Some("hold") | None => Links::Hold,
            Some("reject") => Links::Reject,
            Some(_) => return Err(Error::Field("links")),
        },
    })
}

/// Reads the subject of a moderator's act: a fan as `{"fan": "…"}`, or the author of a chat line as `{"author": 7}`.
fn subject(of: &Value) -> Result<Subject, Error> {
    match maybe(of, "fan") {
        Some(of) => fan(of, "fan").map(Subject::Fan),
        None => number(of, "author").map(|chat| Subject::Author(ChatId(chat))),
    }
}

/// Splits a tagged value into its tag and its content: the only field of an object, or a bare name with null as its
/// content.
fn tagged(value: &Value) -> Result<(&str, &Value), Error> {
    let only = |map: &Map<String, Value>| map.len() == 1;
    match value {
        Value::String(name) => Ok((name, &Value::Null)),
        Value::Object(map) if only(map) => {
            map.iter().next().map(|(name, of)| (name.as_str(), of)).ok_or(Error::Json)
        }
        _ => Err(Error::Json),
    }
}

/// Returns a field of an object, or null if it has none of this name.
fn field<'a>(of: &'a Value, name: &str) -> &'a Value {
    of.as_object().and_then(|map| map.get(name)).unwrap_or(&Value::Null)
}

fn maybe<'a>(of: &'a Value, name: &str) -> Option<&'a Value> {
    Some(field(of, name)).filter(|value| !value.is_null())
}

fn text<'a>(of: &'a Value, name: &'static str) -> Result<&'a str, Error> {
    field(of, name).as_str().ok_or(Error::Field(name))
}

fn is(of: &Value, name: &'static str) -> Result<bool, Error> {
    maybe(of, name).map_or(Some(false), Value::as_bool).ok_or(Error::Field(name))
}

fn number(of: &Value, name: &'static str) -> Result<u64, Error> {
    whole(field(of, name), name)
}

fn small<T: TryFrom<u64>>(of: &Value, name: &'static str) -> Result<T, Error> {
    fitting(field(of, name), name)
}

fn whole(value: &Value, name: &'static str) -> Result<u64, Error> {
    value.as_u64().ok_or(Error::Field(name))
}

fn fitting<T: TryFrom<u64>>(value: &Value, name: &'static str) -> Result<T, Error> {
    T::try_from(whole(value, name)?).map_err(|_| Error::Field(name))
}

/// Reads 64 bits as hexadecimal text, because a number in JavaScript holds only 53.
fn hex(value: &Value, name: &'static str) -> Result<u64, Error> {
    value.as_str().and_then(|text| u64::from_str_radix(text, 16).ok()).ok_or(Error::Field(name))
}

fn fan(value: &Value, name: &'static str) -> Result<FanId, Error> {
    value.as_str().and_then(|text| text.parse().ok()).ok_or(Error::Field(name))
}

fn each<'a, T>(
    of: &'a Value,
    name: &'static str,
    read: impl Fn(&'a Value) -> Result<T, Error>,
) -> Result<List<T>, Error> {
    maybe(of, name).map_or(Ok(List::default()), |value| list(value, name, read))
}

fn list<'a, T>(
    value: &'a Value,
    name: &'static str,
    read: impl Fn(&'a Value) -> Result<T, Error>,
) -> Result<List<T>, Error> {
    let items = value.as_array().ok_or(Error::Field(name))?;
    if items.len() > wire::limits::LIST {
        return Err(Error::Field(name));
    }
    items.iter().map(read).collect::<Result<Vec<T>, Error>>().map(List)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn same(json: &str, expected: &Act<'_>) {
        assert_eq!(ActJson::parse(json).unwrap().act().as_ref(), Ok(expected), "{json}");
    }

    #[test]
    fn each_act_of_a_page_is_read() {
        same(r#"{"say":{"text":"a \"b\" 中"}}"#, &Act::Say(Say { text: "a \"b\" 中", ..Say::default() }));
        same(
            r#"{"say":{"text":"x","reply":7,"mentions":["ffffffffffffffff"],"danmaku":{"lane":3,"size":"small"}}}"#,
            &Act::Say(Say {
                text: "x",
                reply: Some(ChatId(7)),
                mentions: List(vec![FanId(u64::MAX)]),
                danmaku: Some(Danmaku { lane: Lane::At(3), colour: 0, size: DanmakuSize::Small }),
            }),
        );
        same(
            r#"{"gift":{"gift":1,"count":2,"key":"00ff"}}"#,
            &Act::Gift { gift: GiftId(1), count: 2, key: 255 },
        );
        same(r#"{"moderate":"unpin"}"#, &Act::Moderate(wire::Moderation::Unpin));
        same(
            r#"{"moderate":{"ban":{"fan":"000000000000000a"}}}"#,
            &Act::Moderate(wire::Moderation::Ban(Subject::Fan(FanId(10)))),
        );
        same(
            r#"{"moderate":{"setModes":{"slowSeconds":5,"links":"allow"}}}"#,
            &Act::Moderate(wire::Moderation::SetModes(Modes {
                slow_seconds: 5,
                links: Links::Allow,
                ..Modes::default()
            })),
        );
    }

    #[test]
    fn invalid_acts_are_refused_by_their_field() {
        let refused = |json: &str| match ActJson::parse(json) {
            Ok(act) => act.act().expect_err(json).to_string(),
            Err(error) => error.to_string(),
        };
        assert_eq!(refused(""), "an act must be JSON: a name, or an object with one field");
        assert_eq!(refused("{}"), "an act must be JSON: a name, or an object with one field");
        assert_eq!(refused(r#"{"shout":{}}"#), "there is no such act");
        for (bad, field) in [
            (r#"{"say":{"text":5}}"#, "text"),
            (r#"{"say":{"text":"x","mentions":["xyz"]}}"#, "mentions"),
            (r#"{"say":{"text":"x","danmaku":{"size":"huge"}}}"#, "size"),
            (r#"{"cheer":{"kind":999,"count":1}}"#, "kind"),
            (r#"{"cheer":{"kind":1,"count":-1}}"#, "count"),
            (r#"{"vote":"yes"}"#, "poll"),
            (
                r#"{"moderate":{"openPoll":{"question":"?","options":["a","b"],"seconds":9,"who":"me"}}}"#,
                "who",
            ),
            (r#"{"moderate":{"ban":{}}}"#, "author"),
            (r#"{"moderate":{"setGifts":[{"id":1}]}}"#, "name"),
        ] {
            assert_eq!(refused(bad), format!("`{field}` is missing or invalid"));
        }
    }

    proptest::proptest! {
        #[test]
        fn any_json_is_read_or_refused(json: String, tag in "say|gift|moderate", inner: String) {
            let _ = ActJson::parse(&json).and_then(|act| act.act().map(drop));
            let _ = ActJson::parse(&format!("{{\"{tag}\":{inner}}}")).and_then(|act| act.act().map(drop));
        }
    }
}
