//! Sessions with relays: QUIC or WebTransport, TLS, SETUP and the token.

use std::{
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use moq_transport::{
    message::RequestErrorCode,
    session::{
        Publisher, Session, SessionError, Subscriber, Transport,
        transport::{self, quinn as web_transport},
    },
    setup::{AuthorizationToken, SUPPORTED_ALPNS},
};
use quinn::{ConnectionError, IdleTimeout, TransportConfig, crypto::rustls::QuicClientConfig};
use tokio::time::timeout;
use web_transport::{ClientError, http::StatusCode, proto};

use crate::{
    Address,
    guard::{Guarded, Meter},
};

/// The time to reach a relay, TLS and SETUP included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// A relay that is silent for this long is gone.
const IDLE: Duration = Duration::from_secs(10);
/// The interval of the keep-alives of an idle connection.
const KEEP_ALIVE: Duration = Duration::from_secs(3);
/// Streams that a relay may have open towards us: one for each live subgroup or request.
const MAX_STREAMS: u32 = 1024;
/// Bytes that may be sent and not acknowledged, over all streams.
const SEND_WINDOW: u64 = 8 << 20;
/// The time that the end of a session is given to reach the relay.
const CLOSE_FLUSH: Duration = Duration::from_secs(1);
/// Session codes of the draft (§15.10.1).
const NO_ERROR: u32 = 0x0;
const UNAUTHORIZED: u32 = 0x2;
/// The type of a token that both sides agreed on elsewhere.
const TOKEN_TYPE: u64 = 0;

/// An established session with a relay.
pub(crate) struct Connected {
    pub(crate) session: Session,
    pub(crate) publisher: Publisher,
    pub(crate) subscriber: Subscriber,
    pub(crate) connection: Connection,
}

/// The connection of a session, to end it and to ask why it ended.
pub(crate) struct Connection {
    transport: transport::Session,
    quic: quinn::Connection,
    endpoint: quinn::Endpoint,
}

/// The reason for having no session with a relay.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The relay refuses us, and would again.
    Unauthorized(String),
    /// Something that may be otherwise next time.
    Lost(String),
}

impl Failure {
    /// The refusal of a request.
    pub(crate) fn refused(what: &str, code: u64) -> Self {
        const FOR_GOOD: [RequestErrorCode; 3] = [
            RequestErrorCode::Unauthorized,
            RequestErrorCode::MalformedAuthToken,
            RequestErrorCode::ExpiredAuthToken,
        ];
        if FOR_GOOD.iter().any(|known| *known as u64 == code) {
            Self::Unauthorized(format!("{what} is refused"))
        } else {
            Self::Lost(format!("{what} is refused (code {code:#x})"))
        }
    }
}

/// A failure that may be otherwise next time.
pub(crate) fn lost(error: impl std::fmt::Display) -> Failure {
    Failure::Lost(error.to_string())
}

/// Connects to the relay of an address.
pub(crate) async fn connect(
    address: &Address,
    tls: &rustls::ClientConfig,
    meter: &Arc<Meter>,
) -> Result<Connected, Failure> {
    let connecting = async {
        let (endpoint, quic) = dial(address, tls).await?;
        let established = establish(address, &quic, meter).await?;
        let (transport, (session, publisher, subscriber)) = established;
        Ok(Connected { session, publisher, subscriber, connection: Connection { transport, quic, endpoint } })
    };
    timeout(CONNECT_TIMEOUT, connecting).await.map_err(|_| lost("no answer in time"))?
}

/// A QUIC connection to the first address of the host that answers.
async fn dial(
    address: &Address,
    tls: &rustls::ClientConfig,
) -> Result<(quinn::Endpoint, quinn::Connection), Failure> {
    let host = address.host().trim_matches(['[', ']']);
    let mut tls = tls.clone();
    tls.alpn_protocols = match address.relay().scheme() {
        "moqt" => SUPPORTED_ALPNS.iter().map(|alpn| alpn.as_bytes().to_vec()).collect(),
        _ => vec![web_transport::ALPN.into()],
    };
    let tls = QuicClientConfig::try_from(tls).map_err(lost)?;
    let mut transport = TransportConfig::default();
    transport
        .max_idle_timeout(IdleTimeout::try_from(IDLE).ok())
        .keep_alive_interval(Some(KEEP_ALIVE))
        .max_concurrent_bidi_streams(MAX_STREAMS.into())
        .max_concurrent_uni_streams(MAX_STREAMS.into())
        .send_window(SEND_WINDOW);
    let mut config = quinn::ClientConfig::new(Arc::new(tls));
    config.transport_config(Arc::new(transport));

    let mut failure = lost(format!("{host} has no address"));
    for to in tokio::net::lookup_host((host, address.port())).await.map_err(lost)? {
        let from: SocketAddr = match to {
            SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
            SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
        };
        let endpoint = quinn::Endpoint::client(from).map_err(lost)?;
        let connecting = endpoint.connect_with(config.clone(), to, host).map_err(lost)?;
        match connecting.await {
            Ok(quic) => return Ok((endpoint, quic)),
            Err(error) => failure = lost(error),
        }
    }
    Err(failure)
}

type Established = (transport::Session, (Session, Publisher, Subscriber));

/// A session over a connection, whichever of the two transports the address wants.
async fn establish(
    address: &Address,
    quic: &quinn::Connection,
    meter: &Arc<Meter>,
) -> Result<Established, Failure> {
    let url = address.relay().clone();
    let (inner, kind) = if url.scheme() == "moqt" {
        let response = proto::ConnectResponse::default();
        (web_transport::Session::raw(quic.clone(), url.clone(), response), Transport::RawQuic)
    } else {
        let request = SUPPORTED_ALPNS
            .iter()
            .fold(proto::ConnectRequest::new(url.clone()), |request, alpn| request.with_protocol(*alpn));
        let session = web_transport::Session::connect(quic.clone(), request).await;
        (session.map_err(rejected)?, Transport::WebTransport)
    };
    let transport = transport::Session::new(Guarded::new(inner, Arc::clone(meter)), url);
    let token = address.token().map(|token| AuthorizationToken::new(TOKEN_TYPE, token.into()));
    let session = Session::connect_with_tokens(transport.clone(), None, kind, token.into_iter().collect());
    Ok((transport, session.await.map_err(|error| ended(&error, quic))?))
}

/// The reason for which a relay did not accept a WebTransport session.
fn rejected(error: ClientError) -> Failure {
    use web_transport::ConnectError;
    let status = match &error {
        ClientError::HttpError(
            ConnectError::ErrorStatus(status)
            | ConnectError::ProtoError(proto::ConnectError::ErrorStatus(status)),
        ) => *status,
        _ => return lost(error),
    };
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            Failure::Unauthorized(format!("the relay answers {status}"))
        }
        status => Failure::Lost(format!("the relay answers {status}")),
    }
}

/// The reason for the end of a session: the relay closed it, by WebTransport or by QUIC, or something failed.
fn ended(error: &SessionError, quic: &quinn::Connection) -> Failure {
    let by_webtransport = match error {
        SessionError::WebTransport(error) => error.session_error(),
        _ => None,
    };
    let by_quic = || {
        let ConnectionError::ApplicationClosed(close) = quic.close_reason()? else { return None };
        let code = close.error_code.into_inner();
        let code = proto::error_from_http3(code).or_else(|| u32::try_from(code).ok())?;
        Some((code, String::from_utf8_lossy(&close.reason).into_owned()))
    };
    let Some((code, reason)) = by_webtransport.or_else(by_quic) else { return lost(error) };
    let reason = if reason.is_empty() { "the relay closes the session".to_owned() } else { reason };
    match code {
        UNAUTHORIZED => Failure::Unauthorized(reason),
        code => Failure::Lost(format!("{reason} (code {code:#x})")),
    }
}

impl Connection {
    /// The reason for the end of the session, given the outcome of running it.
    pub(crate) fn failure(&self, outcome: Result<(), SessionError>) -> Failure {
        outcome.map_or_else(|error| ended(&error, &self.quic), |()| lost("the session ended"))
    }

    /// Ends the session, and waits until the relay knows.
    pub(crate) async fn close(self) {
        self.transport.close(NO_ERROR, "");
        let _ = timeout(CLOSE_FLUSH, self.endpoint.wait_idle()).await;
    }
}
