//! Errors between an input and its samples.

/// Error of reading, parsing or encoding media.
///
/// Offsets count bytes from the start of the input.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The input could not be read.
    #[error("reading the input failed at byte {at}: {source}")]
    Io {
        /// Offset of the failed read.
        at: u64,
        /// The operating system's error.
        source: std::io::Error,
    },
    /// The input ends within an element.
    #[error("the input ends at byte {at}, within {what}")]
    Truncated {
        /// The incomplete element.
        what: String,
        /// Offset of the input's end.
        at: u64,
    },
    /// The input breaks the rules of its format.
    #[error("bad {what} at byte {at}: {why}")]
    Malformed {
        /// The invalid element.
        what: String,
        /// Offset of its start.
        at: u64,
        /// The rule it breaks.
        why: String,
    },
    /// An element is larger than this crate accepts.
    #[error("{what} at byte {at} has {size} bytes, more than the {limit} allowed")]
    TooLarge {
        /// The element.
        what: String,
        /// Offset of its start.
        at: u64,
        /// Bytes that it claims.
        size: u64,
        /// Bytes allowed.
        limit: u64,
    },
    /// The input is none of the containers this crate knows.
    #[error(
        "not a container we know (it starts with {start:02x?}): send fragmented MP4, MPEG-TS, Matroska or WebM"
    )]
    UnknownContainer {
        /// First bytes of the input.
        start: Vec<u8>,
    },
    /// The input has no track that can be published.
    #[error("no track to publish: {why}")]
    NoTracks {
        /// The reason, for instance the tracks found instead.
        why: String,
    },
    /// The input is valid, but uses a feature that this crate does not support.
    #[error("{what} cannot be published; {instead}")]
    Unsupported {
        /// The unsupported feature.
        what: String,
        /// The remedy.
        instead: &'static str,
    },
    /// The caller configured the test card with impossible values.
    #[error("the test card cannot do {what}: {why}")]
    Config {
        /// The impossible value.
        what: String,
        /// The limit that it breaks.
        why: &'static str,
    },
    /// An encoder of the test card failed.
    #[error("the {codec} encoder failed: {why}")]
    Encoder {
        /// Name of the codec.
        codec: &'static str,
        /// The encoder's message.
        why: String,
    },
}

/// A result with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;
