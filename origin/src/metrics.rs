use std::sync::Mutex;

use moq_transport::session::Transport;
use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeLabelValue, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry as Metrics,
};

use crate::{State, registry::Registry};

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
enum TransportLabel {
    Quic,
    WebTransport,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SessionLabels {
    transport: TransportLabel,
}

/// What a FETCH was answered from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
pub(crate) enum FetchSource {
    Kept,
    Upstream,
    Refused,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct FetchLabels {
    source: FetchSource,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
enum StateLabel {
    Live,
    Reconnecting,
    Ended,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RoomLabels {
    state: StateLabel,
}

/// What `/metrics` shows. Gauges are read off the registry when they are asked for.
#[derive(Default)]
pub(crate) struct Figures {
    accepted: Family<SessionLabels, Counter>,
    fetches: Family<FetchLabels, Counter>,
    refused: Counter,
    sessions: Gauge,
    rooms: Family<RoomLabels, Gauge>,
    tracks: Gauge,
    viewers: Gauge,
    edges: Gauge,
    kept: Gauge,
    evicted: Gauge,
    received: Gauge,
    metrics: Mutex<Option<Metrics>>,
}

impl Figures {
    pub(crate) fn new() -> Self {
        let figures = Self::default();
        let mut metrics = Metrics::with_prefix("fanfare_origin");
        metrics.register("accepted", "Sessions accepted", figures.accepted.clone());
        metrics.register(
            "fetches",
            "FETCH requests by their answer",
            figures.fetches.clone(),
        );
        metrics.register(
            "refused_publishes",
            "Publications refused",
            figures.refused.clone(),
        );
        for (name, help, gauge) in [
            ("sessions", "Sessions served now", &figures.sessions),
            ("tracks", "Tracks being published", &figures.tracks),
            ("viewers", "Viewers of all rooms", &figures.viewers),
            (
                "edges",
                "Edges subscribed to rooms, once per room",
                &figures.edges,
            ),
            (
                "kept_bytes",
                "Bytes of groups kept for FETCH",
                &figures.kept,
            ),
            (
                "evicted_groups",
                "Groups dropped to stay within the budget",
                &figures.evicted,
            ),
            (
                "received_bytes",
                "Bytes of objects published",
                &figures.received,
            ),
        ] {
            metrics.register(name, help, gauge.clone());
        }
        metrics.register("rooms", "Rooms by state", figures.rooms.clone());
        Self {
            metrics: Mutex::new(Some(metrics)),
            ..figures
        }
    }

    pub(crate) fn session(&self, transport: Transport) {
        let transport = match transport {
            Transport::RawQuic => TransportLabel::Quic,
            Transport::WebTransport => TransportLabel::WebTransport,
        };
        self.accepted
            .get_or_create(&SessionLabels { transport })
            .inc();
    }

    pub(crate) fn fetch(&self, source: FetchSource) {
        self.fetches.get_or_create(&FetchLabels { source }).inc();
    }

    pub(crate) fn refused_publish(&self) {
        self.refused.inc();
    }

    /// All figures, in Prometheus's text format.
    pub(crate) fn text(&self, registry: &Registry) -> String {
        let rooms = registry.rooms();
        let count = |state| rooms.iter().filter(|room| room.state == state).count();
        for (label, state) in [
            (StateLabel::Live, State::Live),
            (StateLabel::Reconnecting, State::Reconnecting),
            (StateLabel::Ended, State::Ended),
        ] {
            let labels = RoomLabels { state: label };
            self.rooms.get_or_create(&labels).set(count(state) as i64);
        }
        let tracks = rooms
            .iter()
            .flat_map(|room| &room.tracks)
            .filter(|track| track.live);
        self.tracks.set(tracks.count() as i64);
        self.viewers
            .set(rooms.iter().map(|room| room.viewers as i64).sum());
        self.edges
            .set(rooms.iter().map(|room| room.edges as i64).sum());
        self.sessions.set(registry.session_count() as i64);
        self.kept.set(registry.store().bytes() as i64);
        self.evicted.set(registry.store().evicted() as i64);
        self.received.set(registry.store().received() as i64);
        let mut text = String::new();
        if let Some(metrics) = &*self
            .metrics
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
        {
            let _ = encode(&mut text, metrics);
        }
        text
    }
}
