//! Whether a fan is active: the page is visible, and they moved, typed or touched within the last half minute.

use moqt::Micros;
use wire::Playing;

/// For how long somebody counts as active who does not move.
const LINGER: Micros = Micros::from_millis(30_000);
/// How often the edge is told.
pub const BEAT: Micros = Micros::from_millis(5_000);

/// What a fan does besides what they say.
#[derive(Clone, Copy, Debug)]
pub struct Presence {
    is_visible: bool,
    /// Up to when they count as active.
    until: Micros,
    /// Up to when that was counted.
    counted: Micros,
    active: Micros,
}

impl Presence {
    /// Somebody who has just come.
    pub fn new(now: Micros) -> Self {
        Self { is_visible: true, until: now + LINGER, counted: now, active: Micros(0) }
    }

    /// They moved.
    pub fn moved(&mut self, now: Micros) {
        self.count(now);
        self.until = now + LINGER;
    }

    /// The page was shown, or hidden.
    pub fn visible(&mut self, now: Micros, visible: bool) {
        self.count(now);
        self.is_visible = visible;
    }

    /// How many milliseconds they were active since this was last asked.
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

/// As it goes over the wire.
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
    fn who_does_not_move_is_active_for_half_a_minute() {
        let mut presence = Presence::new(at(0));
        assert_eq!(presence.take_active_ms(at(5)), 5_000);
        assert_eq!(presence.take_active_ms(at(40)), 25_000);
        assert_eq!(presence.take_active_ms(at(60)), 0);
        presence.moved(at(70));
        assert_eq!(presence.take_active_ms(at(75)), 5_000);
    }

    #[test]
    fn who_is_elsewhere_is_not_active() {
        let mut presence = Presence::new(at(0));
        presence.visible(at(2), false);
        presence.moved(at(5));
        presence.visible(at(8), true);
        assert_eq!(presence.take_active_ms(at(10)), 4_000);
    }
}
