//! Video encoding of the test card.

use std::fmt;

use bytes::Bytes;
use openh264::encoder::{
    BitRate, Complexity, EncoderConfig, FrameRate, IntraFramePeriod, Profile, RateControlMode, UsageType,
};
use openh264::formats::YUVSource;
use openh264::{OpenH264API, Timestamp};

use super::{Config, Picture, Rendition, Scene};
use crate::codec::h264::AnnexB;
use crate::{Error, Micros, Result, TrackInfo};

/// One rendition: its scene and its encoder.
pub(super) struct Encoder {
    scene: Scene,
    h264: openh264::encoder::Encoder,
    annex_b: AnnexB,
    track: TrackInfo,
    framerate: u32,
}

impl fmt::Debug for Encoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Encoder").field("track", &self.track).finish_non_exhaustive()
    }
}

impl Encoder {
    pub(super) fn new(rendition: Rendition, config: &Config) -> Result<Self> {
        let settings = EncoderConfig::new()
            .bitrate(BitRate::from_bps(rendition.bitrate))
            .max_frame_rate(FrameRate::from_hz(config.framerate as f32))
            .intra_frame_period(IntraFramePeriod::from_num_frames(0))
            .rate_control_mode(RateControlMode::Bufferbased)
            .usage_type(UsageType::CameraVideoRealTime)
            .profile(Profile::Baseline)
            .complexity(Complexity::Low)
            .scene_change_detect(false)
            .adaptive_quantization(false)
            .background_detection(false)
            .skip_frames(false)
            .num_threads(1);
        let mut h264 = openh264::encoder::Encoder::with_api_config(OpenH264API::from_source(), settings)
            .map_err(failed)?;
        let mut scene = Scene::new(rendition.width, rendition.height, &config.title);
        let mut annex_b = AnnexB::default();
        // The track needs the parameter sets before the first frame; they come with a frame that is not sent.
        let unseen = h264.encode(&Source(scene.at(Micros::ZERO))).map_err(failed)?.to_vec();
        annex_b.sample(&unseen, config.framerate).map_err(confused)?;
        let track = annex_b.track().cloned().ok_or_else(|| confused("no key frame came first".into()))?;
        Ok(Self {
            scene,
            h264,
            annex_b,
            track: track.rendered(rendition, config.framerate),
            framerate: config.framerate,
        })
    }

    pub(super) fn track(&self) -> &TrackInfo {
        &self.track
    }

    pub(super) fn encode(&mut self, at: Micros, keyframe: bool) -> Result<(Bytes, bool)> {
        if keyframe {
            self.h264.force_intra_frame();
        }
        let source = Source(self.scene.at(at));
        let encoded =
            self.h264.encode_at(&source, Timestamp::from_millis(at.as_millis())).map_err(failed)?.to_vec();
        let sample = self.annex_b.sample(&encoded, self.framerate).map_err(confused)?;
        sample.ok_or_else(|| confused("it skipped a frame".into()))
    }
}

fn failed(error: openh264::Error) -> Error {
    Error::Encoder { codec: "H.264", why: error.to_string() }
}

fn confused(why: String) -> Error {
    Error::Encoder { codec: "H.264", why }
}

struct Source<'a>(&'a Picture);

impl YUVSource for Source<'_> {
    fn dimensions(&self) -> (usize, usize) {
        (self.0.width(), self.0.height())
    }
    fn strides(&self) -> (usize, usize, usize) {
        (self.0.width(), self.0.width() / 2, self.0.width() / 2)
    }
    fn y(&self) -> &[u8] {
        self.0.luma()
    }
    fn u(&self) -> &[u8] {
        self.0.chroma().0
    }
    fn v(&self) -> &[u8] {
        self.0.chroma().1
    }
}
