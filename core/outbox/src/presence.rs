//! A fan's presence: active while the page is visible and they have moved, typed or touched within half a minute.

use moqt::Micros;
use wire::Playing;

/// Time for which a fan counts as active after they last moved.
const LINGER: Micros = Micros::from_millis(30_000);
/// Interval between heartbeats to the edge.
pub const BEAT: Micros = Micros::from_millis(5_000);

/// Counter of the time for which a fan is active.
#[derive(Clone, Copy, Debug)]
pub struct Presence {
    is_visible: bool,
    /// The time up to which the fan counts as active.
    until: Micros,
    /// The time up to which `active` is counted.
    counted: Micros,
    active: Micros,
}

impl Presence {
    /// Creates the counter of a fan who has just opened the page.
    pub fn new(now: Micros) -> Self {
        Self { is_visible: true, until: now + LINGER, counted: now, active: Micros(0) }
    }

    /// Records that the fan moved.
    pub fn moved(&mut self, now: Micros) {
        self.count(now);
        self.until = now + LINGER;
    }

    /// Records that the page was shown or hidden.
    pub fn visible(&mut self, now: Micros, visible: bool) {
        self.count(now);
        self.is_visible = visible;
    }

    /// Returns the active time since the last call, in milliseconds.
    pub fn take_active_ms(&mut self, now: Micros) -> u32 {
        self.count(now);
        std::mem::take(&mut self.active).as_millis().min(u32::MAX.into()) as u32
    }

    fn count(&mut self, now: Micros) {
        if self.is_visible {
            self.active = self.active + (now.min(self.until) - self.counted);
        }
        self.counted = now;
    }
}

/// Returns the wire's form of whether the stage is playing.
pub fn playing(is_playing: bool) -> Playing {
    if is_playing { Playing::Playing } else { Playing::Paused }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Micros {
        Micros::from_millis(1_000_000 + seconds * 1_000)
    }

    #[test]
    fn a_fan_who_does_not_move_is_active_for_half_a_minute() {
        let mut presence = Presence::new(at(0));
        assert_eq!(presence.take_active_ms(at(5)), 5_000);
        assert_eq!(presence.take_active_ms(at(40)), 25_000);
        assert_eq!(presence.take_active_ms(at(60)), 0);
        presence.moved(at(70));
        assert_eq!(presence.take_active_ms(at(75)), 5_000);
    }

    #[test]
    fn a_fan_with_a_hidden_page_is_not_active() {
        let mut presence = Presence::new(at(0));
        presence.visible(at(2), false);
        presence.moved(at(5));
        presence.visible(at(8), true);
        assert_eq!(presence.take_active_ms(at(10)), 4_000);
    }
}
