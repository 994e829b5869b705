//! Claims of a token: room, role, name and end.

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};
use wire::{EdgeId, Micros};

use crate::{EdgeNumber, Error, jws::present};

/// Room claim of a token that is valid for every room: for edges and operators.
pub const EVERY_ROOM: &str = "*";
/// Tolerated difference between the clocks of the minting and the verifying machine.
pub const LEEWAY: Duration = Duration::from_secs(5);

/// Rights of a token's holder in the room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Publishes into the room, and has the rights of moderators and fans.
    Creator,
    /// Moderates the room, and watches it.
    Moderator,
    /// Watches the room, even if it is private.
    Fan,
    /// Links one of the operator's edges to the origin: watches for its fans, and forwards their messages.
    /// Publishes nothing.
    Edge,
    /// Exports and erases what is archived of people and rooms, over HTTP. Opens no room.
    Operator,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Creator => "creator",
            Self::Moderator => "moderator",
            Self::Fan => "fan",
            Self::Edge => "edge",
            Self::Operator => "operator",
        })
    }
}

/// Claims of a token.
#[expect(clippy::struct_excessive_bools, reason = "what a token says is one by one")]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// The room: a namespace's fields joined with `/`, or [`EVERY_ROOM`].
    pub room: String,
    /// The holder's rights in that room.
    pub role: Role,
    /// The holder's name: a creator who returns under the same name gets the room back.
    pub name: String,
    /// End of the token's validity, in seconds of Unix time.
    pub exp: u64,
    /// The holder's identity as a fan, whatever their name: the same in each of their tokens.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub sub: Option<String>,
    /// The token's own identity, by which it can be revoked. Minting adds it.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub jti: Option<String>,
    /// The time of issue, in seconds of Unix time.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub iat: Option<u64>,
    /// The number of the edge that the token is for. A token of role edge without it has the number, in decimal, as
    /// its name: so edges of earlier versions mint it.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub edge: Option<EdgeNumber>,
    /// True if the edge asks its clients for a token before it shows them a private room, so that it may have such rooms.
    #[serde(default, skip_serializing_if = "is_false")]
    pub guards: bool,
    /// True if the edge presents the token in a session on behalf of one of its clients: it says which edge carries the
    /// client, and gives the client none of the edge's rights.
    #[serde(default, skip_serializing_if = "is_false")]
    pub behalf: bool,
    /// True if the node gave the token to an anonymous fan: it recognises them on their return, and opens no
    /// room.
    #[serde(default, skip_serializing_if = "is_false")]
    pub anonymous: bool,
    /// True if the holder follows the creator.
    #[serde(default, skip_serializing_if = "is_false")]
    pub follower: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
fn is_false(value: &bool) -> bool {
    !value
}

impl Claims {
    /// Returns claims that end at `end`.
    pub fn until(room: &str, role: Role, name: &str, end: Micros) -> Self {
        let (room, name) = (room.into(), name.into());
        Self {
            room,
            role,
            name,
            exp: seconds(end),
            sub: None,
            jti: None,
            iat: None,
            edge: None,
            guards: false,
            behalf: false,
            anonymous: false,
            follower: false,
        }
    }

    /// Returns the claims of an edge's own token, issued now, for every room.
    pub fn for_edge(edge: EdgeId, now: Micros, end: Micros) -> Self {
        let claims = Self::until(EVERY_ROOM, Role::Edge, &edge.0.to_string(), end);
        Self { iat: Some(seconds(now)), edge: Some(EdgeNumber(edge)), ..claims }
    }

    /// Returns the number of the edge that the token is for, if it is an edge's.
    pub fn edge_number(&self) -> Option<EdgeNumber> {
        let named = || self.name.parse().ok().map(|number| EdgeNumber(EdgeId(number)));
        (self.role == Role::Edge).then(|| self.edge.or_else(named)).flatten()
    }

    /// Returns whether the token is for this room or for one above it. The tokens of anonymous fans and of operators open
    /// none.
    pub fn covers(&self, room: &str) -> bool {
        !self.anonymous && self.role != Role::Operator && self.names(room)
    }

    /// Returns whether the room claim is this room, one above it or every room.
    fn names(&self, room: &str) -> bool {
        self.room == EVERY_ROOM || covers(&self.room, room)
    }

    /// Checks that the token is for this room, or for one above it, and has not expired.
    pub fn check(&self, room: &str, now: Micros) -> Result<(), Error> {
        self.check_time(now)?;
        if self.anonymous {
            return Err(Error::Anonymous { wanted: room.into() });
        }
        if self.role == Role::Operator {
            return Err(Error::Operator { wanted: room.into() });
        }
        if !self.covers(room) {
            let (has, wanted) = (self.room.clone(), room.into());
            return Err(Error::WrongRoom { has, wanted });
        }
        Ok(())
    }

    /// Checks that the token is an operator's, for what is archived of this room, or of people in every room, and has not
    /// expired. A creator's token does not do: it travels to wherever a show is published from.
    pub fn check_operator(&self, room: &str, now: Micros) -> Result<(), Error> {
        self.check_time(now)?;
        if self.role != Role::Operator || self.anonymous {
            return Err(Error::NotAnOperator { role: self.role, wanted: room.into() });
        }
        if !self.names(room) {
            let (has, wanted) = (self.room.clone(), room.into());
            return Err(Error::WrongRoom { has, wanted });
        }
        Ok(())
    }

    /// Checks that the token is an edge's, for this room, and has not expired: its holder may send the origin
    /// the messages of the room's fans.
    pub fn check_edge(&self, room: &str, now: Micros) -> Result<(), Error> {
        self.check(room, now)?;
        if self.behalf {
            return Err(Error::OnBehalf);
        }
        if self.role == Role::Edge { Ok(()) } else { Err(Error::NotAnEdge { role: self.role }) }
    }

    /// Checks that the token is that edge's, for this room, and has not expired.
    pub fn check_number(&self, edge: EdgeId, room: &str, now: Micros) -> Result<(), Error> {
        self.check_edge(room, now)?;
        let (wanted, has) = (EdgeNumber(edge), self.edge_number());
        if has == Some(wanted) { Ok(()) } else { Err(Error::OtherEdge { has, wanted }) }
    }

    /// Checks that the token has not expired.
    pub fn check_time(&self, now: Micros) -> Result<(), Error> {
        if self.exp.saturating_add(LEEWAY.as_secs()) < seconds(now) {
            return Err(Error::Expired { exp: self.exp });
        }
        Ok(())
    }
}

/// Returns whether `below` is the room `room` or lies below it.
pub(crate) fn covers(room: &str, below: &str) -> bool {
    below.strip_prefix(room).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

pub(crate) fn seconds(at: Micros) -> u64 {
    at.0 / 1_000_000
}
