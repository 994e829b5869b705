//! The way to an origin for what cannot speak QUIC, such as rooms on other people's platforms: a WebSocket.

use std::rc::Rc;

use axum::{
    Router,
    extract::{State, WebSocketUpgrade, ws::WebSocket},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use moqt::{
    Version,
    session::{Config, Side, Transport},
};
use quic::{Clock, Endpoint, websocket};
use relay::{Credentials, Dial, Figures, Relay};
use token::{EVERY_ROOM, Keys};
use tokio::sync::mpsc;
use url::Url;

use crate::{
    Error,
    platform::{Thread, Upstream},
    websocket::negotiate,
};

/// Sockets that wait for the door's thread, at most.
const MAX_WAITING: usize = 64;

/// An origin's door, for who has an edge's token.
///
/// Behind it is a relay that has the origin as its upstream: what several ask for comes once. It asks as anybody would:
/// what only some may watch does not go through it.
pub struct Door {
    waiting: mpsc::Receiver<(WebSocket, Version)>,
}

/// What the HTTP side knows.
#[derive(Clone)]
struct Front {
    keys: Keys,
    sockets: mpsc::Sender<(WebSocket, Version)>,
}

impl Door {
    /// The door, and `/moq`, to be served beside the origin's own API.
    pub fn new(keys: Keys) -> (Self, Router) {
        let (sockets, waiting) = mpsc::channel(MAX_WAITING);
        let router = Router::new().route("/moq", get(enter)).with_state(Front { keys, sockets });
        (Self { waiting }, router)
    }

    /// Lets edges through to the origin there, for as long as it is polled. To be run in a
    /// [`LocalSet`](tokio::task::LocalSet).
    pub async fn run(mut self, origin: Url, tls: rustls::ClientConfig) -> Result<(), Error> {
        let any = "[::]:0".parse().map_err(|_| quic::Error::Tls)?;
        let upstream: Rc<dyn Dial> = Rc::new(Upstream::new(Endpoint::upstream(any, tls)?, origin));
        let relay = Relay::new(Rc::new(Thread::default()), Figures::new(), Vec::new());
        let work = async {
            while let Some((socket, version)) = self.waiting.recv().await {
                let relay = relay.clone();
                tokio::task::spawn_local(async move {
                    let mut guest = relay.enter(Credentials::default());
                    let config = Config::new(Side::Server, Transport::WebTransport, version);
                    let _ = websocket::drive(socket, config, Clock::default(), &mut guest).await;
                });
            }
        };
        tokio::select! {
            () = work => {}
            () = relay.follow(upstream) => {}
            () = relay.housekeep() => {}
        }
        Ok(())
    }
}

async fn enter(State(front): State<Front>, headers: HeaderMap, upgrade: WebSocketUpgrade) -> Response {
    let shown = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let jwt = shown.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default();
    let now = token::now();
    let claims = front.keys.verify(jwt, now).and_then(|claims| claims.check_edge(EVERY_ROOM, now));
    if let Err(why) = claims {
        let why = format!("an origin's door is for edges, with `Authorization: Bearer JWT`: {why}\n");
        return (StatusCode::UNAUTHORIZED, why).into_response();
    }
    match negotiate(upgrade) {
        Ok((upgrade, version)) => upgrade.on_upgrade(move |socket| async move {
            // A full queue is an origin that has more than it can take: the socket is closed.
            let _ = front.sockets.try_send((socket, version));
        }),
        Err(refusal) => refusal.into_response(),
    }
}
