//! Exponential backoff with jitter.

use crate::Micros;

/// The pauses between tries to reach a peer: each twice as long as the one before, up to a bound, and each shortened
/// at random by up to half, so that clients that lost the same server do not return at the same moment.
#[derive(Clone, Copy, Debug)]
pub struct Backoff {
    next: Micros,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { next: Self::FIRST }
    }
}

impl Backoff {
    /// The bound of the first pause.
    pub const FIRST: Micros = Micros::from_millis(100);
    /// The bound of every pause. A connection that held longer than this counts as a success.
    pub const LONGEST: Micros = Micros::from_secs(5);

    /// Returns the next pause. `random` is any number, a new one for each pause.
    pub fn pause(&mut self, random: u64) -> Micros {
        let half = self.next.0 / 2;
        self.next = (self.next + self.next).min(Self::LONGEST);
        Micros(half + half * (random % 1024) / 1024)
    }

    /// Starts over with short pauses, after a success.
    pub fn reset(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_bound() {
        let mut backoff = Backoff::default();
        let mut bound = Backoff::FIRST.0;
        for random in [0, 1023, 512, u64::MAX, 7, 99, 1, 2] {
            let pause = backoff.pause(random).0;
            assert!(bound / 2 <= pause && pause <= bound, "{pause} of {bound}");
            bound = (bound * 2).min(Backoff::LONGEST.0);
        }
        assert_eq!(bound, Backoff::LONGEST.0);
        backoff.reset();
        assert!(backoff.pause(0) < Backoff::FIRST);
    }
}
