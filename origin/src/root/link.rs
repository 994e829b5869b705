//! An edge's link to a root: what it publishes, and what it is subscribed to.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use futures::{StreamExt as _, stream::FuturesUnordered};
use moq_transport::{
    coding::TrackNamespace,
    message::RequestErrorCode,
    serve::{ServeError, SubgroupReader, SubgroupsReader, TrackReaderMode},
    session::{PublishReceived, Subscribed},
};
use tokio::time::Instant;
use wire::{EdgeId, limits, names};

use super::{Message, Roots, tracks::Downs};
use crate::session::Peer;

/// The longest that a link is held for a room to come.
const MAX_PATIENCE: Duration = Duration::from_secs(30);
/// Groups that may be open at once, and bytes that may wait for those before them.
const MAX_EARLY: usize = 8 << 20;

/// Tells the links of an edge to a room apart.
static LINKS: AtomicU64 = AtomicU64::new(0);

/// Whether a namespace is that of a link.
pub(crate) fn is_link(namespace: &TrackNamespace) -> bool {
    namespace.fields.first().is_some_and(|field| field.value == names::EDGE.as_bytes())
}

/// The room that a namespace has the tracks of, to all fans.
pub(crate) fn room_of(namespace: &TrackNamespace) -> Option<String> {
    let (first, room) = namespace.fields.split_first()?;
    let of_room = first.value == names::ROOM.as_bytes();
    of_room.then(|| crate::session::room_name(&TrackNamespace { fields: room.to_vec() }).ok())?
}

/// Which edge's, and which room.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Of {
    edge: EdgeId,
    incarnation: u64,
    room: String,
}

impl Of {
    fn read(namespace: &TrackNamespace) -> Option<Self> {
        let fields: Option<Vec<&str>> =
            namespace.fields.iter().map(|field| std::str::from_utf8(&field.value).ok()).collect();
        let fields = fields?;
        let [names::EDGE, edge, incarnation, room @ ..] = fields.as_slice() else { return None };
        let number = |hex| u64::from_str_radix(hex, 16).ok();
        let (edge, incarnation) = (EdgeId(number(edge)?), number(incarnation)?);
        (!room.is_empty()).then(|| Self { edge, incarnation, room: room.join("/") })
    }
}

/// Serves the SUBSCRIBE of an edge to what a root says, until either ends it.
pub(crate) async fn downs(peer: Arc<Peer>, subscribed: Subscribed) {
    let info = &subscribed.info;
    let refuse = |subscribed: Subscribed, code| drop(subscribed.close(ServeError::Closed(code)));
    let Some((roots, of)) = allowed(&peer, &info.track_namespace) else {
        return refuse(subscribed, RequestErrorCode::Unauthorized as u64);
    };
    let wait = info.params.rendezvous_timeout().ok().flatten().unwrap_or(0);
    let until = Instant::now() + Duration::from_millis(wait).min(MAX_PATIENCE);
    let mut changes = roots.registry.changes();
    while !roots.has(&of.room).await {
        let changed = tokio::time::timeout_at(until, changes.changed());
        let over = tokio::select! {
            changed = changed => changed.is_err(),
            _ = subscribed.closed() => return,
        };
        if over {
            return refuse(subscribed, RequestErrorCode::DoesNotExist as u64);
        }
    }
    let made = Downs::new(info.track_namespace.clone(), &info.track_name.to_string());
    let Ok((downs, reader)) = made else {
        return refuse(subscribed, RequestErrorCode::InternalError as u64);
    };
    peer.expected().insert(of.clone(), downs);
    if let Err(error) = subscribed.serve(reader).await {
        tracing::debug!(?of, %error, "an edge's subscription to a root is over");
    }
    peer.expected().remove(&of);
}

/// Serves the PUBLISH of an edge's deltas, until either ends it.
pub(crate) async fn deltas(peer: Arc<Peer>, mut published: PublishReceived) {
    let allowed = allowed(&peer, published.namespace());
    let expected = allowed.and_then(|(roots, of)| Some((roots, peer.expected().remove(&of)?, of)));
    let Some((roots, downs, Of { edge, incarnation, room })) = expected else {
        return published.close(ServeError::Closed(RequestErrorCode::Unauthorized as u64));
    };
    let Ok(reader) = published.take_reader() else { return };
    let link = LINKS.fetch_add(1, Ordering::Relaxed);
    roots.tell(&room, Message::Joined { edge, incarnation, link, downs }).await;
    // Whatever happens to this task, the root hears that the link is over.
    let _left = Leaving { roots: Arc::clone(&roots), room: room.clone(), edge, link };
    if published.accept(true).is_err() {
        return;
    }
    let read = async {
        let Ok(TrackReaderMode::Subgroups(groups)) = reader.mode().await else { return };
        let mut deltas = Deltas::new(groups);
        while let Some(packet) = deltas.next().await {
            roots.tell(&room, Message::Delta { edge, link, packet: packet.into() }).await;
        }
    };
    tokio::select! {
        () = read => {}
        _ = published.closed() => {}
    }
}

fn allowed(peer: &Peer, namespace: &TrackNamespace) -> Option<(Arc<Roots>, Of)> {
    let roots = peer.shared.roots.clone().filter(|_| peer.is_edge())?;
    Some((roots, Of::read(namespace)?))
}

struct Leaving {
    roots: Arc<Roots>,
    room: String,
    edge: EdgeId,
    link: u64,
}

impl Drop for Leaving {
    fn drop(&mut self) {
        let Self { roots, room, edge, link } = self;
        let (roots, room, edge, link) = (Arc::clone(roots), room.clone(), *edge, *link);
        tokio::spawn(async move { roots.tell(&room, Message::Left { edge, link }).await });
    }
}

/// Packets in the order of their groups: the streams of two may come in any.
struct Deltas {
    groups: SubgroupsReader,
    /// A group is read beside the others.
    reading: FuturesUnordered<std::pin::Pin<Box<dyn Future<Output = Step> + Send>>>,
    early: BTreeMap<(u64, u64), Bytes>,
    waiting: usize,
    /// Group, and packet in it.
    next: (u64, u64),
    ended: BTreeMap<u64, u64>,
    over: bool,
}

/// What came of reading on in a group.
enum Step {
    Packet(u64, u64, Bytes, SubgroupReader),
    End(u64, u64),
    Broken,
}

impl Deltas {
    fn new(groups: SubgroupsReader) -> Self {
        Self {
            groups,
            reading: FuturesUnordered::new(),
            early: BTreeMap::new(),
            waiting: 0,
            next: (0, 0),
            ended: BTreeMap::new(),
            over: false,
        }
    }

    /// The next packet; `None` when there are no more, or one is missing.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(packet) = self.early.remove(&self.next) {
                self.waiting -= packet.len();
                self.next.1 += 1;
                return Some(packet);
            }
            if self.ended.get(&self.next.0) == Some(&self.next.1) {
                self.ended.remove(&self.next.0);
                self.next = (self.next.0 + 1, 0);
                continue;
            }
            if self.waiting > MAX_EARLY || (self.over && self.reading.is_empty()) {
                return None;
            }
            tokio::select! {
                group = self.groups.next(), if !self.over => match group {
                    Ok(Some(group)) => self.reading.push(Box::pin(read(group, 0))),
                    Ok(None) | Err(_) => self.over = true,
                },
                Some(step) = self.reading.next() => match step {
                    Step::Packet(group, at, packet, reader) => {
                        self.waiting += packet.len();
                        self.early.insert((group, at), packet);
                        self.reading.push(Box::pin(read(reader, at + 1)));
                    }
                    Step::End(group, packets) => drop(self.ended.insert(group, packets)),
                    Step::Broken => return None,
                },
            }
        }
    }
}

async fn read(mut group: SubgroupReader, at: u64) -> Step {
    let id = group.group_id;
    let next = async {
        let Some(mut object) = group.next().await? else { return Ok(None) };
        if object.size > limits::FRAME {
            return Err(ServeError::Size);
        }
        Ok(Some(object.read_all().await?))
    };
    match next.await {
        Ok(Some(packet)) => Step::Packet(id, at, packet, group),
        Ok(None) => Step::End(id, at),
        Err(_) => Step::Broken,
    }
}
