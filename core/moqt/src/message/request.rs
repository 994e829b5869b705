//! REQUEST_OK, REQUEST_ERROR and REQUEST_UPDATE.

use bytes::{BufMut, Bytes, BytesMut};

use super::{MAX_URI_LEN, decode_reason, encode_prefixed};
use crate::{
    Namespace, Params, Properties, RequestCode, Violation, name::MAX_NAME_LEN, parameter::Scope, varint,
    wire::Reader,
};

/// REQUEST_OK (Section 10.5): accepts a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestOk {
    /// Parameters; the permitted ones depend on the accepted request.
    pub params: Params,
    /// Properties of the track, in answer to TRACK_STATUS; otherwise none.
    pub properties: Properties,
}

impl RequestOk {
    pub(crate) fn decode(reader: &mut Reader) -> Result<Self, Violation> {
        Ok(Self {
            params: Params::decode(reader, Scope::ANY_OK)?,
            properties: decode_track_properties(reader)?,
        })
    }

    pub(crate) fn encode(&self, out: &mut BytesMut) {
        self.params.encode(out);
        out.put_slice(self.properties.as_wire());
    }
}

/// Track properties fill what is left of a message.
pub(super) fn decode_track_properties(reader: &mut Reader) -> Result<Properties, Violation> {
    let properties = Properties::from_wire(reader.rest())?;
    crate::TrackProperties::read(&properties)?;
    Ok(properties)
}

/// REQUEST_ERROR (Section 10.6): refuses a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestError {
    /// Reason for the refusal.
    pub code: RequestCode,
    /// Milliseconds until a retry, plus one; 0 for never.
    pub retry_interval: u64,
    /// Reason phrase, for human readers.
    pub reason: Bytes,
    /// Server to ask instead; present if and only if the code is `REDIRECT`.
    pub redirect: Option<Box<Redirect>>,
}

/// Server, and possibly track, to ask for instead (Section 10.6.1).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Redirect {
    /// The server; empty for this one.
    pub uri: Bytes,
    /// The namespace; if it and the name are empty, those of the request.
    pub namespace: Namespace,
    /// The track's name; empty where a namespace was asked for.
    pub name: Bytes,
}

impl RequestError {
    /// A refusal that is not to be tried again.
    pub fn new(code: RequestCode, reason: &str) -> Self {
        Self { code, retry_interval: 0, reason: super::reason(reason), redirect: None }
    }

    /// The reason, if it is text.
    pub fn reason_text(&self) -> &str {
        std::str::from_utf8(&self.reason).unwrap_or("(not text)")
    }

    pub(crate) fn decode(reader: &mut Reader) -> Result<Self, Violation> {
        let code = RequestCode(reader.varint()?);
        let retry_interval = reader.varint()?;
        let reason = decode_reason(reader)?;
        let redirect = if code == RequestCode::REDIRECT {
            let uri = reader.prefixed(MAX_URI_LEN, "a URI over 8192 bytes")?;
            let namespace = Namespace::decode(reader)?;
            let name = reader.prefixed(MAX_NAME_LEN, "a track name over 4096 bytes")?;
            if namespace.byte_len() + name.len() > MAX_NAME_LEN {
                return Err(Violation::protocol("a full track name over 4096 bytes"));
            }
            Some(Box::new(Redirect { uri, namespace, name }))
        } else {
            None
        };
        Ok(Self { code, retry_interval, reason, redirect })
    }

    pub(crate) fn encode(&self, out: &mut BytesMut) {
        varint::put(out, self.code.0);
        varint::put(out, self.retry_interval);
        encode_prefixed(&self.reason, out);
        if let Some(redirect) = &self.redirect {
            encode_prefixed(&redirect.uri, out);
            redirect.namespace.encode(out);
            encode_prefixed(&redirect.name, out);
        }
    }
}

/// REQUEST_UPDATE (Section 10.9): changes a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestUpdate {
    /// ID of the update itself.
    pub request_id: u64,
    /// Parameters that change; absent ones stay.
    pub params: Params,
}

impl RequestUpdate {
    pub(crate) fn decode(reader: &mut Reader) -> Result<Self, Violation> {
        Ok(Self { request_id: reader.varint()?, params: Params::decode(reader, Scope::ANY_UPDATE)? })
    }

    pub(crate) fn encode(&self, out: &mut BytesMut) {
        varint::put(out, self.request_id);
        self.params.encode(out);
    }
}
