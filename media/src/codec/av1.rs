//! AV1: the codec name from av1C, and self-contained key frames.

use bytes::{Bytes, BytesMut};

use crate::codec::Parsed;

const SEQUENCE_HEADER: u8 = 1;
const TEMPORAL_DELIMITER: u8 = 2;

/// Values of av1C (AV1-ISOBMFF 2.3.3).
#[derive(Debug, Clone)]
pub(crate) struct Config {
    pub(crate) codec_string: String,
    header: Bytes,
}

impl Config {
    /// Parses the bytes of av1C, which Matroska stores as `CodecPrivate`.
    pub(crate) fn parse(av1c: &[u8]) -> Parsed<Self> {
        let [0x81, profile_level, flags, _, header @ ..] = av1c else {
            return Err("av1C of an unknown version".into());
        };
        let (profile, level) = (profile_level >> 5, profile_level & 0x1f);
        let tier = if flags & 0x80 == 0 { 'M' } else { 'H' };
        let depth = match (flags & 0x40 != 0, flags & 0x20 != 0) {
            (false, _) => 8,
            (true, false) => 10,
            (true, true) => 12,
        };
        Ok(Self {
            codec_string: format!("av01.{profile}.{level:02}{tier}.{depth:02}"),
            header: Bytes::copy_from_slice(header),
        })
    }

    /// Returns a temporal unit for WebCodecs: a key frame includes its sequence header.
    pub(crate) fn sample(&self, data: Bytes, keyframe: bool) -> Bytes {
        if !keyframe || self.header.is_empty() || starts_with_sequence_header(&data) {
            return data;
        }
        let mut whole = BytesMut::with_capacity(self.header.len() + data.len());
        whole.extend_from_slice(&self.header);
        whole.extend_from_slice(&data);
        whole.freeze()
    }
}

/// Skips a temporal delimiter, which has an empty payload.
fn starts_with_sequence_header(data: &[u8]) -> bool {
    let kind = |header: u8| header >> 3 & 0xf;
    match data {
        [first, _, second, ..] if kind(*first) == TEMPORAL_DELIMITER => kind(*second) == SEQUENCE_HEADER,
        [first, ..] => kind(*first) == SEQUENCE_HEADER,
        [] => false,
    }
}
