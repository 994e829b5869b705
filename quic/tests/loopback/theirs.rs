//! The other end: Cloudflare's `moq-transport`.

use std::{net::SocketAddr, sync::Arc};

use bytes::Bytes;
use moq_transport::{
    coding::TrackNamespace,
    serve::{Subgroup, SubgroupsReader, SubgroupsWriter, Track, TrackReader, TrackReaderMode},
    session::{
        Publisher, Session, SessionError, Subscriber, Transport,
        transport::{self, quinn as web_transport},
    },
};
use moqt::session::Side;
use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use tokio::task::JoinHandle;
use url::Url;

use crate::{ours::Group, within};

pub(crate) const PROTOCOL: &str = "moqt-18";

pub(crate) struct Theirs {
    pub(crate) publisher: Publisher,
    pub(crate) subscriber: Subscriber,
    pub(crate) run: JoinHandle<Result<(), SessionError>>,
}

type Peer = (transport::Session, Transport);

pub(crate) fn server(addr: SocketAddr, mut tls: rustls::ServerConfig) -> quinn::Endpoint {
    tls.alpn_protocols = vec![PROTOCOL.into(), web_transport::ALPN.into()];
    let tls = QuicServerConfig::try_from(tls).expect("TLS 1.3");
    quinn::Endpoint::server(quinn::ServerConfig::with_crypto(Arc::new(tls)), addr).expect("a socket")
}

fn raw(connection: quinn::Connection) -> web_transport::Session {
    let url: Url = "moqt://localhost".parse().expect("a URL");
    let response = web_transport::proto::ConnectResponse::default();
    web_transport::Session::raw(connection, url, response)
}

/// Connects, by raw QUIC or WebTransport as the URL's scheme says.
pub(crate) async fn connect(
    addr: SocketAddr,
    url: &Url,
    mut tls: rustls::ClientConfig,
) -> (quinn::Endpoint, web_transport::Session) {
    let raw_quic = url.scheme() == "moqt";
    tls.alpn_protocols = vec![if raw_quic { PROTOCOL } else { web_transport::ALPN }.into()];
    let tls = QuicClientConfig::try_from(tls).expect("TLS 1.3");
    let endpoint = quinn::Endpoint::client(addr).expect("a socket");
    let to = (addr.ip(), url.port().expect("a port")).into();
    let config = quinn::ClientConfig::new(Arc::new(tls));
    let connecting = endpoint.connect_with(config, to, "localhost").expect("valid");
    let connection = connecting.await.expect("a handshake");
    if raw_quic {
        return (endpoint, raw(connection));
    }
    let request = web_transport::proto::ConnectRequest::new(url.clone()).with_protocol(PROTOCOL.to_owned());
    let session = web_transport::Session::connect(connection, request).await.expect("accepted");
    (endpoint, session)
}

impl Theirs {
    pub(crate) async fn accept(endpoint: &quinn::Endpoint) -> Peer {
        let connection = endpoint.accept().await.expect("open").await.expect("a handshake");
        let data = connection.handshake_data().expect("done");
        let data = data.downcast::<quinn::crypto::rustls::HandshakeData>().expect("rustls");
        if data.protocol.as_deref() == Some(PROTOCOL.as_bytes()) {
            return (raw(connection).into(), Transport::RawQuic);
        }
        let request = web_transport::Request::accept(connection).await.expect("CONNECT");
        assert_eq!(request.protocols, [PROTOCOL]);
        let response = web_transport::proto::ConnectResponse::OK.with_protocol(PROTOCOL);
        let session = request.respond(response).await.expect("an answer");
        (session.into(), Transport::WebTransport)
    }

    pub(crate) async fn connect(
        addr: SocketAddr,
        url: &Url,
        tls: rustls::ClientConfig,
    ) -> (quinn::Endpoint, Peer) {
        let transport = if url.scheme() == "moqt" { Transport::RawQuic } else { Transport::WebTransport };
        let (endpoint, session) = connect(addr, url, tls).await;
        (endpoint, (session.into(), transport))
    }

    /// Starts the session, once our end runs. `ours` is the side of our end.
    pub(crate) async fn start((session, transport): Peer, ours: Side) -> Self {
        let (session, publisher, subscriber) = match ours {
            Side::Client => {
                let accepted = within("their SETUP", Session::accept(session, None, transport)).await;
                let (session, publisher, subscriber) = accepted.expect("a session");
                (session, publisher.expect("both roles"), subscriber.expect("both roles"))
            }
            Side::Server => {
                within("their SETUP", Session::connect(session, None, transport)).await.expect("a session")
            }
        };
        Self { publisher, subscriber, run: tokio::spawn(session.run()) }
    }
}

pub(crate) fn namespace() -> TrackNamespace {
    TrackNamespace::from_utf8_path("fanfare/room")
}

pub(crate) fn track() -> Track {
    Track::new(namespace(), "video")
}

/// Writes one complete group on one subgroup stream.
pub(crate) fn write(track: &mut SubgroupsWriter, group_id: u64, objects: &[&'static str]) {
    let subgroup = Subgroup { group_id, subgroup_id: 0, priority: 128 };
    let mut subgroup = track.create(subgroup).expect("an open track");
    for object in objects {
        subgroup.write(Bytes::from_static(object.as_bytes())).expect("an open track");
    }
}

pub(crate) async fn subgroups(reader: &TrackReader) -> SubgroupsReader {
    match within("the track's begin", reader.mode()).await {
        Ok(TrackReaderMode::Subgroups(subgroups)) => subgroups,
        _ => panic!("a track of subgroups"),
    }
}

/// Reads the next group, with all its objects.
pub(crate) async fn group(subgroups: &mut SubgroupsReader) -> Group {
    let subgroup = within("a group", subgroups.next()).await;
    let mut subgroup = subgroup.expect("an open track").expect("a group");
    let mut objects = Vec::new();
    while let Some(object) = within("an object", subgroup.read_next()).await.expect("an open track") {
        objects.push(object);
    }
    (subgroup.group_id, objects)
}
