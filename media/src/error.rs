/// What can go wrong between an input and its samples.
///
/// Offsets count bytes from the start of the input.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The input could not be read.
    #[error("reading the input failed at byte {at}: {source}")]
    Io {
        /// Where.
        at: u64,
        /// Why.
        source: std::io::Error,
    },
    /// The input ends within something.
    #[error("the input ends at byte {at}, within {what}")]
    Truncated {
        /// Within what.
        what: String,
        /// Where the input ends.
        at: u64,
    },
    /// The input breaks the rules of its format.
    #[error("bad {what} at byte {at}: {why}")]
    Malformed {
        /// What is bad.
        what: String,
        /// Where it starts.
        at: u64,
        /// The rule it breaks.
        why: String,
    },
    /// Something is bigger than this crate is ready to hold.
    #[error("{what} at byte {at} has {size} bytes, more than the {limit} allowed")]
    TooLarge {
        /// What is too big.
        what: String,
        /// Where it starts.
        at: u64,
        /// How big it says it is.
        size: u64,
        /// How big it may be.
        limit: u64,
    },
    /// The input is none of the containers this crate knows.
    #[error(
        "not a container we know (it starts with {start:02x?}): send fragmented MP4, MPEG-TS, Matroska or WebM"
    )]
    UnknownContainer {
        /// The first bytes.
        start: Vec<u8>,
    },
    /// The input holds nothing that can be published.
    #[error("no track to publish: {why}")]
    NoTracks {
        /// What was found instead.
        why: String,
    },
    /// The input is in order, but not something this crate can do.
    #[error("{what} cannot be published; {instead}")]
    Unsupported {
        /// What is not supported.
        what: String,
        /// What to do instead.
        instead: &'static str,
    },
    /// The caller asked the test card for something impossible.
    #[error("the test card cannot do {what}: {why}")]
    Config {
        /// What was asked.
        what: String,
        /// Why it cannot be.
        why: &'static str,
    },
    /// An encoder of the test card gave up.
    #[error("the {codec} encoder failed: {why}")]
    Encoder {
        /// Which.
        codec: &'static str,
        /// What it said.
        why: String,
    },
}

/// A result with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;
