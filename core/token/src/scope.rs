//! The scope of a key: the tokens that it may sign.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use wire::{EdgeId, Micros};

use crate::claims::{covers, seconds};
use crate::error::excerpt;
use crate::{Claims, EVERY_ROOM, Error, Role};

/// A kind of token, as a key's scope names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A creator's token.
    Creator,
    /// A moderator's token.
    Moderator,
    /// The token of a fan with a name.
    Fan,
    /// An edge's token.
    Edge,
    /// An operator's token.
    Operator,
    /// The token of a fan without a name, whatever its role claim.
    Anonymous,
}

impl Kind {
    /// Returns the kind of the token with these claims.
    pub fn of(claims: &Claims) -> Self {
        match claims.role {
            _ if claims.anonymous => Self::Anonymous,
            Role::Creator => Self::Creator,
            Role::Moderator => Self::Moderator,
            Role::Fan => Self::Fan,
            Role::Edge => Self::Edge,
            Role::Operator => Self::Operator,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Creator => "creator",
            Self::Moderator => "moderator",
            Self::Fan => "fan",
            Self::Edge => "edge",
            Self::Operator => "operator",
            Self::Anonymous => "anonymous",
        })
    }
}

/// An edge's number, which texts have as 16 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct EdgeNumber(pub EdgeId);

impl fmt::Display for EdgeNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0.0)
    }
}

impl std::str::FromStr for EdgeNumber {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let is_hex = (1..=16).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let number = is_hex.then(|| u64::from_str_radix(text, 16).ok()).flatten();
        let why = || format!("{:?} is not an edge's number: give its 16 hexadecimal digits", excerpt(text));
        number.map(|number| Self(EdgeId(number))).ok_or_else(why)
    }
}

impl Serialize for EdgeNumber {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for EdgeNumber {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

/// The scope of a key: the member `fanfare` of its JWK. A field that is absent restricts nothing.
///
/// A field that this version does not know makes the key unusable, because it may be a restriction.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scope {
    /// The kinds of token that the key may sign.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "crate::jws::present")]
    pub roles: Option<Vec<Kind>>,
    /// The rooms that its tokens may be for, with all below them.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "crate::jws::present")]
    pub rooms: Option<Vec<String>>,
    /// The edge that has the key. Its edge tokens are for this number alone.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "crate::jws::present")]
    pub edge: Option<EdgeNumber>,
    /// The latest end of its tokens, in seconds of Unix time.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "crate::jws::present")]
    pub until: Option<u64>,
}

impl Scope {
    /// Returns the scope of an edge's own key: tokens of role edge with that number.
    pub fn edge(edge: EdgeId) -> Self {
        Self { roles: Some(vec![Kind::Edge]), edge: Some(EdgeNumber(edge)), ..Self::default() }
    }

    /// Returns the scope of an edge's key for strangers: tokens of anonymous fans.
    pub fn strangers(edge: EdgeId) -> Self {
        Self { roles: Some(vec![Kind::Anonymous]), edge: Some(EdgeNumber(edge)), ..Self::default() }
    }

    /// Returns whether the key may sign tokens of that kind.
    pub fn allows(&self, kind: Kind) -> bool {
        self.roles.as_ref().is_none_or(|roles| roles.contains(&kind))
    }

    /// Returns whether the key signs for one edge and for nobody with a name: then its holder has to prove what it
    /// says of others.
    pub fn is_an_edges(&self) -> bool {
        self.edge.is_some()
            && self
                .roles
                .as_ref()
                .is_some_and(|roles| roles.iter().all(|role| matches!(role, Kind::Edge | Kind::Anonymous)))
    }

    /// Checks that the key may sign a token with these claims.
    pub(crate) fn check(&self, kid: &str, claims: &Claims) -> Result<(), Error> {
        let beyond = |what: String| Err(Error::BeyondScope { kid: excerpt(kid), what: excerpt(&what) });
        let kind = Kind::of(claims);
        if !self.allows(kind) {
            return beyond(format!("tokens of kind {kind}"));
        }
        if let Some(rooms) = &self.rooms
            && !rooms.iter().any(|room| room == EVERY_ROOM || covers(room, &claims.room))
        {
            return beyond(format!("tokens for room {:?}", claims.room));
        }
        if let Some(edge) = self.edge
            && kind == Kind::Edge
            && claims.edge_number() != Some(edge)
        {
            let named = claims.edge_number().map_or("no edge".into(), |other| format!("edge {other}"));
            return beyond(format!("tokens of {named}, but of edge {edge}"));
        }
        if let Some(until) = self.until
            && claims.exp > until
        {
            return beyond(format!("tokens that end after {until} (Unix time)"));
        }
        Ok(())
    }

    /// Returns whether the key's time is over, so that no token of it can be valid.
    pub fn is_over(&self, now: Micros) -> bool {
        self.until.is_some_and(|until| until < seconds(now))
    }
}
