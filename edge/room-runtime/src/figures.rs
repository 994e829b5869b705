//! Metrics of a node's rooms.

use prometheus_client::{
    metrics::{counter::Counter, gauge::Gauge},
    registry::Registry,
};

use crate::Worked;

/// Metrics of a node's rooms and their workers. Clones share the same values.
#[derive(Clone, Debug, Default)]
pub(crate) struct Figures {
    pub(crate) rooms: Gauge,
    pub(crate) fans: Gauge,
    batches: Counter,
    faults: Counter,
    fallbacks: Counter,
}

impl Figures {
    /// Registers new metrics beside those of the node's relay.
    pub(crate) fn new(relay: &relay::Figures) -> Self {
        let figures = Self::default();
        relay.register(|registry| {
            for (name, help, gauge) in [
                ("rooms", "Rooms that fans take part in", &figures.rooms),
                ("fans", "Fans who take part in a room", &figures.fans),
            ] {
                registry.register(name, help, gauge.clone());
            }
            figures.register_workers(registry);
        });
        figures
    }

    /// Registers new metrics of a node's roots.
    pub(crate) fn of_roots(relay: &relay::Figures) -> Self {
        let figures = Self::default();
        relay.register(|registry| {
            registry.register("roots", "Rooms whose root runs here", figures.rooms.clone());
            figures.register_workers(registry);
        });
        figures
    }

    fn register_workers(&self, registry: &mut Registry) {
        for (name, help, counter) in [
            ("worker_batches", "Batches that workers handled", &self.batches),
            ("worker_faults", "Times that a worker failed and was restored", &self.faults),
            ("worker_fallbacks", "Times that a worker was replaced by its fallback", &self.fallbacks),
        ] {
            registry.register(name, help, counter.clone());
        }
    }

    /// Adds the difference between two readings of a worker's counters.
    pub(crate) fn worked(&self, before: &Worked, now: &Worked) {
        self.batches.inc_by(now.batches - before.batches);
        self.faults.inc_by(now.faults - before.faults);
        self.fallbacks.inc_by(now.fallbacks - before.fallbacks);
    }
}
