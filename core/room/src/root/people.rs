//! Records of fans who have acted, and their streams of message numbers.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use wire::{ChatId, FanId, Micros, Reason, Role, Standing, StreamId, limits};

use super::slab::Slab;

/// Fans that a room keeps, at most: the recently active, and those with a standing or a granted role.
const MAX_FANS: usize = 100_000;
/// Number of fans above which inactive ones are kept only as long as their streams.
const MANY_FANS: usize = MAX_FANS * 3 / 4;
/// Streams that a room keeps, and per fan, at most: a fan has one for each recently loaded page.
const MAX_STREAMS: usize = 2 * MAX_FANS;
const MAX_STREAMS_OF_A_FAN: usize = 128;
/// Time for which an unused stream is kept: longer than any client resends.
const KEEP_STREAM: Micros = Micros::from_secs(3 * limits::RESEND_SECONDS);
/// Time for which an inactive fan is kept.
const KEEP_FAN: Micros = Micros::from_secs(24 * 60 * 60);
/// Streams and fans examined in one tick.
const SWEEP: u32 = 256;

/// Fans and streams, by index and by identity.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct People {
    pub(super) fans: Slab<Fan>,
    pub(super) streams: Slab<Stream>,
    by_id: BTreeMap<FanId, u32>,
    swept_fan: u32,
    swept_stream: u32,
}

/// A fan who has acted.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Fan {
    pub(super) id: FanId,
    pub(super) name: String,
    /// True if the fan has chosen the name in this room.
    pub(super) named_here: bool,
    pub(super) anonymous: bool,
    /// Role that the fan's token grants.
    pub(super) token_role: Role,
    /// Role that the creator has granted.
    pub(super) granted: Option<Role>,
    pub(super) standing: Standing,
    pub(super) shadow: bool,
    pub(super) cheers: u64,
    /// Value of all gifts given.
    pub(super) gifts: u64,
    pub(super) said_at: Micros,
    /// Time of the last act.
    pub(super) last: Micros,
    streams: Vec<u32>,
}

/// One run of message numbers.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Stream {
    id: StreamId,
    pub(super) fan: u32,
    /// The highest number up to which all are settled.
    pub(super) mark: u64,
    /// Outcomes, other than plainly taken, of numbers that a client may still ask for.
    outcomes: Vec<(u64, Outcome)>,
    /// Number of sessions that use the stream.
    pub(super) attached: u32,
    pub(super) last: Micros,
}

/// Outcome of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Outcome {
    Taken,
    /// Taken as this chat line. Reported once; after that the same as taken.
    Said(ChatId),
    Held,
    Rejected(Reason),
}

impl Fan {
    pub(super) fn role(&self) -> Role {
        // The creator of a room keeps that role, whatever was granted.
        if self.token_role == Role::Creator { Role::Creator } else { self.granted.unwrap_or(self.token_role) }
    }

    pub(super) fn standing(&self, now: Micros) -> Standing {
        match self.standing {
            _ if self.role() == Role::Creator => Standing::Clear,
            Standing::TimedOut { until } if until <= now => Standing::Clear,
            standing => standing,
        }
    }

    /// Returns whether the record holds nothing that must be remembered.
    fn is_plain(&self, now: Micros) -> bool {
        self.standing(now) == Standing::Clear && !self.shadow && self.granted.is_none()
    }
}

impl Stream {
    /// Settles the number after the mark.
    pub(super) fn settle(&mut self, outcome: Outcome) {
        self.mark += 1;
        let kept_from = (self.mark + 1).saturating_sub(limits::UNACKED);
        match self.outcomes.first() {
            Some((oldest, _)) if *oldest < kept_from => {
                self.outcomes.retain(|(number, _)| *number >= kept_from);
            }
            _ => {}
        }
        if matches!(outcome, Outcome::Held | Outcome::Rejected(_)) {
            self.outcomes.push((self.mark, outcome));
        }
    }

    /// Returns the outcome of a number up to the mark.
    pub(super) fn outcome(&self, number: u64) -> Outcome {
        let found = self.outcomes.iter().find(|(other, _)| *other == number);
        found.map_or(Outcome::Taken, |(_, outcome)| *outcome)
    }
}

impl People {
    pub(super) fn find(&self, fan: FanId) -> Option<u32> {
        self.by_id.get(&fan).copied()
    }

    pub(super) fn find_stream(&self, fan: u32, id: StreamId) -> Option<u32> {
        self.fans[fan].streams.iter().copied().find(|stream| self.streams[*stream].id == id)
    }

    /// Returns the fan's record; creates one if there is room.
    pub(super) fn enter(&mut self, id: FanId, now: Micros) -> Option<u32> {
        if let Some(fan) = self.find(id) {
            return Some(fan);
        }
        if self.fans.len() >= MAX_FANS {
            return None;
        }
        let fan = self.fans.insert(Fan { id, last: now, ..Fan::default() });
        self.by_id.insert(id, fan);
        Some(fan)
    }

    /// Returns the fan's stream; creates one if there is room.
    pub(super) fn enter_stream(&mut self, fan: u32, id: StreamId, now: Micros) -> Option<u32> {
        if let Some(stream) = self.find_stream(fan, id) {
            return Some(stream);
        }
        if self.fans[fan].streams.len() >= MAX_STREAMS_OF_A_FAN {
            self.drop_streams(fan, |stream| now - stream.last >= Micros::from_secs(limits::RESEND_SECONDS));
        }
        let full = self.streams.len() >= MAX_STREAMS;
        if full || self.fans[fan].streams.len() >= MAX_STREAMS_OF_A_FAN {
            return None;
        }
        let stream = Stream { id, fan, mark: 0, outcomes: Vec::new(), attached: 0, last: now };
        let stream = self.streams.insert(stream);
        self.fans[fan].streams.push(stream);
        Some(stream)
    }

    /// Drops a fan's unused streams that satisfy `are`.
    fn drop_streams(&mut self, fan: u32, are: impl Fn(&Stream) -> bool) {
        let (streams, kept) = (&mut self.streams, &mut self.fans[fan].streams);
        kept.retain(|stream| {
            let gone = streams[*stream].attached == 0 && are(&streams[*stream]);
            if gone {
                streams.remove(*stream);
            }
            !gone
        });
    }

    /// Examines some of the records, and drops those that nobody can refer to any more.
    pub(super) fn sweep(&mut self, now: Micros, is_listed: impl Fn(FanId) -> bool) {
        for _ in 0..SWEEP.min(self.streams.end()) {
            let at = self.swept_stream % self.streams.end();
            self.swept_stream = at + 1;
            if let Some(fan) = self.streams.get(at).map(|stream| stream.fan) {
                self.drop_streams(fan, |stream| now - stream.last >= KEEP_STREAM);
            }
        }
        let keep = if self.fans.len() >= MANY_FANS { KEEP_STREAM } else { KEEP_FAN };
        for _ in 0..SWEEP.min(self.fans.end()) {
            let at = self.swept_fan % self.fans.end();
            self.swept_fan = at + 1;
            if let Some(fan) = self.fans.get(at)
                && fan.streams.is_empty()
                && now - fan.last >= keep
                && fan.is_plain(now)
                && !is_listed(fan.id)
            {
                self.by_id.remove(&fan.id);
                self.fans.remove(at);
            }
        }
    }

    /// Erases a fan, except for a ban or timeout. Returns the streams that were removed.
    pub(super) fn erase(&mut self, id: FanId, now: Micros) -> Vec<u32> {
        let Some(at) = self.find(id) else { return Vec::new() };
        let streams = std::mem::take(&mut self.fans[at].streams);
        for stream in &streams {
            self.streams.remove(*stream);
        }
        let fan = &mut self.fans[at];
        if fan.is_plain(now) {
            self.by_id.remove(&id);
            self.fans.remove(at);
        } else {
            let (standing, shadow, granted, token_role) =
                (fan.standing, fan.shadow, fan.granted, fan.token_role);
            *fan = Fan { id, standing, shadow, granted, token_role, last: now, ..Fan::default() };
        }
        streams
    }

    /// Returns whether a decoded snapshot is consistent: every index is in use.
    pub(super) fn is_sound(&self) -> bool {
        if !self.fans.is_sound() || !self.streams.is_sound() {
            return false;
        }
        let fan_is = |fan: &u32| self.fans.get(*fan).is_some();
        let fans_are = self.by_id.values().all(fan_is) && self.by_id.len() == self.fans.len();
        let mut fans = (0..self.fans.end()).filter_map(|at| self.fans.get(at));
        let mut streams = (0..self.streams.end()).filter_map(|at| self.streams.get(at));
        fans_are
            && fans.all(|fan| fan.streams.iter().all(|stream| self.streams.get(*stream).is_some()))
            && streams.all(|stream| fan_is(&stream.fan))
    }
}
