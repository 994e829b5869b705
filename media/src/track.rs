//! Tracks of an input, as catalogs and decoders need them.

use bytes::Bytes;

/// Content of a track.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Kind {
    /// A video track.
    Video {
        /// Codec of the pictures.
        codec: VideoCodec,
        /// Coded width in pixels, after cropping.
        width: u32,
        /// Coded height in pixels, after cropping.
        height: u32,
        /// Frames a second, if the input declares them.
        framerate: Option<f64>,
    },
    /// An audio track.
    Audio {
        /// Codec of the sound.
        codec: AudioCodec,
        /// Samples a second.
        sample_rate: u32,
        /// Number of channels.
        channels: u32,
    },
}

/// Video codecs that a creator may send.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum VideoCodec {
    /// AVC.
    H264,
    /// HEVC.
    H265,
    /// AOMedia Video 1.
    Av1,
    /// VP9.
    Vp9,
}

/// Audio codecs that a creator may send.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AudioCodec {
    /// Opus.
    Opus,
    /// AAC, raw access units without ADTS headers.
    Aac,
}

/// A track as a catalog describes it, and as WebCodecs is configured for it.
#[derive(Debug, Clone, PartialEq)]
pub struct TrackInfo {
    /// Content of the track.
    pub kind: Kind,
    /// The codec's RFC 6381 name, e.g. `avc1.42c01f`, `opus`, `mp4a.40.2`.
    pub codec_string: String,
    /// The `description` of WebCodecs' decoder configuration: avcC, hvcC, an `AudioSpecificConfig`, or an
    /// `OpusHead` for more than two channels. AV1 and VP9 describe themselves and have none.
    pub description: Option<Bytes>,
    /// Ticks a second of the input's clock for this track. Samples are in microseconds all the same.
    pub timescale: u32,
    /// Bits a second, if the input declares them.
    pub bitrate: Option<u64>,
    /// Language in BCP 47 or ISO 639-2 form, if the input declares one.
    pub lang: Option<String>,
    /// With [`Packaging::Cmaf`](crate::Packaging): the initialisation segment of this track alone.
    pub init: Option<Bytes>,
}

impl TrackInfo {
    pub(crate) fn new(kind: Kind, codec_string: String, timescale: u32) -> Self {
        Self { kind, codec_string, description: None, timescale, bitrate: None, lang: None, init: None }
    }

    pub(crate) fn video(
        codec: VideoCodec,
        codec_string: String,
        (width, height): (u32, u32),
        timescale: u32,
    ) -> Self {
        Self::new(Kind::Video { codec, width, height, framerate: None }, codec_string, timescale)
    }

    pub(crate) fn audio(
        codec: AudioCodec,
        codec_string: String,
        (sample_rate, channels): (u32, u32),
        timescale: u32,
    ) -> Self {
        Self::new(Kind::Audio { codec, sample_rate, channels }, codec_string, timescale)
    }

    pub(crate) fn described(mut self, description: impl Into<Bytes>) -> Self {
        self.description = Some(description.into());
        self
    }

    /// Returns whether the track holds pictures.
    pub fn is_video(&self) -> bool {
        matches!(self.kind, Kind::Video { .. })
    }
}
