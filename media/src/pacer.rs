//! Pacing: a file is sent as if it were live.

use crate::Micros;

/// Computes the time at which each sample is due.
///
/// Pure: the caller supplies the time, on any clock, as microseconds since the show began.
#[derive(Debug, Clone, Default)]
pub struct Pacer {
    start: Option<Start>,
}

/// A pair of equal moments on the two timelines.
#[derive(Debug, Clone, Copy)]
struct Start {
    media: Micros,
    show: Micros,
}

impl Pacer {
    /// Difference at which pacing starts over: a sample this early or late means that the input jumped, or
    /// that the process was suspended.
    pub const MAX_JUMP: Micros = Micros(10_000_000);

    /// Creates a pacer that lets the first sample go at once.
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns the time at which a sample with this decode timestamp is due. Until then wait; if it is not
    /// after `now`, send.
    pub fn due(&mut self, now: Micros, dts: Micros) -> Micros {
        let start = *self.start.get_or_insert(Start { media: dts, show: now });
        let due = if dts >= start.media {
            start.show + (dts - start.media)
        } else {
            start.show - (start.media - dts)
        };
        if due > now + Self::MAX_JUMP || due + Self::MAX_JUMP < now {
            self.start = Some(Start { media: dts, show: now });
            return now;
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn real_time_from_the_first_sample_on() {
        let mut pacer = Pacer::new();
        let at = |seconds: u64| Micros(seconds * 1_000_000);
        assert_eq!(pacer.due(at(5), at(100)), at(5));
        assert_eq!(pacer.due(at(5), at(102)), at(7));
        assert_eq!(pacer.due(at(7), at(99)), at(4));
    }

    #[test]
    fn a_jump_starts_over() {
        let mut pacer = Pacer::new();
        let at = |seconds: u64| Micros(seconds * 1_000_000);
        pacer.due(at(0), at(0));
        assert_eq!(pacer.due(at(1), at(3600)), at(1), "the input jumped ahead");
        assert_eq!(pacer.due(at(1), at(3601)), at(2));
        assert_eq!(pacer.due(at(100), at(3602)), at(100), "we were suspended");
        assert_eq!(pacer.due(at(100), Micros(u64::MAX)), at(100));
    }
}
