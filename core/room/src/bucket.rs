//! Rate limits, in integers.

use serde::{Deserialize, Serialize};
use wire::Micros;

/// Rate of an event: one per `every` in the long run, `burst` at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rate {
    /// Time per event, in the long run.
    pub every: Micros,
    /// Events at once, after a rest.
    pub burst: u32,
}

/// A token bucket as one number: the moment at which it will be full (the generic cell rate
/// algorithm, ITU-T I.371).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Bucket(Micros);

impl Bucket {
    /// Takes `cost` tokens, or returns the time to wait for them.
    #[inline]
    pub(crate) fn take(&mut self, now: Micros, cost: u32, rate: Rate) -> Result<(), Micros> {
        let allowed = Micros(rate.every.0.saturating_mul(rate.burst.into()));
        // A bucket that is emptier than empty is of a clock that has since been set back: it begins again.
        let before = if self.0 > now + allowed { now } else { self.0.max(now) };
        let full = before + Micros(rate.every.0.saturating_mul(cost.into()));
        let ahead = full - now;
        if ahead > allowed {
            return Err(ahead - allowed);
        }
        self.0 = full;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate { every: Micros(1000), burst: 5 };

    #[test]
    fn rate_burst_then_steady() {
        let mut bucket = Bucket::default();
        let start = Micros(1_000_000);
        for _ in 0..5 {
            assert_eq!(bucket.take(start, 1, RATE), Ok(()));
        }
        assert_eq!(bucket.take(start, 1, RATE), Err(Micros(1000)));
        assert_eq!(bucket.take(start + Micros(400), 1, RATE), Err(Micros(600)), "a refusal costs nothing");
        assert_eq!(bucket.take(start + Micros(1000), 1, RATE), Ok(()));
        assert_eq!(bucket.take(start + Micros(9000), 5, RATE), Ok(()), "full again");
        assert_eq!(bucket.take(start + Micros(9000), 1, RATE), Err(Micros(1000)));
    }

    #[test]
    fn rate_in_the_long_run() {
        let mut bucket = Bucket::default();
        let taken = (0..10_000u64).filter(|i| bucket.take(Micros(i * 100), 1, RATE).is_ok()).count();
        assert_eq!(taken, 1000 + 4, "one in a millisecond for a second, and the burst");
    }

    #[test]
    fn rate_more_than_ever_fits() {
        let mut bucket = Bucket::default();
        assert!(bucket.take(Micros(5), 6, RATE).is_err());
        assert!(bucket.take(Micros(5), u32::MAX, RATE).is_err());
        assert_eq!(bucket.take(Micros(5), 5, RATE), Ok(()));
    }
}
