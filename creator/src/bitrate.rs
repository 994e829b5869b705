//! The bitrate and frame rate of a track, measured where its input gives none.

use media::{Micros, Sample};

/// Time for which a track is measured.
const SPAN: Micros = Micros(3_000_000);

/// The measured rates of a track.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Measured {
    /// Bits per second.
    pub(crate) bitrate: u64,
    /// Frames per second.
    pub(crate) framerate: f64,
}

/// A probe that measures the start of a track.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct BitrateProbe {
    since: Option<Micros>,
    bytes: u64,
    frames: u64,
    done: bool,
}

impl BitrateProbe {
    /// Counts a sample; returns the rates once, when the span is over.
    pub(crate) fn sample(&mut self, sample: &Sample) -> Option<Measured> {
        if self.done {
            return None;
        }
        let since = *self.since.get_or_insert(sample.dts);
        let span = sample.dts - since;
        if span >= SPAN {
            self.done = true;
            let seconds = span.0 as f64 / Micros::SECOND.0 as f64;
            // Round up to 10 kbit/s, and to hundredths of a frame.
            let bitrate = ((self.bytes * 8) as f64 / seconds / 10_000.0).ceil() as u64 * 10_000;
            let framerate = (self.frames as f64 / seconds * 100.0).round() / 100.0;
            return Some(Measured { bitrate, framerate });
        }
        self.bytes += sample.data.len() as u64;
        self.frames += u64::from(sample.frames);
        None
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[test]
    fn three_seconds_are_enough() {
        let mut probe = BitrateProbe::default();
        let mut measured = Vec::new();
        for frame in 0..200 {
            let at = Micros::from_ticks(frame, 30);
            let data = Bytes::from(vec![0; 5000]);
            let (duration, keyframe) = (Micros::ZERO, frame == 0);
            let sample = Sample { track: 0, pts: at, dts: at, duration, keyframe, frames: 1, data };
            measured.extend(probe.sample(&sample));
        }
        assert_eq!(measured, [Measured { bitrate: 1_200_000, framerate: 30.0 }]);
    }
}
