//! The keys for tokens.

use token::Keys;
use worker::{Env, Fetch, Result};

use crate::{JWKS, KEYS};

/// Returns the keys for tokens: those of the secret, and the public ones at `FANFARE_JWKS` if that is set.
pub(crate) async fn keys(env: &Env) -> Result<Keys> {
    let secret = env
        .secret(KEYS)
        .map_err(|_| format!("the secret {KEYS} is missing: `wrangler secret put {KEYS}`"))?;
    let keys = Keys::parse(&secret.to_string()).map_err(|error| format!("{KEYS}: {error}"))?;
    let Ok(url) = env.var(JWKS) else { return Ok(keys) };
    let url = url.to_string();
    let failed = |why: String| format!("{JWKS}: no usable keys at {url}: {why}");
    let request =
        worker::Request::new(&url, worker::Method::Get).map_err(|error| failed(error.to_string()))?;
    let mut response = Fetch::Request(request).send().await.map_err(|error| failed(error.to_string()))?;
    let more = Keys::parse(&response.text().await?).map_err(|error| failed(error.to_string()))?;
    Ok(keys.and(&more))
}
