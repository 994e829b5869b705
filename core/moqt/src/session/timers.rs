//! Timers of a session.

use std::collections::BTreeSet;

use super::{RequestId, StreamId};
use crate::Micros;

/// Event that is due at a certain time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    /// The peer's SETUP is late.
    Setup,
    /// We waited long enough after the end of a control stream.
    ControlLost,
    /// We waited long enough after GOAWAY.
    GoAway,
    /// We waited long enough after GOAWAY for a request.
    RequestGoAway(RequestId),
    /// No publisher came for a subscription on hold.
    Rendezvous(RequestId),
    /// No request claimed a held stream in time.
    DoneLinger(RequestId),
    /// No request claimed the held datagrams in time.
    Held(StreamId),
    /// Nobody claimed the datagrams.
    HeldDatagrams,
    /// A finished subgroup took too long to arrive.
    SubgroupDelivery(StreamId),
}

/// Few at a time, so a sorted set.
#[derive(Debug, Default)]
pub(super) struct Timers(BTreeSet<(Micros, Timer)>);

impl Timers {
    pub(super) fn set(&mut self, at: Micros, timer: Timer) {
        self.0.insert((at, timer));
    }

    pub(super) fn next(&self) -> Option<Micros> {
        self.0.first().map(|(at, _)| *at)
    }

    /// The next timer that is due.
    pub(super) fn due(&mut self, now: Micros) -> Option<Timer> {
        let (at, _) = self.0.first()?;
        if *at > now {
            return None;
        }
        self.0.pop_first().map(|(_, timer)| timer)
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}
