//! An origin on a free port, and clients for it.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use moq_transport::{
    coding::{KeyValuePairs, TrackNamespace},
    serve::{ServeError, Subgroup, SubgroupsReader, SubgroupsWriter, Track, TrackReader, TrackReaderMode},
    session::{
        Publisher, Session, SessionError, Subscribe, Subscriber, Transport,
        transport::{self, quinn as web_transport},
    },
    setup::AuthorizationToken,
};
use moqt::{Ended, Token};
use origin::{Config, Handle, Origin, RoomView};
use quic::{CertificateSource, Clock, Connection, Endpoint, Trust, drive};
use rustls::{
    DigitallySignedStruct, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime},
};
use testnet::Probe;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::oneshot,
    task::JoinHandle,
};
use url::Url;

/// The longest wait in these tests; without it, a test would hang on an event that never comes.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) const TRANSPORTS: [&str; 2] = ["moqt", "https"];

pub(crate) async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.unwrap_or_else(|_| panic!("{what}: it never came"))
}

pub(crate) struct TestOrigin {
    pub(crate) addr: SocketAddr,
    pub(crate) http: SocketAddr,
    pub(crate) admin: SocketAddr,
    pub(crate) handle: Handle,
    pub(crate) stop: Option<oneshot::Sender<()>>,
    pub(crate) running: JoinHandle<Result<(), origin::Error>>,
    _dir: tempfile::TempDir,
}

impl TestOrigin {
    /// Starts an origin with `config`, on a free port and with a certificate of its own.
    pub(crate) fn start(config: Config) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let names = vec!["localhost".into()];
        let config = Config {
            listen: (Ipv4Addr::LOCALHOST, 0).into(),
            tcp: front::Options { admin: Some((Ipv4Addr::LOCALHOST, 0).into()), ..front::Options::default() },
            certificate: CertificateSource::SelfSigned { dir: dir.path().into(), names },
            ..config
        };
        let origin = Origin::bind(config).expect("a free port");
        let (addr, http, handle) = (origin.local_addr(), origin.http_addr(), origin.handle());
        let admin = origin.admin_addr().expect("an admin side");
        let (stop, stopped) = oneshot::channel();
        let running = tokio::spawn(origin.run(async { drop(stopped.await) }));
        Self { addr, http, admin, handle, stop: Some(stop), running, _dir: dir }
    }

    /// Starts an origin to which anyone may publish.
    pub(crate) fn open() -> Self {
        Self::start(Config { open_publish: true, ..Config::default() })
    }

    pub(crate) fn url(&self, scheme: &str, rest: &str) -> Url {
        format!("{scheme}://localhost:{}{rest}", self.addr.port()).parse().expect("a URL")
    }

    /// Connects with our own client, and returns the end of its session: `moq-transport` may end a WebTransport
    /// connection before it has read the reason.
    pub(crate) async fn end_of_own_session(&self, url: &Url, token: &str) -> Ended {
        let fingerprint = self.handle.fingerprint().expect("self-signed").parse().expect("a fingerprint");
        let tls = Trust::Fingerprints(vec![fingerprint]).client_config().expect("a configuration");
        let endpoint = Endpoint::client((Ipv4Addr::LOCALHOST, 0).into(), tls).expect("a socket");
        let mut connection = endpoint.connect(url).await.expect("a connection");
        connection.config.setup.tokens.push(Token::value(token.to_owned()));
        let Connection { transport, config, .. } = connection;
        let (mut probe, _calls, _events) = Probe::new();
        let session = drive(transport, config, Clock::default(), &mut probe);
        within("the session's end", session).await.expect("no misuse")
    }

    pub(crate) async fn connect(&self, url: &Url, tokens: &[String]) -> Result<Client, String> {
        let certificate = Pinned(self.handle.fingerprint().expect("self-signed"));
        let mut tls = rustls::ClientConfig::builder_with_provider(quic::provider())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .expect("TLS 1.3")
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(certificate))
            .with_no_client_auth();
        let (alpn, transport) = match url.scheme() {
            "https" => (web_transport::ALPN, Transport::WebTransport),
            _ => ("moqt-18", Transport::RawQuic),
        };
        tls.alpn_protocols = vec![alpn.into()];
        let tls = quinn::crypto::rustls::QuicClientConfig::try_from(tls).expect("TLS 1.3");
        let config = quinn::ClientConfig::new(Arc::new(tls));
        let endpoint = quinn::Endpoint::client((Ipv4Addr::LOCALHOST, 0).into()).expect("a socket");
        let connecting = endpoint.connect_with(config, self.addr, "localhost").expect("valid");
        let connection = connecting.await.map_err(|err| err.to_string())?;
        let session = match transport {
            Transport::WebTransport => {
                let request = web_transport::proto::ConnectRequest::new(url.clone())
                    .with_protocol("moqt-18".to_owned());
                web_transport::Session::connect(connection.clone(), request)
                    .await
                    .map_err(|err| err.to_string())?
            }
            Transport::RawQuic => web_transport::Session::raw(
                connection.clone(),
                url.clone(),
                web_transport::proto::ConnectResponse::default(),
            ),
        };
        let carrier = session.clone();
        let session = transport::Session::from(session);
        let tokens = tokens.iter().map(|jwt| AuthorizationToken::new(0, jwt.clone().into_bytes())).collect();
        let (session, publisher, subscriber) =
            match Session::connect_with_tokens(session, None, transport, tokens).await {
                Ok(connected) => connected,
                Err(error) => {
                    let closed = within("the session's end", carrier.closed()).await;
                    return Err(format!("{error}; {closed}"));
                }
            };
        let run = tokio::spawn(session.run());
        Ok(Client { publisher, subscriber, connection, carrier, run, _endpoint: endpoint })
    }

    /// Connects a client without a token.
    pub(crate) async fn client(&self, scheme: &str) -> Client {
        let url = self.url(scheme, "");
        within("a connection", self.connect(&url, &[])).await.expect("let in")
    }

    /// Waits until `wish` holds for the room.
    pub(crate) async fn room(&self, name: &str, wish: impl Fn(&RoomView) -> bool) -> RoomView {
        let mut changes = self.handle.changes();
        let look = || self.handle.room(name).filter(|room| wish(room));
        within("the room's state", changes.wait_for(|_| look().is_some())).await.expect("running");
        look().expect("as just seen")
    }

    /// Waits until `count` objects of the room's only track have arrived.
    pub(crate) async fn objects(&self, room: &str, count: u64) -> RoomView {
        let come = async {
            loop {
                let room = self.handle.room(room).expect("a room");
                if room.tracks.iter().any(|track| track.objects == count) {
                    return room;
                }
                tokio::task::yield_now().await;
            }
        };
        within("the objects", come).await
    }

    /// Sends a GET request. Returns the status and the body.
    pub(crate) async fn get(&self, path: &str) -> (u16, String) {
        get(self.http, path).await
    }

    /// Returns the origin's figures.
    pub(crate) async fn figures(&self) -> String {
        get(self.admin, "/metrics").await.1
    }
}

async fn get(addr: SocketAddr, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(addr).await.expect("listening");
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("connected");
    let mut response = String::new();
    stream.read_to_string(&mut response).await.expect("text");
    let (head, body) = response.split_once("\r\n\r\n").expect("HTTP");
    (head[9..12].parse().expect("a status"), body.to_owned())
}

/// Trusts one certificate, as a browser does with `serverCertificateHashes`.
#[derive(Debug)]
struct Pinned(String);

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        _chain: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, leaf);
        let fingerprint: Vec<u8> = (0..self.0.len())
            .step_by(2)
            .filter_map(|at| u8::from_str_radix(&self.0[at..at + 2], 16).ok())
            .collect();
        assert_eq!(digest.as_ref(), fingerprint);
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = quic::provider().signature_verification_algorithms;
        verify_tls12_signature(message, cert, signature, &algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = quic::provider().signature_verification_algorithms;
        verify_tls13_signature(message, cert, signature, &algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        quic::provider().signature_verification_algorithms.supported_schemes()
    }
}

pub(crate) struct Client {
    pub(crate) publisher: Publisher,
    pub(crate) subscriber: Subscriber,
    pub(crate) connection: quinn::Connection,
    /// The session under the library's, which reports the reason that it was closed with.
    carrier: web_transport::Session,
    run: JoinHandle<Result<(), SessionError>>,
    _endpoint: quinn::Endpoint,
}

pub(crate) fn namespace(path: &str) -> TrackNamespace {
    TrackNamespace::from_utf8_path(path)
}

pub(crate) fn track(room: &str, name: &str) -> Track {
    Track::new(namespace(room), name)
}

impl Client {
    /// Publishes a track. Dropping the writer ends it.
    pub(crate) async fn publish(&mut self, room: &str, name: &str) -> Result<SubgroupsWriter, ServeError> {
        let (writer, reader) = track(room, name).produce();
        let published = self.publisher.publish(reader, KeyValuePairs::default());
        let mut published = within("PUBLISH", published).await.map_err(|_| ServeError::Cancel)?;
        within("its answer", published.ok()).await?;
        tokio::spawn(published.serve());
        writer.subgroups()
    }

    pub(crate) async fn subscribe_with(
        &mut self,
        room: &str,
        name: &str,
        params: KeyValuePairs,
    ) -> Result<Watching, ServeError> {
        let (writer, reader) = track(room, name).produce();
        let subscribe = self.subscriber.subscribe_open_with_params(writer, params);
        let subscribe = within("SUBSCRIBE_OK", subscribe).await?;
        Ok(Watching { subscribe, reader, subgroups: None })
    }

    pub(crate) async fn subscribe(&mut self, room: &str, name: &str) -> Result<Watching, ServeError> {
        self.subscribe_with(room, name, KeyValuePairs::default()).await
    }

    /// Waits for the session's end and returns the reason that the origin gave. The library itself may notice first
    /// that a stream has broken off.
    pub(crate) async fn ended(self) -> String {
        let run = within("the session's end", self.run).await.expect("no panic");
        let error = run.err().map(|error| error.to_string()).unwrap_or_default();
        let closed = within("the connection's end", self.carrier.closed()).await;
        format!("{error}; {closed}")
    }

    /// Closes the connection without ending its publications.
    pub(crate) fn vanish(self) {
        self.connection.close(0u32.into(), b"");
    }
}

pub(crate) struct Watching {
    pub(crate) subscribe: Subscribe,
    pub(crate) reader: TrackReader,
    subgroups: Option<SubgroupsReader>,
}

impl Watching {
    /// Reads the next group with all its objects, or `None` at the end of the track.
    pub(crate) async fn group(&mut self) -> Option<(u64, Vec<Bytes>)> {
        if self.subgroups.is_none() {
            self.subgroups = match within("the track's begin", self.reader.mode()).await {
                Ok(TrackReaderMode::Subgroups(subgroups)) => Some(subgroups),
                _ => return None,
            };
        }
        let subgroups = self.subgroups.as_mut().expect("as just set");
        let mut subgroup = within("a group", subgroups.next()).await.ok()??;
        let mut objects = Vec::new();
        while let Ok(Some(object)) = within("an object", subgroup.read_next()).await {
            objects.push(object);
        }
        Some((subgroup.group_id, objects))
    }
}

/// Writes one whole group with these objects.
pub(crate) fn write(track: &mut SubgroupsWriter, group_id: u64, objects: &[&'static str]) {
    let subgroup = Subgroup { group_id, subgroup_id: 0, priority: 128 };
    let mut subgroup = track.create(subgroup).expect("an open track");
    for object in objects {
        subgroup.write(Bytes::from_static(object.as_bytes())).expect("an open track");
    }
}
