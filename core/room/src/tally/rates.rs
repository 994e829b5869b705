//! Rates of acts over the last seconds.

use serde::{Deserialize, Serialize};
use wire::Micros;

/// Seconds that the rates cover.
const SECONDS: usize = 10;
const KINDS: usize = 4;

/// Kinds of act that are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Counted {
    Says,
    Cheers,
    Gifts,
    Votes,
}

/// Counts per second, for the last ten seconds.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Rates {
    second: u64,
    counts: [[u32; KINDS]; SECONDS],
}

impl Rates {
    /// Advances to `now`, and drops counts that are too old.
    pub(crate) fn advance(&mut self, now: Micros) {
        let second = now.0 / 1_000_000;
        let passed = second.saturating_sub(self.second).min(SECONDS as u64);
        for at in 0..passed {
            self.counts[(second - at) as usize % SECONDS] = [0; KINDS];
        }
        self.second = self.second.max(second);
    }

    /// Counts acts at the moment of the last [`advance`](Self::advance).
    #[inline]
    pub(crate) fn count(&mut self, what: Counted, n: u32) {
        let slot = &mut self.counts[self.second as usize % SECONDS][what as usize];
        *slot = slot.saturating_add(n);
    }

    pub(crate) fn last_ten_seconds(&self) -> wire::Rates {
        let sum = |what: Counted| {
            self.counts.iter().fold(0u32, |sum, second| sum.saturating_add(second[what as usize]))
        };
        wire::Rates {
            says: sum(Counted::Says),
            cheers: sum(Counted::Cheers),
            gifts: sum(Counted::Gifts),
            votes: sum(Counted::Votes),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tally_rates_are_of_the_last_ten_seconds() {
        let mut rates = Rates::default();
        for tenth in 0..300 {
            rates.advance(Micros(tenth * 100_000));
            rates.count(Counted::Cheers, 3);
        }
        assert_eq!(rates.last_ten_seconds().cheers, 300);
        assert_eq!(rates.last_ten_seconds().says, 0);
        rates.advance(Micros::from_secs(34));
        assert_eq!(rates.last_ten_seconds().cheers, 150, "5 of the seconds are still in sight");
        rates.advance(Micros::from_secs(1000));
        assert_eq!(rates.last_ten_seconds().cheers, 0);
    }
}
