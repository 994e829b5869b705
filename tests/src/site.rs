//! Serves web pages over HTTP.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use axum::{
    Json, Router,
    http::{HeaderName, HeaderValue},
    routing::get,
};
use serde_json::Value;
use tokio::net::TcpListener;
use tower_http::{
    services::{ServeDir, ServeFile},
    set_header::SetResponseHeaderLayer,
};

use crate::moq_watch;

/// The isolation of pages, which decides whether they may share memory with their Workers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isolation {
    /// Sends the headers that isolate pages from other origins.
    Isolated,
    /// Sends no such headers, like most sites of the web.
    Open,
}

/// The root folder of the workspace.
pub fn root() -> Result<&'static Path> {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("no workspace")
}

/// The folder of the browser client, beside the running test program: cargo's target folder may be anywhere.
pub fn client_folder() -> Result<PathBuf> {
    built("wasm-out/fanfare-client").context("the client is not built: run `cargo xtask wasm`")
}

/// The room's WebAssembly component, from the same target folder.
pub fn room_component() -> Result<PathBuf> {
    built("wasm-out/room/room.wasm").context("the room is not built: run `cargo xtask wasm`")
}

/// The folder of compiled room components, which all tests share.
pub(crate) fn worker_cache() -> Result<PathBuf> {
    let file = room_component()?;
    Ok(file.ancestors().nth(3).context("no target folder")?.join("tmp/workers"))
}

pub(crate) fn built(path: &str) -> Option<PathBuf> {
    let program = std::env::current_exe().ok()?;
    program.ancestors().map(|folder| folder.join(path)).find(|path| path.exists())
}

/// A web server. It ends with the runtime that it was started on.
#[derive(Clone, Copy, Debug)]
pub struct Site {
    addr: SocketAddr,
}

impl Site {
    /// Serves the pages of `www/` at `/`, the client at `/client/`, the tests' own pages at `/test/`, the rehearsal of
    /// a room at `/rehearsal/` and, where it is installed, `@moq/watch` at `/peers/`. Answers `/api/edge` with `edge`.
    pub async fn start(edge: Value, isolation: Isolation) -> Result<Self> {
        let (root, client) = (root()?, client_folder()?);
        let www = root.join("www");
        let header = |name: &'static str, value: &'static str| {
            let (name, value) = (HeaderName::from_static(name), HeaderValue::from_static(value));
            SetResponseHeaderLayer::overriding(name, value)
        };
        let mut app = Router::new();
        if let Ok(peers) = moq_watch() {
            app = app.nest_service("/peers", ServeDir::new(peers));
        }
        if let Some(rehearsal) = built("wasm-out/fanfare-rehearsal") {
            app = app.nest_service("/rehearsal", ServeDir::new(rehearsal));
        }
        app = app
            .route("/api/edge", get(|| async { Json(edge) }))
            .nest_service("/client", ServeDir::new(client))
            .nest_service("/test", ServeDir::new(root.join("tests/pages")))
            .fallback_service(ServeDir::new(&www).fallback(ServeFile::new(www.join("watch.html"))))
            .layer(header("cache-control", "no-store"))
            // Any page may import the client, from any origin.
            .layer(header("access-control-allow-origin", "*"))
            .layer(header("cross-origin-resource-policy", "cross-origin"));
        if isolation == Isolation::Isolated {
            app = app
                .layer(header("cross-origin-opener-policy", "same-origin"))
                .layer(header("cross-origin-embedder-policy", "require-corp"));
        }
        let listener = TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0)).await?;
        let addr = listener.local_addr()?;
        tokio::spawn(async move { axum::serve(listener, app).await });
        Ok(Self { addr })
    }

    /// The URL of a page. The host is always `localhost`; two sites are of different origins by their ports.
    pub fn url(&self, path: &str) -> String {
        format!("http://localhost:{}{path}", self.addr.port())
    }
}
