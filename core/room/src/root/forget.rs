//! Erasing a person.

use wire::FanId;
use wire::worker::Row;

use super::Root;
use super::edge::{Edge, NONE};
use crate::effects::Effects;

impl Root {
    /// Erases what is kept of a fan: their name, lines, questions, and what says that a vote or a gift was
    /// theirs. Counts stay, and so does a ban.
    pub(super) fn forget(&mut self, fan: FanId, fx: &mut Effects<'_>) {
        self.purge(fan, fx);
        self.polls.forget(fan);
        self.questions.forget(fan);
        self.gifts.forget(fan);
        self.top_cheerers.forget(fan);
        self.top_gifters.forget(fan);
        let streams = self.people.erase(fan, self.now);
        // A fan who is here goes on as somebody who has just come.
        for slot in self.edges.values_mut().flat_map(Edge::slots) {
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
