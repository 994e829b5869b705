//! How long to wait before trying again.

use moqt::Micros;

/// The first wait.
const FIRST: Micros = Micros::from_millis(250);
/// The longest wait.
const LONGEST: Micros = Micros::from_millis(8_000);

/// Waits that double from try to try.
#[derive(Clone, Copy, Debug, Default)]
pub struct Backoff {
    tries: u32,
}

impl Backoff {
    /// The next wait. `chance`, from 0 to 1, spreads those who lost the same server over time.
    pub fn next(&mut self, chance: f64) -> Micros {
        let wait = FIRST.0.saturating_mul(1 << self.tries.min(16)).min(LONGEST.0);
        self.tries += 1;
        Micros((wait as f64 * (0.5 + 0.5 * chance.clamp(0.0, 1.0))) as u64)
    }

    /// It worked.
    pub fn reset(&mut self) {
        self.tries = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest() {
        let mut backoff = Backoff::default();
        let waits: Vec<u64> = (0..8).map(|_| backoff.next(1.0).as_millis()).collect();
        assert_eq!(waits, [250, 500, 1000, 2000, 4000, 8000, 8000, 8000]);
        backoff.reset();
        assert_eq!(backoff.next(0.0), Micros::from_millis(125));
    }
}
