//! What a page asks for, in JSON: `{"say": {"text": "hello"}}`, `{"moderate": {"ban": {"author": 7}}}`.

use serde::Deserialize;
use wire::{
    Act, ChatId, Choice, Danmaku, DanmakuSize, FanId, Gift, GiftId, Lane, Links, Modes, OnMatch, Pattern,
    PollId, QuestionId, Role, Say, Subject,
};

/// What a fan wants to do.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Wish {
    /// Write a line.
    Say {
        /// What.
        text: String,
        /// The line it answers.
        #[serde(default)]
        reply: Option<u64>,
        /// Whom it mentions.
        #[serde(default)]
        mentions: Vec<Hex>,
        /// Over the picture, too.
        #[serde(default)]
        danmaku: Option<Flight>,
    },
    /// Cheer.
    Cheer {
        /// How.
        kind: u8,
        /// How often.
        count: u16,
    },
    /// Give something.
    Gift {
        /// What.
        gift: u16,
        /// How many.
        count: u16,
        /// The fan's own number for it.
        key: Hex,
    },
    /// Vote.
    Vote {
        /// In which poll.
        poll: u32,
        /// For what.
        option: u8,
    },
    /// Ask the creator.
    Ask {
        /// What.
        text: String,
    },
    /// Have the same question.
    Upvote {
        /// Which.
        question: u32,
    },
    /// Choose a name.
    Rename {
        /// Which.
        name: String,
    },
    /// Keep order.
    Moderate(Moderation),
}

/// Where a line crosses the picture, and how.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Flight {
    lane: Option<u8>,
    colour: u8,
    size: Size,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Size {
    Small,
    #[default]
    Normal,
    Large,
}

/// 64 bits, as hexadecimal text: a number in JavaScript has 53.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "String")]
pub struct Hex(u64);

impl TryFrom<String> for Hex {
    type Error = std::num::ParseIntError;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        u64::from_str_radix(&text, 16).map(Self)
    }
}

/// What moderators and the creator do.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "each is the one of the same name in `wire::Moderation`")]
pub enum Moderation {
    Delete(u64),
    Pin(u64),
    Unpin,
    Timeout { subject: Who, seconds: u32 },
    Ban(Who),
    ShadowMute(Who),
    Pardon(Who),
    Approve(u64),
    Refuse(u64),
    OpenPoll { question: String, options: Vec<String>, seconds: u32, changeable: bool },
    ClosePoll(u32),
    Answer(u32),
    Dismiss(u32),
    SetModes(Rules),
    SetPatterns(Vec<Blocked>),
    SetTitle(String),
    SetGifts(Vec<Offer>),
    SetRole { subject: Who, role: Rank },
}

/// Whom it is about.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "each is the one of the same name in `wire::Subject`")]
pub enum Who {
    Fan(Hex),
    Author(u64),
}

/// What a role can be set to.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "each is the one of the same name in `wire::Role`")]
pub enum Rank {
    Fan,
    Moderator,
}

/// How a room is run.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Rules {
    slow_seconds: u16,
    followers_only: bool,
    emoji_only: bool,
    hold_all: bool,
    links: OnLink,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
enum OnLink {
    Allow,
    #[default]
    Hold,
    Reject,
}

/// A blocked word or pattern.
#[derive(Debug, Deserialize)]
pub struct Blocked {
    text: String,
    #[serde(default)]
    hold: bool,
}

/// A gift of the catalogue.
#[derive(Debug, Deserialize)]
pub struct Offer {
    id: u16,
    name: String,
    icon: String,
    value: u32,
}

impl Wish {
    /// Reads what the page sent.
    pub fn parse(json: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(json)
    }

    /// As it goes over the wire.
    pub fn act(&self) -> Act<'_> {
        match self {
            Self::Say { text, reply, mentions, danmaku } => Act::Say(Say {
                text,
                reply: reply.map(ChatId),
                mentions: mentions.iter().map(|fan| FanId(fan.0)).collect(),
                danmaku: danmaku.map(Flight::danmaku),
            }),
            Self::Cheer { kind, count } => Act::Cheer { kind: *kind, count: *count },
            Self::Gift { gift, count, key } => Act::Gift { gift: GiftId(*gift), count: *count, key: key.0 },
            Self::Vote { poll, option } => Act::Vote { poll: PollId(*poll), option: *option },
            Self::Ask { text } => Act::Ask { text },
            Self::Upvote { question } => Act::Upvote { question: QuestionId(*question) },
            Self::Rename { name } => Act::Rename { name },
            Self::Moderate(act) => Act::Moderate(act.act()),
        }
    }
}

impl Flight {
    fn danmaku(self) -> Danmaku {
        let size = match self.size {
            Size::Small => DanmakuSize::Small,
            Size::Normal => DanmakuSize::Normal,
            Size::Large => DanmakuSize::Large,
        };
        Danmaku { lane: self.lane.map_or(Lane::Any, Lane::At), colour: self.colour, size }
    }
}

impl Who {
    fn subject(self) -> Subject {
        match self {
            Self::Fan(fan) => Subject::Fan(FanId(fan.0)),
            Self::Author(chat) => Subject::Author(ChatId(chat)),
        }
    }
}

impl Rules {
    fn modes(self) -> Modes {
        let links = match self.links {
            OnLink::Allow => Links::Allow,
            OnLink::Hold => Links::Hold,
            OnLink::Reject => Links::Reject,
        };
        let Self { slow_seconds, followers_only, emoji_only, hold_all, .. } = self;
        Modes { slow_seconds, followers_only, emoji_only, hold_all, links }
    }
}

impl Blocked {
    fn pattern(&self) -> Pattern<'_> {
        Pattern { text: &self.text, action: if self.hold { OnMatch::Hold } else { OnMatch::Reject } }
    }
}

impl Offer {
    fn gift(&self) -> Gift<'_> {
        Gift { id: GiftId(self.id), name: &self.name, icon: &self.icon, value: self.value }
    }
}

impl Moderation {
    fn act(&self) -> wire::Moderation<'_> {
        use wire::Moderation as To;
        match self {
            Self::Delete(chat) => To::Delete(ChatId(*chat)),
            Self::Pin(chat) => To::Pin(ChatId(*chat)),
            Self::Unpin => To::Unpin,
            Self::Timeout { subject, seconds } => {
                To::Timeout { subject: subject.subject(), seconds: *seconds }
            }
            Self::Ban(who) => To::Ban(who.subject()),
            Self::ShadowMute(who) => To::ShadowMute(who.subject()),
            Self::Pardon(who) => To::Pardon(who.subject()),
            Self::Approve(chat) => To::Approve(ChatId(*chat)),
            Self::Refuse(chat) => To::Refuse(ChatId(*chat)),
            Self::OpenPoll { question, options, seconds, changeable } => To::OpenPoll {
                question,
                options: options.iter().map(String::as_str).collect(),
                seconds: *seconds,
                choice: if *changeable { Choice::Changeable } else { Choice::Final },
            },
            Self::ClosePoll(poll) => To::ClosePoll(PollId(*poll)),
            Self::Answer(question) => To::Answer(QuestionId(*question)),
            Self::Dismiss(question) => To::Dismiss(QuestionId(*question)),
            Self::SetModes(rules) => To::SetModes(rules.modes()),
            Self::SetPatterns(patterns) => To::SetPatterns(patterns.iter().map(Blocked::pattern).collect()),
            Self::SetTitle(title) => To::SetTitle(title),
            Self::SetGifts(gifts) => To::SetGifts(gifts.iter().map(Offer::gift).collect()),
            Self::SetRole { subject, role } => {
                let role = match role {
                    Rank::Fan => Role::Fan,
                    Rank::Moderator => Role::Moderator,
                };
                To::SetRole { subject: subject.subject(), role }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use wire::List;

    use super::*;

    fn act(json: &str) -> String {
        format!("{:?}", Wish::parse(json).map(|wish| format!("{:?}", wish.act())).map_err(|e| e.to_string()))
    }

    fn same(json: &str, expected: &Act<'_>) {
        assert_eq!(Wish::parse(json).unwrap().act(), *expected, "{json}");
    }

    #[test]
    fn what_a_page_asks_for() {
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
    fn what_it_cannot_ask_for() {
        for bad in
            ["", "{}", r#"{"shout":{}}"#, r#"{"say":{"text":5}}"#, r#"{"cheer":{"kind":999,"count":1}}"#]
        {
            assert!(Wish::parse(bad).is_err(), "{bad}: {}", act(bad));
        }
    }
}
