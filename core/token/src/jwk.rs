//! One JSON Web Key (RFC 7517).

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use ed25519_dalek::{Signature as Ed25519, Signer as _, SigningKey as EdPrivate, VerifyingKey as EdPublic};
use p256::ecdsa::{
    Signature as Es256, SigningKey as EcPrivate, VerifyingKey as EcPublic, signature::Verifier as _,
};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::Scope;

/// Signature algorithm of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Algorithm {
    /// Ed25519 (RFC 8037).
    #[serde(alias = "Ed25519")]
    EdDSA,
    /// ECDSA with P-256 and SHA-256.
    ES256,
}

/// A key in the form of files; with `d` it is private.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Jwk {
    kty: String,
    crv: String,
    pub(crate) alg: Algorithm,
    pub(crate) kid: String,
    x: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    y: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    d: Option<String>,
    /// The key's scope, read apart: a scope that cannot be read is a fault of the set, not a key of another kind.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "crate::jws::present")]
    fanfare: Option<serde_json::Value>,
}

impl Jwk {
    /// Returns the key without its private part.
    pub(crate) fn public(&self) -> Self {
        Self { d: None, ..self.clone() }
    }
}

/// A key that is parsed and ready to use.
#[derive(Clone)]
pub(crate) struct Key {
    pub(crate) jwk: Jwk,
    pub(crate) scope: Option<Scope>,
    public: Public,
    private: Option<Private>,
}

#[derive(Clone)]
enum Public {
    EdDSA(Box<EdPublic>),
    ES256(EcPublic),
}

#[derive(Clone)]
enum Private {
    EdDSA(Box<EdPrivate>),
    ES256(EcPrivate),
}

impl Key {
    /// Derives a private key from a seed.
    pub(crate) fn new(algorithm: Algorithm, seed: [u8; 32], scope: Option<Scope>) -> Self {
        let private = match algorithm {
            Algorithm::EdDSA => Private::EdDSA(Box::new(EdPrivate::from_bytes(&seed))),
            Algorithm::ES256 => Private::ES256(ec_private(seed)),
        };
        let public = private.public();
        let (kty, crv, x, y, d) = match &private {
            Private::EdDSA(key) => {
                ("OKP", "Ed25519", BASE64.encode(key.verifying_key()), None, BASE64.encode(key.to_bytes()))
            }
            Private::ES256(key) => {
                let (x, y) = ec_point(key.verifying_key());
                ("EC", "P-256", x, Some(y), BASE64.encode(key.to_bytes()))
            }
        };
        let kid = BASE64.encode(&Sha256::digest(x.as_bytes())[..8]);
        let fanfare = scope.as_ref().and_then(|scope| serde_json::to_value(scope).ok());
        let jwk = Jwk { kty: kty.into(), crv: crv.into(), alg: algorithm, kid, x, y, d: Some(d), fanfare };
        Self { jwk, scope, public, private: Some(private) }
    }

    pub(crate) fn signs(&self) -> bool {
        self.private.is_some()
    }

    /// Signs a text, if this key has a private part.
    pub(crate) fn sign(&self, text: &[u8]) -> Option<[u8; 64]> {
        Some(match self.private.as_ref()? {
            Private::EdDSA(key) => key.sign(text).to_bytes(),
            Private::ES256(key) => {
                let signature: Es256 = key.sign(text);
                signature.to_bytes().into()
            }
        })
    }

    /// Returns whether this is the signature of the text.
    pub(crate) fn verify(&self, text: &[u8], signature: &[u8]) -> bool {
        match &self.public {
            Public::EdDSA(key) => Ed25519::from_slice(signature)
                .is_ok_and(|signature| key.verify_strict(text, &signature).is_ok()),
            Public::ES256(key) => {
                Es256::from_slice(signature).is_ok_and(|signature| key.verify(text, &signature).is_ok())
            }
        }
    }
}

impl TryFrom<Jwk> for Key {
    /// Reason for refusing a key, as text for [`Error::KeySet`](crate::Error::KeySet).
    type Error = String;

    fn try_from(jwk: Jwk) -> Result<Self, String> {
        let scope = jwk.fanfare.clone().map(serde_json::from_value).transpose();
        let scope = scope.map_err(|error| format!("its member fanfare is no scope: {error}"))?;
        let d = jwk.d.as_deref().map(|d| part("d", d)).transpose()?;
        let (public, private) = match (jwk.alg, jwk.crv.as_str(), &jwk.y) {
            (Algorithm::EdDSA, "Ed25519", _) => {
                let public = EdPublic::from_bytes(&part("x", &jwk.x)?).map_err(|_| no_point())?;
                let private = d.map(|d| Private::EdDSA(Box::new(EdPrivate::from_bytes(&d))));
                (Public::EdDSA(Box::new(public)), private)
            }
            (Algorithm::ES256, "P-256", Some(y)) => {
                // Uncompressed point: 0x04, then x and y of 32 bytes each.
                let point = [&[4][..], &part("x", &jwk.x)?, &part("y", y)?].concat();
                let public = EcPublic::from_sec1_bytes(&point).map_err(|_| no_point())?;
                let private = match d {
                    Some(d) => Some(Private::ES256(
                        EcPrivate::from_slice(&d)
                            .map_err(|_| "d is not a number of this curve".to_owned())?,
                    )),
                    None => None,
                };
                (Public::ES256(public), private)
            }
            (alg, crv, _) => return Err(format!("{alg:?} with curve {crv:?} is not supported")),
        };
        if private.as_ref().is_some_and(|private| !private.public().is(&public)) {
            return Err("its private part d is not that of its public one".into());
        }
        Ok(Self { jwk, scope, public, private })
    }
}

impl Private {
    fn public(&self) -> Public {
        match self {
            Self::EdDSA(key) => Public::EdDSA(Box::new(key.verifying_key())),
            Self::ES256(key) => Public::ES256(*key.verifying_key()),
        }
    }
}

impl Public {
    fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::EdDSA(one), Self::EdDSA(other)) => one == other,
            (Self::ES256(one), Self::ES256(other)) => one == other,
            _ => false,
        }
    }
}

/// Decodes one 32-byte parameter of a key.
fn part(name: &str, text: &str) -> Result<[u8; 32], String> {
    let bytes = BASE64.decode(text).map_err(|err| format!("{name} is not base64url: {err}"))?;
    let len = bytes.len();
    bytes.try_into().map_err(|_| format!("{name} has {len} bytes instead of 32"))
}

fn no_point() -> String {
    "it is no point of its curve".into()
}

/// Derives a valid scalar of the curve from a seed: nearly every seed is one, and one in 2³² has to be hashed
/// first.
fn ec_private(mut seed: [u8; 32]) -> EcPrivate {
    loop {
        match EcPrivate::from_slice(&seed) {
            Ok(key) => return key,
            Err(_) => seed = Sha256::digest(seed).into(),
        }
    }
}

fn ec_point(key: &EcPublic) -> (String, String) {
    let point = key.to_sec1_point(false);
    // Uncompressed: 0x04, then x and y of 32 bytes each.
    let (x, y) = point.as_bytes()[1..].split_at(32);
    (BASE64.encode(x), BASE64.encode(y))
}
