//! Objects on the stream of a fetch (Section 11.4.4).

use bytes::{BufMut, BytesMut};

use super::FETCH_STREAM;
use crate::{GroupOrder, Location, Misuse, Properties, Violation, varint};

pub(super) const SUBGROUP_MODE: u64 = 0x03;
const SUBGROUP_PRIOR: u64 = 0x01;
const SUBGROUP_NEXT: u64 = 0x02;
pub(super) const SUBGROUP_PRESENT: u64 = 0x03;
pub(super) const OBJECT_DELTA: u64 = 0x04;
pub(super) const GROUP_DELTA: u64 = 0x08;
pub(super) const PRIORITY: u64 = 0x10;
pub(super) const PROPERTIES: u64 = 0x20;
pub(super) const DATAGRAM: u64 = 0x40;
const NON_EXISTENT: u64 = 0x8C;
const UNKNOWN: u64 = 0x10C;

/// The head of a stream that answers a FETCH (Section 11.4.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FetchHeader {
    /// Request ID of the FETCH.
    pub request_id: u64,
}

impl FetchHeader {
    /// Appends the header, which starts a stream.
    pub fn encode(&self, out: &mut BytesMut) {
        varint::put(out, FETCH_STREAM);
        varint::put(out, self.request_id);
    }
}

/// Header of an object on a fetch stream, before its payload.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FetchObject {
    /// Position of the object in the track.
    pub location: Location,
    /// Its subgroup; none if it was published as a datagram.
    pub subgroup: Option<u64>,
    /// The publisher's priority for it.
    pub priority: u8,
    /// Properties of the object.
    pub properties: Properties,
    /// Bytes of its payload.
    pub payload_len: u64,
}

/// The publisher knows that they do not exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RangeEnd {
    /// They do not exist.
    NonExistent(Location),
    /// The publisher does not know whether they exist.
    Unknown(Location),
}

impl RangeEnd {
    pub(super) fn from_flags(flags: u64, location: Location) -> Option<Self> {
        match flags {
            NON_EXISTENT => Some(Self::NonExistent(location)),
            UNKNOWN => Some(Self::Unknown(location)),
            _ => None,
        }
    }
}

/// Returns whether these flags belong to an object or to the end of a range.
pub(super) fn flags_are_known(flags: u64) -> bool {
    flags < 0x80 || is_range_end(flags)
}

pub(super) fn is_range_end(flags: u64) -> bool {
    flags == NON_EXISTENT || flags == UNKNOWN
}

/// State that the next object on a fetch stream is encoded against.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Prior {
    location: Option<Location>,
    subgroup: Option<u64>,
    priority: Option<u8>,
}

impl Prior {
    pub(super) fn location(
        &self,
        order: GroupOrder,
        group_delta: Option<u64>,
        object_delta: Option<u64>,
    ) -> Result<Location, Violation> {
        const OUT_OF_RANGE: Violation = Violation::protocol("a fetched object outside of 64 bits");
        let Some(prior) = self.location else {
            return match (group_delta, object_delta) {
                (Some(group), Some(object)) => Ok(Location { group, object }),
                _ => Err(Violation::protocol("a first fetched object told against the one before")),
            };
        };
        let group = match group_delta {
            None => Some(prior.group),
            Some(delta) => match order {
                GroupOrder::Ascending => {
                    prior.group.checked_add(delta).and_then(|group| group.checked_add(1))
                }
                GroupOrder::Descending => {
                    prior.group.checked_sub(delta).and_then(|group| group.checked_sub(1))
                }
            },
        };
        let object = match (group_delta, object_delta) {
            (Some(_), Some(object)) => Some(object),
            (None, Some(delta)) => prior.object.checked_add(delta),
            (_, None) => prior.object.checked_add(1),
        };
        match (group, object) {
            (Some(group), Some(object)) => Ok(Location { group, object }),
            _ => Err(OUT_OF_RANGE),
        }
    }

    pub(super) fn subgroup(&self, flags: u64, explicit: Option<u64>) -> Result<Option<u64>, Violation> {
        const NONE: Violation = Violation::protocol("a fetched object in the subgroup of none before it");
        if flags & DATAGRAM != 0 {
            return Ok(None);
        }
        Ok(Some(match flags & SUBGROUP_MODE {
            0 => 0,
            SUBGROUP_PRIOR => self.subgroup.ok_or(NONE)?,
            SUBGROUP_NEXT => self.subgroup.ok_or(NONE)?.checked_add(1).ok_or(NONE)?,
            _ => explicit.unwrap_or_default(),
        }))
    }

    pub(super) fn priority(&self, explicit: Option<u8>) -> Result<u8, Violation> {
        explicit
            .or(self.priority)
            .ok_or(Violation::protocol("a fetched object with the priority of none before it"))
    }

    pub(super) fn object(&mut self, object: &FetchObject) {
        self.location = Some(object.location);
        // An object published as a datagram has no subgroup for the next to refer to.
        self.subgroup = object.subgroup;
        self.priority = Some(object.priority);
    }

    pub(super) fn range_end(&mut self, location: Location) {
        self.location = Some(location);
    }
}

/// Writes the objects of one fetch stream, each against the one before.
#[derive(Clone, Debug)]
pub struct FetchWriter {
    order: GroupOrder,
    prior: Prior,
}

impl FetchWriter {
    /// A writer for a stream with groups in that order.
    pub fn new(order: GroupOrder) -> Self {
        Self { order, prior: Prior::default() }
    }

    /// Appends an object's header, which its payload is to follow.
    pub fn encode(&mut self, object: &FetchObject, out: &mut BytesMut) -> Result<(), Misuse> {
        let group_delta = self.group_delta(object.location)?;
        let object_delta =
            match (self.prior.location, group_delta) {
                (None, _) | (_, Some(_)) => Some(object.location.object),
                (Some(prior), None) => {
                    let gap =
                        object.location.object.checked_sub(prior.object).filter(|gap| *gap > 0).ok_or(
                            Misuse::ObjectOrder { id: object.location.object, previous: prior.object },
                        )?;
                    (gap > 1).then_some(gap)
                }
            };
        let (mode, subgroup) = match (object.subgroup, self.prior.subgroup) {
            (None, _) => (DATAGRAM, None),
            (Some(0), _) => (0, None),
            (Some(id), Some(prior)) if id == prior => (SUBGROUP_PRIOR, None),
            (Some(id), Some(prior)) if Some(id) == prior.checked_add(1) => (SUBGROUP_NEXT, None),
            (Some(id), _) => (SUBGROUP_PRESENT, Some(id)),
        };
        let priority = (self.prior.priority != Some(object.priority)).then_some(object.priority);
        let flag = |set: bool, bit: u64| if set { bit } else { 0 };
        let flags = mode
            | flag(object_delta.is_some(), OBJECT_DELTA)
            | flag(group_delta.is_some(), GROUP_DELTA)
            | flag(priority.is_some(), PRIORITY)
            | flag(!object.properties.is_empty(), PROPERTIES);
        varint::put(out, flags);
        for field in [group_delta, subgroup, object_delta].into_iter().flatten() {
            varint::put(out, field);
        }
        if let Some(priority) = priority {
            out.put_u8(priority);
        }
        if !object.properties.is_empty() {
            varint::put(out, object.properties.as_wire().len() as u64);
            out.put_slice(object.properties.as_wire());
        }
        varint::put(out, object.payload_len);
        self.prior.object(object);
        Ok(())
    }

    /// Appends what is known of the objects up to a location.
    pub fn encode_range_end(&mut self, end: RangeEnd, out: &mut BytesMut) {
        let (flags, location) = match end {
            RangeEnd::NonExistent(location) => (NON_EXISTENT, location),
            RangeEnd::Unknown(location) => (UNKNOWN, location),
        };
        varint::put(out, flags);
        varint::put(out, location.group);
        varint::put(out, location.object);
        self.prior.range_end(location);
    }

    fn group_delta(&self, location: Location) -> Result<Option<u64>, Misuse> {
        let Some(prior) = self.prior.location else { return Ok(Some(location.group)) };
        let gap = match self.order {
            GroupOrder::Ascending => location.group.checked_sub(prior.group),
            GroupOrder::Descending => prior.group.checked_sub(location.group),
        };
        match gap {
            None => Err(Misuse::BadObject("a group on the wrong side of the one before it in a fetch")),
            Some(gap) => Ok(gap.checked_sub(1)),
        }
    }
}
