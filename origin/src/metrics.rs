//! Metrics of rooms, beside the relay's.

use prometheus_client::metrics::{counter::Counter, family::Family, gauge::Gauge};

use crate::{RoomView, State};

/// A metric's label with its value.
type Label = [(&'static str, &'static str); 1];

/// Metrics of rooms. Clones share the same values.
#[derive(Clone, Debug, Default)]
pub(crate) struct RoomFigures {
    accepted: Family<Label, Counter>,
    rooms: Family<Label, Gauge>,
    viewers: Gauge,
    edges: Gauge,
}

impl RoomFigures {
    pub(crate) fn new(relay: &relay::Figures) -> Self {
        let figures = Self::default();
        relay.register(|registry| {
            registry.register("accepted", "Sessions accepted, by transport", figures.accepted.clone());
            registry.register("rooms", "Rooms by state", figures.rooms.clone());
            registry.register("viewers", "Viewers of all rooms", figures.viewers.clone());
            let edges = "Edges subscribed to rooms, once per room";
            registry.register("edges", edges, figures.edges.clone());
        });
        figures
    }

    /// Counts an accepted session, by its transport.
    pub(crate) fn accepted(&self, transport: &'static str) {
        self.accepted.get_or_create(&[("transport", transport)]).inc();
    }

    /// Sets the gauges from the rooms.
    pub(crate) fn set(&self, rooms: &[RoomView]) {
        for (state, label) in
            [(State::Live, "live"), (State::Reconnecting, "reconnecting"), (State::Ended, "ended")]
        {
            let count = rooms.iter().filter(|room| room.state == state).count();
            self.rooms.get_or_create(&[("state", label)]).set(count as i64);
        }
        self.viewers.set(rooms.iter().map(|room| room.viewers as i64).sum());
        self.edges.set(rooms.iter().map(|room| room.edges as i64).sum());
    }
}
