//! Measurements that merge.
//!
//! [`Tally::merge`] is commutative, associative and idempotent: the result is the same however often and in
//! whatever order the edges' measurements are merged.

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

/// Measurements of a room's edges, and the distinct fans seen.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    edges: BTreeMap<EdgeId, Measured>,
    /// Distinct fans seen.
    pub uniques: Uniques,
}

/// Measurements of one edge. Within an incarnation all of them only grow.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Measured {
    incarnation: u64,
    viewers: Seats,
    time: Visit,
    latency: Sketch,
    /// Sums over the earlier incarnations.
    past_time: Visit,
    past_latency: Sketch,
}

/// Fans at an edge, as of one report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Seats {
    /// The delta that reported it: a later one replaces it.
    sequence: u64,
    viewers: u32,
}

impl Tally {
    /// Adds an edge's report, as of that delta.
    pub fn report(&mut self, edge: EdgeId, incarnation: u64, sequence: u64, report: &Report) {
        let viewers = Seats { sequence, viewers: report.viewers };
        self.measured(
            edge,
            incarnation,
            &Measured { incarnation, viewers, time: report.time, ..Measured::default() },
        );
    }

    /// Adds an edge's latencies.
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

    /// Merges another tally's measurements into this one.
    pub fn merge(&mut self, other: &Self) {
        for (edge, measured) in &other.edges {
            self.edges.entry(*edge).or_default().merge(measured);
        }
        self.uniques.merge(&other.uniques);
    }

    /// Returns the fans of an edge by its last report.
    pub fn viewers(&self, edge: EdgeId) -> u32 {
        self.edges.get(&edge).map_or(0, |measured| measured.viewers.viewers)
    }

    /// Returns the time of all fans together.
    pub fn time(&self) -> Visit {
        self.edges
            .values()
            .fold(Visit::default(), |sum, measured| add(add(sum, measured.time), measured.past_time))
    }

    /// Returns the latencies of all edges.
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
    /// Begins a later incarnation of the edge.
    fn begin(&mut self, incarnation: u64) {
        self.incarnation = incarnation;
        self.past_time = add(self.past_time, std::mem::take(&mut self.time));
        self.past_latency.add(&std::mem::take(&mut self.latency));
        self.viewers = Seats::default();
    }

    /// Keeps the later incarnation, or within one incarnation the larger numbers.
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
