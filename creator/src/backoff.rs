use std::time::Duration;

/// The first pause between attempts.
const FIRST: Duration = Duration::from_millis(250);
/// The longest pause between attempts.
const LONGEST: Duration = Duration::from_secs(10);

/// Pauses between attempts: each twice as long as the one before up to a bound,
/// and each shortened by chance, so that many who lost the same server do not come
/// back at the same moment.
#[derive(Clone, Copy, Debug)]
pub struct Backoff {
    next: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { next: FIRST }
    }
}

impl Backoff {
    /// The next pause. `random` is any number, a new one each time.
    pub fn pause(&mut self, random: u64) -> Duration {
        let whole = self.next;
        self.next = (whole * 2).min(LONGEST);
        let half = whole / 2;
        let part = u32::try_from(random % 1024).unwrap_or(0);
        half + half * part / 1024
    }

    /// It worked: the next pause is short again.
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
        let mut bound = FIRST;
        for random in [0, 1023, 512, u64::MAX, 7, 99, 1, 2] {
            let pause = backoff.pause(random);
            assert!(bound / 2 <= pause && pause <= bound, "{pause:?} of {bound:?}");
            bound = (bound * 2).min(LONGEST);
        }
        assert_eq!(bound, LONGEST);
        backoff.reset();
        assert!(backoff.pause(0) < FIRST);
    }
}
