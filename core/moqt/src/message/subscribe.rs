use bytes::{BufMut, BytesMut};

use super::request::decode_track_properties;
use crate::{Params, Properties, TrackName, Violation, parameter::Scope, varint, wire::Reader};

/// SUBSCRIBE (Section 10.7).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscribe {
    /// Of this request.
    pub request_id: u64,
    /// The track.
    pub track: TrackName,
    /// How, and from where.
    pub params: Params,
}

impl Subscribe {
    pub(crate) fn decode(reader: &mut Reader) -> Result<Self, Violation> {
        Ok(Self {
            request_id: reader.varint()?,
            track: TrackName::decode(reader)?,
            params: Params::decode(reader, Scope::SUBSCRIBE)?,
        })
    }

    pub(crate) fn encode(&self, out: &mut BytesMut) {
        varint::put(out, self.request_id);
        self.track.encode(out);
        self.params.encode(out);
    }
}

/// SUBSCRIBE_OK (Section 10.8).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SubscribeOk {
    /// What subgroups and datagrams call the track.
    pub track_alias: u64,
    /// The newest object, and when the subscription expires.
    pub params: Params,
    /// Of the track.
    pub properties: Properties,
}

impl SubscribeOk {
    pub(crate) fn decode(reader: &mut Reader) -> Result<Self, Violation> {
        Ok(Self {
            track_alias: reader.varint()?,
            params: Params::decode(reader, Scope::SUBSCRIBE_OK)?,
            properties: decode_track_properties(reader)?,
        })
    }

    pub(crate) fn encode(&self, out: &mut BytesMut) {
        varint::put(out, self.track_alias);
        self.params.encode(out);
        out.put_slice(self.properties.as_wire());
    }
}

/// UNSUBSCRIBE, which ended with draft 16.
///
/// By the letter of draft 18 its type is unknown, and an unknown type ends the
/// session. But `moq-transport` 0.17 still takes back a SUBSCRIBE with it, on the
/// request's stream and without a field, so it is understood there as the STOP_SENDING that should
/// have come. It is never sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unsubscribe;

#[allow(clippy::unnecessary_wraps, clippy::unused_self)] // Of one shape with the other messages.
impl Unsubscribe {
    pub(crate) fn decode(_: &mut Reader) -> Result<Self, Violation> {
        Ok(Self)
    }

    pub(crate) fn encode(self, _: &mut BytesMut) {}
}

/// TRACK_STATUS (Section 10.14).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrackStatus {
    /// Of this request.
    pub request_id: u64,
    /// The track.
    pub track: TrackName,
    /// Tokens.
    pub params: Params,
}

impl TrackStatus {
    pub(crate) fn decode(reader: &mut Reader) -> Result<Self, Violation> {
        Ok(Self {
            request_id: reader.varint()?,
            track: TrackName::decode(reader)?,
            params: Params::decode(reader, Scope::TRACK_STATUS)?,
        })
    }

    pub(crate) fn encode(&self, out: &mut BytesMut) {
        varint::put(out, self.request_id);
        self.track.encode(out);
        self.params.encode(out);
    }
}
