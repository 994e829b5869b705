//! A token bucket in one number: the time at which it is full again.

use std::cell::Cell;

use moqt::Micros;

use super::Rate;

/// A token bucket. It fills at the rate's pace, up to the rate's burst.
#[derive(Debug, Default)]
pub(super) struct Bucket {
    full_at: Cell<Micros>,
}

impl Bucket {
    /// Returns whether a token is there.
    pub(super) fn has(&self, now: Micros, rate: Rate) -> bool {
        let behind = self.full_at.get().0.saturating_sub(now.0);
        behind.saturating_add(rate.every.0) <= rate.every.0.saturating_mul(u64::from(rate.burst))
    }

    /// Takes a token, which must be there.
    pub(super) fn take(&self, now: Micros, rate: Rate) {
        self.full_at.set(self.full_at.get().max(now) + rate.every);
    }

    /// Returns whether it is full.
    pub(super) fn is_full(&self, now: Micros) -> bool {
        self.full_at.get() <= now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_gives_its_burst_at_once_and_then_its_pace() {
        let (bucket, rate) = (Bucket::default(), Rate::per_second(10, 50));
        let take = |now: u64| {
            let has = bucket.has(Micros(now), rate);
            if has {
                bucket.take(Micros(now), rate);
            }
            has
        };
        assert_eq!((0..100).filter(|_| take(1_000_000)).count(), 50);
        assert_eq!((0..100).filter(|_| take(2_000_000)).count(), 10);
        assert!(!bucket.is_full(Micros(6_000_000)));
        assert_eq!((0..1000).filter(|_| take(60_000_000)).count(), 50);
    }

    #[test]
    fn a_rate_without_a_limit_refuses_nothing() {
        let bucket = Bucket::default();
        for _ in 0..100_000 {
            assert!(bucket.has(Micros(0), Rate::UNLIMITED));
            bucket.take(Micros(0), Rate::UNLIMITED);
        }
        assert!(bucket.is_full(Micros(0)));
    }
}
