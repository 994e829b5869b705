//! The configuration of an origin.

use std::{
    net::{Ipv6Addr, SocketAddr},
    time::Duration,
};

use quic::CertificateSource;
use relay::CacheLimits;

use crate::keep::{Keep, Retention};

/// Where the origin listens unless told otherwise: all addresses, UDP and TCP port 4443.
pub const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V6(Ipv6Addr::UNSPECIFIED), 4443);
/// How long a room whose creator vanished is held for it.
pub const DEFAULT_GRACE: Duration = Duration::from_secs(15);
/// How long a track keeps coming from its creator after the last subscriber left.
pub const DEFAULT_LINGER: Duration = Duration::from_secs(5);
/// How long sessions go on after shutdown was asked for, while `/readyz` says 503.
pub const DEFAULT_DRAIN: Duration = Duration::from_secs(2);
/// Sessions (creators, edges and players together) served at once.
pub const DEFAULT_MAX_SESSIONS: usize = 4096;

/// Bytes of its newest groups kept of one track.
pub const DEFAULT_TRACK_BUDGET: u64 = 32 << 20;
/// Bytes kept of all tracks together.
pub const DEFAULT_TOTAL_BUDGET: u64 = 1 << 30;

/// Memory for the newest groups of the tracks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes kept of one track.
    pub track: u64,
    /// Bytes kept of all tracks together.
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
    /// The engine that runs workers.
    pub engine: wasm_host::Engine,
    /// The worker of all rooms.
    pub worker: wasm_host::Version,
    /// The worker that takes over in a room where the other fails again and again.
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
    /// The certificate to show.
    pub certificate: CertificateSource,
    /// The keys tokens are verified with; without any, no token is valid.
    pub keys: Option<token::Keys>,
    /// Let anyone publish into any free room, without a token. For tests and interop.
    pub open_publish: bool,
    /// Rooms that need a token to be watched; `*` matches any run of characters. A
    /// pattern that matches a room also covers the namespaces below it.
    pub private: Vec<String>,
    /// How long a room whose creator vanished is held for it.
    pub grace: Duration,
    /// How long a track keeps coming from its creator after the last subscriber left.
    pub linger: Duration,
    /// How long sessions go on after shutdown was asked for.
    pub drain: Duration,
    /// Memory for the newest groups of the tracks.
    pub store: Limits,
    /// Sessions served at once; more are refused at the handshake.
    pub max_sessions: usize,
    /// Chat and all the rest; without it, there is media only.
    pub rooms: Option<RoomsConfig>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: DEFAULT_LISTEN,
            http: None,
            certificate: CertificateSource::default(),
            keys: None,
            open_publish: false,
            private: Vec::new(),
            grace: DEFAULT_GRACE,
            linger: DEFAULT_LINGER,
            drain: DEFAULT_DRAIN,
            store: Limits::default(),
            max_sessions: DEFAULT_MAX_SESSIONS,
            rooms: None,
        }
    }
}

impl Config {
    /// Whether watching `room` needs a token.
    pub(crate) fn is_private(&self, room: &str) -> bool {
        let ends = room.match_indices('/').map(|(at, _)| at).chain([room.len()]);
        ends.into_iter().any(|end| {
            let ancestor = &room[..end];
            self.private.iter().any(|pattern| matches(pattern, ancestor))
        })
    }
}

/// Whether `text` matches `pattern`, in which `*` stands for any run of characters.
fn matches(pattern: &str, text: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else {
        return pattern == text;
    };
    let Some(mut text) = text.strip_prefix(head) else {
        return false;
    };
    let Some((middle, tail)) = rest.rsplit_once('*') else {
        return text.len() >= rest.len() && text.ends_with(rest);
    };
    for part in middle.split('*') {
        let Some(at) = text.find(part) else {
            return false;
        };
        text = &text[at + part.len()..];
    }
    text.len() >= tail.len() && text.ends_with(tail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_patterns_cover_what_is_below() {
        let config =
            Config { private: vec!["staff".into(), "vip-*".into(), "a*b*c".into()], ..Config::default() };
        for room in ["staff", "staff/cam", "vip-", "vip-1", "vip-1/x", "abc", "a--b--c"] {
            assert!(config.is_private(room), "{room}");
        }
        for room in ["staffroom", "vip", "demo", "ab", "ac", "acb"] {
            assert!(!config.is_private(room), "{room}");
        }
    }
}
