//! Listening and connecting, over raw QUIC and WebTransport on one UDP port.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs as _},
    sync::Arc,
    time::Duration,
};

use moqt::{
    App, Connected, Ended, Later, Misuse, Version,
    message::Setup,
    session::{Config, Side, Transport as Carrier},
};
use quinn::{
    TransportConfig,
    crypto::rustls::{HandshakeData, QuicClientConfig, QuicServerConfig},
};
use rustls::{ClientConfig, ServerConfig};
use socket2::SockRef;
use url::Url;

use crate::{
    Clock, Transport, drive,
    incoming::{Handshakes, Incoming},
    websocket::Client,
};
use web_transport_quinn::{ALPN as H3, Session, proto::ConnectRequest};

/// The silence after which a peer counts as gone.
const IDLE: Duration = Duration::from_secs(10);
/// The interval of keep-alives on an idle connection.
const KEEP_ALIVE: Duration = Duration::from_secs(4);
/// The same two for connections to an upstream, shorter: many fans depend on each, and
/// there are not many of them.
const UPSTREAM_IDLE: Duration = Duration::from_secs(3);
const UPSTREAM_KEEP_ALIVE: Duration = Duration::from_secs(1);
/// The address of a socket that does not say it.
const UNKNOWN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);
/// Bytes that may wait to be read at a listening socket, if the system allows as many: a thousand fans answer at the
/// same moment, and packets that do not fit are lost.
const RECEIVE_BUFFER: usize = 8 << 20;
/// Requests that a server may have open to a client at once: each keeps its bidirectional stream for as long as it
/// lasts.
const MAX_REQUESTS: u32 = 4096;
/// Unidirectional streams that a server may have open to a client at once.
pub const MAX_STREAMS: u32 = 1024;
/// The same two of a client to a server, until it has proven to be more than a fan: a connection's memory is mostly
/// its streams', whether they are open or not.
const REQUESTS_OF_STRANGERS: u32 = 128;
const STREAMS_OF_STRANGERS: u32 = 32;
/// The round trip that a connection assumes before it has measured one. A first packet that is lost, because a server
/// is just starting for one, is sent again after three of these. RFC 9002 recommends 333 ms, a whole second of waiting.
const INITIAL_RTT: Duration = Duration::from_millis(100);
/// Bytes that a client may have in flight to a server over all its streams.
const RECEIVE_WINDOW: u32 = 32 << 20;
/// The port of a URL that names none (Section 3.1.1).
const DEFAULT_PORT: u16 = 443;

/// A failure to listen or to connect.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The UDP socket cannot be bound.
    #[error("cannot use UDP {addr}: {source}")]
    Bind {
        /// The address that was to be bound.
        addr: SocketAddr,
        /// The error of the operating system.
        source: io::Error,
    },
    /// The TLS configuration cannot be used for QUIC.
    #[error("the TLS configuration cannot be used for QUIC: it needs TLS 1.3 with AES-128-GCM")]
    Tls,
    /// The URL is not one of a MoQ server.
    #[error("{url} is no address of a MoQ server: give moqt://HOST:PORT or https://HOST:PORT/PATH")]
    Url {
        /// The URL, as it was given.
        url: String,
    },
    /// The name has no address.
    #[error("cannot find {host}: {source}")]
    Resolve {
        /// The name of the host.
        host: String,
        /// The error of the resolver.
        source: io::Error,
    },
    /// The connection could not be opened.
    #[error("cannot connect to {to}: {reason}")]
    Connect {
        /// The URL or address of the server.
        to: String,
        /// The reason, in one line.
        reason: String,
    },
    /// The two sides have no version in common.
    #[error("{peer} speaks no version of MoQ that we do (we speak {})", ours())]
    Version {
        /// The name or address of the peer.
        peer: String,
    },
}

fn ours() -> String {
    let names: Vec<_> = Version::SUPPORTED.iter().map(|version| version.protocol()).collect();
    names.join(", ")
}

/// A UDP socket that listens, connects, or both.
#[derive(Clone, Debug)]
pub struct Endpoint {
    quic: quinn::Endpoint,
    client: Option<ClientConfig>,
    transport: Arc<TransportConfig>,
    handshakes: Handshakes,
}

/// A connection on which a session can begin.
#[derive(Debug)]
pub struct Connection {
    /// The QUIC connection or WebTransport session.
    pub transport: Transport,
    /// The configuration of the session: side, transport, version and, for a client on
    /// raw QUIC, the path and authority of its URL.
    pub config: Config,
    /// The URL of a WebTransport client; that of a raw QUIC client is in its SETUP.
    pub url: Option<Url>,
}

impl Endpoint {
    /// Creates an endpoint that listens on `addr`. It fills in ALPN.
    pub fn server(addr: SocketAddr, tls: ServerConfig) -> Result<Self, Error> {
        let socket = std::net::UdpSocket::bind(addr).map_err(|source| Error::Bind { addr, source })?;
        Self::server_on(socket, tls)
    }

    /// Creates an endpoint that listens on a bound socket. It fills in ALPN.
    pub fn server_on(socket: std::net::UdpSocket, mut tls: ServerConfig) -> Result<Self, Error> {
        tls.alpn_protocols = protocols();
        let tls = QuicServerConfig::try_from(tls).map_err(|_| Error::Tls)?;
        let mut config = quinn::ServerConfig::with_crypto(Arc::new(tls));
        let transport = Arc::new(server_transport());
        config.transport_config(Arc::clone(&transport));
        if let Err(error) = SockRef::from(&socket).set_recv_buffer_size(RECEIVE_BUFFER) {
            tracing::debug!(%error, "the receive buffer stays as it is");
        }
        let addr = socket.local_addr().unwrap_or(UNKNOWN);
        let endpoint = quinn::EndpointConfig::default();
        let quic = quinn::Endpoint::new(endpoint, Some(config), socket, Arc::new(quinn::TokioRuntime))
            .map_err(|source| Error::Bind { addr, source })?;
        Ok(Self { quic, client: None, transport, handshakes: Handshakes::default() })
    }

    /// Creates an endpoint that only connects.
    pub fn client(addr: SocketAddr, tls: ClientConfig) -> Result<Self, Error> {
        let quic = quinn::Endpoint::client(addr).map_err(|source| Error::Bind { addr, source })?;
        let transport = transport_config(IDLE, KEEP_ALIVE);
        Ok(Self { quic, client: Some(tls), transport, handshakes: Handshakes::default() })
    }

    /// Creates an endpoint for connections to an upstream: it notices sooner that its peer
    /// is gone.
    pub fn upstream(addr: SocketAddr, tls: ClientConfig) -> Result<Self, Error> {
        let transport = transport_config(UPSTREAM_IDLE, UPSTREAM_KEEP_ALIVE);
        Ok(Self { transport, ..Self::client(addr, tls)? })
    }

    /// Returns the address of the UDP socket.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.quic.local_addr()
    }

    /// Closes all connections, and waits until the closes have been sent.
    pub async fn close(&self) {
        self.quic.close(0u32.into(), b"");
        self.quic.wait_idle().await;
    }

    /// Returns the next client, before its handshake; `None` once closed.
    pub async fn incoming(&self) -> Option<Incoming> {
        loop {
            self.handshakes.turn().await;
            let incoming = self.quic.accept().await?;
            if let Some(admitted) = self.handshakes.admit(incoming) {
                return Some(admitted);
            }
        }
    }

    /// Connects to `ws://…` or `wss://…` over a WebSocket, or as [`connect`](Self::connect) does.
    pub async fn dial(&self, url: &Url) -> Result<Box<dyn Connected>, Error> {
        Ok(match url.scheme() {
            "ws" | "wss" => {
                let local = self.local_addr().map_err(|source| Error::Bind { addr: UNKNOWN, source })?;
                Box::new(Client::connect(local.ip(), url, self.client.clone()).await?)
            }
            _ => Box::new(self.connect(url).await?),
        })
    }

    /// Connects to `moqt://…` over raw QUIC or to `https://…` over WebTransport.
    pub async fn connect(&self, url: &Url) -> Result<Connection, Error> {
        let wrong = || Error::Url { url: shown(url) };
        let carrier = match url.scheme() {
            "moqt" => Carrier::Quic,
            "https" => Carrier::WebTransport,
            _ => return Err(wrong()),
        };
        let host = url.host_str().ok_or_else(wrong)?;
        let name = host.trim_matches(['[', ']']);
        let port = url.port().unwrap_or(DEFAULT_PORT);
        let resolve = |source| Error::Resolve { host: host.to_owned(), source };
        let local = self.local_addr().map_err(resolve)?;
        let target = (name.to_owned(), port);
        let addrs = tokio::task::spawn_blocking(move || target.to_socket_addrs())
            .await
            .map_err(|error| resolve(io::Error::other(error)))?
            .map_err(resolve)?;
        let addr = addrs
            .into_iter()
            .find(|addr| addr.is_ipv4() == local.is_ipv4() || local.is_ipv6())
            .ok_or_else(|| resolve(io::Error::from(io::ErrorKind::AddrNotAvailable)))?;

        let failed =
            |reason: &dyn std::fmt::Display| Error::Connect { to: shown(url), reason: reason.to_string() };
        let mut tls = self.client.clone().ok_or(Error::Tls)?;
        tls.alpn_protocols = match carrier {
            Carrier::Quic => Version::SUPPORTED.iter().map(|v| v.protocol().into()).collect(),
            Carrier::WebTransport => vec![H3.into()],
        };
        let tls = QuicClientConfig::try_from(tls).map_err(|_| Error::Tls)?;
        let mut config = quinn::ClientConfig::new(Arc::new(tls));
        config.transport_config(Arc::clone(&self.transport));
        let connecting = self.quic.connect_with(config, addr, name).map_err(|error| failed(&error))?;
        let connection = connecting.await.map_err(|error| failed(&error))?;
        match carrier {
            Carrier::Quic => {
                let version = Version::from_protocol(&alpn(&connection))
                    .ok_or_else(|| Error::Version { peer: shown(url) })?;
                let mut config = Config::new(Side::Client, carrier, version);
                config.setup = setup(url, host);
                Ok(Connection { transport: Transport::Quic(connection), config, url: None })
            }
            Carrier::WebTransport => {
                let offer = Version::SUPPORTED.iter().map(|version| version.protocol().to_owned());
                let request = ConnectRequest::new(url.clone()).with_protocols(offer);
                let session = Session::connect(connection, request).await.map_err(|error| failed(&error))?;
                let chosen = session.response().and_then(|response| response.protocol.clone());
                let version = chosen
                    .and_then(|name| Version::from_protocol(name.as_bytes()))
                    .ok_or_else(|| Error::Version { peer: shown(url) })?;
                let config = Config::new(Side::Client, carrier, version);
                Ok(Connection { transport: Transport::WebTransport(Box::new(session)), config, url: None })
            }
        }
    }
}

impl Connected for Connection {
    fn config(&mut self) -> &mut Config {
        &mut self.config
    }

    fn run(self: Box<Self>, mut app: &mut dyn App) -> Later<'_, Result<Ended, Misuse>> {
        Box::pin(async move { drive(self.transport, self.config, Clock::default(), &mut app).await })
    }
}

/// Returns a URL as it may be shown: without its query, in which other people's clients have tokens.
pub(crate) fn shown(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    let _ = url.set_password(None);
    url.into()
}

/// Returns the SETUP of a client on raw QUIC, with the path and authority of its URL (Section 10.3.1).
fn setup(url: &Url, host: &str) -> Setup {
    let authority = match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    };
    // A URL of an unknown scheme may have no path at all, and a PATH begins with a slash.
    let path = if url.path().is_empty() { "/" } else { url.path() };
    let path = match url.query() {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    };
    Setup { path: Some(path.into()), authority: Some(authority.into()), ..Setup::default() }
}

/// Returns the ALPN protocols, raw MoQ before HTTP/3: a client that offers both gets raw MoQ, with less overhead.
fn protocols() -> Vec<Vec<u8>> {
    let moq = Version::SUPPORTED.iter().map(|version| version.protocol().as_bytes().to_vec());
    moq.chain([H3.as_bytes().to_vec()]).collect()
}

pub(crate) fn alpn(connection: &quinn::Connection) -> Vec<u8> {
    connection
        .handshake_data()
        .and_then(|data| data.downcast::<HandshakeData>().ok())
        .and_then(|data| data.protocol)
        .unwrap_or_default()
}

fn server_transport() -> TransportConfig {
    let mut config = base_transport(IDLE, KEEP_ALIVE);
    config
        .receive_window(RECEIVE_WINDOW.into())
        .max_concurrent_bidi_streams(REQUESTS_OF_STRANGERS.into())
        .max_concurrent_uni_streams(STREAMS_OF_STRANGERS.into());
    config
}

fn transport_config(idle: Duration, keep_alive: Duration) -> Arc<TransportConfig> {
    Arc::new(base_transport(idle, keep_alive))
}

fn base_transport(idle: Duration, keep_alive: Duration) -> TransportConfig {
    let mut config = TransportConfig::default();
    config
        .initial_rtt(INITIAL_RTT)
        .max_idle_timeout(quinn::IdleTimeout::try_from(idle).ok())
        .keep_alive_interval(Some(keep_alive))
        .max_concurrent_bidi_streams(MAX_REQUESTS.into())
        .max_concurrent_uni_streams(MAX_STREAMS.into());
    config
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn no_error_shows_a_token() {
        let tls = crate::Trust::Anyone.client_config().expect("a configuration");
        let endpoint = Endpoint::client(([127, 0, 0, 1], 0).into(), tls).expect("a socket");
        // Nothing listens there, the scheme is of no server, the host is none.
        for url in
            ["ws://127.0.0.1:1/moq?room=a&jwt=SECRET", "ftp://127.0.0.1:1/?jwt=SECRET", "moqt:?jwt=SECRET"]
        {
            let url: Url = url.parse().expect("a URL");
            let Err(error) = endpoint.dial(&url).await else { panic!("{url} answers") };
            assert!(!format!("{error} {error:?}").contains("SECRET"), "{error:?}");
        }
    }

    #[test]
    fn a_url_without_a_path_is_the_root() {
        for (url, path) in [
            ("moqt://localhost:4443", "/"),
            ("moqt://localhost:4443?jwt=a", "/?jwt=a"),
            ("moqt://localhost:4443/demo?jwt=a", "/demo?jwt=a"),
        ] {
            let url: Url = url.parse().expect("a URL");
            let setup = setup(&url, "localhost");
            assert_eq!(setup.path.as_deref(), Some(path.as_bytes()), "{url}");
        }
    }
}
