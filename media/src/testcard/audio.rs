//! The sound of the test card: silence, and a beep at every full second.

use std::f32::consts::TAU;
use std::fmt;

use bytes::Bytes;
use opus_rs::{Application, OpusEncoder};

use crate::{Error, Micros, Result, Sample, TrackInfo};

/// Samples a second.
pub const SAMPLE_RATE: u32 = 48_000;
/// Duration of a beep.
pub const BEEP: Micros = Micros::from_millis(50);
/// The pitch of a beep, in hertz.
pub const BEEP_PITCH: f32 = 1000.0;

const CHANNELS: u32 = 2;
const PACKET: Micros = Micros::from_millis(20);
const PACKET_SAMPLES: u32 = SAMPLE_RATE / 50;
/// Delay of the encoder: a decoder's output starts this much before the packet's input, 120 samples in
/// low-delay mode.
const LOOKAHEAD: Micros = Micros(2_500);
/// Bytes of a packet, at most (RFC 6716 3.2.1, for one frame).
const MAX_PACKET_BYTES: usize = 1275;
/// Seconds over which the ends of a beep fade, so that they do not click.
const FADE: f32 = 0.002;

/// Returns the times at which beeps begin, from `from` up to but not at `to`: at every full second since the
/// UNIX epoch.
pub fn beep_times(from: Micros, to: Micros) -> impl Iterator<Item = Micros> {
    let first = from.0.div_ceil(1_000_000);
    let last = to.0.div_ceil(1_000_000);
    (first..last).map(|second| Micros(second * 1_000_000))
}

/// Returns whether a beep sounds at a time.
pub fn beeps(at: Micros) -> bool {
    at.0 % 1_000_000 < BEEP.0
}

/// Returns the first packet that starts at or after `now`.
pub(super) fn packet_at(now: Micros) -> u64 {
    now.0.div_ceil(PACKET.0)
}

/// Returns the time at which the last sample of a packet has been heard.
pub(super) fn available(packet: u64) -> Micros {
    Micros(packet.saturating_add(1).saturating_mul(PACKET.0))
}

fn loudness(second: f32) -> f32 {
    let beep = BEEP.0 as f32 / 1e6;
    let fade = (second.min(beep - second) / FADE).clamp(0.0, 1.0);
    0.4 * fade * (second * BEEP_PITCH * TAU).sin()
}

pub(super) struct Encoder {
    opus: OpusEncoder,
    bitrate: u32,
}

impl fmt::Debug for Encoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Encoder").field("bitrate", &self.bitrate).finish_non_exhaustive()
    }
}

impl Encoder {
    pub(super) fn new(bitrate: u32) -> Result<Self> {
        if !(6_000..=510_000).contains(&bitrate) {
            let what = format!("{bitrate} bits a second of sound");
            return Err(Error::Config { what, why: "Opus takes 6,000 to 510,000" });
        }
        let mut opus =
            OpusEncoder::new(SAMPLE_RATE as i32, CHANNELS as usize, Application::RestrictedLowDelay)
                .map_err(failed)?;
        opus.bitrate_bps = bitrate as i32;
        opus.complexity = 5;
        Ok(Self { opus, bitrate })
    }

    pub(super) fn track(&self) -> TrackInfo {
        TrackInfo::opus(self.bitrate, CHANNELS)
    }

    pub(super) fn encode(&mut self, packet: u64, track: usize) -> Result<Sample> {
        let start = packet.saturating_mul(PACKET.0);
        let offset = (start % 1_000_000) as f32 / 1e6;
        let pcm: Vec<f32> = (0..PACKET_SAMPLES)
            .map(|sample| loudness(offset + sample as f32 / SAMPLE_RATE as f32))
            .flat_map(|sample| [sample; CHANNELS as usize])
            .collect();
        let mut data = vec![0; MAX_PACKET_BYTES];
        let len = self.opus.encode(&pcm, PACKET_SAMPLES as usize, &mut data).map_err(failed)?;
        data.truncate(len);
        let pts = Micros(start) - LOOKAHEAD;
        Ok(Sample {
            track,
            pts,
            dts: pts,
            duration: PACKET,
            keyframe: true,
            frames: 1,
            data: Bytes::from(data),
        })
    }
}

fn failed(why: &'static str) -> Error {
    Error::Encoder { codec: "Opus", why: why.into() }
}
