//! Sets of keys: mint and verify tokens.

use std::fmt;

use serde::{Deserialize, Serialize, de::IgnoredAny};
use wire::Micros;

use crate::claims::seconds;
use crate::error::excerpt;
use crate::jwk::{Jwk, Key};
use crate::jws::{self, Header, Parts};
use crate::{Algorithm, Claims, Error, LEEWAY, MAX_TOKEN_BYTES};

/// Keys read from a key set, at most.
pub const MAX_KEYS: usize = 64;

#[derive(Serialize, Deserialize)]
struct Set<K> {
    keys: Vec<K>,
}

/// A set of keys. The first private one mints.
#[derive(Clone)]
pub struct Keys {
    keys: Vec<Key>,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.keys.iter().map(|key| &key.jwk.kid)).finish()
    }
}

/// The claims, and the registered ones that decide whether a JWT is valid at all.
#[derive(Deserialize)]
struct Payload {
    #[serde(flatten)]
    claims: Claims,
    /// Start of validity (RFC 7519 §4.1.5).
    nbf: Option<u64>,
    /// Audience (§4.1.3): no verifier here has such a name, so a token with one is refused.
    aud: Option<IgnoredAny>,
}

impl Keys {
    /// Returns a set with the private key derived from a seed of 32 random bytes.
    pub fn from_seed(algorithm: Algorithm, seed: [u8; 32]) -> Self {
        Self { keys: vec![Key::new(algorithm, seed)] }
    }

    /// Reads a JWK Set, private or public. Skips keys of other kinds.
    pub fn parse(text: &str) -> Result<Self, Error> {
        Self::read(text).map_err(Error::KeySet)
    }

    /// Reads a JWK Set, as [`parse`](Self::parse); returns the fault as text.
    pub(crate) fn read(text: &str) -> Result<Self, String> {
        let set: Set<serde_json::Value> =
            serde_json::from_str(text).map_err(|err| format!("it is not a JWK Set: {err}"))?;
        if set.keys.len() > MAX_KEYS {
            return Err(format!("it holds more than {MAX_KEYS} keys"));
        }
        let ours = set.keys.into_iter().filter_map(|key| serde_json::from_value::<Jwk>(key).ok());
        let ready = |jwk: Jwk| {
            let kid = jwk.kid.clone();
            Key::try_from(jwk).map_err(|reason| format!("key {:?}: {reason}", excerpt(&kid)))
        };
        let keys = ours.map(ready).collect::<Result<Vec<_>, _>>()?;
        if keys.is_empty() {
            return Err("it holds no EdDSA or ES256 key with kid and alg".into());
        }
        Ok(Self { keys })
    }

    /// Returns the set as JSON, with its private parts.
    pub fn private_json(&self) -> String {
        Self::json(self.keys.iter().map(|key| key.jwk.clone()))
    }

    /// Returns the set as JSON, without its private parts: enough to verify.
    pub fn public_json(&self) -> String {
        Self::json(self.keys.iter().map(|key| key.jwk.public()))
    }

    fn json(keys: impl Iterator<Item = Jwk>) -> String {
        let mut text = serde_json::to_string_pretty(&Set { keys: keys.collect() }).unwrap_or_default();
        text.push('\n');
        text
    }

    /// Appends another set's keys to this one's.
    #[must_use]
    pub fn and(mut self, more: Self) -> Self {
        self.keys.extend(more.keys);
        self
    }

    /// Signs a token with these claims.
    pub fn mint(&self, claims: &Claims) -> Result<String, Error> {
        let key = self.keys.iter().find(|key| key.signs()).ok_or(Error::NoSigningKey)?;
        let header = Header { typ: "JWT", alg: key.jwk.alg, kid: &key.jwk.kid };
        let unsigned = jws::unsigned(&header, claims).map_err(|err| Error::malformed(err.to_string()))?;
        let signature = key.sign(unsigned.as_bytes()).ok_or(Error::NoSigningKey)?;
        let jwt = jws::signed(unsigned, &signature);
        if jwt.len() > MAX_TOKEN_BYTES { Err(Error::TooLong(jwt.len())) } else { Ok(jwt) }
    }

    /// Returns the claims of a token, if one of these keys signed it and it is valid now.
    pub fn verify(&self, jwt: &str, now: Micros) -> Result<Claims, Error> {
        let parts = Parts::read(jwt)?;
        let key = self.named(&parts.kid)?;
        let kid = || excerpt(&key.jwk.kid);
        // The key determines the algorithm, never the token alone.
        if parts.alg != key.jwk.alg {
            let has = parts.alg;
            return Err(Error::malformed(format!("its algorithm {has:?} is not that of key {:?}", kid())));
        }
        if !key.verify(parts.signed.as_bytes(), &parts.signature) {
            return Err(Error::BadSignature { kid: kid() });
        }
        let Payload { claims, nbf, aud } = parts.payload()?;
        if aud.is_some() {
            return Err(Error::malformed("it is for an audience (aud), which this is not"));
        }
        if let Some(nbf) = nbf
            && nbf > seconds(now).saturating_add(LEEWAY.as_secs())
        {
            return Err(Error::Early { nbf });
        }
        claims.check_time(now)?;
        Ok(claims)
    }

    /// Returns the key with that `kid`. A token without `kid` matches a set of one key.
    fn named(&self, kid: &str) -> Result<&Key, Error> {
        match (self.keys.iter().find(|key| key.jwk.kid == kid), self.keys.as_slice()) {
            (Some(key), _) => Ok(key),
            (None, [only]) if kid.is_empty() => Ok(only),
            _ => Err(Error::UnknownKey { kid: excerpt(kid) }),
        }
    }
}
