//! Codec parsers: parameter sets, configuration records, RFC 6381 names.

pub(crate) mod aac;
pub(crate) mod av1;
pub(crate) mod h264;
pub(crate) mod h265;
pub(crate) mod nal;
pub(crate) mod opus;
pub(crate) mod vp9;

/// Result of parsing a codec's bytes. The error is the reason alone; the demuxer adds the element and its
/// offset.
pub(crate) type Parsed<T> = std::result::Result<T, String>;
