//! Assigns fans to the room's shards, each a Durable Object. Shard 0 also holds the root; further shards are opened only
//! when it is full.

use wire::Micros;
use worker::{Env, Headers, Request, RequestInit, Response, Result, Stub};

use crate::{
    ROOMS,
    address::{Address, encoded},
};

/// The shard with the room's root.
pub(crate) const ROOT: u32 = 0;
/// The most shards of one room, besides the root's.
const MAX_SHARDS: usize = 64;
/// The most shards that one fan is sent to before the room counts as full.
const TRIES: usize = 16;
/// The time after which a full shard is tried again, in case that fans have left it.
const RETRY_AFTER: Micros = Micros(10_000_000);
/// A header. In an answer: the shard to try next. In a request to the root: the shard that turned out to be full.
pub(crate) const SHARD_HEADER: &str = "fanfare-share";

/// Passes a fan's request on to the shard that takes the fan.
pub(crate) async fn enter(request: &Request, address: &Address, env: &Env) -> Result<Response> {
    let room = match address.room() {
        Ok(room) => room,
        Err(why) => return Response::error(why, 400),
    };
    let mut full = None;
    let mut shard = ROOT;
    for _ in 0..TRIES {
        let headers = Headers::new();
        for name in ["upgrade", "sec-websocket-protocol"] {
            if let Some(value) = request.headers().get(name)? {
                headers.set(name, &value)?;
            }
        }
        if let Some(full) = full.take() {
            headers.set(SHARD_HEADER, &format!("{full}"))?;
        }
        let url = format!("{}/fan/{shard}?{}", address.origin(), address.query());
        let forwarded = Request::new_with_init(&url, RequestInit::new().with_headers(headers))?;
        let response = room_object(env, shard, &room)?.fetch_with_request(forwarded).await?;
        let Some(next) = response.headers().get(SHARD_HEADER)? else { return Ok(response) };
        if shard != ROOT {
            full = Some(shard);
        }
        shard = next.parse().unwrap_or(ROOT);
    }
    Response::error(format!("room {room:?} is full: come again in a moment\n"), 503)
}

/// The room's shards besides the root's, as the root has counted them.
#[derive(Debug, Default)]
pub(crate) struct Shards(Vec<Shard>);

#[derive(Clone, Copy, Debug, Default)]
struct Shard {
    /// Fans assigned to it: an upper bound, since some may have left.
    fans: usize,
    /// The time at which it became full.
    full: Option<Micros>,
}

impl Shards {
    /// Returns the shard for the next fan. Each takes `max_fans`; `found_full` is one that has just turned the fan away.
    pub(crate) fn next(&mut self, max_fans: usize, found_full: Option<u32>, now: Micros) -> u32 {
        let found_full = found_full.map(|shard| (shard as usize).clamp(1, MAX_SHARDS));
        if let Some(shard) = found_full {
            // The shard was opened before the root's object restarted and lost its memory.
            self.0.resize(self.0.len().max(shard), Shard::default());
            self.0[shard - 1].full = Some(now);
        }
        let has_room = self.0.iter().position(|shard| shard.full.is_none());
        let next = has_room.or_else(|| self.longest_full(found_full, now)).unwrap_or_else(|| {
            self.0.push(Shard::default());
            self.0.len() - 1
        });
        let shard = &mut self.0[next];
        if shard.full.take().is_some() {
            shard.fans = 0;
        }
        shard.fans += 1;
        shard.full = (shard.fans >= max_fans).then_some(now);
        next as u32 + 1
    }

    /// Returns the shard that has been full for longest, if a fan may have left it. One fan tries one such shard; then a
    /// new one is opened for the fan.
    fn longest_full(&self, found_full: Option<usize>, now: Micros) -> Option<usize> {
        let can_open = self.0.len() < MAX_SHARDS;
        let since = |at: &usize| self.0[*at].full;
        (0..self.0.len()).min_by_key(since).filter(|at| {
            !can_open || found_full.is_none() && since(at).is_some_and(|at| now - at >= RETRY_AFTER)
        })
    }
}

/// Returns the Durable Object of a shard.
pub(crate) fn room_object(env: &Env, shard: u32, room: &str) -> Result<Stub> {
    env.durable_object(ROOMS)?.get_by_name(&format!("{shard}:{room}"))
}

/// Returns the URL of an action in a room's object.
pub(crate) fn object_url(what: &str, room: &str) -> String {
    format!("https://stage/{what}?room={}", encoded(room))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX_FANS: usize = 3;

    fn assign(shards: &mut Shards, fans: usize, now: u64) -> Vec<u32> {
        (0..fans).map(|_| shards.next(MAX_FANS, None, Micros(now))).collect()
    }

    #[test]
    fn one_shard_is_full_before_the_next() {
        let mut shards = Shards::default();
        assert_eq!(assign(&mut shards, 8, 0), [1, 1, 1, 2, 2, 2, 3, 3]);
    }

    #[test]
    fn a_fan_who_finds_a_shard_full_goes_where_there_is_room_and_all_others_too() {
        let mut shards = Shards::default();
        assign(&mut shards, 7, 0);
        assert_eq!(shards.next(MAX_FANS, Some(3), Micros(0)), 4);
        assert_eq!(assign(&mut shards, 3, 0), [4, 4, 5]);
    }

    #[test]
    fn a_root_that_has_forgotten_its_shares_learns_of_them() {
        let mut shards = Shards::default();
        assert_eq!(shards.next(MAX_FANS, Some(2), Micros(0)), 1);
        assert_eq!(shards.next(MAX_FANS, Some(1), Micros(0)), 3);
    }

    #[test]
    fn a_shard_is_tried_again_after_a_while_but_once_by_each() {
        let mut shards = Shards::default();
        assign(&mut shards, 3, 0);
        assign(&mut shards, 3, 1);
        assert_eq!(assign(&mut shards, 1, RETRY_AFTER.0 - 1), [3]);
        assert_eq!(assign(&mut shards, 2, RETRY_AFTER.0 - 1), [3, 3]);
        // Two fans have left the first shard, none the second.
        assert_eq!(assign(&mut shards, 2, RETRY_AFTER.0 + 1), [1, 1]);
        assert_eq!(shards.next(MAX_FANS, Some(1), Micros(RETRY_AFTER.0 + 1)), 4);
        assert_eq!(assign(&mut shards, 3, RETRY_AFTER.0 + 1), [4, 4, 2]);
    }

    #[test]
    fn when_all_are_open_each_is_tried_in_turn() {
        let mut shards = Shards::default();
        assign(&mut shards, MAX_FANS * MAX_SHARDS, 0);
        let mut found = shards.next(MAX_FANS, None, Micros(1));
        for tried in 1..=MAX_SHARDS as u32 {
            assert_eq!(found, tried);
            found = shards.next(MAX_FANS, Some(tried), Micros(1 + u64::from(tried)));
        }
        assert_eq!(found, 1);
    }
}
