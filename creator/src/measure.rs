use media::{Micros, Sample};

/// How long a track is watched before it is said what it takes.
const SPAN: Micros = Micros(3_000_000);

/// What a track's input does not say, measured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Measured {
    /// Bits a second.
    pub(crate) bitrate: u64,
    /// Frames a second.
    pub(crate) framerate: f64,
}

/// Watches the start of a track.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Measure {
    since: Option<Micros>,
    bytes: u64,
    frames: u64,
    done: bool,
}

impl Measure {
    /// What was measured, once.
    pub(crate) fn sample(&mut self, sample: &Sample) -> Option<Measured> {
        if self.done {
            return None;
        }
        let since = *self.since.get_or_insert(sample.dts);
        let span = sample.dts - since;
        if span >= SPAN {
            self.done = true;
            let seconds = span.0 as f64 / Micros::SECOND.0 as f64;
            // Tidy: to the next 10 kbit/s, and to hundredths of a frame.
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
        let mut measure = Measure::default();
        let mut measured = Vec::new();
        for frame in 0..200 {
            let at = Micros::from_ticks(frame, 30);
            let data = Bytes::from(vec![0; 5000]);
            let (duration, keyframe) = (Micros::ZERO, frame == 0);
            let sample = Sample { track: 0, pts: at, dts: at, duration, keyframe, frames: 1, data };
            measured.extend(measure.sample(&sample));
        }
        assert_eq!(measured, [Measured { bitrate: 1_200_000, framerate: 30.0 }]);
    }
}
