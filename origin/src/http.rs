//! The origin's HTTP API.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use axum::{
    Json, Router,
    extract::{Path, Request, State as Extract},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::get,
};

use token::EVERY_ROOM;
use tokio::sync::oneshot;
use wire::FanId;

use crate::{
    Error, RoomView,
    front::{Call, Front},
    keep::Keep,
    websocket,
};

/// The time for which a request waits for an erasure.
const ERASING: Duration = Duration::from_secs(20);

/// Routes health and rooms. Pages of any web origin may read all of it.
pub(crate) fn router(front: Arc<Front>) -> Router {
    Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(readyz))
        .route("/api/rooms", get(rooms))
        .route("/api/rooms/{*name}", get(room))
        .route("/fingerprint", get(fingerprint))
        .layer(middleware::from_fn(readable_from_anywhere))
        .route("/moq", get(websocket::accept))
        .with_state(front)
}

/// Routes what is for operators: figures, and the archive.
pub(crate) fn admin_router(front: Arc<Front>) -> Router {
    Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .route("/api/fans/{fan}", get(export).delete(forget))
        .with_state(front)
}

async fn readable_from_anywhere(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

async fn readyz(Extract(front): Extract<Arc<Front>>) -> (StatusCode, &'static str) {
    if front.draining.load(Ordering::Relaxed) {
        (StatusCode::SERVICE_UNAVAILABLE, "draining\n")
    } else {
        (StatusCode::OK, "ready\n")
    }
}

async fn metrics(Extract(front): Extract<Arc<Front>>) -> impl IntoResponse {
    const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    front.room_figures.set(&front.rooms.views());
    ([(header::CONTENT_TYPE, OPEN_METRICS)], front.figures.text())
}

/// Lists the public rooms. The names of private ones are for those with a token.
async fn rooms(Extract(front): Extract<Arc<Front>>) -> Json<Vec<RoomView>> {
    let mut rooms = front.rooms.views();
    rooms.retain(|room| !front.rooms.config().is_private(&room.name));
    Json(rooms)
}

async fn room(
    Extract(front): Extract<Arc<Front>>,
    Path(name): Path<String>,
) -> Result<Json<RoomView>, (StatusCode, String)> {
    let is_open = !front.rooms.config().is_private(&name);
    let found = is_open.then(|| front.rooms.view(&name)).flatten();
    found.map(Json).ok_or_else(|| (StatusCode::NOT_FOUND, format!("there is no room {name:?}\n")))
}

/// A refused request: the status, and the reason in one line.
type Refusal = (StatusCode, String);

/// Exports all that is archived of a person.
async fn export(
    Extract(front): Extract<Arc<Front>>,
    Path(fan): Path<String>,
    headers: HeaderMap,
) -> Result<Json<serde_json::Value>, Refusal> {
    let (keep, fan) = for_operators(&front, &fan, &headers)?;
    let archived = keep.archive().export(fan).await;
    archived.map(Json).map_err(|error| (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")))
}

/// Erases a person from all rooms and from the archive. Answers 204 once it is done, and 202 if it is still going on.
async fn forget(
    Extract(front): Extract<Arc<Front>>,
    Path(fan): Path<String>,
    headers: HeaderMap,
) -> Result<StatusCode, Refusal> {
    let (_, fan) = for_operators(&front, &fan, &headers)?;
    let (done, is_done) = oneshot::channel();
    let _ = front.calls.send(Call::Forget(fan, done)).await;
    match tokio::time::timeout(ERASING, is_done).await {
        // The job goes on; another request waits for it again.
        Err(_) => Ok(StatusCode::ACCEPTED),
        Ok(Ok(Ok(()))) => Ok(StatusCode::NO_CONTENT),
        Ok(done) => {
            let error = done.unwrap_or(Err(Error::Thread)).err().unwrap_or(Error::Thread);
            Err((StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")))
        }
    }
}

/// Checks that the request has an operator's token for all rooms: a person may have been in any.
fn for_operators(front: &Front, fan: &str, headers: &HeaderMap) -> Result<(Keep, FanId), Refusal> {
    let config = front.rooms.config();
    let keep = config.rooms.as_ref().map(|rooms| rooms.keep.clone());
    let keep = keep.ok_or_else(|| (StatusCode::NOT_FOUND, "this origin keeps no rooms\n".to_owned()))?;
    let shown = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let jwt = shown.and_then(|value| value.strip_prefix("Bearer "));
    let denied = |why: String| (StatusCode::UNAUTHORIZED, format!("{why}\n"));
    let jwt = jwt.ok_or_else(|| denied("present a token: Authorization: Bearer JWT".to_owned()))?;
    let keys = config.keys.as_ref().ok_or_else(|| denied(Error::NoKeys.to_string()))?;
    let now = token::now();
    let claims = keys.verify(jwt, now).map_err(|error| denied(error.to_string()))?;
    claims.check_operator(EVERY_ROOM, now).map_err(|error| (StatusCode::FORBIDDEN, format!("{error}\n")))?;
    let fan = fan.parse().map_err(|error: wire::NotAFan| (StatusCode::BAD_REQUEST, format!("{error}\n")))?;
    Ok((keep, fan))
}

async fn fingerprint(Extract(front): Extract<Arc<Front>>) -> Result<String, (StatusCode, String)> {
    front.certificate.fingerprint().ok_or_else(|| {
        let reason = "the certificate is not self-signed: no fingerprint is needed\n";
        (StatusCode::NOT_FOUND, reason.to_owned())
    })
}
