//! Rooms on Cloudflare: each room has Durable Objects that do the work of an edge and of the origin.
//!
//! A request reaches any of the platform's data centres. A WebSocket for a room is passed on to one of the room's
//! objects, each a [`Stage`]. The first, shard 0, is an edge with that one room and also runs the room's root: the same
//! relay and the same room as elsewhere, in one isolate. When it has as many WebSockets as it may, further shards are
//! opened, which are edges of the first. The [`Directory`] lists the rooms.
#![forbid(unsafe_code)]

mod address;
mod api;
mod dial;
mod directory;
mod durable_object;
mod keys;
mod object;
mod platform;
mod send_batch;
mod shard;
mod storage;
mod websocket;

use worker::{Context, Env, Request, Response, Result, event};

use address::Address;

pub use directory::Directory;
pub use durable_object::Stage;

/// The binding of the rooms' Durable Objects.
const ROOMS: &str = "ROOMS";
/// The binding of the directory's Durable Object.
const DIRECTORY: &str = "DIRECTORY";
/// The binding of the static pages.
const PAGES: &str = "ASSETS";
/// The secret with the keys for tokens, a JWK Set. Its first private key signs.
const KEYS: &str = "FANFARE_KEYS";
/// The variable with the URL of a JWK Set: further public keys that tokens may be signed with.
const JWKS: &str = "FANFARE_JWKS";
/// The variable with the URL of the origin, for its API and its media. Without it, rooms have no media.
const ORIGIN: &str = "FANFARE_ORIGIN";
/// The variable with the limit of WebSockets in one object.
const SOCKETS: &str = "FANFARE_SOCKETS";

#[event(fetch, respond_with_errors)]
async fn fetch(request: Request, env: Env, _: Context) -> Result<Response> {
    let address = Address::new(request.inner().url());
    match address.path() {
        "/healthz" => Response::ok("ok\n"),
        "/moq" => shard::enter(&request, &address, &env).await,
        path if path.starts_with("/api/") => api::answer(&request, &address, &env).await,
        _ => env.assets(PAGES)?.fetch_request(request).await,
    }
}
