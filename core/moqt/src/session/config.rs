//! Configuration of a session.

use crate::{Micros, Version, message::Setup};

/// The end that opened the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// The one that connected.
    Client,
    /// The one that was connected to.
    Server,
}

/// Transport that a session runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    /// A QUIC connection of its own.
    Quic,
    /// A WebTransport session, or what stands in for one.
    WebTransport,
}

/// Settings of a session.
#[derive(Clone, Debug)]
pub struct Config {
    /// End of the transport that this session is.
    pub side: Side,
    /// Transport that the session runs on.
    pub transport: Transport,
    /// The version that was negotiated.
    pub version: Version,
    /// Contents of our SETUP. The size of the token cache is taken from [`Limits`], and the implementation's
    /// name is filled in if absent.
    pub setup: Setup,
    /// Resources that the peer may use.
    pub limits: Limits,
}

impl Config {
    /// A session of that end on that transport, with defaults.
    pub fn new(side: Side, transport: Transport, version: Version) -> Self {
        Self { side, transport, version, setup: Setup::default(), limits: Limits::default() }
    }
}

/// Resources that a peer may use.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Limits {
    /// Its open requests; more are refused with `EXCESSIVE_LOAD`.
    pub requests: usize,
    /// Bytes of its streams kept until it is known what they belong to; streams
    /// beyond are stopped.
    pub held_bytes: usize,
    /// Its datagrams kept until it is known what they belong to.
    pub held_datagrams: usize,
    /// Time for which they are kept.
    pub held_for: Micros,
    /// Bytes of tokens that it may register.
    pub token_cache: u64,
    /// Tokens in its SETUP. One that has more is closed: verifying each costs time.
    pub setup_tokens: usize,
    /// Its updates of one request that wait for an answer; one more breaks the request off.
    pub updates: usize,
    /// Time for which its subscription may wait for a publisher.
    pub rendezvous: Micros,
    /// Time within which its SETUP must arrive.
    pub setup: Micros,
    /// Time after PUBLISH_DONE in which its streams may still arrive.
    pub done_linger: Micros,
    /// Time in which data already on its way may still arrive after a control stream is gone.
    pub control_linger: Micros,
    /// Namespaces it may announce in answer to one request.
    pub namespaces: usize,
}

/// Open requests of a peer.
const DEFAULT_REQUESTS: usize = 8192;
/// Bytes of streams that belong to nothing yet.
const DEFAULT_HELD_BYTES: usize = 1 << 20;
/// Datagrams that belong to nothing yet.
const DEFAULT_HELD_DATAGRAMS: usize = 64;
/// Milliseconds for which they are kept.
const DEFAULT_HELD_FOR_MS: u64 = 2000;
/// Bytes of registered tokens.
const DEFAULT_TOKEN_CACHE: u64 = 16 * 1024;
/// Tokens in a SETUP: one from the URL's owner, and one of the user's.
const DEFAULT_SETUP_TOKENS: usize = 2;
/// Updates of a request that wait for an answer.
const DEFAULT_UPDATES: usize = 8;
/// Milliseconds of waiting for a publisher.
const DEFAULT_RENDEZVOUS_MS: u64 = 30_000;
/// Milliseconds of waiting for SETUP.
const DEFAULT_SETUP_MS: u64 = 10_000;
/// Milliseconds of waiting for late streams.
const DEFAULT_DONE_LINGER_MS: u64 = 2000;
/// Milliseconds of waiting for last words.
const DEFAULT_CONTROL_LINGER_MS: u64 = 1000;
/// Namespaces announced in answer to one request.
const DEFAULT_NAMESPACES: usize = 16 * 1024;

impl Default for Limits {
    fn default() -> Self {
        Self {
            requests: DEFAULT_REQUESTS,
            held_bytes: DEFAULT_HELD_BYTES,
            held_datagrams: DEFAULT_HELD_DATAGRAMS,
            held_for: Micros::from_millis(DEFAULT_HELD_FOR_MS),
            token_cache: DEFAULT_TOKEN_CACHE,
            setup_tokens: DEFAULT_SETUP_TOKENS,
            updates: DEFAULT_UPDATES,
            rendezvous: Micros::from_millis(DEFAULT_RENDEZVOUS_MS),
            setup: Micros::from_millis(DEFAULT_SETUP_MS),
            done_linger: Micros::from_millis(DEFAULT_DONE_LINGER_MS),
            control_linger: Micros::from_millis(DEFAULT_CONTROL_LINGER_MS),
            namespaces: DEFAULT_NAMESPACES,
        }
    }
}
