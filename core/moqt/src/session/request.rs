//! State of one request.

use std::collections::{BTreeSet, VecDeque};

use super::{RequestId, StreamId};
use crate::{
    Filter, GroupOrder, Location, Micros, Namespace, Params, TrackName, TrackProperties,
    message::{JoiningStart, PublishDone},
};

/// The default of SUBSCRIBER_PRIORITY and DEFAULT_PUBLISHER_PRIORITY.
const DEFAULT_PRIORITY: u8 = 128;

/// One request, from its first message until both sides are done with it.
#[derive(Debug)]
pub(super) struct Request {
    /// The stream it is on.
    pub(super) stream: StreamId,
    /// Side that made the request.
    pub(super) maker: Maker,
    pub(super) phase: Phase,
    pub(super) kind: Kind,
    /// Our updates that the peer has not answered, in order.
    pub(super) updates_sent: VecDeque<RequestId>,
    /// The peer's updates that we have not answered, in order.
    pub(super) updates_received: VecDeque<Params>,
    pub(super) goaway_received: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Maker {
    Us,
    Peer,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// The request has no answer yet.
    Pending,
    /// The request was accepted.
    Established,
}

#[derive(Debug)]
pub(super) enum Kind {
    Subscription(Box<Subscription>),
    Fetch(Box<Fetch>),
    PublishNamespace,
    SubscribeNamespace { prefix: Namespace, announced: BTreeSet<Namespace> },
    SubscribeTracks { prefix: Namespace },
    TrackStatus,
}

/// Our side of a subscription or fetch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// We send the objects.
    Publisher,
    /// We receive the objects.
    Subscriber,
}

/// Way in which a subscription began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Via {
    Subscribe,
    Publish,
}

#[derive(Debug)]
pub(super) struct Subscription {
    pub(super) track: TrackName,
    pub(super) role: Role,
    pub(super) via: Via,
    /// Known from SUBSCRIBE_OK or PUBLISH on.
    pub(super) alias: Option<u64>,
    pub(super) forward: bool,
    /// Location of the first live object, for joining fetches (Section 5.1).
    pub(super) joining: Option<Location>,
    pub(super) priority: u8,
    pub(super) order: Option<GroupOrder>,
    pub(super) filter: Option<Filter>,
    pub(super) object_timeout: Option<Micros>,
    pub(super) subgroup_timeout: Option<Micros>,
    pub(super) rendezvous: Micros,
    pub(super) properties: TrackProperties,
    /// Data streams so far, ours or the peer's.
    pub(super) streams: u64,
    /// Data streams that are open.
    pub(super) open: BTreeSet<StreamId>,
    /// The group that ranks are relative to.
    pub(super) base: Option<u64>,
    /// The PUBLISH_DONE, once it has arrived.
    pub(super) joins: Vec<RequestId>,
    /// PUBLISH_DONE, once it came.
    pub(super) done: Option<PublishDone>,
}

impl Subscription {
    pub(super) fn new(track: TrackName, role: Role, via: Via) -> Self {
        Self {
            track,
            role,
            via,
            alias: None,
            forward: true,
            joining: None,
            priority: DEFAULT_PRIORITY,
            order: None,
            filter: None,
            object_timeout: None,
            subgroup_timeout: None,
            rendezvous: Micros(0),
            properties: TrackProperties::default(),
            streams: 0,
            open: BTreeSet::new(),
            base: None,
            joins: Vec::new(),
            done: None,
        }
    }

    /// Takes over what a message of this subscription sets.
    pub(super) fn apply(&mut self, params: &Params) {
        if let Some(forward) = params.forward {
            self.forward = forward;
        }
        if let Some(priority) = params.priority {
            self.priority = priority;
        }
        self.order = params.group_order.or(self.order);
        self.filter = params.filter.or(self.filter);
        if let Some(ms) = params.object_delivery_timeout {
            self.object_timeout = (ms > 0).then(|| Micros::from_millis(ms));
        }
        if let Some(ms) = params.subgroup_delivery_timeout {
            self.subgroup_timeout = (ms > 0).then(|| Micros::from_millis(ms));
        }
    }

    /// The smaller of what both sides want (Section 8).
    pub(super) fn object_timeout(&self) -> Option<Micros> {
        smaller(self.object_timeout, self.properties.object_delivery_timeout)
    }

    pub(super) fn subgroup_timeout(&self) -> Option<Micros> {
        smaller(self.subgroup_timeout, self.properties.subgroup_delivery_timeout)
    }

    pub(super) fn group_order(&self) -> GroupOrder {
        self.order.or(self.properties.group_order).unwrap_or_default()
    }

    pub(super) fn publisher_priority(&self, explicit: Option<u8>) -> u8 {
        explicit.or(self.properties.priority).unwrap_or(DEFAULT_PRIORITY)
    }

    /// Returns the range of a joining fetch, once it is known.
    pub(super) fn join(&self, start: JoiningStart) -> Option<(Location, Location)> {
        let joining = self.joining.filter(|_| self.forward)?;
        let group = match start {
            JoiningStart::Relative(groups) => joining.group.saturating_sub(groups),
            JoiningStart::Absolute(group) => group,
        };
        let end = Location::new(joining.group, joining.object.saturating_add(1));
        (group <= joining.group).then_some((Location::new(group, 0), end))
    }
}

fn smaller(a: Option<Micros>, b: Option<Micros>) -> Option<Micros> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        _ => a.or(b),
    }
}

#[derive(Debug)]
pub(super) struct Fetch {
    pub(super) role: Role,
    pub(super) order: GroupOrder,
    pub(super) priority: u8,
    /// The first object asked for, where it is known.
    pub(super) start: Option<Location>,
    pub(super) stream: FetchStream,
    /// A joining fetch of the peer's that waits for its subscription.
    pub(super) waiting: Option<(RequestId, JoiningStart, Params)>,
}

/// The data stream of a fetch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FetchStream {
    None,
    Open(StreamId),
    Over,
}

impl Fetch {
    pub(super) fn new(role: Role, params: &Params, start: Option<Location>) -> Self {
        Self {
            role,
            order: params.group_order.unwrap_or_default(),
            priority: params.priority.unwrap_or(DEFAULT_PRIORITY),
            start,
            stream: FetchStream::None,
            waiting: None,
        }
    }
}

impl Request {
    pub(super) fn new(stream: StreamId, maker: Maker, kind: Kind) -> Self {
        Self {
            stream,
            maker,
            phase: Phase::Pending,
            kind,
            updates_sent: VecDeque::new(),
            updates_received: VecDeque::new(),
            goaway_received: false,
        }
    }

    pub(super) fn subscription(&self) -> Option<&Subscription> {
        match &self.kind {
            Kind::Subscription(subscription) => Some(subscription),
            _ => None,
        }
    }

    pub(super) fn subscription_mut(&mut self) -> Option<&mut Subscription> {
        match &mut self.kind {
            Kind::Subscription(subscription) => Some(subscription),
            _ => None,
        }
    }

    pub(super) fn is_pending_from_peer(&self) -> bool {
        self.maker == Maker::Peer && self.phase == Phase::Pending
    }
}

impl Request {
    /// Returns whether PUBLISH_DONE has arrived and its streams are awaited.
    pub(super) fn is_draining(&self) -> bool {
        self.subscription().is_some_and(|subscription| subscription.done.is_some())
    }
}
