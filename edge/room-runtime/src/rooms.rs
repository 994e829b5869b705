//! The rooms of a node: a leaf for each room that fans take part in.
//!
//! A leaf collects the fans' packets and hands them to its worker every [`TICK`]. The worker's answers go to the
//! fans' sessions, and its deltas go up the uplink: one session with the origin for all rooms.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    rc::Rc,
    task::Waker,
    time::Duration,
};

use moqt::{Namespace, message::RequestError};
use relay::{Platform, Service, SessionService};
use tokio::sync::Notify;
use wire::{EdgeId, worker};

use crate::{Error, Worker, Workers, figures::Figures, leaf::Leaf, membership::Memberships};

/// The interval between a leaf's batches while there is input.
pub const TICK: Duration = Duration::from_millis(25);
/// The interval between a leaf's batches while there is none.
pub(crate) const IDLE: Duration = Duration::from_millis(200);
/// The time that a leaf stays after its last fan left.
pub const ROOM_LINGER: Duration = Duration::from_secs(10);
/// Leaves that a node runs at once.
pub const MAX_ROOMS: usize = 1024;

/// The configuration of a node's rooms.
#[derive(Clone, Debug)]
pub struct RoomsConfig {
    /// The number of this edge: the same after a restart.
    pub edge: EdgeId,
    /// The keys that verify fans' tokens and sign those of anonymous fans.
    pub keys: token::Keys,
}

/// A node's rooms, and the service by which its clients take part in them. Clones share the same rooms.
#[derive(Clone)]
pub struct Rooms(pub(crate) Rc<Inner>);

pub(crate) struct Inner {
    pub(crate) platform: Rc<dyn Platform>,
    pub(crate) workers: Rc<dyn Workers>,
    pub(crate) config: RoomsConfig,
    pub(crate) figures: Figures,
    pub(crate) leaves: RefCell<BTreeMap<Namespace, Rc<Leaf>>>,
    /// Notified when a leaf is added.
    pub(crate) changed: Notify,
    pub(crate) uplink: Cell<Option<Waker>>,
    /// The incarnation of the newest leaf.
    incarnation: Cell<u64>,
}

impl Rooms {
    /// Creates a node's rooms, none of which is open. Their metrics are written with the relay's.
    pub fn new(
        platform: Rc<dyn Platform>,
        workers: Rc<dyn Workers>,
        config: RoomsConfig,
        figures: &relay::Figures,
    ) -> Self {
        let figures = Figures::new(figures);
        Self(Rc::new(Inner {
            platform,
            workers,
            config,
            figures,
            leaves: RefCell::default(),
            changed: Notify::new(),
            uplink: Cell::new(None),
            incarnation: Cell::new(0),
        }))
    }

    /// The leaf of a room, started if there is none.
    pub(crate) fn leaf(&self, room: &Namespace) -> Result<Rc<Leaf>, RequestError> {
        if let Some(leaf) = self.0.leaves.borrow().get(room) {
            return Ok(Rc::clone(leaf));
        }
        if self.0.leaves.borrow().len() >= MAX_ROOMS {
            return Err(RequestError::new(moqt::RequestCode::EXCESSIVE_LOAD, "this edge has too many rooms"));
        }
        // Higher than that of any earlier leaf, over restarts of the node.
        let incarnation = self.0.platform.wall().0.max(self.0.incarnation.get() + 1);
        self.0.incarnation.set(incarnation);
        let leaf = Rc::new(Leaf::new(self.clone(), room.clone(), incarnation));
        self.0.leaves.borrow_mut().insert(room.clone(), Rc::clone(&leaf));
        self.0.figures.rooms.inc();
        let (rooms, running) = (self.clone(), Rc::clone(&leaf));
        self.0.platform.spawn(Box::pin(async move {
            running.run().await;
            rooms.leave(&running);
            rooms.0.figures.rooms.dec();
        }));
        self.0.changed.notify_waiters();
        self.wake_uplink();
        Ok(leaf)
    }

    /// Starts the worker of a leaf.
    pub(crate) async fn worker(&self, room: &Namespace, incarnation: u64) -> Result<Box<dyn Worker>, Error> {
        let leaf = worker::Seat::Leaf { edge: self.0.config.edge, incarnation };
        self.0.workers.start(room, leaf).await
    }

    fn leave(&self, leaf: &Rc<Leaf>) {
        self.0.leaves.borrow_mut().retain(|_, other| !Rc::ptr_eq(other, leaf));
        self.wake_uplink();
    }

    pub(crate) fn wake_uplink(&self) {
        if let Some(waker) = self.0.uplink.take() {
            waker.wake();
        }
    }
}

impl Service for Rooms {
    fn session(&self) -> Box<dyn SessionService> {
        Box::new(Memberships::new(self.clone()))
    }
}
