//! What each codec's own bytes say: parameter sets, configuration records, RFC 6381 names.

pub(crate) mod aac;
pub(crate) mod av1;
pub(crate) mod h264;
pub(crate) mod h265;
pub(crate) mod nal;
pub(crate) mod opus;
pub(crate) mod vp9;

/// Why a codec's bytes could not be understood; the demuxer adds what and where.
pub(crate) type Parsed<T> = std::result::Result<T, String>;
