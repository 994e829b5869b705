use bytes::{BufMut, BytesMut};

use super::request::decode_track_properties;
use crate::{
    Location, Params, Properties, TrackName, Violation,
    parameter::{Scope, put_location},
    varint,
    wire::Reader,
};

/// FETCH (Section 10.12).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetch {
    /// Of this request.
    pub request_id: u64,
    /// Of what.
    pub kind: FetchKind,
    /// In which order, how urgently.
    pub params: Params,
}

/// What is fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FetchKind {
    /// A range of a track.
    Standalone {
        /// The track.
        track: TrackName,
        /// The first object.
        start: Location,
        /// The last object plus one; with object 0, all of the group.
        end: Location,
    },
    /// What is before a subscription.
    Joining {
        /// The subscription.
        request_id: u64,
        /// From which group on.
        start: JoiningStart,
    },
}

/// The first group of a joining fetch (Section 10.12.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JoiningStart {
    /// That many groups before the one that the subscription starts in.
    Relative(u64),
    /// That group.
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

/// FETCH_OK (Section 10.13).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FetchOk {
    /// Whether `end` is the end of the track.
    pub end_of_track: bool,
    /// Where the answer ends, in the encoding of [`FetchKind::Standalone`].
    pub end: Location,
    /// None that the draft defines.
    pub params: Params,
    /// Of the track.
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
