//! Serves a live test card: a creator and an edge in one thread.

use std::{
    cell::{Cell, RefCell},
    net::{Ipv4Addr, SocketAddr},
    rc::Rc,
    sync::Arc,
    task::{Context, Poll},
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context as _, Result, anyhow};
use axum::{
    Router,
    extract::{
        State, WebSocketUpgrade,
        ws::{Message, WebSocket},
    },
    routing::any,
};
use bytes::Bytes;
use media::{Groups, Kind, Micros as MediaMicros, TrackInfo, testcard};
use moqt::{App, Cx};
use moqt::{
    Event, Input, Location, Micros, Output, Properties, Session, SessionCode, Version, loc,
    msf::{self, Packaging, Role, Track},
    mux::{Mux, subprotocol},
    session::{Config, Side, Transport},
};
use quic::{Clock, Endpoint, drive};
use serde_json::{Value, json};
use tokio::{
    net::TcpListener,
    sync::{mpsc, watch},
    task::LocalSet,
};

use crate::viewer::{Object, Show, Viewer};

/// The room's name.
pub const ROOM: &str = "friday-night";
/// The certificate's validity: browsers accept a certificate by its fingerprint for 14 days, and this leaves one to
/// spare.
const CERTIFICATE_DAYS: i64 = 13;

/// A server with one room and a live test card in it, over WebTransport and a WebSocket. Dropping it ends it.
#[derive(Debug)]
pub struct TestCardServer {
    webtransport: SocketAddr,
    websocket: SocketAddr,
    fingerprint: String,
    orders: watch::Sender<Order>,
}

/// The format in which a creator publishes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// The format of our creator: MSF and LOC.
    Msf,
    /// The format of moq-dev's publishers: hang's catalog, and each frame behind its timestamp.
    Hang,
}

/// An order to all sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    Play,
    /// Break off the groups that are being sent. The number makes each order differ from the one before.
    BreakOff(u32),
    /// Close all sessions. The number is as in `BreakOff`.
    Restart(u32),
    /// End the subscriptions to all tracks.
    End,
}

/// One encoded frame, ready to publish.
struct Made {
    track: usize,
    at: Location,
    properties: Properties,
    payload: Bytes,
}

impl TestCardServer {
    /// Starts the server with a test card of this configuration.
    pub async fn open(config: testcard::Config) -> Result<Self> {
        Self::open_in(Dialect::Msf, config).await
    }

    /// Starts the server with a creator that publishes in `dialect`.
    pub async fn open_in(dialect: Dialect, config: testcard::Config) -> Result<Self> {
        let (certified, fingerprint) = certificate()?;
        let (orders, watching) = watch::channel(Order::Play);
        let (ready, opened) = tokio::sync::oneshot::channel();
        thread::Builder::new().name("test-card-server".into()).spawn(move || {
            let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
                return;
            };
            LocalSet::new().block_on(&runtime, async move {
                let opening = serve(dialect, config, certified, watching.clone()).await;
                let running = opening.is_ok();
                let _ = ready.send(opening);
                let mut watching = watching;
                // The sender is dropped with the server, which ends the loop.
                while running && watching.changed().await.is_ok() {}
            });
        })?;
        let (webtransport, websocket) =
            opened.await.context("the test card server stopped before it listened")??;
        Ok(Self { webtransport, websocket, fingerprint, orders })
    }

    /// The server's addresses, as `/api/edge` answers them.
    pub fn edge(&self) -> Value {
        json!({
            "webtransport": format!("https://127.0.0.1:{}/", self.webtransport.port()),
            "websocket": format!("ws://127.0.0.1:{}/", self.websocket.port()),
            "fingerprints": [self.fingerprint],
        })
    }

    /// Breaks off every viewer's groups in the middle.
    pub fn break_off(&self) {
        self.orders.send_modify(|order| *order = Order::BreakOff(order.number() + 1));
    }

    /// Closes every session, as a restart would.
    pub fn restart(&self) {
        self.orders.send_modify(|order| *order = Order::Restart(order.number() + 1));
    }

    /// Ends the show: all subscriptions end.
    pub fn end(&self) {
        self.orders.send_replace(Order::End);
    }
}

impl Order {
    fn number(self) -> u32 {
        match self {
            Self::BreakOff(number) | Self::Restart(number) => number,
            Self::Play | Self::End => 0,
        }
    }
}

fn certificate() -> Result<(rustls::ServerConfig, String)> {
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)?;
    let mut params = rcgen::CertificateParams::new(vec!["localhost".into(), "127.0.0.1".into()])?;
    let now = time::OffsetDateTime::now_utc();
    params.not_before = now - time::Duration::hours(1);
    params.not_after = now + time::Duration::days(CERTIFICATE_DAYS);
    let certificate = params.self_signed(&key)?;
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, certificate.der());
    let fingerprint = hex(digest.as_ref());
    let key =
        rustls::pki_types::PrivateKeyDer::try_from(key.serialize_der()).map_err(|error| anyhow!(error))?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let tls = rustls::ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)?;
    Ok((tls, fingerprint))
}

fn hex(bytes: &[u8]) -> String {
    let digit = |digit: u8| char::from_digit(digit.into(), 16).unwrap_or_default();
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// Starts the encoders and both listeners on this thread. Returns the addresses: WebTransport, then WebSocket.
async fn serve(
    dialect: Dialect,
    config: testcard::Config,
    tls: rustls::ServerConfig,
    orders: watch::Receiver<Order>,
) -> Result<(SocketAddr, SocketAddr)> {
    let show: Rc<RefCell<Show>> = Rc::default();
    let card = testcard::TestCard::new(config)?;
    let names = names(card.tracks());
    let (track, payload) = match dialect {
        Dialect::Msf => (msf::TRACK, catalog(card.tracks(), &names).encode()),
        Dialect::Hang => (msf::TRACK_HANG, hang(card.tracks(), &names)),
    };
    show.borrow_mut().publish(Object {
        track: track.into(),
        at: Location::default(),
        properties: Properties::NONE,
        payload,
    });
    let mut made = encode(dialect, card)?;
    let publishing = Rc::clone(&show);
    tokio::task::spawn_local(async move {
        while let Some(Made { track, at, properties, payload }) = made.recv().await {
            let track = Rc::clone(&names[track]);
            publishing.borrow_mut().publish(Object { track, at, properties, payload });
        }
    });

    let endpoint = Endpoint::server((Ipv4Addr::LOCALHOST, 0).into(), tls)?;
    let webtransport = endpoint.local_addr()?;
    let (serving, watching) = (Rc::clone(&show), orders.clone());
    tokio::task::spawn_local(async move {
        while let Some(incoming) = endpoint.incoming().await {
            let session = ViewerSession::new(Rc::clone(&serving), watching.clone());
            tokio::task::spawn_local(async move {
                let Ok(connection) = incoming.accept().await else { return };
                let mut session = session;
                let _ = drive(connection.transport, connection.config, Clock::default(), &mut session).await;
            });
        }
    });

    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let websocket = listener.local_addr()?;
    // The HTTP server runs its tasks on any thread; the channel brings the accepted sockets back to this one.
    let (accepted, mut sockets) = mpsc::unbounded_channel::<WebSocket>();
    let upgrade = async |State(accepted): State<mpsc::UnboundedSender<WebSocket>>,
                         upgrade: WebSocketUpgrade| {
        upgrade.protocols([subprotocol(Version::Draft18)]).on_upgrade(async move |socket| {
            let _ = accepted.send(socket);
        })
    };
    let app = Router::new().fallback(any(upgrade)).with_state(accepted);
    tokio::spawn(async move { axum::serve(listener, app).await });
    tokio::task::spawn_local(async move {
        while let Some(socket) = sockets.recv().await {
            let session = ViewerSession::new(Rc::clone(&show), orders.clone());
            tokio::task::spawn_local(session.over_websocket(socket));
        }
    });
    Ok((webtransport, websocket))
}

fn names(tracks: &[TrackInfo]) -> Vec<Rc<str>> {
    tracks
        .iter()
        .map(|track| match track.kind {
            Kind::Video { height, .. } => format!("video/{height}p").into(),
            _ => "audio".into(),
        })
        .collect()
}

fn catalog(tracks: &[TrackInfo], names: &[Rc<str>]) -> msf::Catalog {
    let describe = |(info, name): (&TrackInfo, &Rc<str>)| {
        let track = Track {
            name: name.to_string(),
            packaging: Packaging::Loc,
            is_live: true,
            render_group: Some(1),
            codec: Some(info.codec_string.clone()),
            bitrate: info.bitrate,
            init_data: info.description.clone(),
            ..Track::default()
        };
        match info.kind {
            Kind::Video { width, height, framerate, .. } => Track {
                role: Some(Role::Video),
                alt_group: Some(1),
                width: Some(width.into()),
                height: Some(height.into()),
                framerate,
                ..track
            },
            Kind::Audio { sample_rate, channels, .. } => Track {
                role: Some(Role::Audio),
                samplerate: Some(sample_rate.into()),
                channel_config: Some(channels.to_string()),
                ..track
            },
            _ => track,
        }
    };
    msf::Catalog { tracks: tracks.iter().zip(names).map(describe).collect(), ..msf::Catalog::default() }
}

/// The catalog in hang's format.
fn hang(tracks: &[TrackInfo], names: &[Rc<str>]) -> Bytes {
    let mut catalog = json!({ "video": { "renditions": {} }, "audio": { "renditions": {} } });
    for (info, name) in tracks.iter().zip(names) {
        let mut rendition = json!({ "codec": info.codec_string, "container": { "kind": "legacy" } });
        if let Some(description) = &info.description {
            rendition["description"] = hex(description).into();
        }
        let section = match info.kind {
            Kind::Video { width, height, .. } => {
                rendition["codedWidth"] = width.into();
                rendition["codedHeight"] = height.into();
                "video"
            }
            Kind::Audio { sample_rate, channels, .. } => {
                rendition["sampleRate"] = sample_rate.into();
                rendition["numberOfChannels"] = channels.into();
                "audio"
            }
            _ => continue,
        };
        catalog[section]["renditions"][&**name] = rendition;
    }
    catalog.to_string().into()
}

/// A frame behind its timestamp, in hang's legacy container. The timestamp is a QUIC integer of eight bytes.
fn legacy(pts: MediaMicros, frame: &[u8]) -> Bytes {
    const EIGHT_BYTES: u64 = 0b11 << 62;
    [&(pts.0 | EIGHT_BYTES).to_be_bytes(), frame].concat().into()
}

/// Runs the encoders on a thread of their own, in real time, until the receiver is dropped.
fn encode(dialect: Dialect, mut card: testcard::TestCard) -> Result<mpsc::UnboundedReceiver<Made>> {
    let (sender, receiver) = mpsc::unbounded_channel();
    let mut groups = Groups::new(card.tracks(), 0);
    thread::Builder::new().name("encoders".into()).spawn(move || {
        loop {
            let now = epoch();
            if card.handle(MediaMicros(now)).is_err() {
                return;
            }
            while let Some(sample) = card.poll() {
                let Some(position) = groups.position(&sample) else { continue };
                let (properties, payload) = match dialect {
                    Dialect::Msf => (loc::Header::at(Micros(sample.pts.0)).to_properties(), sample.data),
                    Dialect::Hang => (Properties::NONE, legacy(sample.pts, &sample.data)),
                };
                let at = Location::new(position.group, position.object);
                let made = Made { track: sample.track, at, properties, payload };
                if sender.send(made).is_err() {
                    return;
                }
            }
            let due = card.next_due().map_or(0, |due| due.0);
            // The test card sets the pace: its frames are due in real time.
            thread::sleep(Duration::from_micros(due.saturating_sub(epoch())));
        }
    })?;
    Ok(receiver)
}

fn epoch() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_micros() as u64)
}

/// One viewer's session, with the orders that it follows.
struct ViewerSession {
    viewer: Viewer,
    orders: watch::Receiver<Order>,
    done: Cell<Order>,
}

impl ViewerSession {
    fn new(show: Rc<RefCell<Show>>, mut orders: watch::Receiver<Order>) -> Self {
        let done = Cell::new(*orders.borrow_and_update());
        Self { viewer: Viewer::new(show), orders, done }
    }

    /// Forwards new objects and follows a new order. Returns whether the session goes on.
    fn act(&mut self, session: &mut Session, now: Micros) -> bool {
        let _ = self.viewer.forward(session, now);
        let order = *self.orders.borrow_and_update();
        if self.done.replace(order) == order {
            return true;
        }
        match order {
            Order::Play => {}
            Order::BreakOff(_) => drop(self.viewer.break_off(session)),
            Order::End => drop(self.viewer.end(session, now)),
            Order::Restart(_) => return false,
        }
        true
    }

    /// Runs the session on a WebSocket until it ends.
    async fn over_websocket(mut self, mut socket: WebSocket) {
        let clock = Clock::default();
        let config = Config::new(Side::Server, Transport::WebTransport, Version::Draft18);
        let Ok(mut session) = Session::new(clock.now(), config) else { return };
        let mut mux = Mux::new(Side::Server);
        loop {
            let now = clock.now();
            if !self.act(&mut session, now) {
                session.close(SessionCode::NO_ERROR, "restarting");
            }
            let mut frames = Vec::new();
            while let Some(output) = session.poll() {
                match output {
                    Output::Event(Event::Closed { .. }) => return,
                    Output::Event(event) => drop(self.viewer.event(&mut session, now, event)),
                    output => mux.send(&mut session, now, output, |frame| frames.push(frame)),
                }
            }
            for frame in frames {
                if socket.send(Message::Binary(frame.encode())).await.is_err() {
                    return;
                }
            }
            let inbox = Rc::clone(&self.viewer.inbox);
            let waiting = std::future::poll_fn(move |cx| {
                if !inbox.objects.borrow().is_empty() {
                    return Poll::Ready(());
                }
                inbox.waker.set(Some(cx.waker().clone()));
                Poll::Pending
            });
            tokio::select! {
                message = socket.recv() => match message {
                    Some(Ok(Message::Binary(message))) => {
                        if mux.received(&mut session, clock.now(), message).is_err() {
                            return;
                        }
                    }
                    Some(Ok(Message::Close(_)) | Err(_)) | None => return,
                    Some(Ok(_)) => {}
                },
                () = waiting => {}
                changed = self.orders.changed() => if changed.is_err() { return },
            }
            if session.timeout().is_some_and(|at| at <= clock.now()) {
                session.handle(clock.now(), Input::Timeout);
            }
        }
    }
}

impl App for ViewerSession {
    fn event(&mut self, cx: &mut Cx<'_>, event: Event) {
        // Ignore misuse: the viewer may have gone in the meantime, which is no error.
        let _ = self.viewer.event(cx.session, cx.now, event);
    }

    fn poll(&mut self, task: &mut Context<'_>, cx: &mut Cx<'_>) -> Poll<()> {
        self.viewer.inbox.waker.set(Some(task.waker().clone()));
        if !self.act(cx.session, cx.now) {
            return Poll::Ready(());
        }
        Poll::Pending
    }
}
