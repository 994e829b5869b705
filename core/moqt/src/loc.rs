//! LOC media objects: an encoded frame, and properties with its time (draft-ietf-moq-loc-04, the Low Overhead
//! Container).
//!
//! The payload is the frame as WebCodecs takes it: H.264 and H.265 with lengths before their units if there
//! is a description (in the catalog, or as [`Header::video_config`]), in Annex B form if there is none.
//!
//! Two deviations of other programs are read too: the timestamp's property ID in earlier drafts
//! ([`Header::read`]), and moq-dev's two ways to put it into the payload ([`split_properties`],
//! [`split_timestamp`]).

use std::num::NonZeroU64;

use bytes::Bytes;

use crate::{Micros, Properties, PropertiesBuilder};

/// The clock of a track or an object, in ticks a second; without it, timestamps
/// are microseconds since the UNIX epoch.
pub const TIMESCALE: u64 = 0x08;
const FRAME_MARKING: u64 = 0x09;
const AUDIO_LEVEL: u64 = 0x0C;
const VIDEO_CONFIG: u64 = 0x0D;
const AUDIO_CONFIG: u64 = 0x0F;
const TIMESTAMP: u64 = 0x10;

/// Property ID of the capture time in draft 01; a publisher that uses it has the audio level where drafts 02
/// and 03 have the timestamp.
const TIMESTAMP_01: u64 = 0x02;
const TIMESTAMP_02: u64 = 0x06;

const MICROS: u64 = 1_000_000;

/// Not what a media object can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A clock that stands still.
    #[error("a timescale of 0: a clock needs at least one tick a second")]
    Timescale,
    /// The frame marking is not one of RFC 9626.
    #[error("a video frame marking of {0} bytes: RFC 9626 has 1 to 4")]
    FrameMarking(usize),
    /// The properties in front of a payload do not end within it.
    #[error("a payload that ends within its properties")]
    Truncated,
    /// The payload has no timestamp.
    #[error("a frame without a timestamp")]
    NoTimestamp,
}

/// Properties of a media object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Header {
    /// Presentation time of the frame: since the UNIX epoch, or on the media's own clock if there is a
    /// timescale.
    pub timestamp: Option<Micros>,
    /// Ticks a second of the media's own clock.
    pub timescale: Option<NonZeroU64>,
    /// Decoder configuration from this frame on (avcC, hvcC), if it changed.
    pub video_config: Option<Bytes>,
    /// The same for sound (an `AudioSpecificConfig`, an `OpusHead`).
    pub audio_config: Option<Bytes>,
    /// Dependencies of a frame of video.
    pub marking: Option<FrameMarking>,
    /// Loudness of a frame of sound.
    pub level: Option<AudioLevel>,
}

/// Dependencies of a whole frame of video, and of other frames on it (RFC 9626).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FrameMarking {
    /// Decoding can start here.
    pub independent: bool,
    /// No other frame needs this one.
    pub discardable: bool,
    /// Needs only the base layer of time.
    pub base_layer_sync: bool,
    /// The layer of time, 0 to 7.
    pub temporal_id: u8,
}

/// Loudness of sound (RFC 6464).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AudioLevel {
    /// Decibels below the loudest there is, 0 to 127.
    pub below_max: u8,
    /// True if the sender takes it for speech.
    pub voice: bool,
}

impl Header {
    /// A frame of that time, by the wall clock.
    pub fn at(timestamp: Micros) -> Self {
        Self { timestamp: Some(timestamp), ..Self::default() }
    }

    /// Reads the properties of an object of a track without a timescale of its own.
    pub fn read(object: &Properties) -> Result<Self, Error> {
        Self::read_in(object, None)
    }

    /// Reads the properties of an object of a track with a timescale; see
    /// [`track_timescale`].
    pub fn read_in(object: &Properties, track: Option<NonZeroU64>) -> Result<Self, Error> {
        let timescale = track_timescale(object)?.or(track);
        let ticks = [TIMESTAMP, TIMESTAMP_01, TIMESTAMP_02].into_iter().find_map(|key| object.int(key));
        let marking = object.bytes(FRAME_MARKING).map(|bytes| FrameMarking::read(&bytes)).transpose()?;
        Ok(Self {
            timestamp: ticks.map(|ticks| micros(ticks, timescale)),
            timescale,
            video_config: object.bytes(VIDEO_CONFIG),
            audio_config: object.bytes(AUDIO_CONFIG),
            marking,
            level: object.int(AUDIO_LEVEL).map(AudioLevel::read),
        })
    }

    /// Writes it into `builder`.
    ///
    /// # Panics
    /// If a config is longer than a property can be, 65,535 bytes.
    #[must_use]
    pub fn write(&self, mut builder: PropertiesBuilder) -> PropertiesBuilder {
        if let Some(timescale) = self.timescale {
            builder = builder.int(TIMESCALE, timescale.get());
        }
        if let Some(marking) = self.marking {
            builder = builder.bytes(FRAME_MARKING, vec![marking.to_byte()]);
        }
        if let Some(level) = self.level {
            builder = builder.int(AUDIO_LEVEL, level.to_int());
        }
        if let Some(config) = &self.video_config {
            builder = builder.bytes(VIDEO_CONFIG, config.clone());
        }
        if let Some(config) = &self.audio_config {
            builder = builder.bytes(AUDIO_CONFIG, config.clone());
        }
        if let Some(timestamp) = self.timestamp {
            builder = builder.int(TIMESTAMP, ticks(timestamp, self.timescale));
        }
        builder
    }

    /// The properties of an object with this header and no others.
    pub fn to_properties(&self) -> Properties {
        self.write(Properties::builder()).build()
    }
}

/// The timescale in the properties of a track, if it has one; then timestamps are
/// on the media's own clock.
pub fn track_timescale(properties: &Properties) -> Result<Option<NonZeroU64>, Error> {
    properties.int(TIMESCALE).map(|timescale| NonZeroU64::new(timescale).ok_or(Error::Timescale)).transpose()
}

fn micros(ticks: u64, timescale: Option<NonZeroU64>) -> Micros {
    let scale = timescale.map_or(MICROS, NonZeroU64::get);
    let micros = u128::from(ticks) * u128::from(MICROS) / u128::from(scale);
    Micros(u64::try_from(micros).unwrap_or(u64::MAX))
}

/// Rounded up, so that [`micros`] gives back what went in wherever the clock is as fine.
fn ticks(time: Micros, timescale: Option<NonZeroU64>) -> u64 {
    let scale = timescale.map_or(MICROS, NonZeroU64::get);
    let ticks = (u128::from(time.0) * u128::from(scale)).div_ceil(u128::from(MICROS));
    u64::try_from(ticks).unwrap_or(u64::MAX)
}

impl FrameMarking {
    const START: u8 = 0x80;
    const END: u8 = 0x40;
    const INDEPENDENT: u8 = 0x20;
    const DISCARDABLE: u8 = 0x10;
    const BASE_LAYER_SYNC: u8 = 0x08;
    const TEMPORAL_ID: u8 = 0x07;

    /// Marking of a key frame.
    pub const KEY: Self =
        Self { independent: true, discardable: false, base_layer_sync: false, temporal_id: 0 };

    fn read(bytes: &[u8]) -> Result<Self, Error> {
        match bytes {
            [first] | [first, _] | [first, _, _] | [first, _, _, _] => Ok(Self {
                independent: first & Self::INDEPENDENT != 0,
                discardable: first & Self::DISCARDABLE != 0,
                base_layer_sync: first & Self::BASE_LAYER_SYNC != 0,
                temporal_id: first & Self::TEMPORAL_ID,
            }),
            _ => Err(Error::FrameMarking(bytes.len())),
        }
    }

    /// The short form; an object is a whole frame, its start and its end.
    fn to_byte(self) -> u8 {
        let flag = |set: bool, bit: u8| if set { bit } else { 0 };
        Self::START
            | Self::END
            | flag(self.independent, Self::INDEPENDENT)
            | flag(self.discardable, Self::DISCARDABLE)
            | flag(self.base_layer_sync, Self::BASE_LAYER_SYNC)
            | (self.temporal_id & Self::TEMPORAL_ID)
    }
}

impl AudioLevel {
    const VOICE: u64 = 0x80;
    const LEVEL: u64 = 0x7F;

    fn read(value: u64) -> Self {
        Self { below_max: (value & Self::LEVEL) as u8, voice: value & Self::VOICE != 0 }
    }

    fn to_int(self) -> u64 {
        let voice = if self.voice { Self::VOICE } else { 0 };
        voice | u64::from(self.below_max) & Self::LEVEL
    }
}

/// Takes apart a payload that has its properties in front of the frame, behind
/// their length, as moq-dev's "loc" container has them.
///
/// # Errors
/// If there is no timestamp in front: then the payload is the frame.
pub fn split_properties(payload: &Bytes) -> Result<(Header, Bytes), Error> {
    let mut rest = QuicReader(payload);
    let len = usize::try_from(rest.varint()?).map_err(|_| Error::Truncated)?;
    let mut inner = QuicReader(rest.take(len)?);
    let frame = payload.slice_ref(rest.0);
    let mut builder = Properties::builder();
    let mut key = 0u64;
    while !inner.0.is_empty() {
        key = key.checked_add(inner.varint()?).ok_or(Error::Truncated)?;
        let value = inner.varint()?;
        if key.is_multiple_of(2) {
            builder = builder.int(key, value);
            continue;
        }
        let len = u16::try_from(value).map_err(|_| Error::Truncated)?;
        builder = builder.bytes(key, payload.slice_ref(inner.take(len.into())?));
    }
    let header = Header::read(&builder.build())?;
    if header.timestamp.is_none() {
        return Err(Error::NoTimestamp);
    }
    Ok((header, frame))
}

/// Takes apart a payload that has its timestamp in microseconds in front of the
/// frame, as moq-dev's "legacy" container has it.
pub fn split_timestamp(payload: &Bytes) -> Result<(Micros, Bytes), Error> {
    let mut rest = QuicReader(payload);
    let timestamp = Micros(rest.varint()?);
    Ok((timestamp, payload.slice_ref(rest.0)))
}

/// Reads with the integers of QUIC (RFC 9000, Section 16), which are not MoQ's.
struct QuicReader<'a>(&'a [u8]);

impl<'a> QuicReader<'a> {
    fn varint(&mut self) -> Result<u64, Error> {
        let first = *self.0.first().ok_or(Error::Truncated)?;
        let bytes = self.take(1 << (first >> 6))?;
        let head = u64::from(first & 0x3F);
        Ok(bytes[1..].iter().fold(head, |value, byte| value << 8 | u64::from(*byte)))
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8], Error> {
        let (taken, rest) = self.0.split_at_checked(len).ok_or(Error::Truncated)?;
        self.0 = rest;
        Ok(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let header = Header {
            timestamp: Some(Micros(1_790_000_000_333_000)),
            timescale: None,
            video_config: Some(Bytes::from_static(b"\x01\x42\xc0\x1f")),
            audio_config: None,
            marking: Some(FrameMarking { discardable: true, temporal_id: 5, ..FrameMarking::KEY }),
            level: Some(AudioLevel { below_max: 30, voice: true }),
        };
        assert_eq!(Header::read(&header.to_properties()), Ok(header));
        let nothing = Header::default();
        assert!(nothing.to_properties().is_empty());
        assert_eq!(Header::read(&Properties::NONE), Ok(nothing));
    }

    #[test]
    fn the_bytes_are_the_drafts() {
        let header = Header { marking: Some(FrameMarking::KEY), ..Header::at(Micros(5)) };
        assert_eq!(header.to_properties().as_wire()[..], [0x09, 1, 0xE0, 0x07, 5]);
    }

    #[test]
    fn ticks_become_microseconds() {
        let timescale = NonZeroU64::new(48_000);
        let object = Properties::builder().int(TIMESTAMP, 48_960).build();
        let header = Header::read_in(&object, timescale).unwrap();
        assert_eq!(header.timestamp, Some(Micros(1_020_000)));
        assert_eq!(header.to_properties().int(TIMESTAMP), Some(48_960));
        let own = Properties::builder().int(TIMESTAMP, 90).int(TIMESCALE, 90_000).build();
        assert_eq!(Header::read_in(&own, timescale).unwrap().timestamp, Some(Micros(1000)));
        for ticks_in in [0, 1, 47, 4_801, u64::from(u32::MAX)] {
            assert_eq!(ticks(micros(ticks_in, timescale), timescale), ticks_in);
        }
        let huge = Properties::builder().int(TIMESTAMP, u64::MAX).int(TIMESCALE, 1).build();
        assert_eq!(Header::read(&huge).unwrap().timestamp, Some(Micros(u64::MAX)));
    }

    #[test]
    fn earlier_drafts_are_read() {
        let draft_02 = Properties::builder().int(TIMESTAMP_02, 7).build();
        assert_eq!(Header::read(&draft_02).unwrap().timestamp, Some(Micros(7)));
        let draft_01 = Properties::builder().int(TIMESTAMP_01, 9).int(TIMESTAMP_02, 0x9E).build();
        assert_eq!(Header::read(&draft_01).unwrap().timestamp, Some(Micros(9)), "0x06 is its audio level");
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let stopped = Properties::builder().int(TIMESCALE, 0).build();
        assert_eq!(Header::read(&stopped), Err(Error::Timescale));
        for len in [0, 5] {
            let marking = Properties::builder().bytes(FRAME_MARKING, vec![0; len]).build();
            assert_eq!(Header::read(&marking), Err(Error::FrameMarking(len)));
        }
    }

    #[test]
    fn moq_devs_frames_come_apart() {
        let loc = Bytes::from_static(b"\x08\x08\x80\x00\xbb\x80\x08\x53\xc0frame");
        let (header, frame) = split_properties(&loc).unwrap();
        assert_eq!(header.timescale, NonZeroU64::new(48_000));
        assert_eq!(header.timestamp, Some(Micros(105_333)), "5056 ticks");
        assert_eq!(frame, "frame");
        let legacy = Bytes::from_static(b"\x80\x03\x0d\x40frame");
        assert_eq!(split_timestamp(&legacy), Ok((Micros(200_000), Bytes::from_static(b"frame"))));
    }

    #[test]
    fn moq_devs_frames_cut_short_are_refused() {
        let whole = Bytes::from_static(b"\x08\x08\x80\x00\xbb\x80\x08\x53\xc0");
        for cut in 0..whole.len() {
            assert_eq!(split_properties(&whole.slice(..cut)), Err(Error::Truncated), "cut to {cut}");
        }
        assert_eq!(split_properties(&Bytes::from_static(b"\x00frame")), Err(Error::NoTimestamp));
        let config_without_end = Bytes::from_static(b"\x03\x0d\x05\x01frame");
        assert_eq!(split_properties(&config_without_end), Err(Error::Truncated));
        assert_eq!(split_timestamp(&Bytes::from_static(b"\xc0\x01")), Err(Error::Truncated));
    }
}
