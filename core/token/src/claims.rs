//! What a token says.

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};
use wire::Micros;

use crate::Error;

/// The room claim of a token that is good for every room: for edges and operators.
pub const EVERY_ROOM: &str = "*";
/// How far the clocks of who mints and who verifies may differ.
pub const LEEWAY: Duration = Duration::from_secs(5);

/// What a token's holder may do in the room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Publishes into the room, and all that moderators and fans do.
    Creator,
    /// Moderates the room, and watches it.
    Moderator,
    /// Watches the room, even if it is private.
    Fan,
    /// Links an edge of the house to the origin: watches for its fans, and sends what they do. Publishes nothing.
    Edge,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Creator => "creator",
            Self::Moderator => "moderator",
            Self::Fan => "fan",
            Self::Edge => "edge",
        })
    }
}

/// What a token says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// The room: a namespace's fields joined with `/`, or [`EVERY_ROOM`].
    pub room: String,
    /// What the holder may do there.
    pub role: Role,
    /// Who the holder is: a creator who returns under the same name gets the room back.
    pub name: String,
    /// When the token ends, in seconds of Unix time.
    pub exp: u64,
    /// Which fan the holder is, whatever they are called: the same in each of their tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sub: Option<String>,
    /// The token was given to a stranger: it says that they are the same one again, and opens nothing.
    #[serde(default, skip_serializing_if = "is_false")]
    pub anonymous: bool,
    /// The holder follows the creator.
    #[serde(default, skip_serializing_if = "is_false")]
    pub follower: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
fn is_false(value: &bool) -> bool {
    !value
}

impl Claims {
    /// Claims that end then.
    pub fn until(room: &str, role: Role, name: &str, end: Micros) -> Self {
        let (room, name) = (room.into(), name.into());
        Self { room, role, name, exp: seconds(end), sub: None, anonymous: false, follower: false }
    }

    /// Whether the token is for this room or for one above it. One given to a stranger is for none.
    pub fn covers(&self, room: &str) -> bool {
        let is_below = |below: &str| below.is_empty() || below.starts_with('/');
        !self.anonymous
            && (self.room == EVERY_ROOM || room.strip_prefix(self.room.as_str()).is_some_and(is_below))
    }

    /// That the token is for this room, or for one above it, and not over.
    pub fn check(&self, room: &str, now: Micros) -> Result<(), Error> {
        self.check_time(now)?;
        if self.anonymous {
            return Err(Error::Anonymous { wanted: room.into() });
        }
        if !self.covers(room) {
            let (has, wanted) = (self.room.clone(), room.into());
            return Err(Error::WrongRoom { has, wanted });
        }
        Ok(())
    }

    /// That the token is an edge's, for this room, and not over: its holder may hand the origin what the room's
    /// fans do.
    pub fn check_edge(&self, room: &str, now: Micros) -> Result<(), Error> {
        self.check(room, now)?;
        if self.role == Role::Edge { Ok(()) } else { Err(Error::NotAnEdge { role: self.role }) }
    }

    /// That the token is not over.
    pub(crate) fn check_time(&self, now: Micros) -> Result<(), Error> {
        if self.exp.saturating_add(LEEWAY.as_secs()) < seconds(now) {
            return Err(Error::Expired { exp: self.exp });
        }
        Ok(())
    }
}

pub(crate) fn seconds(at: Micros) -> u64 {
    at.0 / 1_000_000
}
