use std::sync::{Mutex, PoisonError, atomic::Ordering};

use moq_transport::session::Transport;
use prometheus_client::{
    encoding::text::encode,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry as Metrics,
};

use crate::{State, registry::Registry, root::Roots};

/// What a FETCH was answered from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FetchSource {
    Kept,
    Upstream,
    Refused,
}

/// One label and its value.
type Label = [(&'static str, &'static str); 1];

/// What the workers of all roots have been through. A clone is the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct Workers {
    batches: Counter,
    faults: Counter,
    fallbacks: Counter,
}

impl Workers {
    /// Adds what a worker has been through since it was looked at before.
    pub(crate) fn add(&self, before: &wasm_host::Figures, now: &wasm_host::Figures) {
        self.batches.inc_by(now.batches - before.batches);
        self.faults.inc_by(now.faults.total() - before.faults.total());
        self.fallbacks.inc_by(now.fallbacks - before.fallbacks);
    }
}

/// What `/metrics` shows. Gauges are read off the registry when they are asked for.
#[derive(Default)]
pub(crate) struct Figures {
    accepted: Family<Label, Counter>,
    fetches: Family<Label, Counter>,
    refused: Counter,
    sessions: Gauge,
    rooms: Family<Label, Gauge>,
    tracks: Gauge,
    viewers: Gauge,
    edges: Gauge,
    kept: Gauge,
    evicted: Counter,
    received: Counter,
    roots: Gauge,
    workers: Workers,
    metrics: Mutex<Metrics>,
}

impl Figures {
    pub(crate) fn new() -> Self {
        let figures = Self::default();
        let mut metrics = Metrics::with_prefix("fanfare_origin");
        metrics.register("accepted", "Sessions accepted", figures.accepted.clone());
        metrics.register("fetches", "FETCH requests by their answer", figures.fetches.clone());
        metrics.register("refused_publishes", "Publications refused", figures.refused.clone());
        let evicted = "Groups dropped to stay within the budget";
        metrics.register("evicted_groups", evicted, figures.evicted.clone());
        metrics.register("received_bytes", "Bytes of objects published", figures.received.clone());
        for (name, help, gauge) in [
            ("sessions", "Sessions served now", &figures.sessions),
            ("tracks", "Tracks being published", &figures.tracks),
            ("viewers", "Viewers of all rooms", &figures.viewers),
            ("edges", "Edges subscribed to rooms, once per room", &figures.edges),
            ("kept_bytes", "Bytes of groups kept for FETCH", &figures.kept),
            ("roots", "Rooms whose worker runs", &figures.roots),
        ] {
            metrics.register(name, help, gauge.clone());
        }
        let Workers { batches, faults, fallbacks } = &figures.workers;
        for (name, help, counter) in [
            ("worker_batches", "Batches that workers handled", batches),
            ("worker_faults", "Times that a worker ended, and was made anew", faults),
            ("worker_fallbacks", "Times that a worker was given up for the one before", fallbacks),
        ] {
            metrics.register(name, help, counter.clone());
        }
        metrics.register("rooms", "Rooms by state", figures.rooms.clone());
        Self { metrics: Mutex::new(metrics), ..figures }
    }

    pub(crate) fn session(&self, transport: Transport) {
        let transport = match transport {
            Transport::RawQuic => "quic",
            Transport::WebTransport => "webtransport",
        };
        self.accepted.get_or_create(&[("transport", transport)]).inc();
    }

    pub(crate) fn fetch(&self, source: FetchSource) {
        let source = match source {
            FetchSource::Kept => "kept",
            FetchSource::Upstream => "upstream",
            FetchSource::Refused => "refused",
        };
        self.fetches.get_or_create(&[("source", source)]).inc();
    }

    pub(crate) fn refused_publish(&self) {
        self.refused.inc();
    }

    /// What workers have been through.
    pub(crate) fn workers(&self) -> Workers {
        self.workers.clone()
    }

    /// All figures, in Prometheus's text format.
    pub(crate) fn text(&self, registry: &Registry, roots: Option<&Roots>) -> String {
        self.roots.set(roots.map_or(0, Roots::len) as i64);
        let rooms = registry.rooms();
        for (label, state) in
            [("live", State::Live), ("reconnecting", State::Reconnecting), ("ended", State::Ended)]
        {
            let count = rooms.iter().filter(|room| room.state == state).count();
            self.rooms.get_or_create(&[("state", label)]).set(count as i64);
        }
        let tracks = rooms.iter().flat_map(|room| &room.tracks).filter(|track| track.live);
        self.tracks.set(tracks.count() as i64);
        self.viewers.set(rooms.iter().map(|room| room.viewers as i64).sum());
        self.edges.set(rooms.iter().map(|room| room.edges as i64).sum());
        self.sessions.set(registry.session_count() as i64);
        let store = registry.store();
        self.kept.set(store.bytes() as i64);
        self.evicted.inner().store(store.evicted(), Ordering::Relaxed);
        self.received.inner().store(store.received(), Ordering::Relaxed);
        let mut text = String::new();
        let metrics = self.metrics.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = encode(&mut text, &metrics);
        text
    }
}
