//! The compact form of a signed token (RFC 7515 §7.1): `header.payload.signature`.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{DeserializeOwned, IgnoredAny},
};

use crate::{Algorithm, Error};

/// Bytes of a token, at most; longer ones are refused unread.
pub const MAX_TOKEN_BYTES: usize = 4096;

/// Header of a token to be written.
#[derive(Serialize)]
pub(crate) struct Header<'a> {
    pub(crate) typ: &'static str,
    pub(crate) alg: Algorithm,
    pub(crate) kid: &'a str,
}

/// Header of a token that is read.
#[derive(Deserialize)]
struct Head {
    alg: String,
    #[serde(default)]
    kid: String,
    /// Critical extensions (§4.1.11): none is supported.
    #[serde(default, deserialize_with = "present")]
    crit: Option<IgnoredAny>,
}

/// The parts of a token, none of them verified.
pub(crate) struct Parts<'a> {
    pub(crate) alg: Algorithm,
    pub(crate) kid: String,
    /// The text that the signature covers.
    pub(crate) signed: &'a str,
    payload: &'a str,
    pub(crate) signature: Vec<u8>,
}

impl<'a> Parts<'a> {
    pub(crate) fn read(jwt: &'a str) -> Result<Self, Error> {
        if jwt.len() > MAX_TOKEN_BYTES {
            return Err(Error::malformed(format!("it is over {MAX_TOKEN_BYTES} bytes")));
        }
        let no_jwt = || Error::malformed("it is no JWT, which has three parts with dots between");
        let (signed, signature) = jwt.rsplit_once('.').ok_or_else(no_jwt)?;
        let (header, payload) = signed.split_once('.').ok_or_else(no_jwt)?;
        if payload.contains('.') {
            return Err(no_jwt());
        }
        let head: Head = json("header", header)?;
        if head.crit.is_some() {
            return Err(Error::malformed("its header has extensions (crit) that are not known here"));
        }
        let alg = match head.alg.as_str() {
            "EdDSA" | "Ed25519" => Algorithm::EdDSA,
            "ES256" => Algorithm::ES256,
            other => {
                return Err(Error::malformed(format!(
                    "its algorithm is neither EdDSA nor ES256 but {other:?}"
                )));
            }
        };
        let signature = BASE64
            .decode(signature)
            .map_err(|err| Error::malformed(format!("its signature is not base64url: {err}")))?;
        Ok(Self { alg, kid: head.kid, signed, payload, signature })
    }

    pub(crate) fn payload<T: DeserializeOwned>(&self) -> Result<T, Error> {
        json("payload", self.payload)
    }
}

/// Reads a member that may be absent. A member that is `null` is there, and has to be what its type demands: otherwise
/// `"aud": null` would lift a restriction that another reader sees.
pub(crate) fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

fn json<T: DeserializeOwned>(what: &str, text: &str) -> Result<T, Error> {
    let bytes =
        BASE64.decode(text).map_err(|err| Error::malformed(format!("its {what} is not base64url: {err}")))?;
    serde_json::from_slice(&bytes)
        .map_err(|err| Error::malformed(format!("its {what} cannot be read: {err}")))
}

/// Returns the text that a signature covers.
pub(crate) fn unsigned(header: &Header<'_>, payload: &impl Serialize) -> serde_json::Result<String> {
    let encode = |json: String| BASE64.encode(json);
    let header = serde_json::to_string(header).map(encode)?;
    Ok(format!("{header}.{}", serde_json::to_string(payload).map(encode)?))
}

pub(crate) fn signed(unsigned: String, signature: &[u8]) -> String {
    let mut jwt = unsigned;
    jwt.push('.');
    BASE64.encode_string(signature, &mut jwt);
    jwt
}
