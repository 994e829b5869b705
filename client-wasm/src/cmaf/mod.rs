//! CMAF: initialisation segments and fragments of MP4 (ISO/IEC 14496-12), as far as a player must know them.
//!
//! [`tracks`] reads an initialisation segment, [`Track::frames`] an object: one or more pairs of moof and mdat. The
//! parser is written by hand: the crate that `media` reads MP4 with builds structures for every kind of box, which is
//! more code than a browser should load, and rewrites a decoder's configuration, while WebCodecs takes its bytes as
//! they are.

mod codec;
mod fragment;
mod init;
mod reader;

pub use fragment::Frame;
pub use init::{Kind, Track, tracks};

/// Largest number of tracks in an initialisation segment.
pub const MAX_TRACKS: usize = 32;
/// Largest number of samples in an object: some minutes of sound.
pub const MAX_SAMPLES: usize = 4_096;

/// A reason why bytes are not readable as CMAF.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The data ends before the length that it declares.
    #[error("{0} ends too early")]
    Truncated(&'static str),
    /// A required box is missing.
    #[error("missing {0}")]
    Missing(&'static str),
    /// A field has an impossible value.
    #[error("invalid CMAF: {0}")]
    Malformed(&'static str),
    /// An object has more samples than [`MAX_SAMPLES`].
    #[error("an object of more than {MAX_SAMPLES} samples")]
    TooManySamples,
    /// A segment has more tracks than [`MAX_TRACKS`].
    #[error("an initialisation segment of more than {MAX_TRACKS} tracks")]
    TooManyTracks,
}

#[cfg(test)]
mod tests;
