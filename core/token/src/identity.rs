//! Identity of a token's holder in a room: the same fan over reloads, renewals and edges.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use sha2::{Digest as _, Sha256};
use wire::worker::Identity;
use wire::{FanId, Micros, limits};

use crate::claims::seconds;
use crate::{Claims, EVERY_ROOM, Error, Keys, Role};

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
        self.mint(&Claims { sub: Some(BASE64.encode(random)), anonymous: true, ..claims })
    }

    /// Mints a longer-lived token for the same anonymous fan, if their verified one ends soon.
    pub fn renew(&self, claims: &Claims, now: Micros) -> Result<Option<String>, Error> {
        let is_due = claims.exp < seconds(now + RENEWED_BEFORE);
        if !claims.anonymous || !is_due {
            return Ok(None);
        }
        self.mint(&Claims { exp: seconds(now + ANONYMOUS_LIFE), ..claims.clone() }).map(Some)
    }
}

/// Returns the identity of a token's holder: a hash of its `sub`, or else of its role and name. Never 0.
pub fn fan_id(claims: &Claims) -> FanId {
    let mut hash = Sha256::new_with_prefix(DOMAIN);
    match &claims.sub {
        Some(sub) => hash.update([b"sub\0", sub.as_bytes()].concat()),
        None => hash.update(format!("name\0{}\0{}", claims.role, claims.name)),
    }
    let digest: [u8; 32] = hash.finalize().into();
    let words = digest.as_chunks::<8>().0.iter().map(|word| u64::from_be_bytes(*word));
    FanId(words.into_iter().find(|word| *word != 0).unwrap_or(1))
}

/// Returns a token's holder as the identity for a room's worker. If the token is not for that room, they are
/// an ordinary fan.
pub fn identity<'a>(claims: &'a Claims, room: &str) -> Identity<'a> {
    let covers = claims.covers(room);
    let role = match claims.role {
        Role::Creator if covers => wire::Role::Creator,
        Role::Moderator if covers => wire::Role::Moderator,
        _ => wire::Role::Fan,
    };
    let name = &claims.name[..claims.name.floor_char_boundary(limits::NAME)];
    let follower = covers && claims.follower;
    Identity { id: fan_id(claims), name, role, anonymous: claims.anonymous, follower }
}
