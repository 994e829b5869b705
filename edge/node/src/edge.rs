//! The edge node: it serves fans and creators, follows an origin, and serves the pages for
//! browsers.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::{
    Extension, Json, Router,
    extract::{RawQuery, State, WebSocketUpgrade, ws::WebSocket},
    http::{StatusCode, header},
    middleware,
    response::{Html, IntoResponse, Response},
    routing::get,
};
use front::{Client, Places, Seat};
use moqt::{
    Version,
    session::{Config as SessionConfig, Side, Transport as Carrier},
};
use quic::{Clock, Connection, Endpoint, drive, websocket};
use relay::{Credentials, Dial, Figures, Guard, Platform, Relay, Service};
use room_runtime::{Rooms, Trust};
use tokio::sync::{mpsc, watch};
use tower_http::services::{ServeDir, ServeFile};
use url::Url;

use crate::{
    Error,
    config::{Config, Pages, RoomsConfig},
    headers::Rules,
    platform::{Thread, Upstream, WasmWorkers},
};

/// The most WebSockets that wait for the node's thread.
const MAX_WAITING: usize = 1024;
/// The time that sessions get to leave when the node is drained.
const DRAIN: Duration = Duration::from_secs(2);
/// The time that HTTP requests under way may take to finish.
const FLUSH: Duration = Duration::from_secs(1);

/// An edge node that listens.
pub struct Edge {
    config: Config,
    endpoint: Endpoint,
    http: std::net::TcpListener,
    admin: Option<std::net::TcpListener>,
    relay: Relay,
    rooms: Option<Rooms>,
    trust: Option<Rc<Trust>>,
}

/// A WebSocket that waits for the node's thread.
struct Waiting {
    websocket: WebSocket,
    version: Version,
    query: Option<String>,
    /// The connection's place, which the session keeps.
    seat: Seat,
    address: IpAddr,
}

/// The state that the HTTP handlers share with the node: they may run on another thread.
#[derive(Clone)]
struct Front {
    sockets: mpsc::Sender<Waiting>,
    port: u16,
    localhost: &'static str,
    fingerprints: watch::Receiver<Vec<String>>,
    draining: Arc<AtomicBool>,
    figures: Figures,
}

impl Edge {
    /// Binds the TCP and the UDP address.
    pub fn bind(config: Config) -> Result<Self, Error> {
        let http = listen(config.listen)?;
        let admin = config.tcp.admin.map(listen).transpose()?;
        // If the system chose the TCP port, UDP uses the same.
        let addr = http.local_addr().map_err(|source| Error::Listen { addr: config.listen, source })?;
        let endpoint = Endpoint::server(addr, config.tls.clone())?;
        let figures = Figures::new("fanfare_edge");
        let platform: Rc<dyn Platform> = Rc::new(Thread::default());
        let rooms = config.rooms.as_ref().map(|rooms| {
            let config = of_rooms(rooms);
            let RoomsConfig { engine, worker, fallback, .. } = rooms.clone();
            let workers = Rc::new(WasmWorkers::new(engine, worker, fallback));
            Rooms::new(Rc::clone(&platform), workers, config, &figures)
        });
        // Without an upstream, no room is private.
        let trusting = config.rooms.as_ref().filter(|_| config.origin.is_some());
        let trust = trusting.map(|rooms| Trust::new(Rc::clone(&platform), of_rooms(rooms)));
        if let (Some(rooms), Some(trust)) = (&rooms, &trust) {
            rooms.trust(Rc::clone(trust));
        }
        let services = rooms.iter().map(|rooms| Rc::new(rooms.clone()) as Rc<dyn Service>).collect();
        let guard = trust.clone().map(|trust| trust as Rc<dyn Guard>);
        let relay_config = relay::Config {
            services,
            guard,
            keys: config.rooms.as_ref().map(|rooms| rooms.keys.clone()),
            limits: config.limits,
            ..relay::Config::default()
        };
        let relay = Relay::new(platform, figures, relay_config);
        Ok(Self { config, endpoint, http, admin, relay, rooms, trust })
    }

    /// Returns the address that the node listens on.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.http.local_addr()
    }

    /// Returns the address of the admin side, if there is one.
    pub fn admin_addr(&self) -> Option<SocketAddr> {
        self.admin.as_ref().and_then(|admin| admin.local_addr().ok())
    }

    /// Returns the relay with the node's tracks and sessions.
    pub fn relay(&self) -> &Relay {
        &self.relay
    }

    /// Serves until `shutdown`, then sends GOAWAY to all clients, and ends. To be run
    /// in a [`LocalSet`](tokio::task::LocalSet).
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> Result<(), Error> {
        let Self { config, endpoint, http, admin, relay, rooms, trust } = self;
        let addr = config.listen;
        let failed = |source| Error::Listen { addr, source };
        let port = http.local_addr().map_err(failed)?.port();
        if let Some((url, tls)) = config.origin {
            let any = if config.listen.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
            let any = any.parse().map_err(|_| quic::Error::Tls)?;
            let upstream: Rc<dyn Dial> = Rc::new(Upstream::new(Endpoint::upstream(any, tls)?, url));
            if let Some(rooms) = rooms {
                let upstream = Rc::clone(&upstream);
                tokio::task::spawn_local(async move { rooms.follow(upstream).await });
            }
            tokio::task::spawn_local(follow(relay.clone(), trust, upstream));
        }
        let (sockets, mut waiting) = mpsc::channel(MAX_WAITING);
        let front = Front {
            sockets,
            port,
            localhost: loopback(addr),
            fingerprints: config.fingerprints,
            draining: Arc::default(),
            figures: relay.figures(),
        };
        let draining = Arc::clone(&front.draining);
        let (stop, stopped) = watch::channel(());
        let server = front::Config {
            tls: Some(config.tls),
            proxies: config.tcp.proxies,
            places: Places::new(config.tcp.connections),
        };
        if let Some(admin) = admin {
            let admin = tokio::net::TcpListener::from_std(admin).map_err(failed)?;
            let server = front::Config { places: Places::new(front::Limits::default()), ..server.clone() };
            let server = front::Server::new(server, admin_router(front.clone()));
            tokio::spawn(server.serve(admin, ended(stopped.clone())));
        }
        let http = tokio::net::TcpListener::from_std(http).map_err(failed)?;
        let server = front::Server::new(server, router(front, config.pages));
        let served = tokio::spawn(server.serve(http, ended(stopped)));
        let work = async {
            loop {
                tokio::select! {
                    incoming = endpoint.incoming() => {
                        let Some(incoming) = incoming else { return };
                        let (relay, address) = (relay.clone(), incoming.remote_address().ip());
                        tokio::task::spawn_local(async move {
                            match incoming.accept().await {
                                Ok(connection) => serve(&relay, connection, address).await,
                                Err(error) => tracing::debug!(%error, "a client did not get in"),
                            }
                        });
                    }
                    Some(socket) = waiting.recv() => {
                        tokio::task::spawn_local(serve_socket(relay.clone(), socket));
                    }
                }
            }
        };
        let housekeeping = Rc::new(relay.clone());
        tokio::select! {
            () = work => {}
            () = housekeeping.housekeep() => {}
            () = shutdown => {}
        }
        draining.store(true, Ordering::Relaxed);
        relay.drain(DRAIN);
        let _ = tokio::time::timeout(DRAIN, relay.emptied()).await;
        endpoint.close().await;
        drop(stop);
        let _ = tokio::time::timeout(FLUSH, served).await;
        Ok(())
    }
}

/// Returns what rooms have to know on every platform.
fn of_rooms(rooms: &RoomsConfig) -> room_runtime::RoomsConfig {
    let RoomsConfig { edge, incarnation, keys, .. } = rooms.clone();
    room_runtime::RoomsConfig { edge, incarnation, keys }
}

/// Follows the upstream: in the name of this edge, if the upstream tells it the private rooms.
async fn follow(relay: Relay, trust: Option<Rc<Trust>>, upstream: Rc<dyn Dial>) {
    let Some(trust) = trust else { return relay.follow(upstream).await };
    tokio::task::spawn_local(Rc::clone(&trust).follow(Rc::clone(&upstream)));
    let way = trust.dial(upstream);
    // The upstream may come to know this edge's key later. Private rooms need another session then.
    tokio::select! {
        () = relay.follow(Rc::clone(&way)) => {}
        () = trust.known_late() => {}
    }
    relay.follow(way).await;
}

/// Serves a client on a WebSocket until its session ends.
async fn serve_socket(relay: Relay, waiting: Waiting) {
    let Waiting { websocket, version, query, seat, address } = waiting;
    let mut session = relay.enter(Credentials::new(query, Vec::new()), Some(address));
    let config = SessionConfig::new(Side::Server, Carrier::WebTransport, version);
    let _ = websocket::drive(websocket, config, Clock::default(), &mut session).await;
    drop(seat);
}

/// Binds a TCP address.
fn listen(addr: SocketAddr) -> Result<std::net::TcpListener, Error> {
    std::net::TcpListener::bind(addr)
        .and_then(|listener| listener.set_nonblocking(true).map(|()| listener))
        .map_err(|source| Error::Listen { addr, source })
}

/// Waits until the node ends.
async fn ended(mut stopped: watch::Receiver<()>) {
    while stopped.changed().await.is_ok() {}
}

/// Serves a client until its session ends.
async fn serve(relay: &Relay, connection: Connection, address: IpAddr) {
    let query = connection.url.as_ref().and_then(Url::query).map(str::to_owned);
    let mut session = relay.enter(Credentials::new(query, Vec::new()), Some(address));
    let _ = drive(connection.transport, connection.config, Clock::default(), &mut session).await;
}

fn router(front: Front, pages: Option<Pages>) -> Router {
    let mut app = Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/api/edge", get(facts))
        .route("/moq", get(accept_websocket));
    app = match pages {
        Some(Pages { www, client }) => {
            app.nest_service("/client", ServeDir::new(client).precompressed_br()).fallback_service(
                ServeDir::new(&www).precompressed_br().fallback(ServeFile::new(www.join("watch.html"))),
            )
        }
        None => app.fallback(|| async { (StatusCode::NOT_FOUND, Html(NO_PAGES)) }),
    };
    let rules = Rules::of_pages();
    app.with_state(front).layer(middleware::from_fn(move |request, next| rules.clone().add(request, next)))
}

/// Routes what operators and their probes ask for.
fn admin_router(front: Front) -> Router {
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .with_state(front)
}

const NO_PAGES: &str = "<!doctype html><title>Fanfare</title><p>This edge node was started without pages.";

async fn ready(State(front): State<Front>) -> (StatusCode, &'static str) {
    if front.draining.load(Ordering::Relaxed) {
        (StatusCode::SERVICE_UNAVAILABLE, "draining\n")
    } else {
        (StatusCode::OK, "ready\n")
    }
}

async fn metrics(State(front): State<Front>) -> impl IntoResponse {
    const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, OPEN_METRICS)], front.figures.text())
}

/// Returns the loopback address of a node that listens on `listen`. Browsers try `localhost` at
/// `::1` first, and wait there if UDP gets no answer.
fn loopback(listen: SocketAddr) -> &'static str {
    match listen {
        SocketAddr::V4(_) => "127.0.0.1",
        SocketAddr::V6(_) => "[::1]",
    }
}

/// Returns the addresses of this node for browsers, by the host name that the request used.
async fn facts(
    State(front): State<Front>,
    Extension(client): Extension<Client>,
    headers: axum::http::HeaderMap,
) -> Json<serde_json::Value> {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or("localhost");
    let authority: Option<axum::http::uri::Authority> = host.parse().ok();
    let name = match authority.as_ref().map(axum::http::uri::Authority::host) {
        Some(name) if name != "localhost" => name,
        _ => front.localhost,
    };
    let port = front.port;
    // A page that came over TLS may open no other connections.
    let scheme = if client.is_secure { "wss" } else { "ws" };
    let fingerprints = front.fingerprints.borrow().clone();
    Json(serde_json::json!({
        "webtransport": format!("https://{name}:{port}/"),
        "websocket": format!("{scheme}://{host}/moq"),
        "fingerprints": fingerprints,
        "sessions": front.figures.sessions(),
    }))
}

async fn accept_websocket(
    State(front): State<Front>,
    Extension(client): Extension<Client>,
    RawQuery(query): RawQuery,
    upgrade: WebSocketUpgrade,
) -> Response {
    let (upgrade, version) = match websocket::negotiate(upgrade) {
        Ok(negotiated) => negotiated,
        Err(refusal) => return refusal.into_response(),
    };
    upgrade.on_upgrade(move |socket| async move {
        // A full queue means that the node is overloaded: the socket is closed.
        let seat = client.seat();
        let _ =
            front.sockets.try_send(Waiting { websocket: socket, version, query, seat, address: client.addr });
    })
}
