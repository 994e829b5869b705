//! Objects in datagrams (Section 11.3).

use bytes::{BufMut, Bytes, BytesMut};

use super::{PADDING_DATAGRAM, Status};
use crate::{Misuse, Properties, Violation, varint, wire::Reader};

const PROPERTIES: u64 = 0x01;
const END_OF_GROUP: u64 = 0x02;
const ZERO_OBJECT_ID: u64 = 0x04;
const DEFAULT_PRIORITY: u64 = 0x08;
const STATUS: u64 = 0x20;

/// An object in a datagram (Section 11.3.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Datagram {
    /// The subscription's alias for the track.
    pub track_alias: u64,
    /// ID of the object in its group.
    pub group: u64,
    /// The object in it.
    pub object: u64,
    /// Its priority; that of the track if absent.
    pub priority: Option<u8>,
    /// Properties of the object.
    pub properties: Properties,
    /// True if the object is the last of its group.
    pub end_of_group: bool,
    /// Payload or status of the object.
    pub body: DatagramBody,
}

/// Content of a datagram: a payload or a status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DatagramBody {
    /// The object's payload, possibly empty.
    Payload(Bytes),
    /// A word on what exists.
    Status(Status),
}

impl Datagram {
    /// Reads a datagram without copying it; `None` is padding.
    pub fn decode(datagram: Bytes) -> Result<Option<Self>, Violation> {
        const SHORT: Violation = Violation::protocol("a datagram shorter than its fields");
        let mut reader = Reader::new(datagram);
        let kind = reader.varint().map_err(|_| SHORT)?;
        if kind == PADDING_DATAGRAM {
            return Ok(None);
        }
        if kind & !0x2F != 0 {
            return Err(Violation::protocol("an unknown datagram type"));
        }
        if kind & STATUS != 0 && kind & END_OF_GROUP != 0 {
            return Err(Violation::protocol("a status datagram that ends a group"));
        }
        let mut decode = || -> Result<Self, Violation> {
            Ok(Self {
                track_alias: reader.varint()?,
                group: reader.varint()?,
                object: if kind & ZERO_OBJECT_ID == 0 { reader.varint()? } else { 0 },
                priority: if kind & DEFAULT_PRIORITY == 0 { Some(reader.u8()?) } else { None },
                properties: if kind & PROPERTIES == 0 {
                    Properties::NONE
                } else {
                    match reader.prefixed(usize::MAX, "properties")? {
                        empty if empty.is_empty() => {
                            return Err(Violation::protocol("a datagram with properties of no bytes"));
                        }
                        bytes => Properties::from_wire(bytes)?,
                    }
                },
                end_of_group: kind & END_OF_GROUP != 0,
                body: if kind & STATUS == 0 {
                    DatagramBody::Payload(reader.rest())
                } else {
                    DatagramBody::Status(Status::from_wire(reader.varint()?)?)
                },
            })
        };
        let datagram = decode()?;
        if let DatagramBody::Status(status) = datagram.body {
            if !reader.is_empty() {
                return Err(Violation::protocol("a status datagram with a payload"));
            }
            if status != Status::Normal && !datagram.properties.is_empty() {
                return Err(Violation::protocol("properties of an object that is not normal"));
            }
        }
        Ok(Some(datagram))
    }

    /// Appends the datagram to `out`.
    pub fn encode(&self, out: &mut BytesMut) -> Result<(), Misuse> {
        let status = match self.body {
            DatagramBody::Status(status) => Some(status),
            DatagramBody::Payload(_) => None,
        };
        if status.is_some() && self.end_of_group {
            return Err(Misuse::BadObject("a status and the end of its group in one datagram"));
        }
        if status.is_some_and(|status| status != Status::Normal) && !self.properties.is_empty() {
            return Err(Misuse::BadObject("both a status and properties"));
        }
        let flag = |set: bool, bit: u64| if set { bit } else { 0 };
        let kind = flag(!self.properties.is_empty(), PROPERTIES)
            | flag(self.end_of_group, END_OF_GROUP)
            | flag(self.object == 0, ZERO_OBJECT_ID)
            | flag(self.priority.is_none(), DEFAULT_PRIORITY)
            | flag(status.is_some(), STATUS);
        varint::put(out, kind);
        varint::put(out, self.track_alias);
        varint::put(out, self.group);
        if self.object != 0 {
            varint::put(out, self.object);
        }
        if let Some(priority) = self.priority {
            out.put_u8(priority);
        }
        if !self.properties.is_empty() {
            varint::put(out, self.properties.as_wire().len() as u64);
            out.put_slice(self.properties.as_wire());
        }
        match &self.body {
            DatagramBody::Payload(payload) => out.put_slice(payload),
            DatagramBody::Status(status) => out.put_u8(status.to_wire()),
        }
        Ok(())
    }
}
