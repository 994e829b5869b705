//! Identity of a token's holder in a room: the same fan over reloads, renewals and edges.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use sha2::{Digest as _, Sha256};
use wire::worker::Identity;
use wire::{EdgeId, FanId, Micros};

use crate::claims::seconds;
use crate::{Claims, EVERY_ROOM, EdgeNumber, Error, Keys, Role, Verified, clean_name};

/// Lifetime of an anonymous fan's token: 90 days.
pub const ANONYMOUS_LIFE: Micros = Micros::from_secs(90 * DAY);
/// Time before its end at which it is renewed: 60 days, so that a fan who visits once in two months keeps the
/// identity.
pub const RENEWED_BEFORE: Micros = Micros::from_secs(60 * DAY);

const DAY: u64 = 24 * 60 * 60;
/// Prefix of the hashed text, which separates fan identities from other hashes of the same text.
const DOMAIN: &[u8] = b"fanfare fan 1\0";

impl Keys {
    /// Mints a token for a fan without one, so that they are the same fan when they return.
    pub fn mint_anonymous(&self, random: [u8; 16], now: Micros) -> Result<String, Error> {
        let end = now + ANONYMOUS_LIFE;
        let claims = Claims::until(EVERY_ROOM, Role::Fan, "", end);
        self.mint(&Claims {
            sub: Some(BASE64.encode(random)),
            iat: Some(seconds(now)),
            anonymous: true,
            ..claims
        })
    }

    /// Mints a longer-lived token for the same anonymous fan, if their verified one ends soon. Another edge's stranger
    /// keeps theirs: signed with a key of this edge, the token would make them another.
    pub fn renew(&self, token: &Verified, now: Micros) -> Result<Option<String>, Error> {
        let claims = &token.claims;
        let is_due = claims.exp < seconds(now + RENEWED_BEFORE);
        if !claims.anonymous || !is_due {
            return Ok(None);
        }
        let ours = self.signing_scope(claims)?;
        if token.edge() != ours.and_then(|scope| scope.edge) {
            return Ok(None);
        }
        let (exp, iat) = (seconds(now + ANONYMOUS_LIFE), Some(seconds(now)));
        self.mint(&Claims { exp, iat, jti: None, ..claims.clone() }).map(Some)
    }
}

impl Verified {
    /// Returns the edge whose key signed the token, if it is an edge's.
    fn edge(&self) -> Option<EdgeNumber> {
        self.scope.as_ref().and_then(|scope| scope.edge)
    }

    /// Returns the identity of the holder. That of a stranger depends on the edge whose key signed the token, so that an
    /// edge can make up no other edge's strangers, and nobody with a name.
    pub fn fan_id(&self) -> FanId {
        match self.edge() {
            Some(edge) if self.claims.anonymous => {
                let sub = self.claims.sub.as_deref().unwrap_or_default();
                let mut hash = Sha256::new_with_prefix(DOMAIN);
                hash.update([&b"stranger\0"[..], &edge.0.0.to_be_bytes(), sub.as_bytes()].concat());
                first_word(hash)
            }
            _ => fan_id(&self.claims),
        }
    }
}

/// Returns the identity of a token's holder by the claims alone: a hash of its `sub`, or else of its role and name. Never 0.
pub fn fan_id(claims: &Claims) -> FanId {
    let mut hash = Sha256::new_with_prefix(DOMAIN);
    match &claims.sub {
        Some(sub) => hash.update([b"sub\0", sub.as_bytes()].concat()),
        None => hash.update(format!("name\0{}\0{}", claims.role, claims.name)),
    }
    first_word(hash)
}

/// Returns the identity of a fan whom an edge reports without a proof: a stranger of that edge alone.
pub fn unproven_id(edge: EdgeId, fan: FanId) -> FanId {
    let mut hash = Sha256::new_with_prefix(DOMAIN);
    hash.update([&b"edge\0"[..], &edge.0.to_be_bytes(), &fan.0.to_be_bytes()].concat());
    first_word(hash)
}

fn first_word(hash: Sha256) -> FanId {
    let digest: [u8; 32] = hash.finalize().into();
    let words = digest.as_chunks::<8>().0.iter().map(|word| u64::from_be_bytes(*word));
    FanId(words.into_iter().find(|word| *word != 0).unwrap_or(1))
}

/// Returns the role that a token gives its holder in a room. If it is not for that room, they are an ordinary fan.
pub fn role_in(claims: &Claims, room: &str) -> wire::Role {
    match claims.role {
        Role::Creator if claims.covers(room) => wire::Role::Creator,
        Role::Moderator if claims.covers(room) => wire::Role::Moderator,
        _ => wire::Role::Fan,
    }
}

/// A token's holder in a room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    id: FanId,
    name: String,
    role: wire::Role,
    anonymous: bool,
    follower: bool,
}

impl Holder {
    /// Returns the holder as a room's worker takes them.
    pub fn identity(&self) -> Identity<'_> {
        let Self { id, ref name, role, anonymous, follower } = *self;
        Identity { id, name, role, anonymous, follower }
    }
}

/// Returns a token's holder in a room, with a name that is fit to be shown.
pub fn holder(token: &Verified, room: &str) -> Holder {
    let claims = &token.claims;
    Holder {
        id: token.fan_id(),
        name: clean_name(&claims.name).into_owned(),
        role: role_in(claims, room),
        anonymous: claims.anonymous,
        follower: claims.covers(room) && claims.follower,
    }
}
