use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{Path, Request, State as Extract},
    http::{HeaderValue, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::get,
};

use crate::{origin::Shared, registry::RoomView};

/// The origin over HTTP: health, figures and rooms. All of it may be read by pages
/// from anywhere.
pub(crate) fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .route("/api/rooms", get(rooms))
        .route("/api/rooms/{*name}", get(room))
        .route("/fingerprint", get(fingerprint))
        .layer(middleware::from_fn(readable_from_anywhere))
        .with_state(shared)
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
    ([(header::CONTENT_TYPE, OPEN_METRICS)], shared.metrics.text(&shared.registry))
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

async fn fingerprint(Extract(shared): Extract<Arc<Shared>>) -> Result<String, (StatusCode, String)> {
    shared.certificate.fingerprint().ok_or_else(|| {
        let reason = "the certificate is not self-signed: no fingerprint is needed\n";
        (StatusCode::NOT_FOUND, reason.to_owned())
    })
}
