//! The result of an act, and its JSON form for the page.

use serde::Serialize;
use wire::{ChatId, Reason};

use super::Ticket;
use crate::act_json::Error as ActJsonError;

/// The result of an act.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The room has counted it.
    Taken {
        /// The number of the chat line that the act became, if it became one and the edge named it.
        line: Option<ChatId>,
    },
    /// A moderator has to approve it first.
    Held,
    /// It is not counted, or the client cannot know.
    Failed(Failure),
}

/// A reason why an act was not counted, or may not have been.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The room refused it.
    #[error("{0}")]
    Rejected(Reason),
    /// The limit of unanswered messages, [`limits::UNACKED`](wire::limits::UNACKED), is reached.
    #[error("too many messages are unanswered: wait for the answers")]
    Full,
    /// The page's JSON is not an act.
    #[error("{0}")]
    Invalid(ActJsonError),
    /// It is larger than a packet may be.
    #[error("the message is too large")]
    TooLarge,
    /// It never left this client.
    #[error("the message could not be sent: there is no connection")]
    NotSent,
    /// It was sent, and no answer came in time.
    #[error("no answer came: the message may have been counted")]
    Unknown,
    /// The edge offers the media but no room to take part in.
    #[error("this edge offers the media only, not the room")]
    Closed,
}

/// The JSON object that the page gets for a settled ticket.
#[derive(Serialize)]
struct Settled {
    ticket: Ticket,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<u64>,
    held: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Error>,
}

#[derive(Serialize)]
struct Error {
    code: &'static str,
    message: String,
    /// The earliest time to try again, in milliseconds since the UNIX epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max: Option<u16>,
}

/// Returns the page's JSON for an act that cannot be read.
pub fn invalid(ticket: Ticket, message: &str) -> String {
    let error = Error { code: "invalid", message: message.to_owned(), until: None, max: None };
    serde_json::to_string(&Settled { ticket, id: None, held: false, error: Some(error) }).unwrap_or_default()
}

impl Outcome {
    /// Returns the page's JSON for this outcome.
    pub fn json(&self, now: moqt::Micros, ticket: Ticket) -> String {
        let (id, held, error) = match self {
            Self::Taken { line } => (line.map(|chat| chat.0), false, None),
            Self::Held => (None, true, None),
            Self::Failed(failure) => (None, false, Some(failure.error(now))),
        };
        serde_json::to_string(&Settled { ticket, id, held, error }).unwrap_or_default()
    }
}

impl Failure {
    fn error(self, now: moqt::Micros) -> Error {
        let (mut wait_ms, mut max) = (None, None);
        let code = match self {
            Self::Full => "full",
            Self::Invalid(_) => "invalid",
            Self::TooLarge => "too-large",
            Self::NotSent => "not-sent",
            Self::Unknown => "unknown",
            Self::Closed => "closed",
            Self::Rejected(reason) => match reason {
                Reason::Unsupported => "unsupported",
                Reason::Empty => "empty",
                Reason::TooLong { max: most } => {
                    max = Some(most);
                    "too-long"
                }
                Reason::Characters => "characters",
                Reason::OutOfRange => "out-of-range",
                Reason::TooFast { retry_ms } => {
                    wait_ms = Some(retry_ms);
                    "too-fast"
                }
                Reason::SlowMode { retry_ms } => {
                    wait_ms = Some(retry_ms);
                    "slow-mode"
                }
                Reason::FollowersOnly => "followers-only",
                Reason::EmojiOnly => "emoji-only",
                Reason::Repeated => "repeated",
                Reason::Blocked => "blocked",
                Reason::Links => "links",
                Reason::TimedOut { retry_ms } => {
                    wait_ms = Some(retry_ms);
                    "timed-out"
                }
                Reason::Banned => "banned",
                Reason::NotAllowed => "not-allowed",
                Reason::NotFound => "not-found",
                Reason::PollClosed => "poll-closed",
                Reason::AlreadyVoted => "already-voted",
                Reason::AddressVoted => "address-voted",
                Reason::AlreadyCounted => "already-counted",
                Reason::Busy { retry_ms } => {
                    wait_ms = Some(retry_ms);
                    "busy"
                }
            },
        };
        let until = wait_ms.map(|ms| now.as_millis() + u64::from(ms));
        Error { code, message: self.to_string(), until, max }
    }
}
