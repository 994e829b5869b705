//! The rooms on Cloudflare: Durable Objects for each, with what an edge and an origin do of it.
//!
//! A request comes to any of the platform's places; a WebSocket of a room goes on to one of the room's objects,
//! [`Stage`]s. The first of them is an edge with one room and the room's root in one: the same relay and the same room
//! as elsewhere, in one isolate. When it has as many sockets as it may, there are more, which are edges of the first.
//! The [`Directory`] knows the rooms that there are.
#![forbid(unsafe_code)]

mod address;
mod api;
mod dial;
mod directory;
mod durable_object;
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

/// The binding of the rooms' objects.
const ROOMS: &str = "ROOMS";
/// The binding of the directory's object.
const DIRECTORY: &str = "DIRECTORY";
/// The binding of the pages.
const PAGES: &str = "ASSETS";
/// The secret with the keys, a JWK Set: the first private one of them signs.
const KEYS: &str = "FANFARE_KEYS";
/// Where more keys are that tokens may be signed with, a JWK Set.
const JWKS: &str = "FANFARE_JWKS";
/// Where the origin has its API and its door, if there is something to see.
const ORIGIN: &str = "FANFARE_ORIGIN";
/// How many WebSockets one object has, at most.
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
