//! Properties of tracks and objects: key-value pairs that relays see and pass on
//! unread (Sections 2.5 and 12).

use bytes::{BufMut, Bytes, BytesMut};

use crate::{GroupOrder, Micros, Violation, varint};

/// Bytes in the value of one property, at most (Section 1.4.3).
pub(crate) const MAX_VALUE_LEN: u64 = 65_535;

const OBJECT_DELIVERY_TIMEOUT: u64 = 0x02;
const MAX_CACHE_DURATION: u64 = 0x04;
const SUBGROUP_DELIVERY_TIMEOUT: u64 = 0x06;
const IMMUTABLE: u64 = 0x0B;
const DEFAULT_PUBLISHER_PRIORITY: u64 = 0x0E;
const DEFAULT_PUBLISHER_GROUP_ORDER: u64 = 0x22;
const DYNAMIC_GROUPS: u64 = 0x30;
/// Track properties that an endpoint must understand to handle the track.
const MANDATORY: std::ops::RangeInclusive<u64> = 0x4000..=0x7FFF;

/// Properties as they are on the wire, well-formed, and passed on as they came.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Properties(Bytes);

impl Properties {
    /// An empty set of properties.
    pub const NONE: Self = Self(Bytes::new());

    /// The properties with this encoding, if it is one.
    pub fn from_wire(bytes: Bytes) -> Result<Self, Violation> {
        for property in Iter::new(&bytes) {
            property?;
        }
        Ok(Self(bytes))
    }

    /// Returns the encoded form.
    pub fn as_wire(&self) -> &Bytes {
        &self.0
    }

    /// Returns whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Starts a set of properties.
    pub fn builder() -> PropertiesBuilder {
        PropertiesBuilder::default()
    }

    /// Them, in ascending order of their keys.
    pub fn iter(&self) -> impl Iterator<Item = Property<'_>> {
        Iter::new(&self.0).map_while(Result::ok)
    }

    /// The first value with this key, also within the immutable ones.
    pub fn get(&self, key: u64) -> Option<PropertyValue<'_>> {
        self.iter()
            .find(|property| property.key == key)
            .map(|property| property.value)
            .or_else(|| self.immutable().find(|property| property.key == key).map(|property| property.value))
    }

    /// The first value with this key as an integer.
    pub fn int(&self, key: u64) -> Option<u64> {
        match self.get(key)? {
            PropertyValue::Int(value) => Some(value),
            PropertyValue::Bytes(_) => None,
        }
    }

    /// The first value with this key as bytes, sharing their memory.
    pub fn bytes(&self, key: u64) -> Option<Bytes> {
        match self.get(key)? {
            PropertyValue::Int(_) => None,
            PropertyValue::Bytes(value) => Some(self.0.slice_ref(value)),
        }
    }

    /// Iterates over the immutable properties. A malformed block is passed on like any other value, and
    /// yields nothing here.
    fn immutable(&self) -> impl Iterator<Item = Property<'_>> {
        self.iter()
            .filter_map(|property| match property {
                Property { key: IMMUTABLE, value: PropertyValue::Bytes(value) } => Some(value),
                _ => None,
            })
            .filter(|inner| Iter::new(inner).all(|pair| pair.is_ok()))
            .flat_map(|inner| Iter::new(inner).map_while(Result::ok))
    }

    /// The key of a property in the range that must be understood to handle the
    /// track (Section 2.5.1). This crate understands none.
    pub(crate) fn mandatory(&self) -> Option<u64> {
        self.iter().chain(self.immutable()).map(|property| property.key).find(|key| MANDATORY.contains(key))
    }
}

/// Properties of tracks that the draft itself defines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TrackProperties {
    /// Age up to which an object may be sent.
    pub object_delivery_timeout: Option<Micros>,
    /// Time in which a finished subgroup must arrive.
    pub subgroup_delivery_timeout: Option<Micros>,
    /// Time for which a relay may serve an object from its cache.
    pub max_cache_duration: Option<Micros>,
    /// The priority of subgroups and datagrams that state none; 128 if absent.
    pub priority: Option<u8>,
    /// The order of groups for subscribers that state none.
    pub group_order: Option<GroupOrder>,
    /// True if subscribers may ask for a new group.
    pub dynamic_groups: bool,
}

impl TrackProperties {
    /// Reads them, and refuses values outside their ranges (Section 12): also of
    /// properties given again, of which only the first has a meaning.
    pub fn read(properties: &Properties) -> Result<Self, Violation> {
        if properties.is_empty() {
            return Ok(Self::default());
        }
        for Property { key, value } in properties.iter().chain(properties.immutable()) {
            let PropertyValue::Int(value) = value else { continue };
            let wrong = match key {
                DEFAULT_PUBLISHER_PRIORITY if value > 255 => "a default priority over 255",
                DEFAULT_PUBLISHER_GROUP_ORDER if GroupOrder::from_wire(value).is_none() => {
                    "an unknown group order"
                }
                DYNAMIC_GROUPS if value > 1 => "DYNAMIC_GROUPS over 1",
                _ => continue,
            };
            return Err(Violation::protocol(wrong));
        }
        let timeout = |key| properties.int(key).filter(|ms| *ms > 0).map(Micros::from_millis);
        Ok(Self {
            object_delivery_timeout: timeout(OBJECT_DELIVERY_TIMEOUT),
            subgroup_delivery_timeout: timeout(SUBGROUP_DELIVERY_TIMEOUT),
            max_cache_duration: timeout(MAX_CACHE_DURATION),
            priority: properties.int(DEFAULT_PUBLISHER_PRIORITY).map(|priority| priority as u8),
            group_order: properties.int(DEFAULT_PUBLISHER_GROUP_ORDER).and_then(GroupOrder::from_wire),
            dynamic_groups: properties.int(DYNAMIC_GROUPS) == Some(1),
        })
    }

    /// Writes those that are set into `builder`.
    pub fn write(&self, mut builder: PropertiesBuilder) -> PropertiesBuilder {
        let ints = [
            (OBJECT_DELIVERY_TIMEOUT, self.object_delivery_timeout.map(Micros::as_millis)),
            (SUBGROUP_DELIVERY_TIMEOUT, self.subgroup_delivery_timeout.map(Micros::as_millis)),
            (MAX_CACHE_DURATION, self.max_cache_duration.map(Micros::as_millis)),
            (DEFAULT_PUBLISHER_PRIORITY, self.priority.map(u64::from)),
            (DEFAULT_PUBLISHER_GROUP_ORDER, self.group_order.map(|order| u64::from(order.to_wire()))),
            (DYNAMIC_GROUPS, self.dynamic_groups.then_some(1)),
        ];
        for (key, value) in ints {
            if let Some(value) = value {
                builder = builder.int(key, value);
            }
        }
        builder
    }
}

/// One property: a key and its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Property<'a> {
    /// Key of the property: even for integers, odd for bytes.
    pub key: u64,
    /// Value of the property.
    pub value: PropertyValue<'a>,
}

/// The value of a property.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PropertyValue<'a> {
    /// An integer, under an even key.
    Int(u64),
    /// Bytes, under an odd key.
    Bytes(&'a [u8]),
}

/// Collects properties, in any order.
#[derive(Clone, Debug, Default)]
pub struct PropertiesBuilder(Vec<(u64, Value)>);

#[derive(Clone, Debug)]
enum Value {
    Int(u64),
    Bytes(Bytes),
}

impl PropertiesBuilder {
    /// Adds an integer.
    ///
    /// # Panics
    /// If `key` is odd: the draft has integers under even keys.
    #[must_use]
    pub fn int(mut self, key: u64, value: u64) -> Self {
        assert!(key.is_multiple_of(2), "property {key:#x} is odd: it holds bytes");
        self.0.push((key, Value::Int(value)));
        self
    }

    /// Adds bytes.
    ///
    /// # Panics
    /// If `key` is even, or `value` longer than 65,535 bytes.
    #[must_use]
    pub fn bytes(mut self, key: u64, value: impl Into<Bytes>) -> Self {
        let value = value.into();
        assert!(!key.is_multiple_of(2), "property {key:#x} is even: it holds an integer");
        assert!(value.len() as u64 <= MAX_VALUE_LEN, "a property of {} bytes", value.len());
        self.0.push((key, Value::Bytes(value)));
        self
    }

    /// The properties, in the order the wire wants.
    pub fn build(mut self) -> Properties {
        self.0.sort_by_key(|(key, _)| *key);
        let mut out = BytesMut::new();
        let mut previous = 0;
        for (key, value) in self.0 {
            varint::put(&mut out, key - previous);
            previous = key;
            match value {
                Value::Int(value) => varint::put(&mut out, value),
                Value::Bytes(value) => {
                    varint::put(&mut out, value.len() as u64);
                    out.put_slice(&value);
                }
            }
        }
        Properties(out.freeze())
    }
}

/// Walks key-value pairs (Section 1.4.3).
pub(crate) struct Iter<'a> {
    rest: &'a [u8],
    key: u64,
}

impl<'a> Iter<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, key: 0 }
    }

    fn varint(&mut self) -> Result<u64, Violation> {
        let (value, len) = varint::get(self.rest).ok_or(Violation::protocol("a key-value pair cut short"))?;
        self.rest = &self.rest[len..];
        Ok(value)
    }

    fn pair(&mut self) -> Result<Property<'a>, Violation> {
        let delta = self.varint()?;
        self.key = self.key.checked_add(delta).ok_or(Violation::protocol("a key over 2^64 - 1"))?;
        let value = self.varint()?;
        if self.key.is_multiple_of(2) {
            return Ok(Property { key: self.key, value: PropertyValue::Int(value) });
        }
        if value > MAX_VALUE_LEN {
            return Err(Violation::protocol("a key-value pair over 65535 bytes"));
        }
        let (bytes, rest) = self
            .rest
            .split_at_checked(value as usize)
            .ok_or(Violation::protocol("a key-value pair cut short"))?;
        self.rest = rest;
        Ok(Property { key: self.key, value: PropertyValue::Bytes(bytes) })
    }
}

impl<'a> Iterator for Iter<'a> {
    type Item = Result<Property<'a>, Violation>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let pair = self.pair();
        if pair.is_err() {
            self.rest = &[];
        }
        Some(pair)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_built_is_found() {
        let inner = Properties::builder().int(0x38, 9).build();
        let properties = Properties::builder()
            .bytes(0x3801, "two")
            .int(0x0E, 64)
            .bytes(IMMUTABLE, inner.as_wire().clone())
            .build();
        assert_eq!(properties.int(0x0E), Some(64));
        assert_eq!(properties.bytes(0x3801), Some(Bytes::from("two")));
        assert_eq!(properties.int(0x38), Some(9), "immutable ones are searched too");
        assert_eq!(properties.int(0x40), None);
        assert_eq!(Properties::from_wire(properties.as_wire().clone()), Ok(properties));
    }

    #[test]
    fn the_drafts_track_properties_come_back() {
        let track = TrackProperties {
            object_delivery_timeout: Some(Micros::from_millis(500)),
            priority: Some(3),
            group_order: Some(GroupOrder::Descending),
            dynamic_groups: true,
            ..Default::default()
        };
        let properties = track.write(Properties::builder()).build();
        assert_eq!(TrackProperties::read(&properties), Ok(track));
    }

    #[test]
    fn values_outside_their_range_are_violations() {
        for (key, value) in [(0x0E, 256), (0x22, 0), (0x22, 3), (0x30, 2)] {
            let properties = Properties::builder().int(key, value).build();
            assert!(TrackProperties::read(&properties).is_err(), "{key:#x} = {value}");
            let inner = properties.as_wire().clone();
            let outer = Properties::builder().int(key, 1).bytes(IMMUTABLE, inner).build();
            assert!(TrackProperties::read(&outer).is_err(), "{key:#x} = {value} in immutable ones");
        }
    }

    #[test]
    fn a_cut_encoding_is_a_violation() {
        let properties = Properties::builder().int(2, 300).bytes(5, "hello").build();
        let whole = properties.as_wire();
        for cut in 1..whole.len() {
            // A set of properties may also end after the first pair.
            let ok = cut == 3;
            assert_eq!(Properties::from_wire(whole.slice(..cut)).is_ok(), ok, "cut to {cut}");
        }
    }
}
