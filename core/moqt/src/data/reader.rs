//! Reading data streams as they arrive.

use bytes::{Buf as _, Bytes, BytesMut};

use super::{
    FETCH_STREAM, FetchHeader, FetchObject, MAX_PROPERTIES_LEN, ObjectHeader, PADDING_STREAM, RangeEnd,
    SETUP_STREAM, Status, SubgroupHeader, SubgroupId, fetch,
};
use crate::{GroupOrder, Properties, Violation, varint};

/// One item of a unidirectional stream, in order of arrival.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// This is a control stream: what follows is for a
    /// [`ControlReader`](crate::ControlReader), the SETUP's type included.
    Control,
    /// This is a stream of padding: nothing follows.
    Padding,
    /// The stream is a subgroup; objects follow.
    Subgroup(SubgroupHeader),
    /// The stream answers a FETCH; objects and range ends follow.
    Fetch(FetchHeader),
    /// An object of a subgroup; its payload follows.
    Object(ObjectHeader),
    /// An object of a fetch; its payload follows.
    FetchObject(FetchObject),
    /// Existence of objects that a fetch leaves out.
    RangeEnd(RangeEnd),
    /// A piece of the payload of the last object, as it lay in the chunk.
    Payload(Bytes),
}

/// Takes a unidirectional stream's bytes as they arrive, in any split, and gives
/// what they mean.
///
/// Payloads are handed on as slices of the chunks they came in: they are never
/// copied, and never waited for. What is kept is what a field needs that was cut
/// in two: nine bytes of an integer, or the part that has arrived of one object's
/// properties.
#[derive(Debug)]
pub struct StreamReader {
    state: State,
    integer: Integer,
    /// The part of an object's properties that has arrived.
    partial: BytesMut,
    /// Properties of the object whose header is arriving, once they are complete.
    properties: Properties,
    previous: Option<u64>,
    prior: fetch::Prior,
    order: GroupOrder,
}

/// The field that comes next, with what is known by then.
#[derive(Clone, Copy, Debug)]
enum State {
    Type,
    Alias(SubgroupHeader),
    Group(SubgroupHeader),
    Subgroup(SubgroupHeader),
    Priority(SubgroupHeader),
    Delta {
        properties: bool,
    },
    PropertiesLen {
        id: u64,
    },
    Properties {
        id: u64,
        len: usize,
    },
    PayloadLen {
        id: u64,
        properties: bool,
    },
    Status {
        id: u64,
        properties: bool,
    },
    Payload {
        left: u64,
        then: Next,
    },
    FetchId,
    Flags,
    FetchFields(FetchFields),
    /// The stream is not for this reader.
    Over,
}

/// Kind of object that follows a payload.
#[derive(Clone, Copy, Debug)]
enum Next {
    Object { properties: bool },
    Fetched,
}

/// The fields of a fetched object, as far as they have arrived.
#[derive(Clone, Copy, Debug, Default)]
struct FetchFields {
    flags: u64,
    at: FetchField,
    group_delta: Option<u64>,
    subgroup: Option<u64>,
    object_delta: Option<u64>,
    priority: Option<u8>,
}

#[derive(Clone, Copy, Debug, Default)]
enum FetchField {
    #[default]
    Group,
    Subgroup,
    Object,
    Priority,
    PropertiesLen,
    Properties(usize),
    PayloadLen,
}

impl Default for StreamReader {
    fn default() -> Self {
        Self::new()
    }
}

impl StreamReader {
    /// A reader for a stream of which nothing has arrived.
    pub fn new() -> Self {
        Self {
            state: State::Type,
            integer: Integer::default(),
            partial: BytesMut::new(),
            properties: Properties::NONE,
            previous: None,
            prior: fetch::Prior::default(),
            order: GroupOrder::Ascending,
        }
    }

    /// Sets the order of a fetch's groups, once [`Item::Fetch`] has named the request that the stream
    /// answers.
    pub fn set_group_order(&mut self, order: GroupOrder) {
        self.order = order;
    }

    /// Takes what it can use off the front of `chunk`: gives the next item, or
    /// `None` once it needs more than `chunk` held.
    pub fn read(&mut self, chunk: &mut Bytes) -> Result<Option<Item>, Violation> {
        loop {
            // Parsed bytes are dropped; an incomplete item stays as it is.
            match self.step(chunk)? {
                Step::Item(item) => return Ok(Some(item)),
                Step::Next => {}
                Step::Starved => return Ok(None),
            }
        }
    }

    /// The stream ended. It may not, within an object (Section 11.4).
    pub fn finish(&self) -> Result<(), Violation> {
        let whole = matches!(self.state, State::Type | State::Delta { .. } | State::Flags | State::Over)
            && self.integer.is_empty();
        if whole { Ok(()) } else { Err(Violation::protocol("a stream that ends within an object")) }
    }

    fn step(&mut self, chunk: &mut Bytes) -> Result<Step, Violation> {
        match &mut self.state {
            State::Type => return self.read_type(chunk),
            State::Delta { properties } => {
                let properties = *properties;
                let Some(delta) = self.integer.take(chunk) else { return Ok(Step::Starved) };
                let id = match self.previous {
                    None => Some(delta),
                    Some(previous) => previous.checked_add(1).and_then(|next| next.checked_add(delta)),
                };
                let id = id.ok_or(Violation::protocol("an object ID over 2^64 - 1"))?;
                self.previous = Some(id);
                self.state = if properties {
                    State::PropertiesLen { id }
                } else {
                    State::PayloadLen { id, properties }
                };
            }
            State::PropertiesLen { id } => {
                let id = *id;
                let Some(len) = self.integer.take(chunk) else { return Ok(Step::Starved) };
                self.state = State::Properties { id, len: properties_len(len)? };
            }
            State::Properties { id, len } => {
                let Some(bytes) = take_bytes(&mut self.partial, *len, chunk) else {
                    return Ok(Step::Starved);
                };
                self.properties = Properties::from_wire(bytes)?;
                self.state = State::PayloadLen { id: *id, properties: true };
            }
            State::PayloadLen { id, properties } => {
                let (id, properties) = (*id, *properties);
                let Some(len) = self.integer.take(chunk) else { return Ok(Step::Starved) };
                if len == 0 {
                    self.state = State::Status { id, properties };
                    return Ok(Step::Next);
                }
                self.state = State::Payload { left: len, then: Next::Object { properties } };
                return Ok(self.object(id, len, Status::Normal));
            }
            State::Status { id, properties } => {
                let (id, properties) = (*id, *properties);
                let Some(status) = self.integer.take(chunk) else { return Ok(Step::Starved) };
                let status = Status::from_wire(status)?;
                if status != Status::Normal && !self.properties.is_empty() {
                    return Err(Violation::protocol("properties of an object that is not normal"));
                }
                self.state = State::Delta { properties };
                return Ok(self.object(id, 0, status));
            }
            State::Payload { left, then } => {
                if chunk.is_empty() {
                    return Ok(Step::Starved);
                }
                let take = usize::try_from(*left).unwrap_or(usize::MAX).min(chunk.len());
                let piece = chunk.split_to(take);
                *left -= take as u64;
                if *left == 0 {
                    self.state = match then {
                        Next::Object { properties } => State::Delta { properties: *properties },
                        Next::Fetched => State::Flags,
                    };
                }
                return Ok(Step::Item(Item::Payload(piece)));
            }
            State::Flags => {
                let Some(flags) = self.integer.take(chunk) else { return Ok(Step::Starved) };
                if !fetch::flags_are_known(flags) {
                    return Err(Violation::protocol("unknown serialization flags"));
                }
                self.state = State::FetchFields(FetchFields { flags, ..FetchFields::default() });
            }
            State::FetchFields(fields) => {
                let into = (&mut self.integer, &mut self.partial, &mut self.properties);
                return match fields.read(into, chunk)? {
                    None => Ok(Step::Starved),
                    Some(payload_len) => {
                        let fields = *fields;
                        self.fetched(&fields, payload_len).map(Step::Item)
                    }
                };
            }
            State::Over => {
                chunk.clear();
                return Ok(Step::Starved);
            }
            State::Alias(_) | State::Group(_) | State::Subgroup(_) | State::Priority(_) | State::FetchId => {
                return Ok(self.read_header(chunk));
            }
        }
        Ok(Step::Next)
    }

    /// The header of an object of a subgroup, with the properties that arrived.
    fn object(&mut self, id: u64, payload_len: u64, status: Status) -> Step {
        let properties = std::mem::take(&mut self.properties);
        Step::Item(Item::Object(ObjectHeader { id, properties, payload_len, status }))
    }

    fn read_type(&mut self, chunk: &mut Bytes) -> Result<Step, Violation> {
        let Some(kind) = self.integer.take(chunk) else { return Ok(Step::Starved) };
        match kind {
            SETUP_STREAM => {
                self.state = State::Over;
                Ok(Step::Item(Item::Control))
            }
            PADDING_STREAM => {
                self.state = State::Over;
                Ok(Step::Item(Item::Padding))
            }
            FETCH_STREAM => {
                self.state = State::FetchId;
                Ok(Step::Next)
            }
            _ => {
                let header =
                    SubgroupHeader::from_type(kind).ok_or(Violation::protocol("an unknown stream type"))?;
                self.state = State::Alias(header);
                Ok(Step::Next)
            }
        }
    }

    fn read_header(&mut self, chunk: &mut Bytes) -> Step {
        if let State::Priority(mut header) = self.state {
            if header.priority.is_some() {
                if chunk.is_empty() {
                    return Step::Starved;
                }
                header.priority = Some(chunk.get_u8());
            }
            self.state = State::Delta { properties: header.properties };
            return Step::Item(Item::Subgroup(header));
        }
        if let State::Subgroup(header) = self.state
            && !matches!(header.subgroup, SubgroupId::Id(_))
        {
            self.state = State::Priority(header);
            return Step::Next;
        }
        let Some(value) = self.integer.take(chunk) else { return Step::Starved };
        self.state = match self.state {
            State::Alias(header) => State::Group(SubgroupHeader { track_alias: value, ..header }),
            State::Group(header) => State::Subgroup(SubgroupHeader { group: value, ..header }),
            State::Subgroup(header) => {
                State::Priority(SubgroupHeader { subgroup: SubgroupId::Id(value), ..header })
            }
            _ => {
                self.state = State::Flags;
                return Step::Item(Item::Fetch(FetchHeader { request_id: value }));
            }
        };
        Step::Next
    }

    fn fetched(&mut self, fields: &FetchFields, payload_len: u64) -> Result<Item, Violation> {
        if fetch::is_range_end(fields.flags) {
            let location = crate::Location::new(
                fields.group_delta.unwrap_or_default(),
                fields.object_delta.unwrap_or_default(),
            );
            self.prior.range_end(location);
            self.state = State::Flags;
            return RangeEnd::from_flags(fields.flags, location)
                .map(Item::RangeEnd)
                .ok_or(Violation::protocol("unknown serialization flags"));
        }
        let object = FetchObject {
            location: self.prior.location(self.order, fields.group_delta, fields.object_delta)?,
            subgroup: self.prior.subgroup(fields.flags, fields.subgroup)?,
            priority: self.prior.priority(fields.priority)?,
            properties: std::mem::take(&mut self.properties),
            payload_len,
        };
        self.prior.object(&object);
        self.state = if payload_len == 0 {
            State::Flags
        } else {
            State::Payload { left: payload_len, then: Next::Fetched }
        };
        Ok(Item::FetchObject(object))
    }
}

enum Step {
    Item(Item),
    Next,
    Starved,
}

impl FetchFields {
    /// Reads on; gives the payload's length, the last field, once it is there.
    fn read(
        &mut self,
        (integer, partial, properties): (&mut Integer, &mut BytesMut, &mut Properties),
        chunk: &mut Bytes,
    ) -> Result<Option<u64>, Violation> {
        let range_end = fetch::is_range_end(self.flags);
        let has = |bit: u64| self.flags & bit != 0;
        let has_group = range_end || has(fetch::GROUP_DELTA);
        let has_object = range_end || has(fetch::OBJECT_DELTA);
        let has_subgroup = !range_end
            && !has(fetch::DATAGRAM)
            && self.flags & fetch::SUBGROUP_MODE == fetch::SUBGROUP_PRESENT;
        let has_priority = !range_end && has(fetch::PRIORITY);
        let has_properties = !range_end && has(fetch::PROPERTIES);
        macro_rules! integer {
            () => {
                match integer.take(chunk) {
                    Some(value) => value,
                    None => return Ok(None),
                }
            };
        }
        loop {
            self.at = match self.at {
                FetchField::Group => {
                    if has_group {
                        self.group_delta = Some(integer!());
                    }
                    FetchField::Subgroup
                }
                FetchField::Subgroup => {
                    if has_subgroup {
                        self.subgroup = Some(integer!());
                    }
                    FetchField::Object
                }
                FetchField::Object => {
                    if has_object {
                        self.object_delta = Some(integer!());
                    }
                    if range_end {
                        return Ok(Some(0));
                    }
                    FetchField::Priority
                }
                FetchField::Priority => {
                    if has_priority {
                        if chunk.is_empty() {
                            return Ok(None);
                        }
                        self.priority = Some(chunk.get_u8());
                    }
                    if has_properties { FetchField::PropertiesLen } else { FetchField::PayloadLen }
                }
                FetchField::PropertiesLen => FetchField::Properties(properties_len(integer!())?),
                FetchField::Properties(len) => {
                    let Some(bytes) = take_bytes(partial, len, chunk) else { return Ok(None) };
                    *properties = Properties::from_wire(bytes)?;
                    FetchField::PayloadLen
                }
                FetchField::PayloadLen => return Ok(Some(integer!())),
            };
        }
    }
}

fn properties_len(len: u64) -> Result<usize, Violation> {
    match usize::try_from(len) {
        Ok(len) if len <= MAX_PROPERTIES_LEN => Ok(len),
        _ => Err(Violation::protocol("object properties over 64 KiB")),
    }
}

/// `len` bytes, sliced from the chunk if they are in it, else gathered.
fn take_bytes(partial: &mut BytesMut, len: usize, chunk: &mut Bytes) -> Option<Bytes> {
    if partial.is_empty() && chunk.len() >= len {
        return Some(chunk.split_to(len));
    }
    let take = (len - partial.len()).min(chunk.len());
    partial.extend_from_slice(&chunk.split_to(take));
    (partial.len() == len).then(|| std::mem::take(partial).freeze())
}

/// An integer that may arrive in pieces.
#[derive(Debug, Default)]
struct Integer {
    bytes: [u8; varint::MAX_LEN],
    len: u8,
}

impl Integer {
    fn is_empty(&self) -> bool {
        self.len == 0
    }

    fn take(&mut self, chunk: &mut Bytes) -> Option<u64> {
        if self.len == 0
            && let Some((value, len)) = varint::get(chunk)
        {
            chunk.advance(len);
            return Some(value);
        }
        while let Some(&byte) = chunk.first() {
            self.bytes[usize::from(self.len)] = byte;
            self.len += 1;
            chunk.advance(1);
            if let Some((value, _)) = varint::get(&self.bytes[..usize::from(self.len)]) {
                self.len = 0;
                return Some(value);
            }
        }
        None
    }
}
