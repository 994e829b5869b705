//! A room's root, as far as sessions are concerned: the links of the edges that have fans in it.

use std::{
    cell::RefCell,
    collections::{BTreeMap, VecDeque},
    rc::Rc,
    task::{Context, Waker},
};

use bytes::Bytes;
use moqt::{
    DoneCode, Event, Namespace, Params, Properties, RequestCode, TrackName,
    message::RequestError,
    session::{RequestId, StreamId},
};
use tokio::sync::Notify;
use wire::{EdgeId, limits, names};

use crate::{
    Cx,
    packets::{Inflow, Outflow},
};

/// Packets in a group of what goes down: who reads it keeps a group until its end.
const GROUP_PACKETS: u64 = 256;
/// Bytes for an edge that its session has not taken; beyond, the edge begins anew.
const DOWN_BYTES: usize = 8 << 20;

/// The links to the root of one room. A clone is the same.
#[derive(Clone)]
pub struct Root(Rc<Inner>);

struct Inner {
    room: Namespace,
    keys: token::Keys,
    told: RefCell<Vec<Told>>,
    /// Something has been told.
    news: Notify,
    boxes: RefCell<BTreeMap<EdgeId, Rc<Mailbox>>>,
    next: RefCell<u64>,
}

/// What a root hears of its edges.
#[derive(Debug)]
pub enum Told {
    /// An edge is linked; a later link of the same edge takes the place of this one.
    Joined {
        /// Which.
        edge: EdgeId,
        /// Of its seat.
        incarnation: u64,
    },
    /// What an edge says.
    Delta {
        /// Which.
        edge: EdgeId,
        /// A packet of [`Up`](wire::Up)s.
        packet: Vec<u8>,
    },
    /// A link is over.
    Left {
        /// Whose.
        edge: EdgeId,
    },
}

#[derive(Default)]
struct Mailbox {
    link: u64,
    mail: RefCell<VecDeque<Bytes>>,
    waker: RefCell<Option<Waker>>,
    is_cut: RefCell<bool>,
}

impl Mailbox {
    fn wake(&self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

impl Root {
    /// That of a room, to which edges link themselves who show a token that these keys have signed.
    pub fn new(room: Namespace, keys: token::Keys) -> Self {
        Self(Rc::new(Inner {
            room,
            keys,
            told: RefCell::default(),
            news: Notify::new(),
            boxes: RefCell::default(),
            next: RefCell::default(),
        }))
    }

    /// What was told since.
    pub fn take(&self) -> Vec<Told> {
        self.0.told.take()
    }

    /// Resolves once there is something to take.
    pub async fn news(&self) {
        loop {
            let news = self.0.news.notified();
            if !self.0.told.borrow().is_empty() {
                return;
            }
            news.await;
        }
    }

    /// Whether an edge is linked.
    pub fn is_linked(&self) -> bool {
        !self.0.boxes.borrow().is_empty()
    }

    /// Says something to an edge.
    pub fn send(&self, edge: EdgeId, packet: Bytes) {
        if let Some(mailbox) = self.0.boxes.borrow().get(&edge) {
            mailbox.mail.borrow_mut().push_back(packet);
            mailbox.wake();
        }
    }

    /// Ends an edge's link: it begins anew.
    pub fn cut(&self, edge: EdgeId) {
        let mailbox = self.0.boxes.borrow_mut().remove(&edge);
        if let Some(mailbox) = mailbox {
            mailbox.is_cut.replace(true);
            mailbox.wake();
        }
    }

    fn tell(&self, told: Told) {
        self.0.told.borrow_mut().push(told);
        self.0.news.notify_waiters();
    }

    fn join(&self, edge: EdgeId, incarnation: u64) -> Rc<Mailbox> {
        let link = self.0.next.replace_with(|next| *next + 1);
        let mailbox = Rc::new(Mailbox { link, ..Mailbox::default() });
        let before = self.0.boxes.borrow_mut().insert(edge, Rc::clone(&mailbox));
        if let Some(before) = before {
            before.is_cut.replace(true);
            before.wake();
            self.tell(Told::Left { edge });
        }
        self.tell(Told::Joined { edge, incarnation });
        mailbox
    }

    fn leave(&self, edge: EdgeId, mailbox: &Mailbox) {
        let is_ours = self.0.boxes.borrow().get(&edge).is_some_and(|other| other.link == mailbox.link);
        if is_ours {
            self.0.boxes.borrow_mut().remove(&edge);
            self.tell(Told::Left { edge });
        }
    }
}

/// The links of one session.
pub(crate) struct Links {
    root: Option<Root>,
    links: Vec<Link>,
}

struct Link {
    root: Root,
    edge: EdgeId,
    incarnation: u64,
    downs: RequestId,
    down: Outflow,
    deltas: Option<RequestId>,
    inflow: Inflow,
    /// Once it has offered its deltas.
    mailbox: Option<Rc<Mailbox>>,
}

impl Links {
    pub(crate) fn new(root: Option<Root>) -> Self {
        Self { root, links: Vec::new() }
    }

    /// Whether a namespace is that of a link, and this node has a root.
    pub(crate) fn are_in(&self, namespace: &Namespace) -> bool {
        self.root.is_some() && is_link(namespace)
    }

    /// An edge asks for what the root says to it.
    pub(crate) fn subscribe(
        &mut self,
        cx: &mut Cx<'_>,
        request: RequestId,
        track: &TrackName,
        shown: &[std::borrow::Cow<'_, str>],
        now: wire::Micros,
    ) {
        match self.open(request, track, shown, now) {
            Ok(link) => {
                if cx.session.accept_subscribe(request, Params::default(), Properties::NONE).is_ok() {
                    self.links.push(link);
                }
            }
            Err(error) => drop(cx.session.reject(request, error)),
        }
    }

    fn open(
        &self,
        downs: RequestId,
        track: &TrackName,
        shown: &[std::borrow::Cow<'_, str>],
        now: wire::Micros,
    ) -> Result<Link, RequestError> {
        let absent = |why: &str| RequestError::new(RequestCode::DOES_NOT_EXIST, why);
        let root = self.root.clone().ok_or_else(|| absent("there is no root here"))?;
        let room = root.0.room.path().ok_or_else(|| absent("a room's name is text"))?;
        let is_edge = |jwt: &std::borrow::Cow<'_, str>| {
            root.0
                .keys
                .verify(jwt, now)
                .is_ok_and(|claims| claims.role == token::Role::Edge && claims.check(&room, now).is_ok())
        };
        if !shown.iter().any(is_edge) {
            let why = "only an edge of the house is linked to a room's root";
            return Err(RequestError::new(RequestCode::UNAUTHORIZED, why));
        }
        let (edge, incarnation, room) = read(track.namespace()).ok_or_else(|| absent("no such link"))?;
        if room != root.0.room || track.name() != names::DOWNS.as_bytes() {
            return Err(absent("there is no such room here"));
        }
        let (down, inflow) = (Outflow::new(downs, GROUP_PACKETS), Inflow::new(limits::FRAME));
        Ok(Link { root, edge, incarnation, downs, down, deltas: None, inflow, mailbox: None })
    }

    /// An edge is about to send its deltas.
    pub(crate) fn publish(&mut self, cx: &mut Cx<'_>, request: RequestId, track: &TrackName) {
        let link = read(track.namespace()).and_then(|(edge, incarnation, _)| {
            let is_it = |link: &&mut Link| {
                link.edge == edge && link.incarnation == incarnation && link.deltas.is_none()
            };
            self.links.iter_mut().find(is_it)
        });
        match link {
            Some(link) if track.name() == names::DELTAS.as_bytes() => {
                link.deltas = Some(request);
                link.mailbox = Some(link.root.join(link.edge, link.incarnation));
                let _ = cx.session.accept(request, Params::default(), Properties::NONE);
            }
            _ => {
                let why = "subscribe to what the root says first";
                let _ = cx.session.reject(request, RequestError::new(RequestCode::UNAUTHORIZED, why));
            }
        }
    }

    /// Whether an event was about one of these.
    pub(crate) fn event(&mut self, cx: &mut Cx<'_>, event: &Event) -> bool {
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

    /// Passes on what the root says.
    pub(crate) fn poll(&mut self, task: &mut Context<'_>, cx: &mut Cx<'_>) {
        let mut at = 0;
        while let Some(link) = self.links.get_mut(at) {
            if link.go_on(task, cx) {
                at += 1;
            } else {
                self.links.swap_remove(at).end(cx);
            }
        }
    }
}

impl Link {
    fn read(&mut self, event: &Event) -> Option<()> {
        match event {
            Event::Subgroup { stream, header, .. } => self.inflow.begin(*stream, *header).ok()?,
            Event::Object { stream, header } => self.inflow.object(*stream, header).ok()?,
            Event::Payload { stream, data } => self.inflow.payload(*stream, data).ok()?,
            Event::StreamEnded { stream } => self.inflow.end(*stream).ok()?,
            _ => return None,
        }
        let is_cut = self.mailbox.as_ref().is_none_or(|mailbox| *mailbox.is_cut.borrow());
        while let Some(packet) = self.inflow.take() {
            if !is_cut {
                self.root.tell(Told::Delta { edge: self.edge, packet });
            }
        }
        Some(())
    }

    /// Whether it is to go on.
    fn go_on(&mut self, task: &mut Context<'_>, cx: &mut Cx<'_>) -> bool {
        let Some(mailbox) = &self.mailbox else { return true };
        mailbox.waker.replace(Some(task.waker().clone()));
        while let Some(packet) = mailbox.mail.borrow_mut().pop_front() {
            if self.down.backlog(cx) > DOWN_BYTES || self.down.send(cx, packet).is_err() {
                return false;
            }
        }
        !*mailbox.is_cut.borrow()
    }

    fn end(self, cx: &mut Cx<'_>) {
        let _ = cx.session.done(self.downs, DoneCode::INTERNAL_ERROR, "the link begins anew");
        if let Some(deltas) = self.deltas {
            let _ = cx.session.cancel(deltas);
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        if let Some(mailbox) = &self.mailbox {
            self.root.leave(self.edge, mailbox);
        }
    }
}

fn is_link(namespace: &Namespace) -> bool {
    namespace.fields().first().is_some_and(|field| &field[..] == names::EDGE.as_bytes())
}

/// The edge, its incarnation and the room of a link's namespace.
fn read(namespace: &Namespace) -> Option<(EdgeId, u64, Namespace)> {
    let [_, edge, incarnation, room @ ..] = namespace.fields() else { return None };
    let number = |field: &Bytes| u64::from_str_radix(std::str::from_utf8(field).ok()?, 16).ok();
    let room = Namespace::new(room.to_vec()).ok().filter(|room| !room.is_empty())?;
    Some((EdgeId(number(edge)?), number(incarnation)?, room))
}
