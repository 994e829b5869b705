//! Who a token's holder is, in a room: the same fan over reloads, renewals and edges.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use sha2::{Digest as _, Sha256};
use wire::worker::Identity;
use wire::{FanId, Micros, limits};

use crate::claims::seconds;
use crate::{Claims, EVERY_ROOM, Error, Keys, Role};

/// How long a stranger's token is good for: 90 days.
pub const ANONYMOUS_LIFE: Micros = Micros::from_secs(90 * DAY);
/// How long before its end it is renewed: 60 days, so that whoever comes once in two months stays the same.
pub const RENEWED_BEFORE: Micros = Micros::from_secs(60 * DAY);

const DAY: u64 = 24 * 60 * 60;
/// What the hash of a fan is over begins with: other hashes of the same text are not it.
const DOMAIN: &[u8] = b"fanfare fan 1\0";

impl Keys {
    /// A token for somebody without one: it makes them the same fan when they come back.
    pub fn mint_anonymous(&self, random: [u8; 16], now: Micros) -> Result<String, Error> {
        let end = now + ANONYMOUS_LIFE;
        let claims = Claims::until(EVERY_ROOM, Role::Fan, "", end);
        self.mint(&Claims { sub: Some(BASE64.encode(random)), anonymous: true, ..claims })
    }

    /// A longer-lived token for the same stranger, if theirs (which is verified) ends soon.
    pub fn renew(&self, claims: &Claims, now: Micros) -> Result<Option<String>, Error> {
        let is_due = claims.exp < seconds(now + RENEWED_BEFORE);
        if !claims.anonymous || !is_due {
            return Ok(None);
        }
        self.mint(&Claims { exp: seconds(now + ANONYMOUS_LIFE), ..claims.clone() }).map(Some)
    }
}

/// Which fan a token's holder is: a hash of its `sub`, or else of its role and name. Never 0.
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

/// A token's holder as the worker of a room is told. In a room that the token is not for they are a fan like any other.
pub fn who<'a>(claims: &'a Claims, room: &str) -> Identity<'a> {
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
