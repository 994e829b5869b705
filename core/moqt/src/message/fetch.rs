//! FETCH and FETCH_OK.

use bytes::{BufMut, BytesMut};

use super::request::decode_track_properties;
use crate::{
    Location, Params, Properties, TrackName, Violation,
    parameter::{Scope, put_location},
    varint,
    wire::Reader,
};

/// FETCH (Section 10.12): asks for past objects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetch {
    /// ID that the sender gives the request.
    pub request_id: u64,
    /// The objects that are asked for.
    pub kind: FetchKind,
    /// Order, priority and tokens.
    pub params: Params,
}

/// Objects that a FETCH asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FetchKind {
    /// A range of a track.
    Standalone {
        /// Full name of the track.
        track: TrackName,
        /// Location of the first object.
        start: Location,
        /// The last object plus one; with object 0, all of the group.
        end: Location,
    },
    /// Objects before a subscription.
    Joining {
        /// Group that the fetch begins in.
        request_id: u64,
        /// From which group on.
        start: JoiningStart,
    },
}

/// The first group of a joining fetch (Section 10.12.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JoiningStart {
    /// Starts this many groups before the one that the subscription starts in.
    Relative(u64),
    /// Starts at the group with this number.
    Absolute(u64),
}

impl Fetch {
    pub(crate) fn decode(reader: &mut Reader) -> Result<Self, Violation> {
        let request_id = reader.varint()?;
        let kind = match reader.varint()? {
            1 => FetchKind::Standalone {
                track: TrackName::decode(reader)?,
                start: reader.location()?,
                end: reader.location()?,
            },
            2 => FetchKind::Joining {
                request_id: reader.varint()?,
                start: JoiningStart::Relative(reader.varint()?),
            },
            3 => FetchKind::Joining {
                request_id: reader.varint()?,
                start: JoiningStart::Absolute(reader.varint()?),
            },
            _ => return Err(Violation::protocol("an unknown fetch type")),
        };
        Ok(Self { request_id, kind, params: Params::decode(reader, Scope::FETCH)? })
    }

    pub(crate) fn encode(&self, out: &mut BytesMut) {
        varint::put(out, self.request_id);
        match &self.kind {
            FetchKind::Standalone { track, start, end } => {
                out.put_u8(1);
                track.encode(out);
                put_location(out, *start);
                put_location(out, *end);
            }
            FetchKind::Joining { request_id, start } => {
                let (kind, start) = match start {
                    JoiningStart::Relative(groups) => (2, groups),
                    JoiningStart::Absolute(group) => (3, group),
                };
                out.put_u8(kind);
                varint::put(out, *request_id);
                varint::put(out, *start);
            }
        }
        self.params.encode(out);
    }
}

/// FETCH_OK (Section 10.13): accepts a FETCH.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FetchOk {
    /// True if `end` is the end of the track.
    pub end_of_track: bool,
    /// End of the answer, in the encoding of [`FetchKind::Standalone`].
    pub end: Location,
    /// None that the draft defines.
    pub params: Params,
    /// Properties of the track.
    pub properties: Properties,
}

impl FetchOk {
    pub(crate) fn decode(reader: &mut Reader) -> Result<Self, Violation> {
        let end_of_track = match reader.u8()? {
            0 => false,
            1 => true,
            _ => return Err(Violation::protocol("End Of Track over 1")),
        };
        Ok(Self {
            end_of_track,
            end: reader.location()?,
            params: Params::decode(reader, Scope::FETCH_OK)?,
            properties: decode_track_properties(reader)?,
        })
    }

    pub(crate) fn encode(&self, out: &mut BytesMut) {
        out.put_u8(self.end_of_track.into());
        put_location(out, self.end);
        self.params.encode(out);
        out.put_slice(self.properties.as_wire());
    }
}
