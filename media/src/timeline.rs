use crate::{Micros, Sample};

/// Joins passes over an input, or inputs after each other, to one timeline that never falls back: `--loop`.
#[derive(Debug, Clone, Default)]
pub struct Timeline {
    /// Where the present pass starts on the joined timeline.
    base: Micros,
    /// The first decode timestamp of the present pass.
    first: Option<Micros>,
    /// The end of the last sample so far, on the joined timeline.
    end: Micros,
}

impl Timeline {
    /// A timeline whose first sample is decoded at `base`.
    pub fn starting_at(base: Micros) -> Self {
        Self { base, first: None, end: base }
    }

    /// Moves a sample of the present pass onto the joined timeline.
    pub fn place(&mut self, mut sample: Sample) -> Sample {
        let first = *self.first.get_or_insert(sample.dts);
        sample.pts = self.base + sample.pts - first;
        sample.dts = self.base + sample.dts - first;
        self.end = self.end.max(sample.pts + sample.duration).max(sample.dts + sample.duration);
        sample
    }

    /// The input starts over: what comes next follows what came last.
    pub fn rewind(&mut self) {
        self.base = self.end;
        self.first = None;
    }
}
