//! Counting, in ways that can be put together.
//!
//! [`Tally::merge`] is commutative, associative and idempotent: however often and in whatever order
//! what edges have measured comes together, the result is the same.

mod rates;
mod sketch;
mod top;
mod uniques;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use wire::{EdgeId, Report, Visit};

pub(crate) use rates::{Counted, Rates};
pub use sketch::Sketch;
pub(crate) use top::Top;
pub use uniques::Uniques;

/// What the edges of a room have measured, and the different fans that were there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    edges: BTreeMap<EdgeId, Measured>,
    /// The different fans.
    pub uniques: Uniques,
}

/// What one edge has measured. Within a life of an edge all of it only grows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Measured {
    incarnation: u64,
    viewers: Seats,
    time: Visit,
    latency: Sketch,
    /// The sums of the lives before this one.
    past_time: Visit,
    past_latency: Sketch,
}

/// Fans at an edge, as of a report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Seats {
    /// The delta that said so: a later one replaces it.
    sequence: u64,
    viewers: u32,
}

impl Tally {
    /// Takes in an edge's report, as of that delta.
    pub fn report(&mut self, edge: EdgeId, incarnation: u64, sequence: u64, report: &Report) {
        let viewers = Seats { sequence, viewers: report.viewers };
        self.measured(
            edge,
            incarnation,
            &Measured { incarnation, viewers, time: report.time, ..Measured::default() },
        );
    }

    /// Takes in an edge's latencies.
    pub fn latency(&mut self, edge: EdgeId, incarnation: u64, latency: Sketch) {
        self.measured(edge, incarnation, &Measured { incarnation, latency, ..Measured::default() });
    }

    fn measured(&mut self, edge: EdgeId, incarnation: u64, new: &Measured) {
        let kept = self.edges.entry(edge).or_default();
        if incarnation > kept.incarnation {
            kept.begin(incarnation);
        }
        kept.merge(new);
    }

    /// Puts another tally's measurements into this one.
    pub fn merge(&mut self, other: &Self) {
        for (edge, measured) in &other.edges {
            self.edges.entry(*edge).or_default().merge(measured);
        }
        self.uniques.merge(&other.uniques);
    }

    /// The fans of an edge by its last report.
    pub fn viewers(&self, edge: EdgeId) -> u32 {
        self.edges.get(&edge).map_or(0, |measured| measured.viewers.viewers)
    }

    /// All time spent.
    pub fn time(&self) -> Visit {
        self.edges
            .values()
            .fold(Visit::default(), |sum, measured| add(add(sum, measured.time), measured.past_time))
    }

    /// All latencies.
    pub fn latencies(&self) -> Sketch {
        let mut sum = Sketch::default();
        for measured in self.edges.values() {
            sum.add(&measured.latency);
            sum.add(&measured.past_latency);
        }
        sum
    }
}

impl Measured {
    /// The edge has begun another life.
    fn begin(&mut self, incarnation: u64) {
        self.incarnation = incarnation;
        self.past_time = add(self.past_time, std::mem::take(&mut self.time));
        self.past_latency.add(&std::mem::take(&mut self.latency));
        self.viewers = Seats::default();
    }

    /// The later life, or of one life the larger numbers.
    fn merge(&mut self, other: &Self) {
        if other.incarnation > self.incarnation {
            self.clone_from(other);
        } else if other.incarnation == self.incarnation {
            self.viewers = self.viewers.max(other.viewers);
            self.time = larger(self.time, other.time);
            self.past_time = larger(self.past_time, other.past_time);
            self.latency.merge(&other.latency);
            self.past_latency.merge(&other.past_latency);
        }
    }
}

fn larger(a: Visit, b: Visit) -> Visit {
    Visit {
        total_ms: a.total_ms.max(b.total_ms),
        watched_ms: a.watched_ms.max(b.watched_ms),
        active_ms: a.active_ms.max(b.active_ms),
    }
}

fn add(a: Visit, b: Visit) -> Visit {
    Visit {
        total_ms: a.total_ms.saturating_add(b.total_ms),
        watched_ms: a.watched_ms.saturating_add(b.watched_ms),
        active_ms: a.active_ms.saturating_add(b.active_ms),
    }
}
