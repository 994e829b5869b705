use std::{
    net::{SocketAddr, UdpSocket},
    sync::Arc,
    time::Duration,
};

use moq_transport::{
    session::{Transport, transport::Session, transport::quinn as web_transport},
    setup::{SUPPORTED_ALPNS, negotiate_version},
};
use quinn::{
    EndpointConfig, IdleTimeout, Incoming, TransportConfig, VarInt,
    crypto::rustls::{HandshakeData, QuicServerConfig},
};
use url::Url;
use web_transport::http::StatusCode;

use quic::Certificate;

use crate::Error;

/// A peer silent for this long is gone.
const IDLE: Duration = Duration::from_secs(10);
/// How often an idle connection is kept alive.
const KEEP_ALIVE: Duration = Duration::from_secs(4);
/// Streams a peer may have open towards us at once: one per live subgroup or request.
const MAX_STREAMS: u32 = 1024;
/// Bytes a peer may have in flight to us over all streams.
const RECEIVE_WINDOW: u32 = 32 << 20;
/// How long a refusal is given to reach the peer before the connection is closed.
const REFUSAL_FLUSH: Duration = Duration::from_millis(250);
/// HTTP/3's "no error".
const H3_NO_ERROR: u32 = 0x100;

/// The QUIC endpoint for raw QUIC and WebTransport, on a socket already bound.
pub(crate) fn bind(socket: UdpSocket, certificate: &Arc<Certificate>) -> Result<quinn::Endpoint, Error> {
    let alpn: Vec<_> = [web_transport::ALPN].iter().chain(SUPPORTED_ALPNS).copied().collect();
    let tls = certificate.server_config(&alpn)?;
    let tls = QuicServerConfig::try_from(tls).map_err(|_| Error::Crypto("configuring QUIC"))?;
    let mut transport = TransportConfig::default();
    transport
        .max_idle_timeout(IdleTimeout::try_from(IDLE).ok())
        .keep_alive_interval(Some(KEEP_ALIVE))
        .max_concurrent_bidi_streams(MAX_STREAMS.into())
        .max_concurrent_uni_streams(MAX_STREAMS.into())
        .receive_window(RECEIVE_WINDOW.into());
    let mut server = quinn::ServerConfig::with_crypto(Arc::new(tls));
    server.transport_config(Arc::new(transport));
    let addr = socket.local_addr();
    let runtime = Arc::new(quinn::TokioRuntime);
    quinn::Endpoint::new(EndpointConfig::default(), Some(server), socket, runtime).map_err(|source| {
        Error::Listen {
            protocol: "udp",
            addr: addr.unwrap_or_else(|_| SocketAddr::from(([0, 0, 0, 0], 0))),
            source,
            hint: "check the address",
        }
    })
}

/// A connection on which `MoQ` Transport can begin.
pub(crate) struct Accepted {
    pub(crate) session: Session,
    pub(crate) connection: quinn::Connection,
    pub(crate) transport: Transport,
    /// The URL of the WebTransport CONNECT; raw QUIC has its path and query in SETUP.
    pub(crate) url: Option<Url>,
}

/// Shakes hands, over whichever of the transports the peer chose.
pub(crate) async fn accept(incoming: Incoming) -> Result<Accepted, Error> {
    let failed = |err: &dyn std::fmt::Display| Error::Handshake(err.to_string());
    let connection = incoming.await.map_err(|err| failed(&err))?;
    let alpn = connection
        .handshake_data()
        .and_then(|data| data.downcast::<HandshakeData>().ok())
        .and_then(|data| data.protocol)
        .unwrap_or_default();
    if alpn != web_transport::ALPN.as_bytes() {
        // The server only negotiates what it offers: HTTP/3 or a version of MoQ Transport.
        let url = Url::parse("moqt://localhost").map_err(|err| failed(&err))?;
        let response = web_transport::proto::ConnectResponse::default();
        let session = web_transport::Session::raw(connection.clone(), url, response);
        return Ok(Accepted {
            session: session.into(),
            connection,
            transport: Transport::RawQuic,
            url: None,
        });
    }
    let request = web_transport::Request::accept(connection.clone()).await.map_err(|err| failed(&err))?;
    let Some(version) = negotiate_version(&request.protocols) else {
        let offered = format!("no MoQ version of ours among {:?}", request.protocols);
        // `reject` only queues the answer, which closing at once would truncate.
        let _ = request.reject(StatusCode::NOT_ACCEPTABLE).await;
        let _ = tokio::time::timeout(REFUSAL_FLUSH, connection.closed()).await;
        connection.close(VarInt::from_u32(H3_NO_ERROR), b"no common MoQ version");
        return Err(Error::Handshake(offered));
    };
    let url = request.url.clone();
    let response = web_transport::proto::ConnectResponse::OK.with_protocol(version.to_string());
    let session = request.respond(response).await.map_err(|err| failed(&err))?;
    Ok(Accepted { session: session.into(), connection, transport: Transport::WebTransport, url: Some(url) })
}
