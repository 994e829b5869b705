//! The keys for tokens.

use std::cell::RefCell;

use token::Keys;
use wire::Micros;
use worker::{Env, Fetch, Result};

use crate::{JWKS, KEYS, platform::wall};

/// The age up to which keys that were fetched are used again. Without it, each request with any token would fetch them.
const FRESH: Micros = Micros::from_secs(300);

/// The beginnings of URLs of this machine.
const LOOPBACK: [&str; 3] = ["http://localhost", "http://127.0.0.1", "http://[::1]"];

/// Keys that this isolate has fetched, with the address and the time.
struct Fetched {
    url: String,
    at: Micros,
    keys: Keys,
}

thread_local! {
    static FETCHED: RefCell<Option<Fetched>> = const { RefCell::new(None) };
}

/// Returns the keys for tokens: those of the secret, and the public ones at `FANFARE_JWKS` if that is set.
pub(crate) async fn keys(env: &Env) -> Result<Keys> {
    let secret = env
        .secret(KEYS)
        .map_err(|_| format!("the secret {KEYS} is missing: `wrangler secret put {KEYS}`"))?;
    let keys = Keys::parse(&secret.to_string()).map_err(|error| format!("{KEYS}: {error}"))?;
    let Ok(url) = env.var(JWKS) else { return Ok(keys) };
    Ok(keys.and(&more_keys(&url.to_string()).await?))
}

async fn more_keys(url: &str) -> Result<Keys> {
    let now = wall();
    let is_fresh = |fetched: &&Fetched| fetched.url == url && now < fetched.at + FRESH;
    let fresh = FETCHED.with_borrow(|fetched| Some(fetched.as_ref().filter(is_fresh)?.keys.clone()));
    if let Some(keys) = fresh {
        return Ok(keys);
    }
    let failed = |why: String| format!("{JWKS}: no usable keys at {url}: {why}");
    if !is_safe(url) {
        return Err(failed("whoever is on the way could exchange them: use https:".into()).into());
    }
    let request =
        worker::Request::new(url, worker::Method::Get).map_err(|error| failed(error.to_string()))?;
    let mut response = Fetch::Request(request).send().await.map_err(|error| failed(error.to_string()))?;
    let keys = Keys::parse(&response.text().await?).map_err(|error| failed(error.to_string()))?;
    FETCHED.set(Some(Fetched { url: url.to_owned(), at: now, keys: keys.clone() }));
    Ok(keys)
}

/// Returns whether nobody on the way can change what is fetched from there: over HTTPS, or from this machine. It looks
/// at the beginning alone: a parser of URLs adds 70 KB to the compressed upload.
fn is_safe(url: &str) -> bool {
    let is_here = |host: &&str| url.strip_prefix(*host).is_some_and(|rest| rest.starts_with([':', '/']));
    url.starts_with("https://") || LOOPBACK.iter().any(is_here)
}
