//! Fans who have done something, and the numbers that they have used.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use wire::{ChatId, FanId, Micros, Reason, Role, Standing, StreamId, limits};

use super::slab::Slab;

/// Fans that a room keeps: those who have done something of late, and those with a standing of
/// their own.
const MAX_FANS: usize = 100_000;
/// Of so many fans, those who do nothing are kept only as long as their streams.
const MANY_FANS: usize = MAX_FANS * 3 / 4;
/// Streams that a room keeps, and of one fan: a fan has one for each page loaded of late.
const MAX_STREAMS: usize = 2 * MAX_FANS;
const MAX_STREAMS_OF_A_FAN: usize = 128;
/// For how long a stream is kept that nobody uses: longer than any client sends again.
const KEEP_STREAM: Micros = Micros::from_secs(3 * limits::RESEND_SECONDS);
/// For how long a fan is kept who does nothing.
const KEEP_FAN: Micros = Micros::from_secs(24 * 60 * 60);
/// Streams and fans looked at in one tick.
const SWEEP: u32 = 256;

/// Fans and streams, by index and by name.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct People {
    pub(super) fans: Slab<Fan>,
    pub(super) streams: Slab<Stream>,
    by_id: BTreeMap<FanId, u32>,
    swept_fan: u32,
    swept_stream: u32,
}

/// A fan who has done something.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Fan {
    pub(super) id: FanId,
    pub(super) name: String,
    /// The name is one that the fan has taken here.
    pub(super) named_here: bool,
    pub(super) anonymous: bool,
    /// As their token has it.
    pub(super) token_role: Role,
    /// As the creator has it.
    pub(super) granted: Option<Role>,
    pub(super) standing: Standing,
    pub(super) shadow: bool,
    pub(super) cheers: u64,
    /// In value.
    pub(super) gifts: u64,
    pub(super) said_at: Micros,
    /// When they last did something.
    pub(super) last: Micros,
    streams: Vec<u32>,
}

/// A run of numbers.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Stream {
    id: StreamId,
    pub(super) fan: u32,
    /// All up to this one are settled.
    pub(super) mark: u64,
    /// Which of those that a client may still ask for were not simply taken.
    outcomes: Vec<(u64, Outcome)>,
    /// Sessions that use it.
    pub(super) attached: u32,
    pub(super) last: Micros,
}

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Outcome {
    Taken,
    /// As this line. Told once, and then the same as taken.
    Said(ChatId),
    Held,
    Rejected(Reason),
}

impl Fan {
    pub(super) fn role(&self) -> Role {
        // A room stays its creator's.
        if self.token_role == Role::Creator { Role::Creator } else { self.granted.unwrap_or(self.token_role) }
    }

    pub(super) fn standing(&self, now: Micros) -> Standing {
        match self.standing {
            _ if self.role() == Role::Creator => Standing::Clear,
            Standing::TimedOut { until } if until <= now => Standing::Clear,
            standing => standing,
        }
    }

    /// Whether there is nothing about the fan that must not be forgotten.
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

    /// What became of a number up to the mark.
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

    /// The fan's record; a new one if there is room.
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

    /// The fan's stream; a new one if there is room.
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

    /// Lets those of a fan's streams go that nobody uses and that are such.
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

    /// Lets a part of those go whom nobody will ask for again.
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

    /// Erases a fan; what keeps them out, if anything does, stays. Returns the streams that are no more.
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

    /// Whether what was read from a snapshot can be: every index is one in use.
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
