//! One fan's connection.

use serde::{Deserialize, Serialize};
use wire::worker::Identity;
use wire::{EdgeMessage, FanId, Hello, Micros, Role, SessionId, Standing, StreamId, Up, Visit};

use super::tell;
use crate::bucket::Bucket;
use crate::effects::Effects;

/// No gap.
pub(super) const NONE: u64 = u64::MAX;

/// A fan who is here.
#[expect(clippy::struct_excessive_bools, reason = "what is true of a fan is one by one")]
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Session {
    pub(super) fan: FanId,
    pub(super) name: String,
    /// As their token has it.
    token_role: Role,
    /// As the root has it.
    pub(super) role: Role,
    anonymous: bool,
    pub(super) follower: bool,
    pub(super) standing: Standing,
    pub(super) phase: Phase,
    stream: StreamId,
    /// The number that the next message must have.
    pub(super) next: u64,
    /// The highest number that is settled.
    pub(super) acked: u64,
    /// The highest number that the fan was told is settled.
    pub(super) told: u64,
    /// The highest number that was checked against rates: it is not checked against them again.
    pub(super) passed: u64,
    /// The fan was asked to send again from `next` on, and has not.
    pub(super) asked: bool,
    /// The first message that the answer at hand does not settle, or [`NONE`].
    pub(super) gap: u64,
    /// The delta that has this session's attach: answers to earlier ones are not for it.
    pub(super) since: u64,
    /// The root was told who this is.
    pub(super) known: bool,
    /// The delta in which the session was last touched, and its place there.
    pub(super) touched: (u64, u32),
    pub(super) says: Bucket,
    pub(super) cheers: Bucket,
    pub(super) others: Bucket,
    /// The last line: its number, when, and its fingerprint.
    pub(super) said: u64,
    pub(super) said_at: Micros,
    pub(super) said_print: u64,
    pub(super) last_beat: Micros,
    /// Up to when the root was told how long they have been here.
    pub(super) stayed: Micros,
    /// Since then.
    pub(super) watched: Micros,
    pub(super) active: Micros,
}

/// How far a connection has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Phase {
    /// No hello yet.
    Silent,
    /// Hello said, and the root asked.
    Greeted,
    /// The fan was welcomed.
    Welcomed,
    /// The fan was told to begin another stream; what is on its way of this one is dropped.
    Forgotten,
    /// Its end is on its way.
    Closing,
}

impl Session {
    pub(super) fn new(fan: &Identity<'_>, now: Micros) -> Self {
        Self {
            fan: fan.id,
            name: fan.name.to_owned(),
            token_role: fan.role,
            role: fan.role,
            anonymous: fan.anonymous,
            follower: fan.follower,
            standing: Standing::Clear,
            phase: Phase::Silent,
            stream: StreamId(0),
            next: 1,
            acked: 0,
            told: 0,
            passed: 0,
            asked: false,
            gap: NONE,
            since: 0,
            known: false,
            touched: (0, 0),
            says: Bucket::default(),
            cheers: Bucket::default(),
            others: Bucket::default(),
            said: 0,
            said_at: Micros(0),
            said_print: 0,
            last_beat: now,
            stayed: now,
            watched: Micros(0),
            active: Micros(0),
        }
    }

    pub(super) fn begin(&mut self, hello: Hello, sequence: u64) {
        self.phase = Phase::Greeted;
        self.stream = hello.stream;
        self.next = hello.next;
        self.acked = hello.next - 1;
        self.told = self.acked;
        (self.passed, self.said, self.asked, self.known) = (self.acked, self.acked, false, false);
        self.since = sequence;
    }

    pub(super) fn is_attached(&self) -> bool {
        matches!(self.phase, Phase::Greeted | Phase::Welcomed)
    }

    pub(super) fn attach(&self, session: SessionId) -> Up<'static> {
        let (fan, stream, role) = (self.fan, self.stream, self.token_role);
        Up::Attach { session, fan, stream, next: self.acked + 1, role }
    }

    pub(super) fn known(&self, session: SessionId) -> Up<'_> {
        Up::Known { session, name: &self.name, anonymous: self.anonymous }
    }

    /// Has the fan send again what was not taken in, once.
    pub(super) fn ask_again(&mut self, session: SessionId, after_ms: u32, fx: &mut Effects<'_>) {
        if !self.asked {
            self.asked = true;
            tell(session, EdgeMessage::Resend { from: self.next, after_ms }, fx);
        }
    }

    /// How long they have been here since the last time that this was asked.
    pub(super) fn take_visit(&mut self, now: Micros) -> Visit {
        Visit {
            total_ms: (now - std::mem::replace(&mut self.stayed, now)).as_millis(),
            watched_ms: std::mem::take(&mut self.watched).as_millis(),
            active_ms: std::mem::take(&mut self.active).as_millis(),
        }
    }
}
