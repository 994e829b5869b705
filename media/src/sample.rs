//! Samples: the payloads of MoQ objects.

use bytes::Bytes;

use crate::Micros;

/// Payload of one MoQ object: an encoded frame, or with [`Packaging::Cmaf`](crate::Packaging) a whole
/// fragment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    /// Index into the tracks of the demuxer or test card that made it.
    pub track: usize,
    /// Presentation time, on the timeline that all tracks of one input share.
    pub pts: Micros,
    /// Decoding time; never decreases within a track.
    pub dts: Micros,
    /// Duration: the container's, else the predecessor's, else zero.
    pub duration: Micros,
    /// True if decoding can start here. Every audio frame can.
    pub keyframe: bool,
    /// Number of frames in `data`: one, or those of a CMAF fragment.
    pub frames: u32,
    /// The bytes: in the format of the track's `description`, or moof and mdat.
    pub data: Bytes,
}
