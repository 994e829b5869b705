//! The server on real sockets: both protocols on one port, slow peers, and too many of them.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use axum::{Extension, Router, routing::get};
use front::{Client, Config, Limits, Places, Proxies, Server};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::oneshot,
    time::timeout,
};

/// The time after which a test that waits in vain fails.
const PATIENCE: Duration = Duration::from_mins(1);
const ASK: &[u8] = b"GET /who HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

struct Running {
    addr: SocketAddr,
    places: Places,
    client: rustls::ClientConfig,
    stop: oneshot::Sender<()>,
    served: tokio::task::JoinHandle<()>,
}

fn tls() -> (rustls::ServerConfig, rustls::ClientConfig) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let certificate = CertificateDer::from(made.cert);
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).expect("a key");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let server = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("TLS 1.3")
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key)
        .expect("the key of the certificate");
    let mut roots = rustls::RootCertStore::empty();
    roots.add(certificate).expect("a certificate");
    let client = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("TLS 1.3")
        .with_root_certificates(roots)
        .with_no_client_auth();
    (server, client)
}

async fn run(limits: impl FnOnce(&mut Limits)) -> Running {
    let who = |Extension(client): Extension<Client>| async move { format!("{client:?}") };
    let mut most = Limits::default();
    limits(&mut most);
    let (server, client) = tls();
    let places = Places::new(most);
    let config = Config { tls: Some(server), proxies: Proxies::default(), places: places.clone() };
    let server = Server::new(config, Router::new().route("/who", get(who)));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a socket");
    let addr = listener.local_addr().expect("bound");
    let (stop, stopped) = oneshot::channel();
    let served = tokio::spawn(server.serve(listener, async { drop(stopped.await) }));
    Running { addr, places, client, stop, served }
}

async fn ask(mut socket: impl AsyncRead + AsyncWrite + Unpin) -> String {
    socket.write_all(ASK).await.expect("an open connection");
    rest(socket).await
}

/// Reads until the server ends the connection.
async fn rest(mut socket: impl AsyncRead + Unpin) -> String {
    let mut answer = Vec::new();
    // A connection that is refused may end with a reset.
    let _ = timeout(PATIENCE, socket.read_to_end(&mut answer)).await.expect("the server ends it");
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn https_and_http_share_the_port() {
    let running = run(|_| {}).await;
    let plain = ask(TcpStream::connect(running.addr).await.expect("a connection")).await;
    assert!(plain.starts_with("HTTP/1.1 200") && plain.contains("is_secure: false"), "{plain}");

    let connector = tokio_rustls::TlsConnector::from(Arc::new(running.client));
    let socket = TcpStream::connect(running.addr).await.expect("a connection");
    let name = ServerName::try_from("localhost").expect("a name");
    let secure = ask(connector.connect(name, socket).await.expect("a handshake")).await;
    assert!(secure.starts_with("HTTP/1.1 200") && secure.contains("is_secure: true"), "{secure}");

    running.stop.send(()).expect("it runs");
    timeout(PATIENCE, running.served).await.expect("it ends").expect("no panic");
    assert_eq!(running.places.taken(), 0);
}

#[tokio::test(start_paused = true)]
async fn who_says_nothing_or_never_ends_is_let_go() {
    let running = run(|_| {}).await;
    let silent = TcpStream::connect(running.addr).await.expect("a connection");
    let mut endless = TcpStream::connect(running.addr).await.expect("a connection");
    endless.write_all(b"GET /who HTTP/1.1\r\nX: ").await.expect("sent");
    let mut half_tls = TcpStream::connect(running.addr).await.expect("a connection");
    half_tls.write_all(&[0x16, 3, 1]).await.expect("sent");
    for socket in [silent, endless, half_tls] {
        let answer = rest(socket).await;
        assert!(!answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
    while running.places.taken() > 0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn an_address_has_its_places_and_no_more() {
    let running = run(|limits| limits.address = 3).await;
    let mut held = Vec::new();
    for _ in 0..3 {
        held.push(TcpStream::connect(running.addr).await.expect("a connection"));
    }
    while running.places.taken() < 3 {
        tokio::task::yield_now().await;
    }
    let refused = rest(TcpStream::connect(running.addr).await.expect("a connection")).await;
    assert_eq!(refused, "");
    assert_eq!(running.places.refused(), 1);
    drop(held);
    while running.places.taken() > 0 {
        tokio::task::yield_now().await;
    }
    let served = ask(TcpStream::connect(running.addr).await.expect("a connection")).await;
    assert!(served.starts_with("HTTP/1.1 200"), "{served}");
}
