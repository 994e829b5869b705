//! The origin's thread: its endpoint, its relay and its roots.

use std::{
    net::UdpSocket,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use moqt::{
    Namespace,
    session::{Config as SessionConfig, Side, Transport as Carrier},
};
use node::Thread;
use quic::{Clock, Connection, Endpoint, Transport, drive, websocket};
use relay::{Credentials, Figures, Platform, Relay, Service};
use room_runtime::{HubService, TrustService};
use tokio::sync::mpsc;
use url::Url;

use crate::{
    Config, Error,
    admission::RoomAdmission,
    front::{Call, EdgeSocket},
    metrics::RoomFigures,
    rooms::Rooms,
    roots::Roots,
};

/// The time in which closed connections may send what is left.
const FLUSH: Duration = Duration::from_secs(1);
/// The interval between two prunings of the archive.
const PRUNE_EVERY: Duration = Duration::from_hours(1);
/// The reason with which sessions are closed at the end.
const SHUTTING_DOWN: &str = "the origin is shutting down";

/// The state with which the origin's thread starts.
pub(crate) struct Serve {
    pub(crate) rooms: Arc<Rooms>,
    pub(crate) figures: Figures,
    pub(crate) room_figures: RoomFigures,
    pub(crate) socket: UdpSocket,
    pub(crate) tls: rustls::ServerConfig,
    pub(crate) calls: mpsc::Receiver<Call>,
    pub(crate) draining: Arc<AtomicBool>,
}

impl Serve {
    /// Serves until `shutdown`, then drains. Run it inside a [`LocalSet`](tokio::task::LocalSet).
    pub(crate) async fn run(self, shutdown: impl Future<Output = ()>) -> Result<(), Error> {
        let Self { rooms, figures, room_figures, socket, tls, mut calls, draining } = self;
        let config = rooms.config().clone();
        let endpoint = Endpoint::server_on(socket, tls)?;
        let platform: Rc<dyn Platform> = Rc::new(Thread::default());
        let roots = config
            .rooms
            .clone()
            .map(|config| Roots::new(Arc::clone(&rooms), config, Rc::clone(&platform), &figures));
        let services = services(&config, roots.clone(), &platform);
        let admission = RoomAdmission::new(Arc::clone(&rooms), roots.clone());
        let relay_config = relay::Config {
            services,
            admission: Some(Rc::new(admission)),
            keys: config.keys.clone(),
            cache: config.store.into(),
            linger: config.linger,
            limits: config.limits,
            ..relay::Config::default()
        };
        let relay = Relay::new(platform, figures.clone(), relay_config);
        if let Some(roots) = &roots {
            roots.attach(relay.clone());
            for room in roots.journalled().await? {
                rooms.add_journal(&room);
            }
        }

        let accept = async {
            while let Some(incoming) = endpoint.incoming().await {
                if figures.sessions() >= config.max_sessions as i64 {
                    incoming.refuse();
                    continue;
                }
                let (relay, figures) = (relay.clone(), room_figures.clone());
                tokio::task::spawn_local(serve_connection(relay, figures, incoming));
            }
        };
        let answer = async {
            while let Some(call) = calls.recv().await {
                match call {
                    Call::Socket(socket) => {
                        room_figures.accepted("websocket");
                        tokio::task::spawn_local(serve_socket(relay.clone(), socket));
                    }
                    Call::Forget(fan, done) => {
                        let roots = roots.clone();
                        tokio::task::spawn_local(async move {
                            let forgotten = match roots {
                                Some(roots) => roots.forget(fan).await,
                                None => Ok(()),
                            };
                            let _ = done.send(forgotten);
                        });
                    }
                }
            }
            std::future::pending::<()>().await;
        };
        let prune = async {
            match &roots {
                Some(roots) => roots.prune(PRUNE_EVERY).await,
                None => std::future::pending().await,
            }
        };
        let erase = async {
            match &roots {
                Some(roots) => roots.run_erasures().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = shutdown => {}
            () = accept => {}
            () = answer => {}
            () = keep_time(&rooms, &relay) => {}
            () = relay.housekeep() => {}
            () = prune => {}
            () = erase => {}
        }

        draining.store(true, Ordering::Relaxed);
        let refuse = async {
            while let Some(incoming) = endpoint.incoming().await {
                incoming.refuse();
            }
        };
        let drain = async {
            relay.drain(config.drain);
            if tokio::time::timeout(config.drain, relay.emptied()).await.is_err() {
                relay.close_all(SHUTTING_DOWN);
                let _ = tokio::time::timeout(FLUSH, relay.emptied()).await;
            }
        };
        tokio::select! { () = drain => {}, () = refuse => {} }
        let _ = tokio::time::timeout(FLUSH, endpoint.close()).await;
        Ok(())
    }
}

/// Returns the services for edges: what they have to know, and the links of the rooms.
fn services(config: &Config, roots: Option<Rc<Roots>>, platform: &Rc<dyn Platform>) -> Vec<Rc<dyn Service>> {
    let mut services: Vec<Rc<dyn Service>> = Vec::new();
    if let Some(keys) = config.keys.clone() {
        services.push(Rc::new(TrustService::new(keys, config.private.clone(), Rc::clone(platform))));
    }
    if let Some(roots) = roots {
        let hub = HubService::new(roots, config.keys.clone(), Rc::clone(platform));
        services.push(Rc::new(hub.private(config.private.clone())));
    }
    services
}

/// Ends rooms whose creators do not return.
async fn keep_time(rooms: &Rooms, relay: &Relay) {
    loop {
        let next = rooms.poll(|room| {
            if let Ok(namespace) = Namespace::from_path(room) {
                relay.release(&namespace);
            }
        });
        rooms.due(next).await;
    }
}

async fn serve_connection(relay: Relay, figures: RoomFigures, incoming: quic::Incoming) {
    let from = incoming.remote_address();
    let connection = match incoming.accept().await {
        Ok(connection) => connection,
        Err(error) => return tracing::info!(%from, %error, "not accepted"),
    };
    let Connection { transport, config, url } = connection;
    figures.accepted(match transport {
        Transport::Quic(_) => "quic",
        Transport::WebTransport(_) => "webtransport",
    });
    let query = url.as_ref().and_then(Url::query).map(str::to_owned);
    let mut session = relay.enter(Credentials::new(query, Vec::new()), Some(from.ip()));
    let ended = drive(transport, config, Clock::default(), &mut session).await;
    tracing::debug!(%from, ?ended, "session ended");
}

async fn serve_socket(relay: Relay, edge: Box<EdgeSocket>) {
    let EdgeSocket { socket, version, jwt, address, _seat } = *edge;
    let credentials = Credentials::new(None, vec![moqt::Token::value(jwt)]);
    let mut session = relay.enter(credentials, Some(address));
    let config = SessionConfig::new(Side::Server, Carrier::WebTransport, version);
    let _ = websocket::drive(socket, config, Clock::default(), &mut session).await;
}
