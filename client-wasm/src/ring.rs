//! The timeline of the ring that the loudspeaker reads: maps capture times to sample indices.
//!
//! The index of the sample being played therefore gives the capture time that is audible. Sound is laid end to end;
//! gaps become silence, and overlaps are skipped.

use moqt::Micros;

/// Deviation of timestamps that does not count as a gap or an overlap.
const SLACK: Micros = Micros(4_000);
/// Length of a gap or an overlap that begins a new timeline.
const BREAK: Micros = Micros(2_000_000);

/// A write into the ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Index at which the silence or, without any, the sound starts.
    pub index: u64,
    /// Samples of silence to write.
    pub silence: u32,
    /// Samples of the sound to skip at its beginning.
    pub skip: u32,
    /// Samples of the sound to write, after the silence.
    pub samples: u32,
}

/// Maps capture times to indices.
#[derive(Debug)]
pub struct Timeline {
    rate: u32,
    capacity: u64,
    base: Option<Base>,
    write: u64,
}

/// An index and its capture time.
#[derive(Clone, Copy, Debug)]
struct Base {
    media: Micros,
    index: u64,
}

impl Timeline {
    /// Creates the timeline of a ring of `capacity` samples, played at `rate` samples per second. The next sample to be
    /// read is at `index`.
    pub fn new(rate: u32, capacity: u32, index: u64) -> Self {
        Self { rate: rate.max(1), capacity: capacity.into(), base: None, write: index }
    }

    /// Returns the rate in samples per second.
    pub fn rate(&self) -> u32 {
        self.rate
    }

    /// Returns where the next sound is to be written, or `None` if it does not fit. `read` is the index of the next
    /// sample to be played.
    pub fn place(&mut self, media: Micros, samples: u32, read: u64) -> Option<Span> {
        // The reader has played unwritten samples as silence.
        if self.write < read {
            self.write = read;
        }
        let base = match self.base {
            Some(base) if self.is_near(base, media) => base,
            _ => *self.base.insert(Base { media, index: self.write }),
        };
        let wanted = self.index(base, media);
        let off = wanted - self.write as i64;
        let slack = self.samples(SLACK) as i64;
        let (silence, skip) = match off {
            off if off.abs() <= slack => (0, 0),
            off if off > 0 => (off as u64, 0),
            off => (0, off.unsigned_abs().min(samples.into()) as u32),
        };
        let kept = samples - skip;
        let end = self.write + silence + u64::from(kept);
        if end - read > self.capacity {
            return None;
        }
        let span = Span { index: self.write, silence: silence as u32, skip, samples: kept };
        self.write = end;
        Some(span)
    }

    /// Returns the capture time of an index.
    pub fn media_at(&self, index: f64) -> Option<f64> {
        let base = self.base?;
        Some(base.media.0 as f64 + (index - base.index as f64) * 1e6 / f64::from(self.rate))
    }

    /// Returns the index of a capture time.
    pub fn index_at(&self, media: Micros) -> Option<u64> {
        self.base.map(|base| self.index(base, media).max(0) as u64)
    }

    /// Returns the index after all that is written.
    pub fn end(&self) -> u64 {
        self.write
    }

    fn is_near(&self, base: Base, media: Micros) -> bool {
        let off = self.index(base, media) - self.write as i64;
        off.unsigned_abs() <= self.samples(BREAK)
    }

    fn index(&self, base: Base, media: Micros) -> i64 {
        let ahead = i128::from(media.0) - i128::from(base.media.0);
        let samples = ahead * i128::from(self.rate) / 1_000_000;
        i64::try_from(i128::from(base.index) + samples).unwrap_or(if ahead > 0 {
            i64::MAX / 2
        } else {
            i64::MIN / 2
        })
    }

    fn samples(&self, time: Micros) -> u64 {
        time.0 * u64::from(self.rate) / 1_000_000
    }
}

/// Returns the index nearest to `near` whose lowest 32 bits are `low`.
pub fn widen(low: i32, near: u64) -> u64 {
    let off = low.wrapping_sub(near as i32);
    near.saturating_add_signed(off.into())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const START: Micros = Micros(1_790_000_000_000_000);

    fn timeline() -> Timeline {
        Timeline::new(48_000, 48_000, 0)
    }

    fn at(ms: u64) -> Micros {
        START + Micros::from_millis(ms)
    }

    #[test]
    fn packets_lie_end_to_end() {
        let mut timeline = timeline();
        for packet in 0..40 {
            // Timestamps that wander by less than the slack leave no gap.
            let media = at(packet * 20) + Micros(packet % 3 * 300);
            let span = timeline.place(media, 960, 0).unwrap();
            assert_eq!(span, Span { index: packet * 960, silence: 0, skip: 0, samples: 960 });
        }
        assert_eq!(timeline.media_at(480.0), Some(at(10).0 as f64));
        assert_eq!(timeline.index_at(at(100)), Some(4_800));
    }

    #[test]
    fn a_lost_packet_is_silent() {
        let mut timeline = timeline();
        timeline.place(at(0), 960, 0).unwrap();
        let span = timeline.place(at(40), 960, 0).unwrap();
        assert_eq!(span, Span { index: 960, silence: 960, skip: 0, samples: 960 });
        assert_eq!(timeline.end(), 2_880);
    }

    #[test]
    fn what_overlaps_is_left_out() {
        let mut timeline = timeline();
        timeline.place(at(0), 960, 0).unwrap();
        let span = timeline.place(at(10), 960, 0).unwrap();
        assert_eq!(span, Span { index: 960, silence: 0, skip: 480, samples: 480 });
    }

    #[test]
    fn after_an_underrun_times_still_fit() {
        let mut timeline = timeline();
        timeline.place(at(0), 960, 0).unwrap();
        // The reader went on through 100 ms of nothing.
        let span = timeline.place(at(120), 960, 5_760).unwrap();
        assert_eq!(span, Span { index: 5_760, silence: 0, skip: 0, samples: 960 });
        let late = timeline.place(at(20), 960, 5_760).unwrap();
        assert_eq!(late.samples, 0, "its time has gone by");
    }

    #[test]
    fn another_timeline_starts_where_the_last_one_ends() {
        let mut timeline = timeline();
        timeline.place(at(0), 960, 0).unwrap();
        let span = timeline.place(Micros(5), 960, 0).unwrap();
        assert_eq!(span, Span { index: 960, silence: 0, skip: 0, samples: 960 });
        assert_eq!(timeline.media_at(960.0), Some(5.0));
    }

    #[test]
    fn what_has_no_room_is_refused() {
        let mut timeline = timeline();
        assert!(timeline.place(at(0), 48_000, 0).is_some());
        assert!(timeline.place(at(1_000), 960, 0).is_none());
        assert!(timeline.place(at(1_000), 960, 960).is_some());
    }

    #[test]
    fn indices_are_widened_to_the_nearest() {
        let near = (7 << 32) + 5;
        assert_eq!(widen(9, near), near + 4);
        assert_eq!(widen(-3, near), near - 8);
        assert_eq!(widen(-1, 0), 0);
    }

    proptest! {
        #[test]
        fn it_never_writes_beyond_the_reader(
            steps in prop::collection::vec((any::<u32>(), 0..5_000u32, 0..5_000u64), 0..200),
        ) {
            let mut timeline = timeline();
            let mut read = 0;
            for (offset, samples, advance) in steps {
                read += advance;
                let before = timeline.end().max(read);
                if let Some(span) = timeline.place(START + Micros(offset.into()), samples, read) {
                    prop_assert_eq!(span.index, before);
                    prop_assert!(timeline.end() - read <= 48_000);
                    prop_assert!(span.skip + span.samples == samples);
                }
            }
        }
    }
}
