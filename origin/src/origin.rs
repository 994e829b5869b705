use std::{
    io,
    net::{SocketAddr, TcpListener, UdpSocket},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime},
};

use quic::Certificate;
use tokio::{
    sync::{Semaphore, oneshot, watch},
    task::JoinSet,
};

use crate::{
    Config, Error, endpoint, http,
    metrics::Figures,
    registry::{Registry, RoomView},
    room::{Rooms, SessionKey},
    root::Roots,
    session,
    store::Store,
};

/// The time a peer has to complete the QUIC and HTTP/3 handshakes.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long closed connections and open HTTP requests may take to finish.
const FLUSH: Duration = Duration::from_secs(1);
/// Tries to find a port that is free for both UDP and TCP.
const PORT_TRIES: usize = 16;
/// SUBSCRIBEs held at once for a publisher to come.
const MAX_HELD: usize = 4096;

/// What sessions and HTTP share.
pub(crate) struct Shared {
    pub(crate) config: Config,
    pub(crate) certificate: Arc<Certificate>,
    pub(crate) registry: Arc<Registry>,
    pub(crate) roots: Option<Arc<Roots>>,
    pub(crate) metrics: Figures,
    /// SUBSCRIBEs that may still be held.
    pub(crate) held: Semaphore,
    draining: AtomicBool,
}

impl Shared {
    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }
}

/// An origin that is bound to its addresses and ready to [`run`](Self::run).
pub struct Origin {
    shared: Arc<Shared>,
    quic: quinn::Endpoint,
    http: tokio::net::TcpListener,
    addr: SocketAddr,
    http_addr: SocketAddr,
}

impl Origin {
    /// Loads the certificate and takes the addresses. Must be called within a tokio
    /// runtime; nothing is served before [`run`](Self::run).
    pub fn bind(config: Config) -> Result<Self, Error> {
        let certificate = Certificate::load(config.certificate.clone(), SystemTime::now())?;
        let (udp, tcp) = listen(config.listen, config.http)?;
        let unheard = |protocol, addr| {
            move |source| Error::Listen { protocol, addr, source, hint: "check the address" }
        };
        let addr = udp.local_addr().map_err(unheard("udp", config.listen))?;
        let http_addr = tcp.local_addr().map_err(unheard("tcp", addr))?;
        let quic = endpoint::bind(udp, &certificate)?;
        let http = tokio::net::TcpListener::from_std(tcp).map_err(unheard("tcp", http_addr))?;
        let store = Store::new(config.store);
        let registry = Registry::new(Rooms::new(config.grace), store);
        let metrics = Figures::new();
        let roots = |rooms| Roots::new(rooms, Arc::clone(&registry), metrics.workers());
        let shared = Shared {
            roots: config.rooms.clone().map(roots),
            registry,
            metrics,
            held: Semaphore::new(MAX_HELD),
            draining: AtomicBool::new(false),
            certificate,
            config,
        };
        Ok(Self { shared: Arc::new(shared), quic, http, addr, http_addr })
    }

    /// The UDP address of raw QUIC and WebTransport.
    pub fn local_addr(&self) -> SocketAddr {
        self.addr
    }

    /// The TCP address of HTTP.
    pub fn http_addr(&self) -> SocketAddr {
        self.http_addr
    }

    /// A way to look into the origin while it runs.
    pub fn handle(&self) -> Handle {
        Handle { shared: Arc::clone(&self.shared) }
    }

    /// Serves until `shutdown` resolves, then drains: `/readyz` says 503 and no session
    /// is accepted any more; those there are may go on for the time of
    /// [`Config::drain`] and are then closed.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> Result<(), Error> {
        let Self { shared, quic, http, .. } = self;
        let (stop_http, http_stopped) = oneshot::channel::<()>();
        let app = http::router(Arc::clone(&shared));
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            let stopped = async {
                let _ = http_stopped.await;
            };
            if let Err(err) = axum::serve(http, app).with_graceful_shutdown(stopped).await {
                tracing::error!(%err, "HTTP ended");
            }
        });
        let mut upkeep = JoinSet::new();
        let registry = Arc::clone(&shared.registry);
        upkeep.spawn(async move { registry.keep_time().await });
        upkeep.spawn(Arc::clone(&shared.certificate).keep_renewed());
        if let Some(roots) = shared.roots.clone() {
            upkeep.spawn(async move { roots.keep_time().await });
        }

        let mut sessions = JoinSet::new();
        tokio::select! {
            () = shutdown => {}
            () = accept(&shared, &quic, &mut sessions) => {}
        }

        shared.draining.store(true, Ordering::Relaxed);
        let refuse = async {
            while let Some(incoming) = quic.accept().await {
                incoming.refuse();
            }
        };
        tokio::select! { () = drain(&shared, sessions) => {}, () = refuse => {} }
        quic.close(0u32.into(), b"the origin is shutting down");
        let _ = tokio::time::timeout(FLUSH, quic.wait_idle()).await;
        let _ = stop_http.send(());
        let _ = tokio::time::timeout(FLUSH, serving.join_next()).await;
        Ok(())
    }
}

async fn accept(shared: &Arc<Shared>, quic: &quinn::Endpoint, sessions: &mut JoinSet<()>) {
    let mut serial = 0;
    loop {
        let incoming = tokio::select! {
            incoming = quic.accept() => incoming,
            Some(ended) = sessions.join_next() => {
                if let Err(err) = ended {
                    tracing::error!(%err, "a session failed");
                }
                continue;
            }
        };
        let Some(incoming) = incoming else {
            return;
        };
        if sessions.len() >= shared.config.max_sessions {
            incoming.refuse();
            continue;
        }
        serial += 1;
        let (shared, key) = (Arc::clone(shared), SessionKey(serial));
        sessions.spawn(async move {
            let from = incoming.remote_address();
            let accepted = match tokio::time::timeout(HANDSHAKE_TIMEOUT, endpoint::accept(incoming)).await {
                Ok(Ok(accepted)) => accepted,
                Ok(Err(err)) => return tracing::info!(%from, %err, "not accepted"),
                Err(_) => return tracing::info!(%from, "handshake took too long"),
            };
            match session::serve(shared, accepted, key).await {
                Ok(()) => tracing::debug!(session = key.0, %from, "session ended"),
                Err(err) => tracing::info!(session = key.0, %from, %err, "session ended"),
            }
        });
    }
}

/// Lets sessions go on for a while, then closes them.
async fn drain(shared: &Shared, mut sessions: JoinSet<()>) {
    let left = async { while sessions.join_next().await.is_some() {} };
    if tokio::time::timeout(shared.config.drain, left).await.is_ok() {
        return;
    }
    for session in shared.registry.sessions() {
        session.close(0, "the origin is shutting down");
    }
    let left = async { while sessions.join_next().await.is_some() {} };
    let _ = tokio::time::timeout(FLUSH, left).await;
    sessions.shutdown().await;
}

/// Takes the UDP and the TCP address; with port 0, one port that is free for both.
fn listen(addr: SocketAddr, http: Option<SocketAddr>) -> Result<(UdpSocket, TcpListener), Error> {
    let failed = |protocol, addr| {
        move |source: io::Error| {
            let hint = match source.kind() {
                io::ErrorKind::AddrInUse => "stop what uses the port, or choose another",
                io::ErrorKind::PermissionDenied => "choose a port above 1023",
                _ => "choose an address of this machine",
            };
            Error::Listen { protocol, addr, source, hint }
        }
    };
    let mut tries = if addr.port() == 0 && http.is_none() { PORT_TRIES } else { 1 };
    loop {
        tries -= 1;
        let udp = UdpSocket::bind(addr).map_err(failed("udp", addr))?;
        let same = udp.local_addr().map_err(failed("udp", addr))?;
        let http = http.unwrap_or(same);
        match TcpListener::bind(http) {
            Ok(tcp) => {
                tcp.set_nonblocking(true).map_err(failed("tcp", http))?;
                return Ok((udp, tcp));
            }
            Err(err) if err.kind() == io::ErrorKind::AddrInUse && tries > 0 => {}
            Err(err) => return Err(failed("tcp", http)(err)),
        }
    }
}

/// A look into a running origin.
#[derive(Clone)]
pub struct Handle {
    shared: Arc<Shared>,
}

impl std::fmt::Debug for Handle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Handle").finish_non_exhaustive()
    }
}

impl Handle {
    /// All rooms, by name, private ones included.
    pub fn rooms(&self) -> Vec<RoomView> {
        self.shared.registry.rooms()
    }

    /// One room.
    pub fn room(&self, name: &str) -> Option<RoomView> {
        self.shared.registry.room(name)
    }

    /// A receiver that wakes at every change of rooms, tracks and viewers.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.shared.registry.changes()
    }

    /// The hex SHA-256 of the certificate, if it is self-signed.
    pub fn fingerprint(&self) -> Option<String> {
        self.shared.certificate.fingerprint()
    }

    /// The certificate that is shown; it is renewed while the origin runs.
    pub fn certificate(&self) -> Arc<Certificate> {
        Arc::clone(&self.shared.certificate)
    }

    /// Bytes of groups kept for FETCH.
    pub fn kept_bytes(&self) -> u64 {
        self.shared.registry.store().bytes()
    }
}
