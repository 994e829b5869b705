//! PUBLISH, PUBLISH_DONE and PUBLISH_BLOCKED.

use bytes::{BufMut, Bytes, BytesMut};

use super::{decode_reason, encode_prefixed, request::decode_track_properties};
use crate::{DoneCode, Params, Properties, TrackName, Violation, parameter::Scope, varint, wire::Reader};

/// PUBLISH (Section 10.10): offers a track.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Publish {
    /// ID that the sender gives the request.
    pub request_id: u64,
    /// Full name of the track.
    pub track: TrackName,
    /// Alias for the track in subgroups and datagrams.
    pub track_alias: u64,
    /// The newest object, and whether objects follow at once.
    pub params: Params,
    /// Properties of the track.
    pub properties: Properties,
}

impl Publish {
    pub(crate) fn decode(reader: &mut Reader) -> Result<Self, Violation> {
        Ok(Self {
            request_id: reader.varint()?,
            track: TrackName::decode(reader)?,
            track_alias: reader.varint()?,
            params: Params::decode(reader, Scope::PUBLISH)?,
            properties: decode_track_properties(reader)?,
        })
    }

    pub(crate) fn encode(&self, out: &mut BytesMut) {
        varint::put(out, self.request_id);
        self.track.encode(out);
        varint::put(out, self.track_alias);
        self.params.encode(out);
        out.put_slice(self.properties.as_wire());
    }
}

/// PUBLISH_DONE (Section 10.11): ends a subscription.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublishDone {
    /// Reason for the end.
    pub code: DoneCode,
    /// Number of data streams opened, or [`PublishDone::UNCOUNTED`].
    pub stream_count: u64,
    /// Reason phrase, for human readers.
    pub reason: Bytes,
}

impl PublishDone {
    /// The stream count of a publisher that did not count.
    pub const UNCOUNTED: u64 = (1 << 62) - 1;

    pub(crate) fn decode(reader: &mut Reader) -> Result<Self, Violation> {
        Ok(Self {
            code: DoneCode(reader.varint()?),
            stream_count: reader.varint()?,
            reason: decode_reason(reader)?,
        })
    }

    pub(crate) fn encode(&self, out: &mut BytesMut) {
        varint::put(out, self.code.0);
        varint::put(out, self.stream_count);
        encode_prefixed(&self.reason, out);
    }
}

/// PUBLISH_BLOCKED (Section 10.20): reports a track that cannot be offered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublishBlocked {
    /// The track, with what follows the prefix asked for as its namespace.
    pub track: TrackName,
}

impl PublishBlocked {
    pub(crate) fn decode(reader: &mut Reader) -> Result<Self, Violation> {
        Ok(Self { track: TrackName::decode(reader)? })
    }

    pub(crate) fn encode(&self, out: &mut BytesMut) {
        self.track.encode(out);
    }
}
