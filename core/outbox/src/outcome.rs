//! What became of what a fan did, as the page is told.

use serde::Serialize;
use wire::{ChatId, Reason};

use super::Ticket;
use crate::wish::Error as Unreadable;

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is counted.
    Taken {
        /// The line that it is, if it is one and that is known.
        line: Option<ChatId>,
    },
    /// It waits for a moderator.
    Held,
    /// It is not counted, or nobody knows.
    Failed(Failure),
}

/// Why something was not counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The room did not take it.
    #[error("{0}")]
    Rejected(Reason),
    /// More is on its way than may be.
    #[error("too many messages are not answered yet: wait until they are")]
    Full,
    /// It is no act: a field is missing, or has a value out of range.
    #[error("{0}")]
    Invalid(Unreadable),
    /// Larger than a packet.
    #[error("that is more than goes into one message")]
    TooLarge,
    /// It never left this client.
    #[error("it could not be sent: there is no connection")]
    NotSent,
    /// It was sent, and no answer came.
    #[error("no answer came: it may have been counted")]
    Unknown,
    /// There is no room to take part in.
    #[error("nothing but the stage is open here")]
    Closed,
}

/// As the page gets it.
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
    /// When it may be tried again, in milliseconds since the UNIX epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max: Option<u16>,
}

/// What becomes of a wish that cannot be read, for the page.
pub fn invalid(ticket: Ticket, message: &str) -> String {
    let error = Error { code: "invalid", message: message.to_owned(), until: None, max: None };
    serde_json::to_string(&Settled { ticket, id: None, held: false, error: Some(error) }).unwrap_or_default()
}

impl Outcome {
    /// For the page.
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
