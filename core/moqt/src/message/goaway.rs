//! GOAWAY.

use bytes::{Bytes, BytesMut};

use super::{MAX_URI_LEN, encode_prefixed};
use crate::{Violation, varint, wire::Reader};

/// GOAWAY (Section 10.4): asks the peer to move to another server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GoAway {
    /// URI to move to; empty for the same one.
    pub uri: Bytes,
    /// Milliseconds that the sender waits; 0 if it does not declare any.
    pub timeout: u64,
    /// On the control stream: the first request that may not have been processed.
    pub request_id: Option<u64>,
}

impl GoAway {
    pub(crate) fn decode(reader: &mut Reader) -> Result<Self, Violation> {
        Ok(Self {
            uri: reader.prefixed(MAX_URI_LEN, "a URI over 8192 bytes")?,
            timeout: reader.varint()?,
            request_id: if reader.is_empty() { None } else { Some(reader.varint()?) },
        })
    }

    pub(crate) fn encode(&self, out: &mut BytesMut) {
        encode_prefixed(&self.uri, out);
        varint::put(out, self.timeout);
        if let Some(id) = self.request_id {
            varint::put(out, id);
        }
    }
}
