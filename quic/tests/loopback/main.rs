//! Our session against one of another implementation, over real QUIC on loopback:
//! as client and as server, over raw QUIC and WebTransport, publishing and
//! subscribing, on streams and in datagrams.

mod ours;
mod theirs;

mod close;
mod discovery;
mod doors;
mod fetch;
mod publish;
mod silence;
mod subscribe;

use std::{net::Ipv4Addr, sync::Arc, time::Duration};

use moqt::session::Side;
use ours::Ours;
use quic::Endpoint;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use theirs::Theirs;
use tokio::task::LocalSet;

/// The time after which a test that waits in vain fails; nothing here takes as long.
const PATIENCE: Duration = Duration::from_secs(20);

async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.unwrap_or_else(|_| panic!("{what}: it never came"))
}

/// The TLS configurations of both ends, with a certificate of their own.
struct Tls {
    server: rustls::ServerConfig,
    client: rustls::ClientConfig,
}

impl Tls {
    fn new() -> Self {
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
        Self { server, client }
    }
}

/// The two ends of a session, and the endpoints that keep their sockets open.
struct Pair {
    ours: Ours,
    theirs: Theirs,
    endpoints: (Endpoint, quinn::Endpoint),
}

impl Pair {
    async fn new(side: Side, scheme: &str) -> Self {
        let tls = Tls::new();
        let any = (Ipv4Addr::LOCALHOST, 0).into();
        match side {
            Side::Client => {
                let theirs = theirs::server(any, tls.server);
                let port = theirs.local_addr().expect("bound").port();
                let url = format!("{scheme}://localhost:{port}/room?x=y").parse().expect("a URL");
                let endpoint = Endpoint::client(any, tls.client).expect("a socket");
                let (connection, peer) = tokio::join!(
                    within("our connection", endpoint.connect(&url)),
                    within("their connection", Theirs::accept(&theirs))
                );
                let ours = Ours::start(connection.expect("connected"));
                let theirs_end = Theirs::start(peer, side).await;
                Self { ours, theirs: theirs_end, endpoints: (endpoint, theirs) }
            }
            Side::Server => {
                let endpoint = Endpoint::server(any, tls.server).expect("a socket");
                let port = endpoint.local_addr().expect("bound").port();
                let url = format!("{scheme}://localhost:{port}/room").parse().expect("a URL");
                let (connection, (theirs, peer)) = tokio::join!(
                    within("our connection", async {
                        endpoint.incoming().await.expect("open").accept().await
                    }),
                    within("their connection", Theirs::connect(any, &url, tls.client))
                );
                let ours = Ours::start(connection.expect("connected"));
                let theirs_end = Theirs::start(peer, side).await;
                Self { ours, theirs: theirs_end, endpoints: (endpoint, theirs) }
            }
        }
    }
}

/// Runs a test with each end as client and as server, over each transport.
fn every_way_round<F: Future<Output = Pair>>(test: impl Fn(Pair) -> F) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    for side in [Side::Client, Side::Server] {
        for scheme in ["moqt", "https"] {
            eprintln!("our end is the {side:?}, over {scheme}");
            LocalSet::new().block_on(&runtime, async {
                let pair = test(Pair::new(side, scheme).await).await;
                // Neither session was ended by the actions of the other.
                assert!(!pair.ours.done.is_finished(), "our session ended");
                assert!(!pair.theirs.run.is_finished(), "their session ended");
                drop(pair.endpoints);
            });
        }
    }
}
