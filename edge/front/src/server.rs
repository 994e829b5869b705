//! An HTTP server that strangers cannot wear out.

use std::{convert::Infallible, io, net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use axum::{
    Router,
    http::{Request, StatusCode, header},
    response::{IntoResponse, Response},
};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::watch,
    time::timeout,
};
use tokio_rustls::TlsAcceptor;

use crate::{
    client::{Peer, host},
    places::Places,
    proxies::Proxies,
};

/// The longest that a peer may take for its first byte, and for the TLS handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// The longest that a peer may take for the head of a request, and that a connection may be idle.
const HEAD: Duration = Duration::from_secs(15);
/// The most bytes of the head of a request.
const MAX_HEAD: usize = 16 * 1024;
/// The pause after the system refused to accept a connection, as it does when no more files may be opened.
const PAUSE: Duration = Duration::from_millis(100);
/// The first byte of a TLS handshake.
const TLS_HANDSHAKE: u8 = 0x16;
/// The paths that probes ask for, over plain HTTP too.
const PROBES: [&str; 2] = ["/healthz", "/readyz"];

/// The configuration of a [`Server`].
#[derive(Clone, Debug)]
pub struct Config {
    /// TLS for `https:`; without it, the server speaks plain HTTP only, and to anybody.
    pub tls: Option<rustls::ServerConfig>,
    /// The proxies in front of the node.
    pub proxies: Proxies,
    /// The places for connections.
    pub places: Places,
}

/// An HTTP and HTTPS server on one port.
pub struct Server {
    tls: Option<TlsAcceptor>,
    proxies: Proxies,
    places: Places,
    app: Router,
}

impl Server {
    /// Creates a server of this router. It fills in ALPN.
    pub fn new(config: Config, app: Router) -> Self {
        let tls = config.tls.map(|mut tls| {
            tls.alpn_protocols = vec![b"http/1.1".to_vec()];
            TlsAcceptor::from(Arc::new(tls))
        });
        Self { tls, proxies: config.proxies, places: config.places, app }
    }

    /// Serves until `shutdown`; requests under way may finish.
    pub async fn serve(self, listener: TcpListener, shutdown: impl Future<Output = ()>) {
        let server = Arc::new(self);
        let (stop, stopped) = watch::channel(());
        let mut shutdown = pin!(shutdown);
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = &mut shutdown => break,
            };
            match accepted {
                Ok((socket, from)) => server.welcome(socket, from, &stopped),
                Err(error) if is_of_the_peer(&error) => {}
                Err(error) => {
                    tracing::warn!(%error, "no connection can be accepted");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
        drop((listener, stopped));
        let _ = stop.send(());
        stop.closed().await;
    }

    /// Serves a connection, if there is a place for it, on a task of its own.
    fn welcome(self: &Arc<Self>, socket: TcpStream, from: SocketAddr, stopped: &watch::Receiver<()>) {
        let addr = from.ip().to_canonical();
        let is_proxy = self.proxies.contains(addr);
        let place = if is_proxy { self.places.take_for_proxy() } else { self.places.take(addr) };
        let place = match place {
            Ok(place) => Arc::new(place),
            Err(refused) => return tracing::debug!(%from, %refused, "a connection is refused"),
        };
        let (server, mut stopped) = (Arc::clone(self), stopped.clone());
        tokio::spawn(async move {
            let stop = async { drop(stopped.changed().await) };
            if let Err(why) = server.connection(socket, Peer { addr, is_tls: false, place }, stop).await {
                tracing::debug!(%from, why, "a connection ended");
            }
        });
    }

    async fn connection(
        self: Arc<Self>,
        socket: TcpStream,
        peer: Peer,
        stop: impl Future<Output = ()>,
    ) -> Result<(), &'static str> {
        let _ = socket.set_nodelay(true);
        let Some(tls) = self.tls.clone() else {
            return Box::pin(self.requests(socket, Peer { is_tls: true, ..peer }, stop)).await;
        };
        let mut first = [0];
        let peeked = timeout(HANDSHAKE, socket.peek(&mut first)).await.map_err(|_| "it said nothing")?;
        if !matches!(peeked, Ok(1)) {
            return Ok(());
        }
        // What comes next takes much memory: a peer that says nothing has none of it.
        if first != [TLS_HANDSHAKE] {
            return Box::pin(self.requests(socket, peer, stop)).await;
        }
        let accepted = timeout(HANDSHAKE, Box::pin(tls.accept(socket))).await;
        let socket = accepted.map_err(|_| "its TLS handshake was too slow")?;
        let socket = Box::new(socket.map_err(|_| "its TLS handshake failed")?);
        Box::pin(self.requests(socket, Peer { is_tls: true, ..peer }, stop)).await
    }

    async fn requests(
        self: Arc<Self>,
        socket: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        peer: Peer,
        stop: impl Future<Output = ()>,
    ) -> Result<(), &'static str> {
        let service = tower_service(self, peer);
        let connection = hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD)
            .max_buf_size(MAX_HEAD)
            .serve_connection(TokioIo::new(socket), service)
            .with_upgrades();
        let (mut connection, mut stop) = (pin!(connection), pin!(stop));
        tokio::select! {
            served = &mut connection => return served.map_err(|_| "it broke off"),
            () = &mut stop => connection.as_mut().graceful_shutdown(),
        }
        connection.await.map_err(|_| "it broke off")
    }

    /// Tells the router who asks, or sends who must not use plain HTTP to `https:`.
    fn admit<B>(&self, peer: &Peer, mut request: Request<B>) -> Result<Request<B>, Box<Response>> {
        if !peer.may_be_plain(&self.proxies) && !PROBES.contains(&request.uri().path()) {
            return Err(Box::new(to_https(&request)));
        }
        let client = peer.client(request.headers(), &self.proxies);
        request.extensions_mut().insert(client);
        Ok(request)
    }
}

/// Returns whether accepting failed for a reason of the peer's, which concerns nobody else.
fn is_of_the_peer(error: &io::Error) -> bool {
    use io::ErrorKind as Kind;
    matches!(error.kind(), Kind::ConnectionAborted | Kind::ConnectionReset | Kind::ConnectionRefused)
}

fn to_https<B>(request: &Request<B>) -> Response {
    let path = request.uri().path_and_query().map_or("/", axum::http::uri::PathAndQuery::as_str);
    match host(request.headers()) {
        Some(host) => {
            let to = format!("https://{host}{path}");
            (StatusCode::PERMANENT_REDIRECT, [(header::LOCATION, to)], "use https:\n").into_response()
        }
        None => (StatusCode::FORBIDDEN, "use https:\n").into_response(),
    }
}

fn tower_service(
    server: Arc<Server>,
    peer: Peer,
) -> impl hyper::service::Service<
    Request<hyper::body::Incoming>,
    Response = Response,
    Error = Infallible,
    Future = impl Future<Output = Result<Response, Infallible>> + Send,
> {
    let app = TowerToHyperService::new(server.app.clone());
    hyper::service::service_fn(move |request| {
        let admitted = server.admit(&peer, request);
        let app = app.clone();
        async move {
            match admitted {
                Ok(request) => hyper::service::Service::call(&app, request).await,
                Err(refusal) => Ok(*refusal),
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::places::Limits;

    /// The answer to a plain request from this address: where it is sent to, if it is not served.
    fn sent_to(from: &str, path: &str) -> Option<String> {
        let proxies = Proxies::new(["10.0.0.0/8"]).expect("a network");
        let places = Places::new(Limits::default());
        let addr = from.parse().expect("an address");
        let place = Arc::new(places.take(addr).expect("free"));
        let server = Server::new(Config { tls: None, proxies, places }, Router::new());
        let request =
            Request::get(path).header(header::HOST, "edge.example:8443").body(()).expect("a request");
        let refusal = server.admit(&Peer { addr, is_tls: false, place }, request).err()?;
        assert_eq!(refusal.status(), StatusCode::PERMANENT_REDIRECT);
        Some(refusal.headers()[header::LOCATION].to_str().expect("text").to_owned())
    }

    #[test]
    fn plain_http_is_for_this_machine_for_proxies_and_for_probes() {
        assert_eq!(sent_to("192.0.2.1", "/demo?x=1").as_deref(), Some("https://edge.example:8443/demo?x=1"));
        assert_eq!(sent_to("192.0.2.1", "/healthz"), None);
        for trusted in ["127.0.0.1", "::1", "::ffff:127.0.0.1", "10.2.3.4"] {
            assert_eq!(sent_to(trusted, "/demo"), None, "{trusted}");
        }
    }
}
