//! Objects on the stream of a subgroup (Section 11.4.2).

use bytes::{BufMut, BytesMut};

use super::Status;
use crate::{Misuse, Properties, varint};

const PROPERTIES: u8 = 0x01;
const ID_MODE: u8 = 0x06;
const ID_FIRST_OBJECT: u8 = 0x02;
const ID_PRESENT: u8 = 0x04;
const END_OF_GROUP: u8 = 0x08;
const FORM: u8 = 0x10;
const DEFAULT_PRIORITY: u8 = 0x20;
const FIRST_OBJECT: u8 = 0x40;

/// Way in which a stream's header gives the ID of its subgroup.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum SubgroupId {
    /// The ID is 0, and the header omits it.
    #[default]
    Zero,
    /// The subgroup has the ID of its first object.
    FirstObject,
    /// The header holds this ID.
    Id(u64),
}

/// The head of a stream of one subgroup (Section 11.4.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SubgroupHeader {
    /// The subscription's alias for the track.
    pub track_alias: u64,
    /// Number of the group.
    pub group: u64,
    /// ID of the subgroup.
    pub subgroup: SubgroupId,
    /// Its priority; that of the track if absent.
    pub priority: Option<u8>,
    /// True if its objects can have properties.
    pub properties: bool,
    /// True if it holds the last object of the group.
    pub end_of_group: bool,
    /// True if it starts with the first object ever published in the subgroup.
    pub first_object: bool,
}

impl SubgroupHeader {
    /// Returns the header with these flags and no fields yet, if `kind` is such a type.
    pub(super) fn from_type(kind: u64) -> Option<Self> {
        let kind = u8::try_from(kind).ok()?;
        if kind & 0x90 != FORM || kind & ID_MODE == ID_MODE {
            return None;
        }
        Some(Self {
            subgroup: match kind & ID_MODE {
                ID_FIRST_OBJECT => SubgroupId::FirstObject,
                ID_PRESENT => SubgroupId::Id(0),
                _ => SubgroupId::Zero,
            },
            priority: (kind & DEFAULT_PRIORITY == 0).then_some(0),
            properties: kind & PROPERTIES != 0,
            end_of_group: kind & END_OF_GROUP != 0,
            first_object: kind & FIRST_OBJECT != 0,
            ..Self::default()
        })
    }

    fn kind(&self) -> u8 {
        let flag = |set: bool, bit: u8| if set { bit } else { 0 };
        let id = match self.subgroup {
            SubgroupId::Zero => 0,
            SubgroupId::FirstObject => ID_FIRST_OBJECT,
            SubgroupId::Id(_) => ID_PRESENT,
        };
        FORM | id
            | flag(self.properties, PROPERTIES)
            | flag(self.end_of_group, END_OF_GROUP)
            | flag(self.priority.is_none(), DEFAULT_PRIORITY)
            | flag(self.first_object, FIRST_OBJECT)
    }

    /// Appends the header, which starts a stream.
    pub fn encode(&self, out: &mut BytesMut) {
        out.put_u8(self.kind());
        varint::put(out, self.track_alias);
        varint::put(out, self.group);
        if let SubgroupId::Id(id) = self.subgroup {
            varint::put(out, id);
        }
        if let Some(priority) = self.priority {
            out.put_u8(priority);
        }
    }
}

/// Header of an object on a subgroup's stream, before its payload.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ObjectHeader {
    /// Its ID in the group.
    pub id: u64,
    /// Properties of the object.
    pub properties: Properties,
    /// Bytes of its payload.
    pub payload_len: u64,
    /// Status of the object; with anything but `Normal`, its payload is empty.
    pub status: Status,
}

/// Writes the objects of one subgroup's stream, each against the one before.
#[derive(Clone, Debug)]
pub struct SubgroupWriter {
    properties: bool,
    previous: Option<u64>,
}

impl SubgroupWriter {
    /// A writer for the stream that `header` starts.
    pub fn new(header: &SubgroupHeader) -> Self {
        Self { properties: header.properties, previous: None }
    }

    /// Appends an object's header, which its payload is to follow.
    pub fn encode(&mut self, object: &ObjectHeader, out: &mut BytesMut) -> Result<(), Misuse> {
        let delta = match self.previous {
            None => object.id,
            Some(previous) => object
                .id
                .checked_sub(previous)
                .and_then(|gap| gap.checked_sub(1))
                .ok_or(Misuse::ObjectOrder { id: object.id, previous })?,
        };
        if object.status != Status::Normal {
            if object.payload_len > 0 {
                return Err(Misuse::BadObject("both a status and a payload"));
            }
            if !object.properties.is_empty() {
                return Err(Misuse::BadObject("both a status and properties"));
            }
        }
        if !self.properties && !object.properties.is_empty() {
            return Err(Misuse::BadObject("properties in a subgroup whose header says there are none"));
        }
        varint::put(out, delta);
        if self.properties {
            let properties = object.properties.as_wire();
            varint::put(out, properties.len() as u64);
            out.put_slice(properties);
        }
        varint::put(out, object.payload_len);
        if object.payload_len == 0 {
            out.put_u8(object.status.to_wire());
        }
        self.previous = Some(object.id);
        Ok(())
    }
}
