//! The origin's life: bind, run, drain, end.

use std::{
    net::{SocketAddr, TcpListener, UdpSocket},
    sync::{Arc, atomic::AtomicBool},
    time::{Duration, SystemTime},
};

use quic::Certificate;
use relay::Figures;
use tokio::{
    sync::{mpsc, oneshot, watch},
    task::{JoinSet, LocalSet},
};

use crate::{
    Config, Error, RoomView,
    front::{Call, Front},
    http,
    listen::listen,
    metrics::RoomFigures,
    rooms::Rooms,
    serve::Serve,
};

/// The time that open HTTP requests may take to finish.
const FLUSH: Duration = Duration::from_secs(1);
/// The most calls from other threads that may wait.
const MAX_CALLS: usize = 64;

/// An origin that is bound to its addresses and ready to [`run`](Self::run).
pub struct Origin {
    front: Arc<Front>,
    calls: mpsc::Receiver<Call>,
    room_figures: RoomFigures,
    udp: UdpSocket,
    tls: rustls::ServerConfig,
    http: TcpListener,
    addr: SocketAddr,
    http_addr: SocketAddr,
}

impl Origin {
    /// Loads the certificate and binds the addresses. Nothing is served before [`run`](Self::run).
    pub fn bind(config: Config) -> Result<Self, Error> {
        let certificate = Certificate::load(config.certificate.clone(), SystemTime::now())?;
        let (udp, http) = listen(config.listen, config.http)?;
        let failed = |protocol, addr| {
            move |source| Error::Listen { protocol, addr, source, hint: "check the address" }
        };
        let addr = udp.local_addr().map_err(failed("udp", config.listen))?;
        let http_addr = http.local_addr().map_err(failed("tcp", addr))?;
        let tls = certificate.server_config(&[])?;
        let figures = Figures::new("fanfare_origin");
        let room_figures = RoomFigures::new(&figures);
        let (sender, calls) = mpsc::channel(MAX_CALLS);
        let front = Front {
            rooms: Rooms::new(config),
            certificate,
            figures,
            room_figures: room_figures.clone(),
            calls: sender,
            draining: Arc::new(AtomicBool::new(false)),
        };
        Ok(Self { front: Arc::new(front), calls, room_figures, udp, tls, http, addr, http_addr })
    }

    /// The UDP address of raw QUIC and WebTransport.
    pub fn local_addr(&self) -> SocketAddr {
        self.addr
    }

    /// The TCP address of the HTTP API.
    pub fn http_addr(&self) -> SocketAddr {
        self.http_addr
    }

    /// Returns a handle that reads the origin's state while it runs.
    pub fn handle(&self) -> Handle {
        Handle { front: Arc::clone(&self.front) }
    }

    /// Serves until `shutdown` resolves, then drains: `/readyz` answers 503, new sessions are refused, and open ones
    /// receive GOAWAY. They may go on for the time of [`Config::drain`] and are then closed.
    ///
    /// Sessions are served on a thread of their own, HTTP on the caller's runtime.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> Result<(), Error> {
        let Self { front, calls, room_figures, udp, tls, http, addr, .. } = self;
        let failed = |source| Error::Listen { protocol: "tcp", addr, source, hint: "check the address" };
        let http = tokio::net::TcpListener::from_std(http).map_err(failed)?;
        let (stop_http, http_stopped) = oneshot::channel::<()>();
        let app = http::router(Arc::clone(&front)).into_make_service_with_connect_info::<SocketAddr>();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let stopped = async { drop(http_stopped.await) };
            if let Err(error) = axum::serve(http, app).with_graceful_shutdown(stopped).await {
                tracing::error!(%error, "HTTP ended");
            }
        });
        let mut upkeep = JoinSet::new();
        upkeep.spawn(Arc::clone(&front.certificate).keep_renewed());

        let serve = Serve {
            rooms: Arc::clone(&front.rooms),
            figures: front.figures.clone(),
            room_figures,
            socket: udp,
            tls,
            calls,
            draining: Arc::clone(&front.draining),
        };
        let (stop, stopped) = oneshot::channel::<()>();
        let (ended, mut has_ended) = oneshot::channel();
        let thread = std::thread::Builder::new().name("origin".into()).spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let served = runtime.map_err(|_| Error::Thread).and_then(|runtime| {
                LocalSet::new().block_on(&runtime, async {
                    let (drain, drained) = oneshot::channel();
                    // A dropped caller sends no order to drain: the origin then ends in the middle of its work.
                    let gone = async {
                        if stopped.await.is_ok() {
                            let _ = drain.send(());
                            std::future::pending::<()>().await;
                        }
                    };
                    tokio::select! {
                        served = serve.run(async { drop(drained.await) }) => served,
                        () = gone => Ok(()),
                    }
                })
            });
            let _ = ended.send(served);
        });
        let mut running = Running { stop: Some(stop), thread: Some(thread.map_err(|_| Error::Thread)?) };
        let served = tokio::select! {
            () = shutdown => None,
            served = &mut has_ended => Some(served),
        };
        let served = if let Some(served) = served {
            served
        } else {
            running.stop();
            has_ended.await
        };
        let _ = stop_http.send(());
        let _ = tokio::time::timeout(FLUSH, tasks.join_next()).await;
        served.unwrap_or(Err(Error::Thread))
    }
}

/// The origin's thread. When this is dropped, the thread ends, and its sockets are free.
struct Running {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Running {
    /// Orders the origin to drain and end.
    fn stop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Reads the state of a running origin. Clones read the same origin.
#[derive(Clone)]
pub struct Handle {
    front: Arc<Front>,
}

impl std::fmt::Debug for Handle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Handle").finish_non_exhaustive()
    }
}

impl Handle {
    /// All rooms, by name, private ones included.
    pub fn rooms(&self) -> Vec<RoomView> {
        self.front.rooms.views()
    }

    /// The room of that name, private or not.
    pub fn room(&self, name: &str) -> Option<RoomView> {
        self.front.rooms.view(name)
    }

    /// A receiver that wakes at every change of rooms, tracks and viewers.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.front.rooms.changes()
    }

    /// The hex SHA-256 of the certificate, if it is self-signed.
    pub fn fingerprint(&self) -> Option<String> {
        self.front.certificate.fingerprint()
    }

    /// The certificate that the origin presents; it is renewed while the origin runs.
    pub fn certificate(&self) -> Arc<Certificate> {
        Arc::clone(&self.front.certificate)
    }

    /// Bytes of groups kept for FETCH.
    pub fn kept_bytes(&self) -> u64 {
        self.front.figures.kept().unsigned_abs()
    }
}
