//! The configuration of an origin.

use std::{
    net::{Ipv6Addr, SocketAddr},
    time::Duration,
};

use quic::CertificateSource;
use relay::CacheLimits;
use room_runtime::RoomPatterns;

use crate::keep::{Keep, Retention};

/// The default listening address: all addresses, UDP and TCP port 4443.
pub const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V6(Ipv6Addr::UNSPECIFIED), 4443);
/// The default of [`Config::grace`].
pub const DEFAULT_GRACE: Duration = Duration::from_secs(15);
/// The default of [`Config::linger`].
pub const DEFAULT_LINGER: Duration = Duration::from_secs(5);
/// The default of [`Config::drain`].
pub const DEFAULT_DRAIN: Duration = Duration::from_secs(2);
/// The default of [`Config::max_sessions`].
pub const DEFAULT_MAX_SESSIONS: usize = 4096;

/// The default of [`Limits::track`], in bytes.
pub const DEFAULT_TRACK_BUDGET: u64 = 32 << 20;
/// The default of [`Limits::total`], in bytes.
pub const DEFAULT_TOTAL_BUDGET: u64 = 1 << 30;

/// Bounds on the memory for the newest groups of tracks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The most bytes kept of one track's groups.
    pub track: u64,
    /// The most bytes kept of all tracks together.
    pub total: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { track: DEFAULT_TRACK_BUDGET, total: DEFAULT_TOTAL_BUDGET }
    }
}

impl From<Limits> for CacheLimits {
    fn from(limits: Limits) -> Self {
        let bytes = |bytes| usize::try_from(bytes).unwrap_or(usize::MAX);
        Self { groups: usize::MAX, track_bytes: bytes(limits.track), total_bytes: bytes(limits.total) }
    }
}

/// The configuration of an origin's rooms.
#[derive(Clone, Debug)]
pub struct RoomsConfig {
    /// The file with their journals and archive.
    pub keep: Keep,
    /// The engine that runs the workers.
    pub engine: wasm_host::Engine,
    /// The worker of all rooms.
    pub worker: wasm_host::Version,
    /// The worker that takes over in a room where `worker` fails again and again.
    pub fallback: Option<wasm_host::Version>,
    /// The time for which the archive is kept.
    pub retention: Retention,
}

/// The configuration of an [`Origin`](crate::Origin).
#[derive(Clone, Debug)]
pub struct Config {
    /// The UDP address for raw QUIC and WebTransport; port 0 picks a free one.
    pub listen: SocketAddr,
    /// The TCP address for HTTP; by default the same address and port as `listen`.
    pub http: Option<SocketAddr>,
    /// The TCP side: admin address, proxies, limits.
    pub tcp: front::Options,
    /// The certificate that the origin presents.
    pub certificate: CertificateSource,
    /// The keys that verify tokens; without any, no token is valid.
    pub keys: Option<token::Keys>,
    /// Set if anyone may publish into any free room, without a token: for tests and interop.
    pub open_publish: bool,
    /// Rooms that need a token to be watched and taken part in.
    pub private: RoomPatterns,
    /// The time for which a room whose creator vanished is held for it.
    pub grace: Duration,
    /// The time for which a track keeps coming from its creator after the last subscriber left.
    pub linger: Duration,
    /// The time for which sessions go on after shutdown begins, while `/readyz` answers 503.
    pub drain: Duration,
    /// Bounds on the memory for the newest groups of tracks.
    pub store: Limits,
    /// The limits of what clients may have in use.
    pub limits: relay::Limits,
    /// The most sessions (creators, edges and players together) at once; more are refused at the handshake.
    pub max_sessions: usize,
    /// The rooms' chat and all other interaction; without it, there is media only.
    pub rooms: Option<RoomsConfig>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: DEFAULT_LISTEN,
            http: None,
            tcp: front::Options::default(),
            certificate: CertificateSource::default(),
            keys: None,
            open_publish: false,
            private: RoomPatterns::default(),
            grace: DEFAULT_GRACE,
            linger: DEFAULT_LINGER,
            drain: DEFAULT_DRAIN,
            store: Limits::default(),
            limits: relay::Limits::default(),
            max_sessions: DEFAULT_MAX_SESSIONS,
            rooms: None,
        }
    }
}

impl Config {
    /// Returns whether watching `room` needs a token.
    pub(crate) fn is_private(&self, room: &str) -> bool {
        self.private.cover(room)
    }
}
