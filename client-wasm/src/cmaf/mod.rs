//! CMAF: what initialisation segments and fragments of MP4 say (ISO/IEC 14496-12), as far as a player must know.
//!
//! [`tracks`] reads an initialisation segment, [`Track::frames`] an object: one or more pairs of moof and mdat. Written
//! by hand: the crate that `media` reads MP4 with makes structures of every box there is, which is more code than a
//! browser should load, and writes a decoder's configuration anew, where WebCodecs takes its bytes as they are.

mod codec;
mod fragment;
mod init;
mod reader;

pub use fragment::Frame;
pub use init::{Kind, Track, tracks};

/// Tracks in an initialisation segment, at most.
pub const MAX_TRACKS: usize = 32;
/// Samples in an object, at most: some minutes of sound.
pub const MAX_SAMPLES: usize = 4_096;

/// Not MP4, or not whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Less than it says it is.
    #[error("{0} ends too early")]
    Truncated(&'static str),
    /// Without something that it must have.
    #[error("there is no {0}")]
    Missing(&'static str),
    /// Something that cannot be.
    #[error("{0} that cannot be")]
    Malformed(&'static str),
    /// More than anybody needs.
    #[error("an object of more than {MAX_SAMPLES} samples")]
    TooManySamples,
    /// More than anybody needs.
    #[error("an initialisation segment of more than {MAX_TRACKS} tracks")]
    TooManyTracks,
}

#[cfg(test)]
mod tests;
