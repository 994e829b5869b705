//! Timelines: inputs joined end to end.

use crate::{Micros, Sample};

/// Joins passes over an input, or consecutive inputs, to one timeline that never goes back: `--loop`.
#[derive(Debug, Clone, Default)]
pub struct Timeline {
    /// Start of the current pass on the joined timeline.
    base: Micros,
    /// The first decode timestamp of the current pass.
    first: Option<Micros>,
    /// End of the last sample so far, on the joined timeline.
    end: Micros,
}

impl Timeline {
    /// Creates a timeline whose first sample is decoded at `base`.
    pub fn starting_at(base: Micros) -> Self {
        Self { base, first: None, end: base }
    }

    /// Moves a sample of the current pass onto the joined timeline.
    pub fn shift(&mut self, mut sample: Sample) -> Sample {
        let first = *self.first.get_or_insert(sample.dts);
        sample.pts = self.base + sample.pts - first;
        sample.dts = self.base + sample.dts - first;
        self.end = self.end.max(sample.pts + sample.duration).max(sample.dts + sample.duration);
        sample
    }

    /// Starts another pass: its first sample follows the last one.
    pub fn rewind(&mut self) {
        self.base = self.end;
        self.first = None;
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn sample(track: usize, pts: u64, dts: u64) -> Sample {
        let (pts, dts, duration) = (Micros(pts), Micros(dts), Micros(20));
        Sample { track, pts, dts, duration, keyframe: true, frames: 1, data: Bytes::new() }
    }

    #[test]
    fn a_loop_goes_on_where_it_ended() {
        let mut timeline = Timeline::starting_at(Micros(1000));
        let mut times = Vec::new();
        for _ in 0..2 {
            for input in [sample(0, 540, 500), sample(1, 505, 505), sample(0, 520, 520), sample(1, 525, 525)]
            {
                let placed = timeline.shift(input);
                times.push((placed.pts.0, placed.dts.0));
            }
            timeline.rewind();
        }
        assert_eq!(times[..4], [(1040, 1000), (1005, 1005), (1020, 1020), (1025, 1025)]);
        assert_eq!(times[4..], [(1100, 1060), (1065, 1065), (1080, 1080), (1085, 1085)]);
    }
}
