//! Tokens: who may publish into a room, or watch a private one.
//!
//! A token is a JWT (RFC 7519) signed with `EdDSA` (Ed25519) or ES256, carrying the
//! claims of [`Claims`]. The keys are JWK Sets (RFC 7517): a private file that mints,
//! and a public one that is enough to verify.

use std::{
    fmt, fs,
    path::Path,
    time::{Duration, SystemTime},
};

use aws_lc_rs::{
    encoding::{AsBigEndian as _, Curve25519SeedBin, EcPrivateKeyBin},
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use jsonwebtoken::{Algorithm as Jws, DecodingKey, EncodingKey, Header, Validation, errors::ErrorKind};
use serde::{Deserialize, Serialize};

use crate::{Error, tls::write_secret};

/// The room claim of a token that is good for every room: for edges and operators.
pub const EVERY_ROOM: &str = "*";
/// How far the clocks of the minter and the origin may differ.
pub const LEEWAY: Duration = Duration::from_secs(5);
/// The longest token looked at.
pub const MAX_TOKEN_BYTES: usize = 4096;
/// The most keys read from a key set.
pub const MAX_KEYS: usize = 64;

/// What a token's holder may do in the room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Publishes into the room, and everything below.
    Creator,
    /// Moderates the room, and watches it.
    Moderator,
    /// Watches the room, even if it is private.
    Fan,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Creator => "creator",
            Self::Moderator => "moderator",
            Self::Fan => "fan",
        })
    }
}

/// What a token says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// The room: a namespace's fields joined with `/`, or [`EVERY_ROOM`].
    pub room: String,
    /// What the holder may do there.
    pub role: Role,
    /// Who the holder is: a creator who returns under the same name gets the room back.
    pub name: String,
    /// When the token ends, in seconds of Unix time.
    pub exp: u64,
}

impl Claims {
    /// Claims that end `lifetime` from now.
    pub fn new(room: &str, role: Role, name: &str, lifetime: Duration) -> Self {
        let exp = now().saturating_add(lifetime.as_secs());
        Self { room: room.into(), role, name: name.into(), exp }
    }

    /// Whether the token is for this room or for one above it.
    pub fn covers(&self, room: &str) -> bool {
        self.room == EVERY_ROOM
            || room.strip_prefix(&self.room).is_some_and(|below| below.is_empty() || below.starts_with('/'))
    }

    /// That the token is for this room, or for one above it, and not over.
    pub fn check(&self, room: &str) -> Result<(), Error> {
        if self.exp.saturating_add(LEEWAY.as_secs()) < now() {
            return Err(Error::Expired { exp: self.exp });
        }
        if !self.covers(room) {
            let (has, wanted) = (self.room.clone(), room.into());
            return Err(Error::WrongRoom { has, wanted });
        }
        Ok(())
    }
}

/// How a key signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Algorithm {
    /// Ed25519.
    #[serde(alias = "Ed25519")]
    EdDSA,
    /// ECDSA with P-256 and SHA-256.
    ES256,
}

impl From<Algorithm> for Jws {
    fn from(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::EdDSA => Jws::EdDSA,
            Algorithm::ES256 => Jws::ES256,
        }
    }
}

/// One JSON Web Key; with `d` it is private.
#[derive(Clone, Serialize, Deserialize)]
struct Key {
    kty: String,
    crv: String,
    alg: Algorithm,
    kid: String,
    x: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    y: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    d: Option<String>,
}

impl Key {
    fn generate(algorithm: Algorithm) -> Result<Self, Error> {
        let failed = |_| Error::Crypto("generating a token key");
        let mut kid = [0; 8];
        aws_lc_rs::rand::SecureRandom::fill(&SystemRandom::new(), &mut kid).map_err(failed)?;
        let kid = BASE64.encode(kid);
        let (kty, crv, x, y, d) = match algorithm {
            Algorithm::EdDSA => {
                let pair = Ed25519KeyPair::generate().map_err(failed)?;
                let seed: Curve25519SeedBin<'_> =
                    pair.seed().and_then(|seed| seed.as_be_bytes()).map_err(failed)?;
                let public = pair.public_key().as_ref().to_vec();
                ("OKP", "Ed25519", public, None, seed.as_ref().to_vec())
            }
            Algorithm::ES256 => {
                let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map_err(failed)?;
                let d: EcPrivateKeyBin<'_> = pair.private_key().as_be_bytes().map_err(failed)?;
                // Uncompressed point: 0x04, then x and y of 32 bytes each.
                let point = pair.public_key().as_ref();
                let (x, y) = point[1..].split_at(32);
                ("EC", "P-256", x.to_vec(), Some(y.to_vec()), d.as_ref().to_vec())
            }
        };
        Ok(Self {
            kty: kty.into(),
            crv: crv.into(),
            alg: algorithm,
            kid,
            x: BASE64.encode(x),
            y: y.map(|y| BASE64.encode(y)),
            d: Some(BASE64.encode(d)),
        })
    }

    fn verifier(&self) -> Result<DecodingKey, String> {
        let made = match (self.alg, self.crv.as_str(), &self.y) {
            (Algorithm::EdDSA, "Ed25519", _) => DecodingKey::from_ed_components(&self.x),
            (Algorithm::ES256, "P-256", Some(y)) => DecodingKey::from_ec_components(&self.x, y),
            (alg, crv, _) => return Err(format!("{alg:?} with curve {crv:?} is not supported")),
        };
        made.map_err(|err| err.to_string())
    }

    /// The key as PKCS #8, if it is private.
    fn signer(&self) -> Option<EncodingKey> {
        let bytes = |part: &Option<String>| BASE64.decode(part.as_ref()?).ok();
        let (d, x) = (bytes(&self.d)?, BASE64.decode(&self.x).ok()?);
        match self.alg {
            Algorithm::EdDSA => {
                let pair = Ed25519KeyPair::from_seed_and_public_key(&d, &x).ok()?;
                Some(EncodingKey::from_ed_der(pair.to_pkcs8().ok()?.as_ref()))
            }
            Algorithm::ES256 => {
                let point = [&[4][..], &x, &bytes(&self.y)?].concat();
                let pair = EcdsaKeyPair::from_private_key_and_public_key(
                    &ECDSA_P256_SHA256_FIXED_SIGNING,
                    &d,
                    &point,
                );
                Some(EncodingKey::from_ec_der(pair.ok()?.to_pkcs8v1().ok()?.as_ref()))
            }
        }
    }
}

#[derive(Serialize, Deserialize)]
struct Set<K> {
    keys: Vec<K>,
}

/// A set of keys, of which the first private one mints.
#[derive(Clone)]
pub struct Keys {
    keys: Vec<Key>,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.keys.iter().map(|key| &key.kid)).finish()
    }
}

impl Keys {
    /// A set with one new private key.
    pub fn generate(algorithm: Algorithm) -> Result<Self, Error> {
        Ok(Self { keys: vec![Key::generate(algorithm)?] })
    }

    /// Reads a JWK Set, private or public. Keys of other kinds in it are skipped.
    pub fn load(path: &Path) -> Result<Self, Error> {
        let text = fs::read_to_string(path).map_err(|source| Error::Read {
            what: "key set",
            path: path.into(),
            source,
        })?;
        Self::parse(&text).map_err(|reason| Error::Parse { what: "key set", path: path.into(), reason })
    }

    fn parse(text: &str) -> Result<Self, String> {
        let set: Set<serde_json::Value> =
            serde_json::from_str(text).map_err(|err| format!("it is not a JWK Set: {err}"))?;
        if set.keys.len() > MAX_KEYS {
            return Err(format!("it holds more than {MAX_KEYS} keys"));
        }
        let keys: Vec<Key> =
            set.keys.into_iter().filter_map(|key| serde_json::from_value(key).ok()).collect();
        if keys.is_empty() {
            return Err("it holds no EdDSA or ES256 key with kid and alg".into());
        }
        for key in &keys {
            key.verifier().map_err(|reason| format!("key {:?}: {reason}", key.kid))?;
        }
        Ok(Self { keys })
    }

    /// Writes the set with its private parts, readable by its owner only.
    pub fn save_private(&self, path: &Path) -> Result<(), Error> {
        write_secret(path, "private key set", self.json(true).as_bytes())
    }

    /// Writes the set without its private parts: what an origin needs to verify.
    pub fn save_public(&self, path: &Path) -> Result<(), Error> {
        fs::write(path, self.json(false)).map_err(|source| Error::Write {
            what: "key set",
            path: path.into(),
            source,
        })
    }

    fn json(&self, private: bool) -> String {
        let mut keys = self.keys.clone();
        if !private {
            for key in &mut keys {
                key.d = None;
            }
        }
        let mut text = serde_json::to_string_pretty(&Set { keys }).unwrap_or_default();
        text.push('\n');
        text
    }

    /// Signs a token that says `claims`.
    pub fn mint(&self, claims: &Claims) -> Result<String, Error> {
        let signers = self.keys.iter().filter_map(|key| Some((key, key.signer()?)));
        let (key, signer) = signers.into_iter().next().ok_or(Error::NoSigningKey)?;
        let mut header = Header::new(key.alg.into());
        header.kid = Some(key.kid.clone());
        jsonwebtoken::encode(&header, claims, &signer).map_err(|_| Error::Crypto("signing a token"))
    }

    /// What a token says, if one of these keys signed it and it is not over.
    pub fn verify(&self, jwt: &str) -> Result<Claims, Error> {
        let malformed = |reason: &dyn fmt::Display| Error::TokenMalformed(reason.to_string());
        if jwt.len() > MAX_TOKEN_BYTES {
            return Err(malformed(&format_args!("it is over {MAX_TOKEN_BYTES} bytes")));
        }
        let header = jsonwebtoken::decode_header(jwt).map_err(|err| malformed(&err))?;
        let kid = header.kid.unwrap_or_default();
        let named = self.keys.iter().find(|key| key.kid == kid);
        // A token without `kid` is for a set of one key.
        let key = match (named, self.keys.as_slice()) {
            (Some(key), _) => key,
            (None, [only]) if kid.is_empty() => only,
            _ => return Err(Error::UnknownKey { kid }),
        };
        let mut validation = Validation::new(key.alg.into());
        validation.leeway = LEEWAY.as_secs();
        // Checked below, where the time it ended can be told.
        validation.validate_exp = false;
        let verifier = key.verifier().map_err(|reason| malformed(&reason))?;
        let data =
            jsonwebtoken::decode::<Claims>(jwt, &verifier, &validation).map_err(|err| match err.kind() {
                ErrorKind::InvalidSignature => Error::BadSignature { kid: key.kid.clone() },
                _ => malformed(&err),
            })?;
        if data.claims.exp.saturating_add(LEEWAY.as_secs()) < now() {
            return Err(Error::Expired { exp: data.claims.exp });
        }
        Ok(data.claims)
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_hours(1);

    #[test]
    fn minted_with_the_private_file_verified_with_the_public_one() -> Result<(), Error> {
        let dir = tempfile::tempdir().expect("a temporary directory");
        for algorithm in [Algorithm::EdDSA, Algorithm::ES256] {
            let (private, public) = (dir.path().join("private"), dir.path().join("public"));
            let keys = Keys::generate(algorithm)?;
            keys.save_private(&private)?;
            keys.save_public(&public)?;
            assert!(!fs::read_to_string(&public).expect("readable").contains("\"d\""));
            let claims = Claims::new("demo", Role::Creator, "ada", HOUR);
            let jwt = Keys::load(&private)?.mint(&claims)?;
            let verifier = Keys::load(&public)?;
            assert_eq!(verifier.verify(&jwt)?, claims);
            assert!(matches!(verifier.mint(&claims), Err(Error::NoSigningKey)));
        }
        Ok(())
    }

    #[test]
    fn each_refusal_says_why_in_one_line() -> Result<(), Error> {
        let keys = Keys::generate(Algorithm::EdDSA)?;
        let claims = Claims::new("demo", Role::Creator, "ada", HOUR);
        let jwt = keys.mint(&claims)?;

        let other = Keys::generate(Algorithm::EdDSA)?;
        assert!(matches!(other.verify(&jwt), Err(Error::UnknownKey { .. })));
        let mut imposter = other.clone();
        imposter.keys[0].kid.clone_from(&keys.keys[0].kid);
        assert!(matches!(imposter.verify(&jwt), Err(Error::BadSignature { .. })));
        let expired = keys.mint(&Claims { exp: 1, ..claims.clone() })?;
        assert!(matches!(keys.verify(&expired), Err(Error::Expired { exp: 1 })));
        for nonsense in ["", "a.b.c", &jwt[..20], &"x".repeat(MAX_TOKEN_BYTES + 1)] {
            let err = keys.verify(nonsense).expect_err("malformed");
            assert!(matches!(err, Error::TokenMalformed(_)), "{err}");
            assert_eq!(err.to_string().lines().count(), 1);
        }
        // A symmetric signature made with the public key is not one of ours.
        let mut header = Header::new(Jws::HS256);
        header.kid = Some(keys.keys[0].kid.clone());
        let secret = EncodingKey::from_secret(keys.keys[0].x.as_bytes());
        let forged = jsonwebtoken::encode(&header, &claims, &secret).expect("signed");
        assert!(matches!(keys.verify(&forged), Err(Error::TokenMalformed(_))));
        Ok(())
    }

    #[test]
    fn a_room_covers_itself_and_what_is_below() {
        let claims = Claims::new("demo", Role::Creator, "ada", HOUR);
        for room in ["demo", "demo/cam", "demo/cam/2"] {
            assert!(claims.check(room).is_ok(), "{room}");
        }
        for room in ["", "dem", "demos", "other/demo"] {
            assert!(matches!(claims.check(room), Err(Error::WrongRoom { .. })), "{room}");
        }
        assert!(Claims { room: EVERY_ROOM.into(), ..claims }.covers("any"));
    }
}
