//! The pauses between attempts to reach a relay.

use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBackoff, ExponentialBuilder};

/// The shortest pause.
const SHORTEST: Duration = Duration::from_millis(100);
/// The longest pause.
const LONGEST: Duration = Duration::from_secs(5);

/// Pauses that double from [`SHORTEST`] up to [`LONGEST`], lengthened by chance, so that many who lost the same relay
/// do not come back at the same moment.
#[derive(Debug)]
pub(crate) struct Pauses(ExponentialBackoff);

impl Default for Pauses {
    fn default() -> Self {
        // Chance at most doubles a pause.
        let pauses = ExponentialBuilder::default()
            .with_min_delay(SHORTEST)
            .with_max_delay(LONGEST / 2)
            .with_jitter()
            .without_max_times();
        Self(pauses.build())
    }
}

impl Pauses {
    pub(crate) fn next(&mut self) -> Duration {
        self.0.next().unwrap_or(LONGEST).min(LONGEST)
    }

    /// Forgets earlier failures if what was attempted has worked for at least the longest pause.
    pub(crate) fn worked_for(&mut self, duration: Duration) {
        if duration >= LONGEST {
            *self = Self::default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_between_their_bounds() {
        let mut pauses = Pauses::default();
        let mut least = SHORTEST;
        for _ in 0..12 {
            let pause = pauses.next();
            assert!(least <= pause && pause <= (least * 2).min(LONGEST), "{pause:?} of {least:?}");
            least = (least * 2).min(LONGEST / 2);
        }
        pauses.worked_for(Duration::from_secs(1));
        assert!(pauses.next() >= LONGEST / 2);
        pauses.worked_for(LONGEST);
        assert!(pauses.next() < SHORTEST * 2);
    }
}
