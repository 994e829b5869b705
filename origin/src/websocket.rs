//! WebSockets for edges that cannot use QUIC, such as rooms on other people's platforms.

use std::sync::Arc;

use ::front::Client;
use axum::{
    Extension,
    extract::{State, WebSocketUpgrade},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use quic::websocket;
use token::EVERY_ROOM;

use crate::front::{Call, EdgeSocket, Front};

/// Accepts a WebSocket of an edge, which presents its token as `Authorization: Bearer JWT`.
pub(crate) async fn accept(
    State(front): State<Arc<Front>>,
    Extension(client): Extension<Client>,
    headers: HeaderMap,
    upgrade: WebSocketUpgrade,
) -> Response {
    let presented = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let jwt = presented.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default().to_owned();
    let now = token::now();
    let claims = match &front.rooms.config().keys {
        Some(keys) => keys.verify(&jwt, now).and_then(|claims| claims.check_edge(EVERY_ROOM, now)),
        None => Err(token::Error::Malformed("this origin has no keys to verify it with".into())),
    };
    if let Err(why) = claims {
        let why = format!("this WebSocket is for edges, with `Authorization: Bearer JWT`: {why}\n");
        return (StatusCode::UNAUTHORIZED, why).into_response();
    }
    match websocket::negotiate(upgrade) {
        Ok((upgrade, version)) => upgrade.on_upgrade(move |socket| async move {
            // A full queue means that the origin is overloaded: dropping the call closes the socket.
            let socket = EdgeSocket { socket, version, jwt, address: client.addr, _seat: client.seat() };
            let _ = front.calls.try_send(Call::Socket(Box::new(socket)));
        }),
        Err(refusal) => refusal.into_response(),
    }
}
