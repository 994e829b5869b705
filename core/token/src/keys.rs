//! Sets of keys: mint and verify tokens.

use std::{
    fmt,
    sync::{Arc, PoisonError, RwLock},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use serde::{Deserialize, Serialize, de::IgnoredAny};
use sha2::{Digest as _, Sha256};
use wire::Micros;

use crate::claims::seconds;
use crate::error::excerpt;
use crate::jwk::{Jwk, Key};
use crate::jws::{self, Header, Parts, present};
use crate::{Algorithm, Claims, Error, LEEWAY, MAX_TOKEN_BYTES, Revocations, Scope};

/// Keys read from one key set, at most.
pub const MAX_KEYS: usize = 64;
/// Bytes of a derived `jti`: enough that no two tokens have the same.
const JTI_BYTES: usize = 12;

#[derive(Serialize, Deserialize)]
struct Jwks<K> {
    keys: Vec<K>,
}

/// Keys, and the tokens that are revoked. Clones share them: a node that reads its keys again replaces those of all
/// clones. Of the private keys, the first with a scope that allows a token mints it, or else the first without a scope.
#[derive(Clone)]
pub struct Keys(Arc<RwLock<Arc<Set>>>);

/// The keys at one moment.
#[derive(Clone, Default)]
struct Set {
    own: Vec<Key>,
    revoked: Revocations,
    /// Public keys of other edges, and revocations, that the origin has told this node.
    adopted: Vec<Key>,
    adopted_revoked: Revocations,
    /// Grows with each replacement.
    generation: u64,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.set().all().map(|key| &key.jwk.kid)).finish()
    }
}

/// The claims, and the registered ones that decide whether a JWT is valid at all.
#[derive(Deserialize)]
struct Payload {
    #[serde(flatten)]
    claims: Claims,
    /// Start of validity (RFC 7519 §4.1.5).
    #[serde(default, deserialize_with = "present")]
    nbf: Option<u64>,
    /// Audience (§4.1.3): no verifier here has such a name, so a token with one is refused.
    #[serde(default, deserialize_with = "present")]
    aud: Option<IgnoredAny>,
}

/// A valid token, and the key that signed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// The token's claims.
    pub claims: Claims,
    /// The `kid` of its key.
    pub kid: String,
    /// The scope of its key; a key without one may sign every token.
    pub scope: Option<Scope>,
}

/// A key of a set, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyInfo {
    /// The `kid`.
    pub kid: String,
    /// The algorithm.
    pub algorithm: Algorithm,
    /// Set if the private part is there.
    pub signs: bool,
    /// The scope, if the key has one.
    pub scope: Option<Scope>,
}

impl Keys {
    /// Returns a set with the private key derived from a seed of 32 random bytes.
    pub fn from_seed(algorithm: Algorithm, seed: [u8; 32]) -> Self {
        Self::of(vec![Key::new(algorithm, seed, None)])
    }

    /// Returns a set with a private key of that scope, derived from a seed of 32 random bytes.
    pub fn scoped(algorithm: Algorithm, seed: [u8; 32], scope: Scope) -> Self {
        Self::of(vec![Key::new(algorithm, seed, Some(scope))])
    }

    /// Returns a set without keys, by which no token is valid.
    pub fn none() -> Self {
        Self::of(Vec::new())
    }

    /// Reads a JWK Set, private or public. Skips keys of other kinds.
    pub fn parse(text: &str) -> Result<Self, Error> {
        Self::read(text).map_err(Error::KeySet)
    }

    /// Reads a JWK Set, as [`parse`](Self::parse); returns the fault as text.
    pub(crate) fn read(text: &str) -> Result<Self, String> {
        let set: Jwks<serde_json::Value> =
            serde_json::from_str(text).map_err(|err| format!("it is not a JWK Set: {err}"))?;
        if set.keys.len() > MAX_KEYS {
            return Err(format!("it holds more than {MAX_KEYS} keys"));
        }
        let keys = usable(set.keys)?;
        if keys.is_empty() {
            return Err("it holds no EdDSA or ES256 key with kid and alg".into());
        }
        Ok(Self::of(keys))
    }

    fn of(own: Vec<Key>) -> Self {
        Self(Arc::new(RwLock::new(Arc::new(Set { own, ..Set::default() }))))
    }

    fn set(&self) -> Arc<Set> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn change(&self, change: impl FnOnce(&mut Set)) {
        let mut set = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let set = Arc::make_mut(&mut set);
        change(set);
        set.generation += 1;
    }

    /// Returns the set as JSON, with its private parts.
    pub fn private_json(&self) -> String {
        json(self.set().own.iter().map(|key| key.jwk.clone()))
    }

    /// Returns the set as JSON, without its private parts: enough to verify.
    pub fn public_json(&self) -> String {
        json(self.set().own.iter().map(|key| key.jwk.public()))
    }

    /// Returns the public halves of those keys that edges have, as JSON: for the other edges.
    pub fn edges_json(&self) -> String {
        let set = self.set();
        let edges = set.all().filter(|key| key.scope.as_ref().is_some_and(Scope::is_an_edges));
        json(edges.map(|key| key.jwk.public()))
    }

    /// Returns a set with another set's keys after this one's, and the revocations of both.
    #[must_use]
    pub fn and(self, more: &Self) -> Self {
        let (mut set, more) = (Set::clone(&self.set()), more.set());
        set.own.extend(more.own.iter().cloned());
        set.revoked.revoked.extend(more.revoked.revoked.iter().cloned());
        Self(Arc::new(RwLock::new(Arc::new(set))))
    }

    /// Returns a set with these revocations in place of its own.
    #[must_use]
    pub fn without(self, revoked: Revocations) -> Self {
        self.change(|set| set.revoked = revoked);
        self
    }

    /// Replaces the keys and revocations of all clones by those of another set. What was
    /// [adopted](Self::adopt) stays.
    pub fn replace(&self, with: &Self) {
        let with = with.set();
        self.change(|set| {
            set.own.clone_from(&with.own);
            set.revoked.clone_from(&with.revoked);
        });
    }

    /// Adds what the origin says, in place of what it said before: public keys, of which only those that belong to an
    /// edge count, and revocations. A key of the node's own with the same `kid` comes first.
    pub fn adopt(&self, jwks: &str, revoked: Revocations) -> Result<(), Error> {
        let set: Jwks<serde_json::Value> = serde_json::from_str(jwks)
            .map_err(|error| Error::KeySet(format!("it is not a JWK Set: {error}")))?;
        let mut keys = usable(set.keys).map_err(Error::KeySet)?;
        keys.retain(|key| key.scope.as_ref().is_some_and(Scope::is_an_edges));
        self.change(|set| {
            set.adopted = keys;
            set.adopted_revoked = revoked;
        });
        Ok(())
    }

    /// Returns the revocations of the set.
    pub fn revocations(&self) -> Revocations {
        self.set().revoked.clone()
    }

    /// Returns a number that grows whenever keys or revocations are replaced.
    pub fn generation(&self) -> u64 {
        self.set().generation
    }

    /// Lists the keys.
    pub fn list(&self) -> Vec<KeyInfo> {
        let info = |key: &Key| KeyInfo {
            kid: key.jwk.kid.clone(),
            algorithm: key.jwk.alg,
            signs: key.signs(),
            scope: key.scope.clone(),
        };
        self.set().own.iter().map(info).collect()
    }

    /// Signs a token with these claims. A token without `jti` gets one.
    pub fn mint(&self, claims: &Claims) -> Result<String, Error> {
        let set = self.set();
        let key = set.signer(claims)?;
        let claims = match claims.jti {
            Some(_) => claims.clone(),
            None => Claims { jti: Some(derived_jti(&key.jwk.kid, claims)), ..claims.clone() },
        };
        let header = Header { typ: "JWT", alg: key.jwk.alg, kid: &key.jwk.kid };
        let unsigned = jws::unsigned(&header, &claims).map_err(|err| Error::malformed(err.to_string()))?;
        let signature = key.sign(unsigned.as_bytes()).ok_or(Error::NoSigningKey)?;
        let jwt = jws::signed(unsigned, &signature);
        if jwt.len() > MAX_TOKEN_BYTES { Err(Error::TooLong(jwt.len())) } else { Ok(jwt) }
    }

    /// Returns the scope of the key that would sign these claims; `None` is a key for all tokens.
    pub fn signing_scope(&self, claims: &Claims) -> Result<Option<Scope>, Error> {
        self.set().signer(claims).map(|key| key.scope.clone())
    }

    /// Returns the claims of a token, if one of these keys signed it and it is valid now.
    pub fn verify(&self, jwt: &str, now: Micros) -> Result<Claims, Error> {
        self.examine(jwt, now).map(|verified| verified.claims)
    }

    /// Returns a token's claims, as [`verify`](Self::verify), and the key that signed it.
    pub fn examine(&self, jwt: &str, now: Micros) -> Result<Verified, Error> {
        let set = self.set();
        let parts = Parts::read(jwt)?;
        let key = set.named(&parts.kid)?;
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
        let verified = Verified { claims, kid: key.jwk.kid.clone(), scope: key.scope.clone() };
        set.check(&verified, now)?;
        Ok(verified)
    }

    /// Checks that a token that was valid before still is: that it has not expired, its key is still here, and nobody
    /// has revoked it.
    pub fn stands(&self, verified: &Verified, now: Micros) -> Result<(), Error> {
        let set = self.set();
        let key = set.named(&verified.kid)?;
        set.check(&Verified { scope: key.scope.clone(), ..verified.clone() }, now)
    }
}

impl Set {
    /// All keys; the node's own come first, so that no adopted key takes the place of one.
    fn all(&self) -> impl Iterator<Item = &Key> {
        self.own.iter().chain(&self.adopted)
    }

    /// Returns the private key that signs these claims: the first with a scope that allows them, or else the first without
    /// a scope.
    fn signer(&self, claims: &Claims) -> Result<&Key, Error> {
        let mut refusal = Error::NoSigningKey;
        for (key, scope) in self.own.iter().filter_map(|key| Some((key, key.scope.as_ref()?))) {
            match scope.check(&key.jwk.kid, claims) {
                _ if !key.signs() => {}
                Ok(()) => return Ok(key),
                Err(error) => refusal = error,
            }
        }
        self.own.iter().find(|key| key.signs() && key.scope.is_none()).ok_or(refusal)
    }

    /// Checks what the signature does not say: the key's scope, the time, and the revocations.
    fn check(&self, token: &Verified, now: Micros) -> Result<(), Error> {
        let Verified { claims, kid, scope } = token;
        let scope = scope.as_ref();
        scope.map_or(Ok(()), |scope| scope.check(kid, claims))?;
        claims.check_time(now)?;
        if [&self.revoked, &self.adopted_revoked].iter().any(|list| list.has(claims, kid, scope)) {
            let what =
                claims.jti.as_ref().map_or_else(|| format!("key {kid:?}"), |jti| format!("jti {jti:?}"));
            return Err(Error::Revoked { what: excerpt(&what) });
        }
        Ok(())
    }

    /// Returns the key with that `kid`. A token without `kid` matches a set of one key.
    fn named(&self, kid: &str) -> Result<&Key, Error> {
        match (self.all().find(|key| key.jwk.kid == kid), self.own.as_slice()) {
            (Some(key), _) => Ok(key),
            (None, [only]) if kid.is_empty() => Ok(only),
            _ => Err(Error::UnknownKey { kid: excerpt(kid) }),
        }
    }
}

/// Reads the keys that are of a kind known here.
fn usable(keys: Vec<serde_json::Value>) -> Result<Vec<Key>, String> {
    let ours = keys.into_iter().filter_map(|key| serde_json::from_value::<Jwk>(key).ok());
    let ready = |jwk: Jwk| {
        let kid = jwk.kid.clone();
        Key::try_from(jwk).map_err(|reason| format!("key {:?}: {reason}", excerpt(&kid)))
    };
    ours.map(ready).collect()
}

fn json(keys: impl Iterator<Item = Jwk>) -> String {
    let mut text = serde_json::to_string_pretty(&Jwks { keys: keys.collect() }).unwrap_or_default();
    text.push('\n');
    text
}

/// Derives a token's identity from its content, so that minting needs no randomness.
fn derived_jti(kid: &str, claims: &Claims) -> String {
    let text = serde_json::to_vec(claims).unwrap_or_default();
    let digest = Sha256::digest([kid.as_bytes(), b"\0", &text].concat());
    BASE64.encode(&digest[..JTI_BYTES])
}
