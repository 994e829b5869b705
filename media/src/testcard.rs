//! The demo creator: a moving test card in several renditions with aligned groups, and a beep at every full second.
//!
//! Time comes in as an argument and is burned into the picture, so that latency and the offset between sound and
//! picture can be measured at the other end: [`clock::read`] reads the time back, [`audio::beep_times`] says when a
//! beep began.
//!
//! ```
//! use media::Micros;
//! use media::testcard::{Config, TestCard};
//!
//! let mut card = TestCard::new(Config::default())?;
//! let mut now = Micros::from_millis(1_790_000_000_000);
//! card.handle(now)?;
//! while let Some(sample) = card.poll() {
//!     assert!(sample.keyframe, "the first frame of each rendition");
//! }
//! now = card.next_due().unwrap(); // Sleep until then, and handle it.
//! # card.handle(now)?;
//! # Ok::<(), media::Error>(())
//! ```

use std::collections::VecDeque;

use crate::{AudioCodec, Error, Kind, Micros, Result, Sample, TrackInfo, VideoCodec};

pub mod audio;
pub mod clock;
mod font;
mod picture;
mod scene;
mod video;

pub use picture::Picture;
pub use scene::Scene;

/// Size and bit rate of a rendition of the picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rendition {
    /// Pixels across; even.
    pub width: u32,
    /// Pixels down; even.
    pub height: u32,
    /// Target bit rate, in bits a second.
    pub bitrate: u32,
}

/// Configuration of the test card's picture and sound.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// The renditions, best first.
    pub renditions: Vec<Rendition>,
    /// Frames a second.
    pub framerate: u32,
    /// Interval of key frames. Groups start where the time since the UNIX epoch is a multiple of this.
    pub gop: Micros,
    /// Bit rate of the sound, in bits a second.
    pub audio_bitrate: u32,
    /// Text on the card, e.g. the name of the room.
    pub title: String,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            renditions: vec![
                Rendition { width: 1280, height: 720, bitrate: 1_500_000 },
                Rendition { width: 640, height: 360, bitrate: 600_000 },
                Rendition { width: 320, height: 180, bitrate: 250_000 },
            ],
            framerate: 30,
            gop: Micros::SECOND,
            audio_bitrate: 48_000,
            title: "FANFARE".into(),
        }
    }
}

/// Lag beyond which the test card skips frames instead of catching up.
const MAX_LAG: Micros = Micros::from_millis(500);
/// Sides that [`clock`]'s cells and the encoder support, in pixels.
const SIDES: std::ops::RangeInclusive<u32> = 64..=3840;

/// The test card: call [`handle`](Self::handle) with the time, then [`poll`](Self::poll) until it returns no
/// more samples; call again at [`next_due`](Self::next_due). Timestamps of its samples are time since the
/// UNIX epoch, from the same argument.
#[derive(Debug)]
pub struct TestCard {
    tracks: Vec<TrackInfo>,
    config: Config,
    renditions: Vec<video::Encoder>,
    audio: audio::Encoder,
    next: Option<Next>,
    group: Option<u64>,
    ready: VecDeque<Sample>,
}

/// Numbers since the epoch of the next frame and the next audio packet.
#[derive(Debug, Clone, Copy)]
struct Next {
    frame: u64,
    packet: u64,
}

impl TestCard {
    /// Creates the card and opens its encoders.
    pub fn new(config: Config) -> Result<Self> {
        let refuse = |what: String, why| Err(Error::Config { what, why });
        if !(1..=120).contains(&config.framerate) {
            return refuse(format!("{} frames a second", config.framerate), "1 to 120 can be encoded");
        }
        if config.gop < Micros::from_millis(100) {
            return refuse(format!("a key frame every {} µs", config.gop.0), "100 ms is the least");
        }
        for Rendition { width, height, .. } in &config.renditions {
            if !SIDES.contains(width) || !SIDES.contains(height) || width % 2 + height % 2 > 0 {
                return refuse(format!("{width}x{height}"), "sides must be even, from 64 to 3840");
            }
        }
        let renditions = config
            .renditions
            .iter()
            .map(|rendition| video::Encoder::new(*rendition, &config))
            .collect::<Result<Vec<_>>>()?;
        let audio = audio::Encoder::new(config.audio_bitrate)?;
        let mut tracks: Vec<TrackInfo> = renditions.iter().map(|encoder| encoder.track().clone()).collect();
        tracks.push(audio.track());
        Ok(Self { tracks, config, renditions, audio, next: None, group: None, ready: VecDeque::new() })
    }

    /// Returns the renditions in the order of the configuration, then the sound.
    pub fn tracks(&self) -> &[TrackInfo] {
        &self.tracks
    }

    /// Captures all frames and packets due at `now`, time since the UNIX epoch.
    pub fn handle(&mut self, now: Micros) -> Result<()> {
        let current = Next { frame: self.frame_at(now), packet: audio::packet_at(now) };
        let mut next = self.next.unwrap_or(current);
        if self.frame_time(next.frame) + MAX_LAG < now {
            next = current;
        }
        while self.frame_time(next.frame) <= now || audio::available(next.packet) <= now {
            if self.frame_time(next.frame) <= audio::available(next.packet) {
                self.capture(self.frame_time(next.frame), self.frame_time(next.frame + 1))?;
                next.frame += 1;
            } else {
                let sample = self.audio.encode(next.packet, self.renditions.len())?;
                self.ready.push_back(sample);
                next.packet += 1;
            }
        }
        self.next = Some(next);
        Ok(())
    }

    /// Returns the next captured sample.
    pub fn poll(&mut self) -> Option<Sample> {
        self.ready.pop_front()
    }

    /// Returns the time to call [`handle`](Self::handle) again; `None` before the first call.
    pub fn next_due(&self) -> Option<Micros> {
        self.next.map(|next| self.frame_time(next.frame).min(audio::available(next.packet)))
    }

    fn capture(&mut self, at: Micros, until: Micros) -> Result<()> {
        let group = at.0 / self.config.gop.0;
        let keyframe = self.group.replace(group) != Some(group);
        for (track, rendition) in self.renditions.iter_mut().enumerate() {
            let (data, keyframe) = rendition.encode(at, keyframe)?;
            self.ready.push_back(Sample {
                track,
                pts: at,
                dts: at,
                duration: until - at,
                keyframe,
                frames: 1,
                data,
            });
        }
        Ok(())
    }

    fn frame_time(&self, frame: u64) -> Micros {
        Micros::from_ticks(frame, self.config.framerate)
    }

    /// Returns the first frame at or after `now`.
    fn frame_at(&self, now: Micros) -> u64 {
        let frame = u128::from(now.0) * u128::from(self.config.framerate);
        u64::try_from(frame.div_ceil(1_000_000)).unwrap_or(u64::MAX - 1)
    }
}

impl TrackInfo {
    fn opus(bitrate: u32, channels: u32) -> Self {
        let kind = Kind::Audio { codec: AudioCodec::Opus, sample_rate: audio::SAMPLE_RATE, channels };
        Self { bitrate: Some(bitrate.into()), ..Self::new(kind, "opus".into(), audio::SAMPLE_RATE) }
    }

    fn rendered(mut self, rendition: Rendition, framerate: u32) -> Self {
        let Rendition { width, height, bitrate } = rendition;
        self.kind = Kind::Video { codec: VideoCodec::H264, width, height, framerate: Some(framerate.into()) };
        self.bitrate = Some(bitrate.into());
        self
    }
}
