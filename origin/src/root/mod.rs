//! The rooms' roots: for each room that edges have fans in, a worker in the root seat.
//!
//! What edges say is handed to the worker every [`TICK`]; what it was handed is kept before anything
//! that it answers is done. Whatever fails, the root is closed, the edges' links to it with it, and opened
//! again as it was kept: what was not answered comes again.

mod error;
pub(crate) use error::Error;

mod link;
mod seat;
mod tracks;

pub(crate) use link::{Of, deltas, downs, is_link, room_of};
pub(crate) use tracks::Downs;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::{mpsc, oneshot};
use wire::{EdgeId, FanId};

use crate::{
    keep::{Keep, Retention},
    metrics::Workers,
    registry::Registry,
};

/// How often a root is handed what edges have sent, and says what has come of it.
pub const TICK: Duration = Duration::from_millis(45);
/// How long a root stays when no edge is left.
pub const ROOT_LINGER: Duration = Duration::from_secs(15);
/// How often it is looked for what is too old to be kept.
const PRUNE_EVERY: Duration = Duration::from_hours(1);
/// What may wait for a root's next tick.
const MAX_WAITING: usize = 4096;

/// What an origin needs to have rooms.
#[derive(Clone, Debug)]
pub struct RoomsConfig {
    /// Where they are kept.
    pub keep: Keep,
    /// Where workers run.
    pub engine: wasm_host::Engine,
    /// The worker of all rooms.
    pub worker: wasm_host::Version,
    /// What takes over when that turns out to be bad.
    pub fallback: Option<wasm_host::Version>,
    /// For how long the past is kept.
    pub retention: Retention,
}

/// The roots that are open.
pub(crate) struct Roots {
    config: RoomsConfig,
    registry: Arc<Registry>,
    workers: Workers,
    open: Mutex<HashMap<String, mpsc::Sender<Message>>>,
}

/// What a root is told.
pub(crate) enum Message {
    /// An edge is linked; a later link of the same edge takes the place of this one.
    Joined { edge: EdgeId, incarnation: u64, link: u64, downs: Downs },
    /// What an edge says.
    Delta { edge: EdgeId, link: u64, packet: Vec<u8> },
    /// A link is over.
    Left { edge: EdgeId, link: u64 },
    /// A person is to be forgotten; said when it is done.
    Forget { fan: FanId, done: oneshot::Sender<()> },
    /// Somebody wants its tracks.
    Wanted,
}

impl Roots {
    pub(crate) fn new(config: RoomsConfig, registry: Arc<Registry>, workers: Workers) -> Arc<Self> {
        Arc::new(Self { config, registry, workers, open: Mutex::default() })
    }

    /// How many are open.
    pub(crate) fn len(&self) -> usize {
        self.open().len()
    }

    /// Has what is older than it may be deleted, from time to time, for ever.
    pub(crate) async fn keep_time(&self) {
        let mut every = tokio::time::interval(PRUNE_EVERY);
        loop {
            every.tick().await;
            match self.config.keep.prune(token::now(), &self.config.retention).await {
                Ok(0) => {}
                Ok(rows) => tracing::info!(rows, "what was too old is deleted"),
                Err(error) => tracing::error!(%error, "what is too old is not deleted"),
            }
        }
    }

    pub(crate) fn keep(&self) -> &Keep {
        &self.config.keep
    }

    /// Whether there is, or has been, such a room.
    async fn has(&self, room: &str) -> bool {
        if self.open().contains_key(room) || self.registry.has_show(room) {
            return true;
        }
        match self.config.keep.rooms().await {
            Ok(rooms) => rooms.iter().any(|of| of == room),
            Err(error) => {
                tracing::error!(%error, "nobody knows which rooms there are");
                false
            }
        }
    }

    /// Has the tracks of a room open, if there is, or has been, such a room.
    pub(crate) async fn want(self: &Arc<Self>, room: &str) -> bool {
        let has = self.has(room).await;
        if has {
            self.tell(room, Message::Wanted).await;
        }
        has
    }

    /// Tells a room's root, which is opened if it is not.
    pub(crate) async fn tell(self: &Arc<Self>, room: &str, message: Message) {
        let mut message = message;
        loop {
            let root = self.root(room);
            match root.send(message).await {
                Ok(()) => return,
                // It has just been closed.
                Err(mpsc::error::SendError(back)) => {
                    self.closed(room, &root);
                    message = back;
                }
            }
        }
    }

    fn root(self: &Arc<Self>, room: &str) -> mpsc::Sender<Message> {
        let mut open = self.open();
        if let Some(root) = open.get(room) {
            return root.clone();
        }
        let (root, inbox) = mpsc::channel(MAX_WAITING);
        open.insert(room.to_owned(), root.clone());
        let (roots, room) = (Arc::clone(self), room.to_owned());
        let handle = root.clone();
        tokio::spawn(async move {
            if let Err(error) = seat::run(&roots, &room, inbox).await {
                tracing::error!(room, %error, "a room's root is closed");
            }
            roots.closed(&room, &handle);
        });
        root
    }

    fn closed(&self, room: &str, root: &mpsc::Sender<Message>) {
        self.open().retain(|of, other| of != room || !other.same_channel(root));
    }

    /// Erases what is kept of a person, in all rooms.
    pub(crate) async fn forget(self: &Arc<Self>, fan: FanId) -> Result<(), Error> {
        let keep = &self.config.keep;
        for room in keep.forget(fan).await? {
            let (done, is_done) = oneshot::channel();
            self.tell(&room, Message::Forget { fan, done }).await;
            // A root that fails has said why; it is asked once more, as it was kept.
            if is_done.await.is_err() {
                let (done, is_done) = oneshot::channel();
                self.tell(&room, Message::Forget { fan, done }).await;
                is_done.await.map_err(|_| Error::Unforgotten { room: room.clone() })?;
            }
        }
        Ok(keep.scrub().await?)
    }

    fn open(&self) -> MutexGuard<'_, HashMap<String, mpsc::Sender<Message>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
