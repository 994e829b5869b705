use bytes::Bytes;

use crate::Micros;

/// What goes into one MoQ object: an encoded frame, or with [`Packaging::Cmaf`](crate::Packaging) a whole fragment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    /// Index into the tracks of the demuxer or test card that made it.
    pub track: usize,
    /// When it is shown or heard, on the timeline that all tracks of one input share.
    pub pts: Micros,
    /// When it is decoded; never falls within a track.
    pub dts: Micros,
    /// How long it lasts: as the container says, else as its predecessor took, else zero.
    pub duration: Micros,
    /// Whether decoding can start here. Every audio frame can.
    pub keyframe: bool,
    /// How many frames `data` holds: one, or those of a CMAF fragment.
    pub frames: u32,
    /// The bytes: in the form that goes with the track's `description`, or moof and mdat.
    pub data: Bytes,
}
