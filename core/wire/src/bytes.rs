//! Serde for borrowed bytes as one run. Serde by itself treats `&[u8]` as a sequence and writes it byte by
//! byte.

use serde::{Deserialize, Deserializer, Serializer};

pub(crate) fn serialize<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
    to.serialize_bytes(bytes)
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<&'de [u8], D::Error> {
    <&[u8]>::deserialize(from)
}
