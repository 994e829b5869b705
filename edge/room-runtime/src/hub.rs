//! The hub of a room: the root's side of the links over which edges send deltas and receive answers.
//!
//! An edge opens a link with two tracks in one session: it subscribes to `downs`, and then publishes `deltas`. Both
//! are reliable and in order. A link that falls behind, or breaks, is ended as a whole; the edge opens another, and
//! sends again what was not acknowledged.

use std::{
    cell::{Cell, RefCell},
    collections::{BTreeMap, HashMap, VecDeque},
    rc::Rc,
    task::{Context, Waker},
};

use bytes::Bytes;
use moqt::{
    Cx, DoneCode, Event, Namespace, Params, Properties, RequestCode, TrackName,
    message::RequestError,
    packet_track::{Inflow, Outflow},
    session::{Hold, RequestId, StreamId},
};
use relay::{Credentials, Platform, Service, SessionService};
use token::Keys;
use tokio::sync::Notify;
use wire::{EdgeId, Micros, limits, names};

use crate::{patterns::RoomPatterns, rivals::Rivals, vouching::Vouching};

/// Packets in a group of `downs`.
const GROUP_PACKETS: u64 = 256;
/// The reason for refusing a link without a token.
const NO_TOKEN: &str = "a link to a room's root needs an edge's token, signed with a key that the root knows";
/// Bytes that may wait for an edge's session; beyond that its link is ended.
const DOWN_BYTES: usize = 8 << 20;

/// Edges whose fans a hub remembers, at most; beyond that it forgets those of edges without a link.
const MAX_EDGES: usize = 512;

/// The links to the root of one room. Clones share the same links.
#[derive(Clone)]
pub struct Hub(Rc<Inner>);

struct Inner {
    room: Namespace,
    events: RefCell<Vec<HubEvent>>,
    /// Notified when an event is added.
    ready: Notify,
    links: RefCell<BTreeMap<EdgeId, Rc<Downlink>>>,
    /// The fans of edges that are not believed about them. An edge that links again goes on where it was.
    vouching: RefCell<HashMap<EdgeId, (u64, Vouching)>>,
    next_link: Cell<u64>,
}

/// An event of a room's links.
#[derive(Debug)]
pub enum HubEvent {
    /// An edge opened a link, in place of an earlier one if there was one.
    Joined {
        /// The edge.
        edge: EdgeId,
        /// The incarnation of its leaf.
        incarnation: u64,
    },
    /// A delta came.
    Delta {
        /// The edge that sent it.
        edge: EdgeId,
        /// A packet of [`Up`](wire::Up)s.
        packet: Vec<u8>,
    },
    /// A link ended.
    Left {
        /// The edge that had it.
        edge: EdgeId,
    },
}

/// The packets that wait for one edge.
#[derive(Default)]
struct Downlink {
    link: u64,
    incarnation: u64,
    packets: RefCell<VecDeque<Bytes>>,
    waker: Cell<Option<Waker>>,
    is_cut: Cell<bool>,
}

impl Downlink {
    fn wake(&self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    fn cut(&self) {
        self.is_cut.set(true);
        self.wake();
    }
}

impl Hub {
    /// Creates the hub of a room, without links.
    pub fn new(room: Namespace) -> Self {
        Self(Rc::new(Inner {
            room,
            events: RefCell::default(),
            ready: Notify::new(),
            links: RefCell::default(),
            vouching: RefCell::default(),
            next_link: Cell::default(),
        }))
    }

    /// The room that it belongs to.
    pub fn room(&self) -> &Namespace {
        &self.0.room
    }

    /// Takes the events since the last call, in order.
    pub fn take(&self) -> Vec<HubEvent> {
        self.0.events.take()
    }

    /// Resolves once there is an event to take.
    pub async fn ready(&self) {
        loop {
            let ready = self.0.ready.notified();
            if !self.0.events.borrow().is_empty() {
                return;
            }
            ready.await;
        }
    }

    /// Returns whether any edge has a link.
    pub fn is_linked(&self) -> bool {
        !self.0.links.borrow().is_empty()
    }

    /// Sends a packet to an edge, if it has a link.
    pub fn send(&self, edge: EdgeId, packet: Bytes) {
        if let Some(downlink) = self.0.links.borrow().get(&edge) {
            downlink.packets.borrow_mut().push_back(packet);
            downlink.wake();
        }
    }

    /// Ends an edge's link. The edge opens another.
    pub fn cut(&self, edge: EdgeId) {
        let downlink = self.0.links.borrow_mut().remove(&edge);
        if let Some(downlink) = downlink {
            downlink.cut();
        }
    }

    /// Ends all links.
    pub fn cut_all(&self) {
        for downlink in std::mem::take(&mut *self.0.links.borrow_mut()).into_values() {
            downlink.cut();
        }
    }

    fn push(&self, event: HubEvent) {
        self.0.events.borrow_mut().push(event);
        self.0.ready.notify_waiters();
    }

    /// Receives a packet of an edge that is not believed about its fans.
    fn vouched(&self, (edge, incarnation): (EdgeId, u64), packet: Vec<u8>, keys: &Keys, now: Micros) {
        let mut vouching = self.0.vouching.borrow_mut();
        if vouching.len() > MAX_EDGES {
            let links = self.0.links.borrow();
            vouching.retain(|other, _| links.contains_key(other));
        }
        let room = || self.0.room.path().unwrap_or_default();
        let of_edge = vouching.entry(edge).or_insert_with(|| (incarnation, Vouching::new(edge, &room())));
        if of_edge.0 != incarnation {
            *of_edge = (incarnation, Vouching::new(edge, &room()));
        }
        if let Some(packet) = of_edge.1.packet(packet, keys, now) {
            self.push(HubEvent::Delta { edge, packet });
        }
    }

    /// Returns whether a node that was started later has a link with this edge's number. An edge that was started again
    /// has a higher incarnation than before, so an earlier one is of another node, which still runs.
    fn has_rival(&self, edge: EdgeId, incarnation: u64) -> bool {
        self.0.links.borrow().get(&edge).is_some_and(|link| link.incarnation > incarnation)
    }

    fn join(&self, edge: EdgeId, incarnation: u64) -> Rc<Downlink> {
        let link = self.0.next_link.replace(self.0.next_link.get() + 1);
        let downlink = Rc::new(Downlink { link, incarnation, ..Downlink::default() });
        let previous = self.0.links.borrow_mut().insert(edge, Rc::clone(&downlink));
        if let Some(previous) = previous {
            previous.cut();
            self.push(HubEvent::Left { edge });
        }
        self.push(HubEvent::Joined { edge, incarnation });
        downlink
    }

    fn leave(&self, edge: EdgeId, downlink: &Downlink) {
        let is_current = self.0.links.borrow().get(&edge).is_some_and(|other| other.link == downlink.link);
        if is_current {
            self.0.links.borrow_mut().remove(&edge);
            self.push(HubEvent::Left { edge });
        }
    }
}

/// Finds the hubs of a node.
pub trait Hubs {
    /// The hub of a room, opened if there is such a room.
    fn hub(&self, room: &Namespace) -> Option<Hub>;

    /// Registers a task to wake when there is a room more.
    fn watch(&self, waker: &Waker);
}

/// A node with one room has one hub.
impl Hubs for Hub {
    fn hub(&self, room: &Namespace) -> Option<Hub> {
        (*room == self.0.room).then(|| self.clone())
    }

    fn watch(&self, _: &Waker) {}
}

/// The service by which edges link to the roots of a node.
pub struct HubService {
    hubs: Rc<dyn Hubs>,
    /// The keys that verify edges' tokens, and those of fans.
    keys: Option<Keys>,
    platform: Rc<dyn Platform>,
    private: RoomPatterns,
    rivals: Rc<Rivals>,
}

impl HubService {
    /// Creates the service. Edges present a token that `keys` verify; without keys none can.
    pub fn new(hubs: Rc<dyn Hubs>, keys: Option<Keys>, platform: Rc<dyn Platform>) -> Self {
        Self { hubs, keys, platform, private: RoomPatterns::default(), rivals: Rc::default() }
    }

    /// Sets the private rooms: an edge may link to them only if it asks its fans for a token.
    #[must_use]
    pub fn private(mut self, private: RoomPatterns) -> Self {
        self.private = private;
        self
    }
}

impl Service for HubService {
    fn session(&self) -> Box<dyn SessionService> {
        Box::new(HubSession {
            hubs: Rc::clone(&self.hubs),
            keys: self.keys.clone(),
            platform: Rc::clone(&self.platform),
            private: self.private.clone(),
            rivals: Rc::clone(&self.rivals),
            links: Vec::new(),
            held: Vec::new(),
        })
    }
}

/// The links of one session.
struct HubSession {
    hubs: Rc<dyn Hubs>,
    keys: Option<Keys>,
    platform: Rc<dyn Platform>,
    private: RoomPatterns,
    rivals: Rc<Rivals>,
    links: Vec<Link>,
    /// Links to rooms that do not exist yet.
    held: Vec<(RequestId, Address)>,
}

/// The name of a link.
#[derive(Clone, Debug)]
struct Address {
    edge: EdgeId,
    incarnation: u64,
    room: Namespace,
    /// Set for an edge that is not believed about its fans: the keys that verify these fans' tokens.
    keys: Option<Keys>,
}

struct Link {
    hub: Hub,
    platform: Rc<dyn Platform>,
    keys: Option<Keys>,
    edge: EdgeId,
    incarnation: u64,
    downs: RequestId,
    down: Outflow,
    deltas: Option<RequestId>,
    inflow: Inflow,
    /// The packets for the edge, once it has published its deltas.
    downlink: Option<Rc<Downlink>>,
}

impl SessionService for HubSession {
    fn event(&mut self, cx: &mut Cx<'_>, event: &Event, credentials: &Credentials) -> bool {
        match event {
            Event::Subscribe { request, track, .. } if is_link(track.namespace()) => {
                let opened = self.authorize(track, credentials);
                if let Err(error) = opened.and_then(|address| self.open(cx, *request, address)) {
                    let _ = cx.session.reject(*request, error);
                }
                true
            }
            Event::Publish { request, track, .. } if is_link(track.namespace()) => {
                self.publish(cx, *request, track);
                true
            }
            Event::Cancelled { request, .. } | Event::RendezvousTimeout { request }
                if self.held.iter().any(|(held, _)| held == request) =>
            {
                self.held.retain(|(held, _)| held != request);
                true
            }
            event => self.handle(cx, event),
        }
    }

    fn poll(&mut self, task: &mut Context<'_>, cx: &mut Cx<'_>) {
        if !self.held.is_empty() {
            self.hubs.watch(task.waker());
            for (request, address) in std::mem::take(&mut self.held) {
                match self.hubs.hub(&address.room) {
                    Some(hub) => self.link(cx, request, address, hub),
                    None => self.held.push((request, address)),
                }
            }
        }
        let mut at = 0;
        while let Some(link) = self.links.get_mut(at) {
            if link.advance(task, cx) {
                at += 1;
            } else {
                self.links.swap_remove(at).end(cx);
            }
        }
    }
}

impl HubSession {
    /// Checks that an edge may link to the room of a track.
    fn authorize(&self, track: &TrackName, credentials: &Credentials) -> Result<Address, RequestError> {
        let absent = |why: &str| RequestError::new(RequestCode::DOES_NOT_EXIST, why);
        let mut address = Address::read(track.namespace()).ok_or_else(|| absent("there is no such link"))?;
        let room = address.room.path().ok_or_else(|| absent("a room's name is text"))?;
        let now = self.platform.wall();
        let denied = |why: &str| RequestError::new(RequestCode::UNAUTHORIZED, why);
        let mut refusal = denied(NO_TOKEN);
        let token = credentials.valid().find(|token| {
            let checked = token.claims.check_number(address.edge, &room, now);
            if let Err(error @ token::Error::OtherEdge { .. }) = &checked {
                refusal = denied(&error.to_string());
            }
            checked.is_ok()
        });
        let token = token.ok_or(refusal)?;
        if self.private.cover(&room) && !token.claims.guards {
            return Err(denied("the room is private, and this edge does not ask its fans for a token"));
        }
        // A key without a scope could sign for each fan, too, so that proofs would prove nothing more.
        address.keys = self.keys.clone().filter(|_| token.scope.is_some());
        if track.name() != names::DOWNS.as_bytes() {
            return Err(absent("there is no such track in a link"));
        }
        Ok(address)
    }

    /// Opens a link, or holds the request for as long as the edge waits for the room.
    fn open(&mut self, cx: &mut Cx<'_>, request: RequestId, address: Address) -> Result<(), RequestError> {
        if let Some(hub) = self.hubs.hub(&address.room) {
            self.link(cx, request, address, hub);
        } else if cx.session.hold(cx.now, request) == Ok(Hold::Waiting) {
            self.held.push((request, address));
        } else {
            return Err(RequestError::new(RequestCode::DOES_NOT_EXIST, "there is no such room here"));
        }
        Ok(())
    }

    fn link(&mut self, cx: &mut Cx<'_>, downs: RequestId, address: Address, hub: Hub) {
        if hub.has_rival(address.edge, address.incarnation) {
            self.rivals.warn(self.platform.now(), address.edge, hub.room());
            let why = "another node, started later, is linked with this edge's number";
            let error = RequestError::new(RequestCode::DUPLICATE_SUBSCRIPTION, why);
            let _ = cx.session.reject(downs, error);
            return;
        }
        if cx.session.accept_subscribe(downs, Params::default(), Properties::NONE).is_err() {
            return;
        }
        let Address { edge, incarnation, keys, .. } = address;
        let (down, inflow) = (Outflow::new(downs, GROUP_PACKETS), Inflow::new(limits::FRAME));
        let platform = Rc::clone(&self.platform);
        let (deltas, downlink) = (None, None);
        self.links.push(Link {
            hub,
            platform,
            keys,
            edge,
            incarnation,
            downs,
            down,
            deltas,
            inflow,
            downlink,
        });
    }

    /// Accepts the deltas of a link whose `downs` the edge has subscribed to.
    fn publish(&mut self, cx: &mut Cx<'_>, request: RequestId, track: &TrackName) {
        let link = Address::read(track.namespace()).and_then(|address| {
            let is_it = |link: &&mut Link| {
                (link.edge, link.incarnation) == (address.edge, address.incarnation) && link.deltas.is_none()
            };
            self.links.iter_mut().find(is_it)
        });
        match link {
            Some(link) if track.name() == names::DELTAS.as_bytes() => {
                link.deltas = Some(request);
                link.downlink = Some(link.hub.join(link.edge, link.incarnation));
                let _ = cx.session.accept(request, Params::default(), Properties::NONE);
            }
            _ => {
                let why = "subscribe to the link's downs first";
                let _ = cx.session.reject(request, RequestError::new(RequestCode::UNAUTHORIZED, why));
            }
        }
    }

    /// Handles an event of one of the links' tracks. Returns whether it was one.
    fn handle(&mut self, cx: &mut Cx<'_>, event: &Event) -> bool {
        let reads = |link: &Link, stream: &StreamId| link.inflow.has(*stream);
        let at = match event {
            Event::Subgroup { request, .. } => {
                self.links.iter().position(|link| link.deltas == Some(*request))
            }
            Event::Object { stream, .. }
            | Event::Payload { stream, .. }
            | Event::StreamEnded { stream }
            | Event::StreamReset { stream, .. } => self.links.iter().position(|link| reads(link, stream)),
            Event::StreamStopped { stream, .. } => self.links.iter().position(|link| link.down.is(*stream)),
            Event::Cancelled { request, .. } | Event::Done { request, .. } => {
                let of = |link: &Link| link.downs == *request || link.deltas == Some(*request);
                self.links.iter().position(of)
            }
            _ => None,
        };
        let Some(at) = at else { return false };
        if self.links[at].read(event).is_none() {
            self.links.swap_remove(at).end(cx);
        }
        true
    }
}

impl Link {
    /// Reads deltas. Returns `None` if the link is broken.
    fn read(&mut self, event: &Event) -> Option<()> {
        match event {
            Event::Subgroup { stream, header, .. } => self.inflow.begin(*stream, *header).ok()?,
            Event::Object { stream, header } => self.inflow.object(*stream, header).ok()?,
            Event::Payload { stream, data } => self.inflow.payload(*stream, data).ok()?,
            Event::StreamEnded { stream } => self.inflow.end(*stream).ok()?,
            _ => return None,
        }
        let is_cut = self.downlink.as_ref().is_none_or(|downlink| downlink.is_cut.get());
        while let Some(packet) = self.inflow.take() {
            match &self.keys {
                _ if is_cut => {}
                Some(keys) => {
                    self.hub.vouched((self.edge, self.incarnation), packet, keys, self.platform.wall());
                }
                None => self.hub.push(HubEvent::Delta { edge: self.edge, packet }),
            }
        }
        Some(())
    }

    /// Sends the packets that wait. Returns whether the link goes on.
    fn advance(&mut self, task: &mut Context<'_>, cx: &mut Cx<'_>) -> bool {
        let Some(downlink) = &self.downlink else { return true };
        downlink.waker.set(Some(task.waker().clone()));
        while let Some(packet) = downlink.packets.borrow_mut().pop_front() {
            if self.down.backlog(cx) > DOWN_BYTES || self.down.send(cx, packet).is_err() {
                return false;
            }
        }
        !downlink.is_cut.get()
    }

    fn end(self, cx: &mut Cx<'_>) {
        let _ = cx.session.done(self.downs, DoneCode::INTERNAL_ERROR, "the link ended: open another");
        if let Some(deltas) = self.deltas {
            let _ = cx.session.cancel(deltas);
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        if let Some(downlink) = &self.downlink {
            self.hub.leave(self.edge, downlink);
        }
    }
}

impl Address {
    /// Reads the edge, the incarnation and the room from a link's namespace.
    fn read(namespace: &Namespace) -> Option<Self> {
        let [_, edge, incarnation, room @ ..] = namespace.fields() else { return None };
        let number = |field: &Bytes| u64::from_str_radix(std::str::from_utf8(field).ok()?, 16).ok();
        let room = Namespace::new(room.to_vec()).ok().filter(|room| !room.is_empty())?;
        Some(Self { edge: EdgeId(number(edge)?), incarnation: number(incarnation)?, room, keys: None })
    }
}

/// Returns whether a namespace is that of a link.
fn is_link(namespace: &Namespace) -> bool {
    namespace.fields().first().is_some_and(|field| &field[..] == names::EDGE.as_bytes())
}
