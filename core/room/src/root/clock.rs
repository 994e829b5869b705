//! The room's time, when its node's clock turns out to have been ahead.

use wire::{Micros, Standing};

use super::{Root, moderate::LONGEST_TIMEOUT, pace::Pace, poll::LONGEST};
use crate::tally::Rates;

impl Root {
    /// Brings times that were taken from a clock ahead of `now` back to it. Otherwise what waits for them, such as
    /// the next stage, the end of a poll or a sweep, would stand still until the clock is there again.
    pub(crate) fn set_back(&mut self, now: Micros) {
        let back = |at: &mut Micros| *at = (*at).min(now);
        self.now = now;
        self.rates = Rates::default();
        self.pulses.reopen();
        self.chat.set_back(now);
        back(&mut self.stage.shown_at);
        self.polls.set_back(now + Micros::from_secs(LONGEST.into()));
        self.gifts.set_back(now);
        self.added.stranger_keys.iter_mut().for_each(|(at, ..)| back(at));
        for edge in self.edges.values_mut() {
            edge.left_at.as_mut().map(back);
        }
        let longest = now + Micros::from_secs(LONGEST_TIMEOUT.into());
        self.people.each(
            |fan| {
                back(&mut fan.said_at);
                back(&mut fan.last);
                fan.pace = Pace::default();
                if let Standing::TimedOut { until } = &mut fan.standing {
                    *until = (*until).min(longest);
                }
            },
            |stream| back(&mut stream.last),
        );
    }
}
