//! Erasure of a person.

use wire::FanId;
use wire::worker::Row;

use super::Root;
use super::edge_state::{EdgeState, NONE};
use crate::effects::Effects;

impl Root {
    /// Erases a fan: their name, lines, questions, and the link from a vote or a gift to them. Counts stay,
    /// and so does a ban.
    pub(super) fn forget(&mut self, fan: FanId, fx: &mut Effects<'_>) {
        self.purge(fan, fx);
        self.polls.forget(fan);
        self.questions.forget(fan);
        self.gifts.forget(fan, &mut self.added.stranger_keys);
        self.top_cheerers.forget(fan);
        self.top_gifters.forget(fan);
        let streams = self.people.erase(fan, self.now);
        // A connected fan continues as one who has just joined.
        for slot in self.edges.values_mut().flat_map(EdgeState::slots).chain(&mut self.added.leaving) {
            if slot.fan == fan {
                slot.forgotten |= streams.contains(&slot.stream);
                slot.stream = NONE;
                (slot.visit, slot.interactions) = Default::default();
            }
        }
        self.stage.changed();
        fx.archive(Row::Forgotten { fan });
    }
}
