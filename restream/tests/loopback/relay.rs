//! A relay as far as one end of a restream sees it, on real QUIC: `moq-transport` as a server.

use std::{
    collections::HashMap,
    net::Ipv4Addr,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use moq_transport::{
    coding::{TrackNamespace, Value},
    message::RequestErrorCode,
    reexports::web_transport_trait as contract,
    serve::{ServeError, SubgroupsWriter, Track, TrackReader},
    session::{
        PublishedNamespace, Publisher, Session, SessionError, Subscribed, Subscriber, Transport,
        transport::{self, quinn as web_transport},
    },
    setup::{ParameterType, decode_setup_tokens},
};
use quinn::{
    TransportConfig, VarInt,
    crypto::rustls::{HandshakeData, QuicServerConfig},
};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use tokio::{sync::watch, task::JoinHandle, time::timeout};
use url::Url;

/// The time that anything may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// The version that is spoken.
const PROTOCOL: &str = "moqt-18";
/// Bytes of a stream that a relay takes before it reads them.
const STREAM_WINDOW: u32 = 16 << 10;

/// Waits for something that is to happen.
pub(crate) async fn within<T>(what: &str, event: impl Future<Output = T>) -> T {
    timeout(PATIENCE, event).await.unwrap_or_else(|_| panic!("{what} does not happen"))
}

/// A relay that listens, and its certificate.
pub(crate) struct Relay {
    endpoint: quinn::Endpoint,
    certificate: CertificateDer<'static>,
}

impl Relay {
    pub(crate) fn start() -> Self {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
        let certificate = made.cert.der().clone();
        let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
        let mut tls = rustls::ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .expect("TLS 1.3")
            .with_no_client_auth()
            .with_single_cert(vec![certificate.clone()], key.into())
            .expect("a certificate");
        tls.alpn_protocols = vec![PROTOCOL.into(), web_transport::ALPN.into()];
        let tls = QuicServerConfig::try_from(tls).expect("TLS 1.3");
        let mut config = quinn::ServerConfig::with_crypto(Arc::new(tls));
        let mut transport = TransportConfig::default();
        transport.stream_receive_window(STREAM_WINDOW.into());
        config.transport_config(Arc::new(transport));
        let endpoint = quinn::Endpoint::server(config, (Ipv4Addr::LOCALHOST, 0).into()).expect("a socket");
        Self { endpoint, certificate }
    }

    /// The URL of a room there.
    pub(crate) fn url(&self, scheme: &str, room: &str) -> String {
        format!("{scheme}://localhost:{}/{room}", self.endpoint.local_addr().expect("bound").port())
    }

    /// The next session of a client.
    pub(crate) async fn accept(&self) -> Client {
        self.accept_gated(watch::Sender::new(true).subscribe()).await
    }

    /// The next connection, which the client does not like.
    pub(crate) async fn refused(&self) {
        let incoming = within("a connection", self.endpoint.accept()).await.expect("open");
        assert!(within("a refusal", async { incoming.await }).await.is_err());
    }

    /// The next session of a client, whose streams are not looked at while the gate is closed.
    pub(crate) async fn accept_gated(&self, gate: watch::Receiver<bool>) -> Client {
        let incoming = within("a connection", self.endpoint.accept()).await.expect("open");
        let quic = within("a handshake", async { incoming.await }).await.expect("a handshake");
        let data = quic.handshake_data().expect("done").downcast::<HandshakeData>().expect("rustls");
        let (session, kind) = if data.protocol.as_deref() == Some(PROTOCOL.as_bytes()) {
            let url: Url = "moqt://localhost".parse().expect("a URL");
            let response = web_transport::proto::ConnectResponse::default();
            (web_transport::Session::raw(quic.clone(), url, response), Transport::RawQuic)
        } else {
            let request = web_transport::Request::accept(quic.clone()).await.expect("CONNECT");
            let response = web_transport::proto::ConnectResponse::OK.with_protocol(PROTOCOL);
            (request.respond(response).await.expect("an answer"), Transport::WebTransport)
        };
        let query = session.request().url.query().unwrap_or_default().to_owned();
        let url = session.request().url.clone();
        let transport = transport::Session::new(Gated { inner: session, gate }, url);
        let accepted = within("SETUP", Session::accept(transport.clone(), None, kind)).await;
        let (session, publisher, subscriber) = accepted.expect("a session");
        let setup = session.setup_params();
        let tokens = decode_setup_tokens(setup).expect("tokens");
        let tokens = tokens.iter().map(|token| String::from_utf8_lossy(token.value).into_owned()).collect();
        let path = match setup.get(ParameterType::Path.into()).map(|pair| &pair.value) {
            Some(Value::BytesValue(path)) => String::from_utf8_lossy(path).into_owned(),
            _ => format!("/?{query}"),
        };
        Client {
            publisher: publisher.expect("both roles"),
            subscriber: subscriber.expect("both roles"),
            run: tokio::spawn(session.run()),
            transport,
            quic,
            tokens,
            path,
        }
    }
}

/// The TLS of a client that trusts these relays.
pub(crate) fn trusting(relays: &[&Relay]) -> rustls::ClientConfig {
    let mut roots = rustls::RootCertStore::empty();
    for relay in relays {
        roots.add(relay.certificate.clone()).expect("a certificate");
    }
    rustls::ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("TLS 1.3")
        .with_root_certificates(roots)
        .with_no_client_auth()
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

/// A session of a client.
pub(crate) struct Client {
    pub(crate) publisher: Publisher,
    pub(crate) subscriber: Subscriber,
    pub(crate) run: JoinHandle<Result<(), SessionError>>,
    pub(crate) transport: transport::Session,
    pub(crate) quic: quinn::Connection,
    /// The tokens of its SETUP.
    pub(crate) tokens: Vec<String>,
    /// The path it asked for, with the query.
    pub(crate) path: String,
}

impl Client {
    /// Breaks the connection with an error code.
    pub(crate) fn break_off(&self) {
        self.quic.close(VarInt::from_u32(0x1), b"broken");
    }

    /// The room that it announces, which is accepted.
    pub(crate) async fn announced(&mut self) -> PublishedNamespace {
        let offered = within("PUBLISH_NAMESPACE", self.subscriber.published_namespace()).await;
        let mut offered = offered.expect("a session");
        offered.ok().expect("a session");
        offered
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.run.abort();
    }
}

/// A room at the source: serves the tracks that are in it.
#[derive(Clone, Default)]
pub(crate) struct Stage {
    tracks: Arc<Mutex<HashMap<String, TrackReader>>>,
    /// The tracks that are subscribed to now.
    wanted: watch::Sender<Vec<String>>,
}

impl Stage {
    /// Adds a track, which ends when the writer is dropped.
    pub(crate) fn track(&self, room: &str, name: &str) -> SubgroupsWriter {
        let (writer, reader) = Track::new(TrackNamespace::from_utf8_path(room), name).produce();
        self.tracks.lock().expect("no panic").insert(name.to_owned(), reader);
        writer.subgroups().expect("a reader")
    }

    /// Answers the SUBSCRIBEs of a client.
    pub(crate) fn serve(&self, mut publisher: Publisher) {
        let stage = self.clone();
        tokio::spawn(async move {
            while let Some(subscribed) = publisher.subscribed().await {
                tokio::spawn(stage.clone().answer(subscribed));
            }
        });
    }

    async fn answer(self, subscribed: Subscribed) {
        let name = subscribed.info.track_name.to_string();
        let reader = self.tracks.lock().expect("no panic").get(&name).cloned();
        let Some(reader) = reader else {
            return drop(subscribed.close(ServeError::NotFound));
        };
        self.wanted.send_modify(|wanted| wanted.push(name.clone()));
        let _ = subscribed.serve(reader).await;
        self.wanted.send_modify(|wanted| wanted.retain(|other| *other != name));
    }

    /// Waits until a track is subscribed to, or until it is not any more.
    pub(crate) async fn until_wanted(&self, name: &str, wanted: bool) {
        let mut changes = self.wanted.subscribe();
        let changed = changes.wait_for(|tracks| tracks.iter().any(|track| track == name) == wanted);
        within(&format!("wanted {wanted} of {name}"), changed).await.expect("the stage is there");
    }

    pub(crate) fn is_wanted(&self, name: &str) -> bool {
        self.wanted.borrow().iter().any(|track| track == name)
    }
}

/// The code of a refusal.
pub(crate) fn unauthorized() -> u64 {
    RequestErrorCode::Unauthorized as u64
}

/// A session whose incoming streams wait behind a gate, as those of a relay that is too slow do.
#[derive(Clone)]
struct Gated {
    inner: web_transport::Session,
    gate: watch::Receiver<bool>,
}

impl contract::Session for Gated {
    type SendStream = web_transport::SendStream;
    type RecvStream = web_transport::RecvStream;
    type Error = web_transport::SessionError;

    async fn accept_uni(&self) -> Result<Self::RecvStream, Self::Error> {
        let stream = self.inner.accept_uni().await?;
        let _ = self.gate.clone().wait_for(|open| *open).await;
        Ok(stream)
    }

    async fn accept_bi(&self) -> Result<(Self::SendStream, Self::RecvStream), Self::Error> {
        self.inner.accept_bi().await
    }

    async fn open_bi(&self) -> Result<(Self::SendStream, Self::RecvStream), Self::Error> {
        self.inner.open_bi().await
    }

    async fn open_uni(&self) -> Result<Self::SendStream, Self::Error> {
        self.inner.open_uni().await
    }

    fn send_datagram(&self, payload: Bytes) -> Result<(), Self::Error> {
        self.inner.send_datagram(payload)
    }

    async fn recv_datagram(&self) -> Result<Bytes, Self::Error> {
        self.inner.read_datagram().await
    }

    fn max_datagram_size(&self) -> usize {
        self.inner.max_datagram_size()
    }

    fn close(&self, code: u32, reason: &str) {
        self.inner.close(code, reason.as_bytes());
    }

    async fn closed(&self) -> Self::Error {
        self.inner.closed().await
    }
}
