//! A relay's metrics, in Prometheus's text format.

use std::sync::{Arc, Mutex, PoisonError};

use prometheus_client::{
    encoding::text::encode,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

use crate::budget::{Kind, Role};

/// The source of an answer to FETCH.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FetchSource {
    /// The groups that are kept here.
    Kept,
    /// The track's publisher, or the upstream.
    Publisher,
    /// No source: the request was refused.
    Refused,
}

/// A relay's metrics. Clones share the same values and may be read on any thread.
#[derive(Clone, Debug, Default)]
pub struct Figures {
    pub(crate) sessions: Gauge,
    pub(crate) upstream: Gauge,
    pub(crate) tracks: Gauge,
    pub(crate) subscriptions: Gauge,
    pub(crate) kept: Gauge,
    pub(crate) received: Counter,
    pub(crate) delivered: Counter,
    pub(crate) objects: Counter,
    pub(crate) skipped: Counter,
    pub(crate) evicted: Counter,
    pub(crate) refused_publishes: Counter,
    fetches: Family<[(&'static str, &'static str); 1], Counter>,
    over_budget: Family<[(&'static str, &'static str); 1], Counter>,
    budget: Family<[(&'static str, &'static str); 2], Gauge>,
    registry: Arc<Mutex<Registry>>,
}

impl Figures {
    /// Creates the metrics of a new relay. Their names begin with `prefix`.
    pub fn new(prefix: &'static str) -> Self {
        let figures = Self::default();
        let mut registry = Registry::with_prefix(prefix);
        for (name, help, gauge) in [
            ("sessions", "Sessions served now, those with the origin among them", &figures.sessions),
            ("upstream", "Whether the origin is connected", &figures.upstream),
            ("tracks", "Tracks kept", &figures.tracks),
            ("subscriptions", "Subscriptions served now", &figures.subscriptions),
            ("kept_bytes", "Bytes of groups kept for who comes late", &figures.kept),
        ] {
            registry.register(name, help, gauge.clone());
        }
        for (name, help, counter) in [
            ("received_bytes", "Bytes of objects received", &figures.received),
            ("delivered_bytes", "Bytes of objects given to sessions", &figures.delivered),
            ("delivered_objects", "Objects given to sessions", &figures.objects),
            ("evicted_groups", "Groups dropped to stay within the limits of the cache", &figures.evicted),
            ("refused_publishes", "Publications refused", &figures.refused_publishes),
            ("skipped_groups", "Groups broken off for sessions that were too far behind", &figures.skipped),
        ] {
            registry.register(name, help, counter.clone());
        }
        let help =
            "What was refused because it was beyond a session's, an address's or the node's share, by kind";
        registry.register("over_budget", help, figures.over_budget.clone());
        registry.register(
            "budget_used",
            "What is in use of the budget, by kind and role",
            figures.budget.clone(),
        );
        registry.register("fetches", "FETCH requests by their answer", figures.fetches.clone());
        Self { registry: Arc::new(Mutex::new(registry)), ..figures }
    }

    /// Registers more figures, which [`text`](Self::text) writes with these.
    pub fn register(&self, more: impl FnOnce(&mut Registry)) {
        more(&mut self.registry.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Counts something that was beyond a share.
    pub(crate) fn over_budget(&self, kind: &'static str) {
        self.over_budget.get_or_create(&[("kind", kind)]).inc();
    }

    /// Returns the gauges of what sessions of a role have in use.
    pub(crate) fn budget(&self, role: Role) -> [Gauge; Kind::ALL.len()] {
        Kind::ALL
            .map(|kind| self.budget.get_or_create_owned(&[("kind", kind.label()), ("role", role.label())]))
    }

    pub(crate) fn fetch(&self, source: FetchSource) {
        let source = match source {
            FetchSource::Kept => "kept",
            FetchSource::Publisher => "publisher",
            FetchSource::Refused => "refused",
        };
        self.fetches.get_or_create(&[("source", source)]).inc();
    }

    /// Returns the bytes of kept groups.
    pub fn kept(&self) -> i64 {
        self.kept.get()
    }

    /// Returns the number of open sessions, that with the upstream included.
    pub fn sessions(&self) -> i64 {
        self.sessions.get()
    }

    /// Returns all metrics in Prometheus's text format.
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = encode(&mut text, &self.registry.lock().unwrap_or_else(PoisonError::into_inner));
        text
    }
}
