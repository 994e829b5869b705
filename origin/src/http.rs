use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{Path, Request, State as Extract},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::get,
};

use token::{EVERY_ROOM, Role};
use wire::FanId;

use crate::{Error, origin::Shared, registry::RoomView, root::Roots};

/// The origin over HTTP: health, figures and rooms. All of it may be read by pages
/// from anywhere.
pub(crate) fn router(shared: Arc<Shared>) -> Router {
    let beside = shared.config.beside.clone();
    Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .route("/api/rooms", get(rooms))
        .route("/api/rooms/{*name}", get(room))
        .route("/api/fans/{fan}", get(export).delete(forget))
        .route("/fingerprint", get(fingerprint))
        .layer(middleware::from_fn(readable_from_anywhere))
        .with_state(shared)
        .merge(beside)
}

async fn readable_from_anywhere(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

async fn readyz(Extract(shared): Extract<Arc<Shared>>) -> (StatusCode, &'static str) {
    if shared.is_draining() {
        (StatusCode::SERVICE_UNAVAILABLE, "draining\n")
    } else {
        (StatusCode::OK, "ready\n")
    }
}

async fn metrics(Extract(shared): Extract<Arc<Shared>>) -> impl IntoResponse {
    const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, OPEN_METRICS)], shared.metrics.text(&shared.registry, shared.roots.as_deref()))
}

/// Private rooms are not listed: their names are for those with a token.
async fn rooms(Extract(shared): Extract<Arc<Shared>>) -> Json<Vec<RoomView>> {
    let mut rooms = shared.registry.rooms();
    rooms.retain(|room| !shared.config.is_private(&room.name));
    Json(rooms)
}

async fn room(
    Extract(shared): Extract<Arc<Shared>>,
    Path(name): Path<String>,
) -> Result<Json<RoomView>, (StatusCode, String)> {
    let open = !shared.config.is_private(&name);
    let found = open.then(|| shared.registry.room(&name)).flatten();
    found.map(Json).ok_or_else(|| (StatusCode::NOT_FOUND, format!("there is no room {name:?}\n")))
}

/// What somebody asked for cannot be done: with which status, and why in one line.
type Refusal = (StatusCode, String);

/// All that is archived of a person.
async fn export(
    Extract(shared): Extract<Arc<Shared>>,
    Path(fan): Path<String>,
    headers: HeaderMap,
) -> Result<Json<serde_json::Value>, Refusal> {
    let (roots, fan) = for_operators(&shared, &fan, &headers)?;
    let archived = roots.keep().archive().export(fan).await;
    archived.map(Json).map_err(|error| (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")))
}

/// Erases a person.
async fn forget(
    Extract(shared): Extract<Arc<Shared>>,
    Path(fan): Path<String>,
    headers: HeaderMap,
) -> Result<StatusCode, Refusal> {
    let (roots, fan) = for_operators(&shared, &fan, &headers)?;
    match roots.forget(fan).await {
        Ok(()) => Ok(StatusCode::NO_CONTENT),
        Err(error) => Err((StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n"))),
    }
}

/// What is kept of people is for who has a creator's token for all rooms.
fn for_operators(shared: &Shared, fan: &str, headers: &HeaderMap) -> Result<(Arc<Roots>, FanId), Refusal> {
    let roots = shared.roots.clone();
    let roots = roots.ok_or_else(|| (StatusCode::NOT_FOUND, "this origin keeps no rooms\n".to_owned()))?;
    let shown = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let jwt = shown.and_then(|value| value.strip_prefix("Bearer "));
    let denied = |why: String| (StatusCode::UNAUTHORIZED, format!("{why}\n"));
    let jwt = jwt.ok_or_else(|| denied("present a token: Authorization: Bearer JWT".to_owned()))?;
    let keys = shared.config.keys.as_ref().ok_or_else(|| denied(Error::NoKeys.to_string()))?;
    let claims = keys.verify(jwt, token::now()).map_err(|error| denied(error.to_string()))?;
    if (claims.role, claims.room.as_str()) != (Role::Creator, EVERY_ROOM) {
        let why = "a creator's token for all rooms is needed: fanfare token mint --room '*'\n";
        return Err((StatusCode::FORBIDDEN, why.to_owned()));
    }
    let fan = fan.parse().map_err(|error: wire::NotAFan| (StatusCode::BAD_REQUEST, format!("{error}\n")))?;
    Ok((roots, fan))
}

async fn fingerprint(Extract(shared): Extract<Arc<Shared>>) -> Result<String, (StatusCode, String)> {
    shared.certificate.fingerprint().ok_or_else(|| {
        let reason = "the certificate is not self-signed: no fingerprint is needed\n";
        (StatusCode::NOT_FOUND, reason.to_owned())
    })
}
