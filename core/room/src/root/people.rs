//! Records of fans who have acted, and their streams of message numbers.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use wire::{FanId, Micros, Role, Standing, StreamId, limits};

use super::outcomes::{Outcome, Outcomes};
use super::pace::Pace;
use super::slab::Slab;
use crate::content::folded_name;

/// Bytes of all records together, at most, by the costs below. It is a part of a worker's memory that leaves
/// space for the rest of a room at its bounds, and for a snapshot of all of it.
const BUDGET: usize = 20 << 20;
/// Bytes above which no stranger gets a first record, and records go as soon as no client can refer to them: the
/// other half is for fans with a name.
const PRESSED: usize = BUDGET / 2;
/// Bytes above which strangers who have a record get no more of anything.
const STRANGERS: usize = BUDGET / 4 * 3;
/// Costs of a fan, without the name, and of a stream and an outcome, with what the collections around them take
/// in Wasm.
const FAN_BYTES: usize = 232;
const STREAM_BYTES: usize = 80;
const OUTCOME_BYTES: usize = 3;
/// Streams that a fan has, at most: one for each recently loaded page.
const MAX_STREAMS_OF_A_FAN: usize = 128;
/// Connections at once of a fan who acts, at most.
const MAX_CONNECTIONS: u32 = 8;
/// Time for which an unused stream is kept: longer than any client resends. Its outcomes go sooner, as soon as no client
/// can ask for them: what is forgotten counts as taken.
const KEEP_STREAM: Micros = Micros::from_secs(3 * limits::RESEND_SECONDS);
/// The same, while records are pressed for space, and the time for which outcomes are kept.
const KEEP_STREAM_PRESSED: Micros = Micros::from_secs(limits::RESEND_SECONDS + 60);
/// Time for which an inactive fan is kept.
const KEEP_FAN: Micros = Micros::from_secs(24 * 60 * 60);
/// Streams and fans examined in one tick, and while records are pressed for space.
const SWEEP: u32 = 256;
const SWEEP_PRESSED: u32 = 2048;

/// Fans and streams, by index and by identity.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct People {
    pub(super) fans: Slab<Fan>,
    pub(super) streams: Slab<Stream>,
    by_id: BTreeMap<FanId, u32>,
    swept_fan: u32,
    swept_stream: u32,
    /// Bytes of all names, and the number of all outcomes.
    #[serde(skip)]
    names: usize,
    #[serde(skip)]
    outcomes: usize,
    /// Names of the creator and the moderators, folded: nobody else may take one.
    #[serde(skip)]
    reserved: BTreeMap<FanId, Box<[u8]>>,
}

/// A fan who has acted.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Fan {
    pub(super) id: FanId,
    /// Set by [`People::rename`].
    pub(super) name: Box<str>,
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
    /// A snapshot has it apart: its first layout lacks it.
    #[serde(skip)]
    pub(super) pace: Pace,
}

/// One run of message numbers.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Stream {
    id: StreamId,
    pub(super) fan: u32,
    outcomes: Outcomes,
    /// Number of sessions that use the stream.
    pub(super) attached: u32,
    pub(super) last: Micros,
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
    /// Returns the highest number up to which all are settled.
    pub(super) fn mark(&self) -> u64 {
        self.outcomes.mark()
    }

    /// Returns the outcome of a number up to the mark.
    pub(super) fn outcome(&self, number: u64) -> Outcome {
        self.outcomes.of(number)
    }
}

impl People {
    /// Returns the bytes that all records take.
    pub(super) fn cost(&self) -> usize {
        self.fans.len() * FAN_BYTES
            + self.names
            + self.streams.len() * STREAM_BYTES
            + self.outcomes * OUTCOME_BYTES
    }

    /// Settles the number after a stream's mark.
    pub(super) fn settle(&mut self, stream: u32, outcome: Outcome) {
        self.change(stream, |outcomes| outcomes.settle(outcome));
        // A room that is full forgets why it has refused something, and goes on.
        if !self.has_space(self.streams[stream].fan) {
            self.change(stream, Outcomes::clear);
        }
    }

    /// Settles the numbers up to `mark`, which a stream's client has given up.
    pub(super) fn give_up(&mut self, stream: u32, mark: u64) {
        self.change(stream, |outcomes| outcomes.give_up(mark));
    }

    fn change(&mut self, stream: u32, change: impl FnOnce(&mut Outcomes)) {
        let outcomes = &mut self.streams[stream].outcomes;
        self.outcomes -= outcomes.len();
        change(outcomes);
        self.outcomes += outcomes.len();
    }

    /// Returns whether a fan who has a record may have more.
    pub(super) fn has_space(&self, fan: u32) -> bool {
        self.cost() < if self.fans[fan].anonymous { STRANGERS } else { BUDGET }
    }

    /// Sets a fan's name.
    pub(super) fn rename(&mut self, fan: u32, name: &str) {
        let fan = &mut self.fans[fan];
        if *fan.name != *name {
            self.names = self.names - fan.name.len() + name.len();
            fan.name = name.into();
        }
    }

    /// Reserves the name of a fan who moderates, or frees that of one who no longer does.
    pub(super) fn reserve_name(&mut self, at: u32) {
        let fan = &self.fans[at];
        if fan.role() >= Role::Moderator && !fan.name.is_empty() {
            self.reserved.insert(fan.id, folded_name(&fan.name));
        } else {
            self.reserved.remove(&fan.id);
        }
    }

    /// Returns whether a name is, but for case, width and spaces, that of another fan who moderates.
    pub(super) fn is_reserved(&self, name: &str, by: FanId) -> bool {
        let folded = folded_name(name);
        self.reserved.iter().any(|(fan, name)| *fan != by && *name == folded)
    }

    /// Takes a name from a fan who chose it before somebody who moderates came with it.
    pub(super) fn free_reserved_name(&mut self, at: u32) {
        let fan = &self.fans[at];
        if fan.role() < Role::Moderator && self.is_reserved(&fan.name, fan.id) {
            self.rename(at, "");
        }
    }

    fn remove_stream(&mut self, stream: u32) {
        self.change(stream, Outcomes::clear);
        self.streams.remove(stream);
    }

    fn remove_fan(&mut self, at: u32) {
        self.rename(at, "");
        self.reserved.remove(&self.fans[at].id);
        self.by_id.remove(&self.fans[at].id);
        self.fans.remove(at);
    }

    pub(super) fn find(&self, fan: FanId) -> Option<u32> {
        self.by_id.get(&fan).copied()
    }

    /// Returns whether a fan has no name of theirs. Nothing is known of a fan whose record is gone.
    pub(super) fn is_stranger(&self, fan: FanId) -> bool {
        self.find(fan).is_none_or(|at| self.fans[at].anonymous)
    }

    pub(super) fn find_stream(&self, fan: u32, id: StreamId) -> Option<u32> {
        self.fans[fan].streams.iter().copied().find(|stream| self.streams[*stream].id == id)
    }

    /// Returns the fan's record; creates one if there is room, which strangers have in the first half only.
    pub(super) fn enter(&mut self, id: FanId, anonymous: bool, now: Micros) -> Option<u32> {
        if let Some(fan) = self.find(id) {
            return Some(fan);
        }
        if self.cost() >= if anonymous { PRESSED } else { BUDGET } {
            return None;
        }
        let fan = self.fans.insert(Fan { id, anonymous, last: now, ..Fan::default() });
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
        if !self.has_space(fan) || self.fans[fan].streams.len() >= MAX_STREAMS_OF_A_FAN {
            return None;
        }
        let stream = Stream { id, fan, outcomes: Outcomes::default(), attached: 0, last: now };
        let stream = self.streams.insert(stream);
        self.fans[fan].streams.push(stream);
        Some(stream)
    }

    /// Returns whether a fan may act in one more connection.
    pub(super) fn may_attach(&self, fan: u32) -> bool {
        let streams = self.fans[fan].streams.iter();
        streams.map(|stream| self.streams[*stream].attached).sum::<u32>() < MAX_CONNECTIONS
    }

    /// Drops a fan's unused streams that satisfy `are`.
    fn drop_streams(&mut self, fan: u32, are: impl Fn(&Stream) -> bool) {
        let mut kept = std::mem::take(&mut self.fans[fan].streams);
        kept.retain(|stream| {
            let gone = self.streams[*stream].attached == 0 && are(&self.streams[*stream]);
            if gone {
                self.remove_stream(*stream);
            }
            !gone
        });
        self.fans[fan].streams = kept;
    }

    /// Examines some of the records, and drops those that nobody can refer to any more.
    pub(super) fn sweep(&mut self, now: Micros, is_listed: impl Fn(FanId) -> bool) {
        let is_pressed = self.cost() >= PRESSED;
        let (most, keep_stream) =
            if is_pressed { (SWEEP_PRESSED, KEEP_STREAM_PRESSED) } else { (SWEEP, KEEP_STREAM) };
        for _ in 0..most.min(self.streams.end()) {
            let at = self.swept_stream % self.streams.end();
            self.swept_stream = at + 1;
            let Some(stream) = self.streams.get(at) else { continue };
            let (fan, away) = (stream.fan, now - stream.last);
            if stream.attached == 0 && stream.outcomes.len() > 0 && away >= KEEP_STREAM_PRESSED {
                self.change(at, Outcomes::clear);
            }
            if away >= keep_stream {
                self.drop_streams(fan, |stream| now - stream.last >= keep_stream);
            }
        }
        let keep = if is_pressed { keep_stream } else { KEEP_FAN };
        for _ in 0..most.min(self.fans.end()) {
            let at = self.swept_fan % self.fans.end();
            self.swept_fan = at + 1;
            if let Some(fan) = self.fans.get(at)
                && fan.streams.is_empty()
                && now - fan.last >= keep
                && fan.is_plain(now)
                && !is_listed(fan.id)
            {
                self.remove_fan(at);
            }
        }
    }

    /// Erases a fan, except for a ban or timeout. Returns the streams that were removed.
    pub(super) fn erase(&mut self, id: FanId, now: Micros) -> Vec<u32> {
        let Some(at) = self.find(id) else { return Vec::new() };
        let streams = std::mem::take(&mut self.fans[at].streams);
        for stream in &streams {
            self.remove_stream(*stream);
        }
        self.rename(at, "");
        self.reserve_name(at);
        let fan = &mut self.fans[at];
        if fan.is_plain(now) {
            self.remove_fan(at);
        } else {
            let (standing, shadow, granted, token_role) =
                (fan.standing, fan.shadow, fan.granted, fan.token_role);
            *fan = Fan { id, standing, shadow, granted, token_role, last: now, ..Fan::default() };
        }
        streams
    }

    /// Changes all fans and all streams.
    pub(super) fn each(&mut self, mut fan: impl FnMut(&mut Fan), mut stream: impl FnMut(&mut Stream)) {
        self.fans.values_mut().for_each(&mut fan);
        self.streams.values_mut().for_each(&mut stream);
    }

    /// Completes decoded records with the totals that a snapshot lacks.
    pub(super) fn restored(&mut self) {
        let Self { fans, streams, .. } = self;
        self.names = fans.values_mut().map(|fan| fan.name.len()).sum();
        self.outcomes = streams.values_mut().map(|stream| stream.outcomes.len()).sum();
        for at in 0..self.fans.end() {
            if self.fans.get(at).is_some() {
                self.reserve_name(at);
            }
        }
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
