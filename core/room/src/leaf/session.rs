//! State of one fan's connection.

use serde::{Deserialize, Serialize};
use wire::worker::Identity;
use wire::{EdgeMessage, FanId, Hello, Micros, Role, SessionId, Standing, StreamId, Up, Visit};

use super::send;
use crate::bucket::Bucket;
use crate::effects::Effects;

/// Value of `gap` if there is none.
pub(super) const NONE: u64 = u64::MAX;

/// A connected fan.
#[expect(clippy::struct_excessive_bools, reason = "what is true of a fan is one by one")]
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Session {
    pub(super) fan: FanId,
    pub(super) name: String,
    /// Role that the fan's token grants.
    token_role: Role,
    /// Role that the root has assigned.
    pub(super) role: Role,
    anonymous: bool,
    pub(super) follower: bool,
    pub(super) standing: Standing,
    pub(super) phase: Phase,
    stream: StreamId,
    /// Number that the next message must have.
    pub(super) next: u64,
    /// The highest number that is settled.
    pub(super) acked: u64,
    /// The highest number that was acked to the fan.
    pub(super) reported: u64,
    /// The highest number that has passed the rate limits: a resend of it is not checked again.
    pub(super) passed: u64,
    /// True after a resend from `next` on was requested, until it arrives.
    pub(super) resend_requested: bool,
    /// The first message that the current answer does not settle, or [`NONE`].
    pub(super) gap: u64,
    /// The delta that has this session's attach: answers to earlier deltas are not for this session.
    pub(super) since: u64,
    /// True once the root has received the fan's name.
    pub(super) known: bool,
    /// The delta in which the session was last touched, and its index there.
    pub(super) touched: (u64, u32),
    pub(super) says: Bucket,
    pub(super) cheers: Bucket,
    pub(super) others: Bucket,
    /// Number of the last chat line; its time and fingerprint follow.
    pub(super) said: u64,
    pub(super) said_at: Micros,
    pub(super) said_print: u64,
    pub(super) last_beat: Micros,
    /// Time up to which the fan's stay was reported to the root.
    pub(super) stayed: Micros,
    /// Watched time since then.
    pub(super) watched: Micros,
    pub(super) active: Micros,
}

/// Progress of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Phase {
    /// The hello has not arrived yet.
    Silent,
    /// The hello has arrived, and the root is asked for the fan's mark.
    Greeted,
    /// The fan has received a welcome.
    Welcomed,
    /// The fan was sent a restart; messages of the old stream are dropped.
    Forgotten,
    /// The connection is being closed.
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
            reported: 0,
            passed: 0,
            resend_requested: false,
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
        self.reported = self.acked;
        (self.passed, self.said, self.resend_requested, self.known) = (self.acked, self.acked, false, false);
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

    /// Requests messages that were not taken in, once per gap.
    pub(super) fn request_resend(&mut self, session: SessionId, after_ms: u32, fx: &mut Effects<'_>) {
        if !self.resend_requested {
            self.resend_requested = true;
            send(session, EdgeMessage::Resend { from: self.next, after_ms }, fx);
        }
    }

    /// Returns the fan's time in the room since the last call.
    pub(super) fn take_visit(&mut self, now: Micros) -> Visit {
        Visit {
            total_ms: (now - std::mem::replace(&mut self.stayed, now)).as_millis(),
            watched_ms: std::mem::take(&mut self.watched).as_millis(),
            active_ms: std::mem::take(&mut self.active).as_millis(),
        }
    }
}
