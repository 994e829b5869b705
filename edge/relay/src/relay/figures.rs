//! What a relay counts, for those who look after it.

use std::sync::{Arc, Mutex, PoisonError};

use prometheus_client::{
    encoding::text::encode,
    metrics::{counter::Counter, gauge::Gauge},
    registry::Registry,
};

use crate::Worked;

/// A relay's figures. A clone is the same figures; they may be read on any thread.
#[derive(Clone, Debug, Default)]
pub struct Figures {
    pub(super) sessions: Gauge,
    pub(super) upstream: Gauge,
    pub(super) tracks: Gauge,
    pub(super) subscriptions: Gauge,
    pub(super) kept: Gauge,
    pub(super) received: Counter,
    pub(super) delivered: Counter,
    pub(super) objects: Counter,
    pub(super) skipped: Counter,
    pub(crate) rooms: Gauge,
    pub(crate) fans: Gauge,
    pub(crate) batches: Counter,
    pub(crate) faults: Counter,
    pub(crate) fallbacks: Counter,
    registry: Arc<Mutex<Registry>>,
}

impl Figures {
    /// Figures of a relay that has done nothing yet.
    pub fn new() -> Self {
        let figures = Self::default();
        let mut registry = Registry::with_prefix("fanfare_edge");
        for (name, help, gauge) in [
            ("sessions", "Sessions served now, those with the origin among them", &figures.sessions),
            ("upstream", "Whether the origin is connected", &figures.upstream),
            ("tracks", "Tracks kept", &figures.tracks),
            ("subscriptions", "Subscriptions served now", &figures.subscriptions),
            ("kept_bytes", "Bytes of groups kept for who comes late", &figures.kept),
            ("rooms", "Rooms that fans take part in", &figures.rooms),
            ("fans", "Fans who take part in a room", &figures.fans),
        ] {
            registry.register(name, help, gauge.clone());
        }
        for (name, help, counter) in [
            ("received_bytes", "Bytes of objects received", &figures.received),
            ("delivered_bytes", "Bytes of objects given to sessions", &figures.delivered),
            ("delivered_objects", "Objects given to sessions", &figures.objects),
            ("skipped_groups", "Groups broken off for sessions that were too far behind", &figures.skipped),
            ("worker_batches", "Batches that workers handled", &figures.batches),
            ("worker_faults", "Times that a worker ended, and was made anew", &figures.faults),
            ("worker_fallbacks", "Times that a worker was given up for the one before", &figures.fallbacks),
        ] {
            registry.register(name, help, counter.clone());
        }
        Self { registry: Arc::new(Mutex::new(registry)), ..figures }
    }

    /// What a worker has been through since it was looked at before.
    pub(crate) fn worked(&self, before: &Worked, now: &Worked) {
        self.batches.inc_by(now.batches - before.batches);
        self.faults.inc_by(now.faults - before.faults);
        self.fallbacks.inc_by(now.fallbacks - before.fallbacks);
    }

    /// Sessions that are open.
    pub fn sessions(&self) -> i64 {
        self.sessions.get()
    }

    /// All of them, in Prometheus's text format.
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = encode(&mut text, &self.registry.lock().unwrap_or_else(PoisonError::into_inner));
        text
    }
}
