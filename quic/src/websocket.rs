//! Sessions on WebSockets: for browsers without a reliable WebTransport, and for Cloudflare, which has no QUIC.

use std::{
    future::{Future as _, poll_fn},
    io,
    net::IpAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

#[cfg(feature = "axum")]
use axum::extract::ws;
use bytes::Bytes;
use futures_util::{Sink, Stream};
use moqt::{
    App, Connected, Ended, Later, Micros, Misuse, Version, WebSocketSession, mux,
    session::{Config, Side, Transport},
};
use rustls::{ClientConfig, pki_types::ServerName};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpSocket, TcpStream},
    time::{Instant, Sleep},
};
use tokio_rustls::TlsConnector;
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{self, client::IntoClientRequest as _, http::HeaderValue},
};
use url::Url;

use crate::{Clock, Error, endpoint::shown};

/// The silence of a peer after which it is asked whether it is there.
const PING_EVERY: Micros = Micros::from_secs(15);
/// The silence after which a peer is gone: a phone that left its network says nothing.
const SILENCE: Micros = Micros::from_secs(40);

/// Bytes that a session reads at once, before it does what follows from them.
const READ: usize = 16 * 1024;
/// Bytes that a session may read in one turn. The other sessions of the thread have theirs before it reads on.
const TURN: usize = 64 * 1024;
/// The cost of a message beside its bytes, when they are counted for a turn.
const MESSAGE: usize = 256;
/// The time that a peer has to take the end of a session.
const CLOSE_FLUSH: Micros = Micros::from_secs(1);

/// A WebSocket message, in the type of some library.
pub trait Message {
    /// Creates a binary message of a session.
    fn binary(message: Bytes) -> Self;

    /// Creates a close frame with this code and reason.
    fn close(code: u16, reason: &str) -> Self;

    /// Creates a ping, which the peer's library answers.
    fn ping() -> Self;

    /// Returns the content of a received message.
    fn received(self) -> Received;
}

/// The content of a received message.
#[derive(Debug)]
pub enum Received {
    /// A binary message of a session.
    Binary(Bytes),
    /// A text message, which no session sends.
    Text,
    /// A close frame, with its reason if there is one.
    Close(String),
    /// A frame that the library handles itself, such as a ping.
    Nothing,
}

#[cfg(feature = "axum")]
impl Message for ws::Message {
    fn binary(message: Bytes) -> Self {
        Self::Binary(message)
    }

    fn close(code: u16, reason: &str) -> Self {
        Self::Close(Some(ws::CloseFrame { code, reason: reason.into() }))
    }

    fn ping() -> Self {
        Self::Ping(Bytes::new())
    }

    fn received(self) -> Received {
        match self {
            Self::Binary(message) => Received::Binary(message),
            Self::Text(_) => Received::Text,
            Self::Close(why) => Received::Close(why.map(|why| why.reason.to_string()).unwrap_or_default()),
            Self::Ping(_) | Self::Pong(_) => Received::Nothing,
        }
    }
}

impl Message for tungstenite::Message {
    fn binary(message: Bytes) -> Self {
        Self::Binary(message)
    }

    fn close(code: u16, reason: &str) -> Self {
        Self::Close(Some(tungstenite::protocol::CloseFrame { code: code.into(), reason: reason.into() }))
    }

    fn ping() -> Self {
        Self::Ping(Bytes::new())
    }

    fn received(self) -> Received {
        match self {
            Self::Binary(message) => Received::Binary(message),
            Self::Text(_) => Received::Text,
            Self::Close(why) => Received::Close(why.map(|why| why.reason.to_string()).unwrap_or_default()),
            Self::Ping(_) | Self::Pong(_) | Self::Frame(_) => Received::Nothing,
        }
    }
}

/// A TCP connection, with or without TLS.
trait Carrier: AsyncRead + AsyncWrite + Unpin {}

impl<T: AsyncRead + AsyncWrite + Unpin> Carrier for T {}

/// A WebSocket on which a session can begin.
pub(crate) struct Client {
    transport: WebSocketStream<Box<dyn Carrier>>,
    config: Config,
}

impl Client {
    /// Connects from an address to a `ws://…` URL, or with TLS to `wss://…`.
    pub(crate) async fn connect(from: IpAddr, url: &Url, tls: Option<ClientConfig>) -> Result<Self, Error> {
        let failed =
            |reason: &dyn std::fmt::Display| Error::Connect { to: shown(url), reason: reason.to_string() };
        let mut request = url.as_str().into_client_request().map_err(|error| failed(&error))?;
        let version = Version::Draft18;
        let offer = HeaderValue::from_static(mux::subprotocol(version));
        request.headers_mut().insert("sec-websocket-protocol", offer);
        let carrier = dial(from, url, tls).await.map_err(|error| failed(&error))?;
        let connected = tokio_tungstenite::client_async(request, carrier).await;
        let (transport, _) = connected.map_err(|error| failed(&error))?;
        Ok(Self { transport, config: Config::new(Side::Client, Transport::WebTransport, version) })
    }
}

async fn dial(from: IpAddr, url: &Url, tls: Option<ClientConfig>) -> io::Result<Box<dyn Carrier>> {
    let no_host = || io::Error::from(io::ErrorKind::InvalidInput);
    let name = url.host_str().ok_or_else(no_host)?.trim_matches(['[', ']']);
    let port = url.port_or_known_default().ok_or_else(no_host)?;
    let socket = connect(from, name, port).await?;
    socket.set_nodelay(true)?;
    if url.scheme() != "wss" {
        return Ok(Box::new(socket));
    }
    let mut tls = tls.ok_or_else(|| io::Error::other("no certificate is trusted here"))?;
    tls.alpn_protocols = vec![b"http/1.1".to_vec()];
    let name = ServerName::try_from(name.to_owned()).map_err(io::Error::other)?;
    Ok(Box::new(TlsConnector::from(Arc::new(tls)).connect(name, socket).await?))
}

/// Connects from an address, if one was chosen, to the first address of a host that takes the connection.
async fn connect(from: IpAddr, name: &str, port: u16) -> io::Result<TcpStream> {
    if from.is_unspecified() {
        return TcpStream::connect((name, port)).await;
    }
    let mut failure = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for addr in tokio::net::lookup_host((name, port)).await?.filter(|addr| addr.is_ipv4() == from.is_ipv4()) {
        let socket = if addr.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        socket.bind((from, 0).into())?;
        match socket.connect(addr).await {
            Ok(connected) => return Ok(connected),
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

impl Connected for Client {
    fn config(&mut self) -> &mut Config {
        &mut self.config
    }

    fn run(self: Box<Self>, mut app: &mut dyn App) -> Later<'_, Result<Ended, Misuse>> {
        Box::pin(async move { drive(self.transport, self.config, Clock::default(), &mut app).await })
    }
}

/// A running session: its WebSocket and its app.
struct Driver<'a, S, A> {
    transport: S,
    socket: WebSocketSession,
    app: &'a mut A,
    clock: Clock,
    sleep: Pin<Box<Sleep>>,
    /// The time at which something last came from the peer.
    heard: Micros,
    /// The time at which the peer was last asked whether it is there.
    pinged: Micros,
    /// The time at which the session ended and the close began to wait for the peer.
    ended: Option<Micros>,
    /// Set once the close frame has been written.
    closing: bool,
}

/// Runs a session on a WebSocket until it ends.
pub async fn drive<M: Message, E>(
    transport: impl Stream<Item = Result<M, E>> + Sink<M> + Unpin,
    config: Config,
    clock: Clock,
    app: &mut impl App,
) -> Result<Ended, Misuse> {
    let now = clock.now();
    let socket = WebSocketSession::new(now, config)?;
    let sleep = Box::pin(tokio::time::sleep_until(Instant::now()));
    let mut driver =
        Driver { transport, socket, app, clock, sleep, heard: now, pinged: now, ended: None, closing: false };
    Ok(poll_fn(|task| driver.poll(task)).await)
}

impl<M: Message, E, S: Stream<Item = Result<M, E>> + Sink<M> + Unpin, A: App> Driver<'_, S, A> {
    fn poll(&mut self, task: &mut Context<'_>) -> Poll<Ended> {
        let mut in_turn = 0;
        loop {
            let now = self.clock.now();
            let read = self.read(task, now);
            in_turn += read;
            let mut busy = read > 0;
            let is_gone = now >= self.heard + SILENCE;
            if is_gone {
                self.socket.closed(now, "nothing came from the peer, not even an answer to a ping");
            }
            busy |= self.socket.run(task, now, self.app);
            let open = self.write(task, now) && !is_gone;
            if let Some(ended) = self.socket.ended() {
                let since = *self.ended.get_or_insert(now);
                if !open || self.closing || now >= since + CLOSE_FLUSH {
                    return Poll::Ready(ended.clone());
                }
            }
            if in_turn >= TURN {
                task.waker().wake_by_ref();
                return Poll::Pending;
            }
            if !busy {
                break;
            }
        }
        let due = (self.heard.max(self.pinged) + PING_EVERY).min(self.heard + SILENCE);
        let due = self.ended.map_or(due, |since| since + CLOSE_FLUSH);
        let at = self.socket.timeout().map_or(due, |at| at.min(due));
        let at = self.clock.instant(at);
        if self.sleep.deadline() != at {
            self.sleep.as_mut().reset(at);
        }
        if self.sleep.as_mut().poll(task).is_ready() {
            task.waker().wake_by_ref();
        }
        Poll::Pending
    }

    /// Passes received messages to the session, while it has not ended. Returns their bytes, and a part more for each.
    fn read(&mut self, task: &mut Context<'_>, now: Micros) -> usize {
        let mut read = 0;
        while read < READ
            && self.socket.ended().is_none()
            && let Poll::Ready(message) = Pin::new(&mut self.transport).poll_next(task)
        {
            read += MESSAGE;
            self.heard = now;
            match message
                .and_then(Result::ok)
                .map_or_else(|| Received::Close(String::new()), Message::received)
            {
                Received::Binary(message) => {
                    read += message.len();
                    self.socket.received(now, message);
                }
                Received::Nothing => {}
                Received::Text => {
                    self.socket.violated("text on a session of binary frames");
                    break;
                }
                Received::Close(why) => {
                    self.socket.closed(now, &why);
                    break;
                }
            }
        }
        read
    }

    /// Writes as many messages as the socket takes. Returns whether it is still open.
    fn write(&mut self, task: &mut Context<'_>, now: Micros) -> bool {
        loop {
            match Pin::new(&mut self.transport).poll_ready(task) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(_)) => return false,
                Poll::Pending => break,
            }
            let message = match self.socket.pop(now) {
                Some(message) => M::binary(message),
                None if self.socket.ended().is_none() && now >= self.heard.max(self.pinged) + PING_EVERY => {
                    self.pinged = now;
                    M::ping()
                }
                None => match self.socket.ended() {
                    Some(ended) if !self.closing => {
                        self.closing = true;
                        M::close(ended.close_code(), ended.close_reason())
                    }
                    _ => break,
                },
            };
            if Pin::new(&mut self.transport).start_send(message).is_err() {
                return false;
            }
        }
        !matches!(Pin::new(&mut self.transport).poll_flush(task), Poll::Ready(Err(_)))
    }
}

/// Chooses a version from the subprotocols that a client offers. Refuses it with the names of those that it may offer.
#[cfg(feature = "axum")]
pub fn negotiate(
    upgrade: axum::extract::WebSocketUpgrade,
) -> Result<(axum::extract::WebSocketUpgrade, Version), (axum::http::StatusCode, String)> {
    let offered = Version::SUPPORTED.iter().map(|version| mux::subprotocol(*version));
    let upgrade = upgrade
        .protocols(offered)
        .read_buffer_size(READ)
        .max_message_size(mux::MAX_FRAME)
        .max_frame_size(mux::MAX_FRAME);
    let chosen = upgrade.selected_protocol().and_then(|name| name.to_str().ok()).and_then(mux::version);
    let Some(version) = chosen else {
        let names: Vec<_> = Version::SUPPORTED.iter().map(|version| mux::subprotocol(*version)).collect();
        let reason = format!("offer the subprotocol {}\n", names.join(" or "));
        return Err((axum::http::StatusCode::NOT_ACCEPTABLE, reason));
    };
    Ok((upgrade, version))
}
