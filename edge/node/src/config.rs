//! The configuration of an edge node.

use std::{net::SocketAddr, path::PathBuf};

use tokio::sync::watch;
use url::Url;
use wire::EdgeId;

/// The configuration of an edge node.
#[derive(Clone, Debug)]
pub struct Config {
    /// The address to listen on: UDP for QUIC, TCP for pages and WebSockets.
    pub listen: SocketAddr,
    /// The TCP side: admin address, proxies, limits.
    pub tcp: front::Options,
    /// The TLS configuration for clients on QUIC and TCP.
    pub tls: rustls::ServerConfig,
    /// The SHA-256 of the current certificate, if browsers are to trust it by its fingerprint.
    pub fingerprints: watch::Receiver<Vec<String>>,
    /// The origin or edge that it follows.
    pub origin: Option<(Url, rustls::ClientConfig)>,
    /// The pages; without them, only the API is served.
    pub pages: Option<Pages>,
    /// The limits of what clients may have in use.
    pub limits: relay::Limits,
    /// The rooms; without them, fans can only watch.
    pub rooms: Option<RoomsConfig>,
}

/// The configuration of a node's rooms.
#[derive(Clone, Debug)]
pub struct RoomsConfig {
    /// The number of this edge: the same after a restart.
    pub edge: EdgeId,
    /// The incarnation of this node's first leaf: higher than those of its earlier lives.
    pub incarnation: u64,
    /// The keys that verify fans' tokens and sign those of anonymous fans.
    pub keys: token::Keys,
    /// The engine that runs workers.
    pub engine: wasm_host::Engine,
    /// The worker of all rooms.
    pub worker: wasm_host::Version,
    /// The worker that takes over in a room where the other fails again and again.
    pub fallback: Option<wasm_host::Version>,
}

/// The folders of the pages.
#[derive(Clone, Debug)]
pub struct Pages {
    /// The folder with `watch.html` and what it loads.
    pub www: PathBuf,
    /// The folder with the browser client.
    pub client: PathBuf,
}
