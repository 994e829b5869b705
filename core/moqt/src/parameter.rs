//! Message parameters (Section 10.2).

use bytes::{BufMut, Bytes, BytesMut};

use crate::{GroupOrder, Location, Namespace, Token, Violation, varint, wire::Reader};

/// Parameters of a message. Each message permits some of them; for those that are `None`, the draft's
/// defaults apply.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Params {
    /// `OBJECT_DELIVERY_TIMEOUT`, in milliseconds; 0 disables it.
    pub object_delivery_timeout: Option<u64>,
    /// The `AUTHORIZATION_TOKEN` parameters, in order.
    pub tokens: Vec<Token>,
    /// `RENDEZVOUS_TIMEOUT`: how many milliseconds to wait for a publisher.
    pub rendezvous_timeout: Option<u64>,
    /// `SUBGROUP_DELIVERY_TIMEOUT`, in milliseconds; 0 disables it.
    pub subgroup_delivery_timeout: Option<u64>,
    /// `EXPIRES`: in how many milliseconds the sender ends the subscription.
    pub expires: Option<u64>,
    /// `LARGEST_OBJECT`: the newest object the sender knows.
    pub largest: Option<Location>,
    /// `FILL_TIMEOUT`: how many milliseconds a relay may spend on filling gaps.
    pub fill_timeout: Option<u64>,
    /// `FORWARD`: whether objects are to be sent.
    pub forward: Option<bool>,
    /// `SUBSCRIBER_PRIORITY`: lower goes first; 128 if absent.
    pub priority: Option<u8>,
    /// `SUBSCRIPTION_FILTER`: which objects are wanted; all, if absent.
    pub filter: Option<Filter>,
    /// `GROUP_ORDER`: which groups go first.
    pub group_order: Option<GroupOrder>,
    /// `NEW_GROUP_REQUEST`: the newest group known plus one, or 0.
    pub new_group_request: Option<u64>,
    /// `TRACK_NAMESPACE_PREFIX`: what a namespace subscription is changed to.
    pub namespace_prefix: Option<Namespace>,
}

/// Objects that a subscription asks for (Section 5.1.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filter {
    /// From the next group on.
    NextGroup,
    /// From the next object on.
    LargestObject,
    /// All objects from a location on.
    From(Location),
    /// From a location to the end of a group.
    Range {
        /// Location of the first object.
        start: Location,
        /// Number of the last group.
        end_group: u64,
    },
}

/// The messages that parameters may be in, one bit each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Scope(u16);

impl Scope {
    pub(crate) const SUBSCRIBE: Self = Self(1);
    pub(crate) const SUBSCRIBE_OK: Self = Self(1 << 1);
    pub(crate) const PUBLISH: Self = Self(1 << 2);
    pub(crate) const PUBLISH_OK: Self = Self(1 << 3);
    pub(crate) const FETCH: Self = Self(1 << 4);
    pub(crate) const FETCH_OK: Self = Self(1 << 5);
    pub(crate) const PUBLISH_NAMESPACE: Self = Self(1 << 6);
    pub(crate) const SUBSCRIBE_NAMESPACE: Self = Self(1 << 7);
    pub(crate) const SUBSCRIBE_TRACKS: Self = Self(1 << 8);
    pub(crate) const TRACK_STATUS: Self = Self(1 << 9);
    pub(crate) const TRACK_STATUS_OK: Self = Self(1 << 10);
    /// REQUEST_UPDATE of a subscription.
    pub(crate) const UPDATE: Self = Self(1 << 11);
    pub(crate) const UPDATE_FETCH: Self = Self(1 << 12);
    /// REQUEST_UPDATE of SUBSCRIBE_NAMESPACE or SUBSCRIBE_TRACKS.
    pub(crate) const UPDATE_PREFIX: Self = Self(1 << 13);
    pub(crate) const UPDATE_OK: Self = Self(1 << 14);
    /// REQUEST_OK to a namespace request, and REQUEST_UPDATE of a PUBLISH_NAMESPACE.
    pub(crate) const BARE: Self = Self(1 << 15);

    /// Parameters of a REQUEST_OK, before it is matched to its request.
    pub(crate) const ANY_OK: Self =
        Self(Self::PUBLISH_OK.0 | Self::TRACK_STATUS_OK.0 | Self::UPDATE_OK.0 | Self::BARE.0);
    /// Parameters of a REQUEST_UPDATE, before it is matched to its request.
    pub(crate) const ANY_UPDATE: Self =
        Self(Self::UPDATE.0 | Self::UPDATE_FETCH.0 | Self::UPDATE_PREFIX.0 | Self::BARE.0);

    const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    const fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

const OBJECT_DELIVERY_TIMEOUT: u64 = 0x02;
const AUTHORIZATION_TOKEN: u64 = 0x03;
const RENDEZVOUS_TIMEOUT: u64 = 0x04;
const SUBGROUP_DELIVERY_TIMEOUT: u64 = 0x06;
const EXPIRES: u64 = 0x08;
const LARGEST_OBJECT: u64 = 0x09;
const FILL_TIMEOUT: u64 = 0x0A;
const FORWARD: u64 = 0x10;
const SUBSCRIBER_PRIORITY: u64 = 0x20;
const SUBSCRIPTION_FILTER: u64 = 0x21;
const GROUP_ORDER: u64 = 0x22;
const NEW_GROUP_REQUEST: u64 = 0x32;
const TRACK_NAMESPACE_PREFIX: u64 = 0x34;

/// The messages each parameter may be in (Sections 10.2.2 to 10.2.14).
const fn scope(key: u64) -> Option<Scope> {
    let subscriber = Scope::SUBSCRIBE.or(Scope::PUBLISH_OK).or(Scope::UPDATE);
    Some(match key {
        OBJECT_DELIVERY_TIMEOUT | SUBGROUP_DELIVERY_TIMEOUT | SUBSCRIPTION_FILTER | NEW_GROUP_REQUEST => {
            subscriber
        }
        // Every request and REQUEST_UPDATE may carry it.
        AUTHORIZATION_TOKEN => Scope::PUBLISH
            .or(Scope::SUBSCRIBE)
            .or(Scope::ANY_UPDATE)
            .or(Scope::SUBSCRIBE_NAMESPACE)
            .or(Scope::SUBSCRIBE_TRACKS)
            .or(Scope::PUBLISH_NAMESPACE)
            .or(Scope::TRACK_STATUS)
            .or(Scope::FETCH),
        RENDEZVOUS_TIMEOUT => Scope::SUBSCRIBE,
        EXPIRES => Scope::SUBSCRIBE_OK
            .or(Scope::PUBLISH)
            .or(Scope::PUBLISH_OK)
            .or(Scope::UPDATE_OK)
            // "The same parameters it would have set in a SUBSCRIBE_OK" (Section 10.14).
            .or(Scope::TRACK_STATUS_OK),
        LARGEST_OBJECT => {
            Scope::SUBSCRIBE_OK.or(Scope::PUBLISH).or(Scope::UPDATE_OK).or(Scope::TRACK_STATUS_OK)
        }
        FILL_TIMEOUT => Scope::FETCH,
        FORWARD => subscriber.or(Scope::PUBLISH).or(Scope::SUBSCRIBE_TRACKS),
        SUBSCRIBER_PRIORITY => subscriber.or(Scope::FETCH).or(Scope::UPDATE_FETCH),
        GROUP_ORDER => Scope::SUBSCRIBE.or(Scope::PUBLISH_OK).or(Scope::FETCH),
        TRACK_NAMESPACE_PREFIX => Scope::UPDATE_PREFIX,
        _ => return None,
    })
}

impl Params {
    pub(crate) fn decode(reader: &mut Reader, message: Scope) -> Result<Self, Violation> {
        let mut params = Self::default();
        let count = reader.varint()?;
        let mut key = 0u64;
        for i in 0..count {
            let delta = reader.varint()?;
            if i > 0 && delta == 0 && key != AUTHORIZATION_TOKEN {
                return Err(Violation::protocol("a parameter given twice"));
            }
            key = key.checked_add(delta).ok_or(Violation::protocol("a parameter over 2^64 - 1"))?;
            let allowed = scope(key).ok_or(Violation::protocol("an unknown parameter"))?;
            if !allowed.meets(message) {
                return Err(Violation::protocol("a parameter in a message it may not be in"));
            }
            params.read(key, reader)?;
        }
        Ok(params)
    }

    fn read(&mut self, key: u64, reader: &mut Reader) -> Result<(), Violation> {
        match key {
            OBJECT_DELIVERY_TIMEOUT => self.object_delivery_timeout = Some(reader.varint()?),
            AUTHORIZATION_TOKEN => {
                let value = reader.prefixed(u16::MAX as usize, "a token over 65535 bytes")?;
                self.tokens.push(Token::decode(value)?);
            }
            RENDEZVOUS_TIMEOUT => self.rendezvous_timeout = Some(reader.varint()?),
            SUBGROUP_DELIVERY_TIMEOUT => self.subgroup_delivery_timeout = Some(reader.varint()?),
            EXPIRES => self.expires = Some(reader.varint()?),
            LARGEST_OBJECT => self.largest = Some(reader.location()?),
            FILL_TIMEOUT => self.fill_timeout = Some(reader.varint()?),
            FORWARD => {
                self.forward = Some(match reader.u8()? {
                    0 => false,
                    1 => true,
                    _ => return Err(Violation::protocol("FORWARD over 1")),
                });
            }
            SUBSCRIBER_PRIORITY => self.priority = Some(reader.u8()?),
            SUBSCRIPTION_FILTER => {
                let value = reader.prefixed(u16::MAX as usize, "a filter over 65535 bytes")?;
                self.filter = Some(Filter::decode(value)?);
            }
            GROUP_ORDER => {
                let order = GroupOrder::from_wire(u64::from(reader.u8()?));
                self.group_order = Some(order.ok_or(Violation::protocol("an unknown group order"))?);
            }
            NEW_GROUP_REQUEST => self.new_group_request = Some(reader.varint()?),
            _ => self.namespace_prefix = Some(Namespace::decode(reader)?),
        }
        Ok(())
    }

    /// The keys of those that are set, in ascending order.
    fn keys(&self) -> impl Iterator<Item = u64> + '_ {
        let tokens = std::iter::repeat_n(AUTHORIZATION_TOKEN, self.tokens.len());
        let one = |set: bool, key: u64| set.then_some(key).into_iter();
        one(self.object_delivery_timeout.is_some(), OBJECT_DELIVERY_TIMEOUT)
            .chain(tokens)
            .chain(one(self.rendezvous_timeout.is_some(), RENDEZVOUS_TIMEOUT))
            .chain(one(self.subgroup_delivery_timeout.is_some(), SUBGROUP_DELIVERY_TIMEOUT))
            .chain(one(self.expires.is_some(), EXPIRES))
            .chain(one(self.largest.is_some(), LARGEST_OBJECT))
            .chain(one(self.fill_timeout.is_some(), FILL_TIMEOUT))
            .chain(one(self.forward.is_some(), FORWARD))
            .chain(one(self.priority.is_some(), SUBSCRIBER_PRIORITY))
            .chain(one(self.filter.is_some(), SUBSCRIPTION_FILTER))
            .chain(one(self.group_order.is_some(), GROUP_ORDER))
            .chain(one(self.new_group_request.is_some(), NEW_GROUP_REQUEST))
            .chain(one(self.namespace_prefix.is_some(), TRACK_NAMESPACE_PREFIX))
    }

    /// Returns whether a message of this kind permits all parameters that are set.
    pub(crate) fn within(&self, message: Scope) -> bool {
        self.keys().all(|key| scope(key).is_some_and(|allowed| allowed.meets(message)))
    }

    pub(crate) fn encode(&self, out: &mut BytesMut) {
        varint::put(out, self.keys().count() as u64);
        let mut previous = 0;
        let mut tokens = self.tokens.iter();
        for key in self.keys() {
            varint::put(out, key - previous);
            previous = key;
            match key {
                AUTHORIZATION_TOKEN => {
                    if let Some(token) = tokens.next() {
                        token.encode_prefixed(out);
                    }
                }
                LARGEST_OBJECT => put_location(out, self.largest.unwrap_or_default()),
                FORWARD => out.put_u8(self.forward.unwrap_or_default().into()),
                SUBSCRIBER_PRIORITY => out.put_u8(self.priority.unwrap_or_default()),
                SUBSCRIPTION_FILTER => {
                    if let Some(filter) = &self.filter {
                        filter.encode_prefixed(out);
                    }
                }
                GROUP_ORDER => out.put_u8(self.group_order.unwrap_or_default().to_wire()),
                TRACK_NAMESPACE_PREFIX => {
                    if let Some(prefix) = &self.namespace_prefix {
                        prefix.encode(out);
                    }
                }
                _ => varint::put(out, self.int(key).unwrap_or_default()),
            }
        }
    }

    fn int(&self, key: u64) -> Option<u64> {
        match key {
            OBJECT_DELIVERY_TIMEOUT => self.object_delivery_timeout,
            RENDEZVOUS_TIMEOUT => self.rendezvous_timeout,
            SUBGROUP_DELIVERY_TIMEOUT => self.subgroup_delivery_timeout,
            EXPIRES => self.expires,
            FILL_TIMEOUT => self.fill_timeout,
            _ => self.new_group_request,
        }
    }
}

pub(crate) fn put_location(out: &mut BytesMut, location: Location) {
    varint::put(out, location.group);
    varint::put(out, location.object);
}

impl Filter {
    fn decode(value: Bytes) -> Result<Self, Violation> {
        const WRONG: Violation = Violation::formatting("a filter of the wrong length");
        let mut reader = Reader::new(value);
        let kind = reader.varint().map_err(|_| WRONG)?;
        let filter = match kind {
            1 => Self::NextGroup,
            2 => Self::LargestObject,
            3 => Self::From(reader.location().map_err(|_| WRONG)?),
            4 => {
                let start = reader.location().map_err(|_| WRONG)?;
                let delta = reader.varint().map_err(|_| WRONG)?;
                let end_group = start
                    .group
                    .checked_add(delta)
                    .ok_or(Violation::protocol("a filter that ends over 2^64 - 1"))?;
                Self::Range { start, end_group }
            }
            _ => return Err(Violation::protocol("an unknown filter type")),
        };
        if reader.is_empty() { Ok(filter) } else { Err(WRONG) }
    }

    fn encode_prefixed(&self, out: &mut BytesMut) {
        let mut value = BytesMut::with_capacity(4 * varint::MAX_LEN);
        match *self {
            Self::NextGroup => value.put_u8(1),
            Self::LargestObject => value.put_u8(2),
            Self::From(start) => {
                value.put_u8(3);
                put_location(&mut value, start);
            }
            Self::Range { start, end_group } => {
                value.put_u8(4);
                put_location(&mut value, start);
                varint::put(&mut value, end_group.saturating_sub(start.group));
            }
        }
        varint::put(out, value.len() as u64);
        out.put_slice(&value);
    }

    /// The first location that passes, given the newest object of the track.
    pub fn start(&self, largest: Option<Location>) -> Location {
        match (self, largest) {
            (Self::From(start) | Self::Range { start, .. }, _) => *start,
            (_, None) => Location::default(),
            (Self::NextGroup, Some(largest)) => Location::new(largest.group.saturating_add(1), 0),
            (Self::LargestObject, Some(largest)) => {
                Location::new(largest.group, largest.object.saturating_add(1))
            }
        }
    }

    /// The last group that passes, if there is a last.
    pub fn end_group(&self) -> Option<u64> {
        match self {
            Self::Range { end_group, .. } => Some(*end_group),
            _ => None,
        }
    }
}
