//! SUBSCRIBE, SUBSCRIBE_OK and TRACK_STATUS.

use bytes::{BufMut, BytesMut};

use super::request::decode_track_properties;
use crate::{Params, Properties, TrackName, Violation, parameter::Scope, varint, wire::Reader};

/// SUBSCRIBE (Section 10.7): asks for a track's objects as they are published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscribe {
    /// ID that the sender gives the request.
    pub request_id: u64,
    /// Full name of the track.
    pub track: TrackName,
    /// Filter, order, priority and tokens.
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

/// SUBSCRIBE_OK (Section 10.8): accepts a SUBSCRIBE.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SubscribeOk {
    /// Alias for the track in subgroups and datagrams.
    pub track_alias: u64,
    /// The newest object, and when the subscription expires.
    pub params: Params,
    /// Properties of the track.
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

/// TRACK_STATUS (Section 10.14): asks for a track's state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrackStatus {
    /// ID that the sender gives the request.
    pub request_id: u64,
    /// Full name of the track.
    pub track: TrackName,
    /// Tokens that authorise the request.
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
