//! SETUP.

use bytes::{Bytes, BytesMut};

use super::encode_prefixed;
use crate::{
    Token, Violation,
    property::{Iter, Property, PropertyValue},
    varint,
    wire::Reader,
};

const PATH: u64 = 0x01;
const AUTHORIZATION_TOKEN: u64 = 0x03;
const MAX_AUTH_TOKEN_CACHE_SIZE: u64 = 0x04;
const AUTHORITY: u64 = 0x05;
const MOQT_IMPLEMENTATION: u64 = 0x07;

/// SETUP (Section 10.3). Options this crate does not know are ignored, as the
/// draft wants.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Setup {
    /// The path and query of the URI; from a client on raw QUIC only.
    pub path: Option<Bytes>,
    /// Tokens that authorise the sender.
    pub tokens: Vec<Token>,
    /// Bytes of registered tokens that the sender is willing to keep.
    pub max_auth_token_cache_size: Option<u64>,
    /// The authority of the URI; from a client on raw QUIC only.
    pub authority: Option<Bytes>,
    /// The sender's name and version.
    pub implementation: Option<Bytes>,
}

impl Setup {
    pub(crate) fn decode(reader: &mut Reader) -> Result<Self, Violation> {
        const TWICE: Violation = Violation::protocol("a setup option given twice");
        let bytes = reader.rest();
        let mut setup = Self::default();
        for pair in Iter::new(&bytes) {
            let Property { key, value } = pair?;
            let slot = match (key, value) {
                (AUTHORIZATION_TOKEN, PropertyValue::Bytes(value)) => {
                    setup.tokens.push(Token::decode(bytes.slice_ref(value))?);
                    continue;
                }
                (MAX_AUTH_TOKEN_CACHE_SIZE, PropertyValue::Int(value)) => {
                    if setup.max_auth_token_cache_size.replace(value).is_some() {
                        return Err(TWICE);
                    }
                    continue;
                }
                (PATH, PropertyValue::Bytes(value)) => (&mut setup.path, value),
                (AUTHORITY, PropertyValue::Bytes(value)) => (&mut setup.authority, value),
                (MOQT_IMPLEMENTATION, PropertyValue::Bytes(value)) => (&mut setup.implementation, value),
                _ => continue,
            };
            if slot.0.replace(bytes.slice_ref(slot.1)).is_some() {
                return Err(TWICE);
            }
        }
        Ok(setup)
    }

    pub(crate) fn encode(&self, out: &mut BytesMut) {
        let mut previous = 0;
        let mut key = |out: &mut BytesMut, key: u64| {
            varint::put(out, key - previous);
            previous = key;
        };
        if let Some(path) = &self.path {
            key(out, PATH);
            encode_prefixed(path, out);
        }
        for token in &self.tokens {
            key(out, AUTHORIZATION_TOKEN);
            token.encode_prefixed(out);
        }
        if let Some(size) = self.max_auth_token_cache_size {
            key(out, MAX_AUTH_TOKEN_CACHE_SIZE);
            varint::put(out, size);
        }
        if let Some(authority) = &self.authority {
            key(out, AUTHORITY);
            encode_prefixed(authority, out);
        }
        if let Some(implementation) = &self.implementation {
            key(out, MOQT_IMPLEMENTATION);
            encode_prefixed(implementation, out);
        }
    }
}
