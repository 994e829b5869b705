//! Clients that are at the door: their handshakes are counted, timed, and when there are many, their addresses proven.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use moqt::{
    Version,
    session::{Config, Side, Transport as Carrier},
};
use tokio::time::Instant;
use web_transport_quinn::{Request, http::StatusCode, proto::ConnectResponse};

use crate::{
    Transport,
    endpoint::{Connection, Error, alpn},
};

/// The longest that a client may take for all that comes before the first message of its session: the QUIC handshake
/// and, with WebTransport, the CONNECT.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Handshakes under way from which on a client has to prove its address by a Retry, one round trip more. A forged
/// address cannot.
const PROVE_FROM: usize = 128;
/// The most handshakes under way.
const MAX_HANDSHAKES: usize = 2048;
/// The pause between two handshakes of a crowd. Each costs about a millisecond of the thread that carries the media: a
/// crowd may have a third of it. Clients wait for their turn, and send again what was not answered.
const PACE: Duration = Duration::from_micros(2_500);
/// Handshakes that may begin at once, after a time without any.
const BURST: u32 = 200;

/// The handshakes of an endpoint.
#[derive(Clone, Debug, Default)]
pub(crate) struct Handshakes {
    /// Each that is under way has a clone of this.
    under_way: Arc<()>,
    /// The time at which the next would begin if all of them kept the pace.
    next: Arc<Mutex<Option<Instant>>>,
}

impl Handshakes {
    fn under_way(&self) -> usize {
        Arc::strong_count(&self.under_way) - 1
    }

    /// Waits until another handshake may begin.
    pub(crate) async fn turn(&self) {
        let next = *self.next.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = next.and_then(|next| next.checked_sub(PACE * BURST)) {
            tokio::time::sleep_until(at).await;
        }
    }

    fn begin(&self) {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        *next = Some(next.map_or(now, |next| next.max(now)) + PACE);
    }

    /// Lets a client begin its handshake, or returns `None` after it was refused or asked to prove its address.
    pub(crate) fn admit(&self, quic: quinn::Incoming) -> Option<Incoming> {
        let under_way = self.under_way();
        if under_way >= MAX_HANDSHAKES {
            quic.refuse();
            return None;
        }
        if under_way >= PROVE_FROM && !quic.remote_address_validated() {
            // Only an address that is proven already cannot be asked to.
            let _ = quic.retry();
            return None;
        }
        self.begin();
        Some(Incoming { quic, _under_way: Arc::clone(&self.under_way) })
    }
}

/// A client whose handshake has begun.
#[derive(Debug)]
pub struct Incoming {
    quic: quinn::Incoming,
    _under_way: Arc<()>,
}

impl Incoming {
    /// Returns the address that the client's first packet came from.
    pub fn remote_address(&self) -> SocketAddr {
        self.quic.remote_address()
    }

    /// Refuses the client.
    pub fn refuse(self) {
        self.quic.refuse();
    }

    /// Completes the handshake, over the transport that the client chose.
    pub async fn accept(self) -> Result<Connection, Error> {
        let peer = self.remote_address().to_string();
        let Self { quic, _under_way } = self;
        let slow = |_| Error::Connect { to: peer.clone(), reason: "the handshake took too long".into() };
        tokio::time::timeout(HANDSHAKE_TIMEOUT, handshake(quic, &peer)).await.map_err(slow)?
    }
}

async fn handshake(quic: quinn::Incoming, peer: &str) -> Result<Connection, Error> {
    let failed =
        |reason: &dyn std::fmt::Display| Error::Connect { to: peer.to_owned(), reason: reason.to_string() };
    let connection = quic.await.map_err(|error| failed(&error))?;
    let alpn = alpn(&connection);
    if let Some(version) = Version::from_protocol(&alpn) {
        let config = Config::new(Side::Server, Carrier::Quic, version);
        return Ok(Connection { transport: Transport::Quic(connection), config, url: None });
    }
    let request = Request::accept(connection).await.map_err(|error| failed(&error))?;
    let Some(version) = Version::choose(request.protocols.iter().map(String::as_bytes)) else {
        let _ = request.reject(StatusCode::NOT_ACCEPTABLE).await;
        return Err(Error::Version { peer: peer.to_owned() });
    };
    let url = request.url.clone();
    let response = ConnectResponse::OK.with_protocol(version.protocol());
    let session = request.respond(response).await.map_err(|error| failed(&error))?;
    let config = Config::new(Side::Server, Carrier::WebTransport, version);
    Ok(Connection { transport: Transport::WebTransport(Box::new(session)), config, url: Some(url) })
}
