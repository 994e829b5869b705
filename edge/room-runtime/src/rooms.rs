//! The rooms of a node: a leaf for each room that fans take part in.
//!
//! A leaf collects the fans' packets and hands them to its worker every [`TICK`](crate::TICK). The worker's answers go to the
//! fans' sessions, and its deltas go up the uplink: one session with the origin for all rooms.

use std::{
    cell::{Cell, OnceCell, RefCell},
    collections::BTreeMap,
    rc::Rc,
};

use moqt::{Namespace, message::RequestError};
use relay::Platform;
use tokio::sync::Notify;

use crate::{
    Trust, Workers,
    addresses::AddressNumbers,
    figures::Figures,
    leaf::Leaf,
    shared::{RoomsConfig, Shared},
};

/// Leaves that a node runs at once.
pub const MAX_ROOMS: usize = 1024;

/// A node's rooms, and the service by which its clients take part in them. Clones share the same rooms.
#[derive(Clone)]
pub struct Rooms(pub(crate) Rc<Inner>);

pub(crate) struct Inner {
    pub(crate) shared: Rc<Shared>,
    pub(crate) leaves: RefCell<BTreeMap<Namespace, Rc<Leaf>>>,
    /// Notified when a leaf is added.
    pub(crate) changed: Notify,
    /// The incarnation of the next leaf.
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
        let incarnation = Cell::new(config.incarnation);
        let addresses = AddressNumbers::new(platform.random().ok());
        let (uplink, trust) = (Cell::new(None), OnceCell::new());
        let shared = Shared { platform, workers, config, figures, addresses, uplink, trust };
        Self(Rc::new(Inner {
            shared: Rc::new(shared),
            leaves: RefCell::default(),
            changed: Notify::new(),
            incarnation,
        }))
    }

    /// Sets the guard of private rooms. To be called before there are fans.
    pub fn trust(&self, trust: Rc<Trust>) {
        let _ = self.0.shared.trust.set(trust);
    }

    /// The leaf of a room, started if there is none.
    pub(crate) fn leaf(&self, room: &Namespace) -> Result<Rc<Leaf>, RequestError> {
        if let Some(leaf) = self.0.leaves.borrow().get(room) {
            return Ok(Rc::clone(leaf));
        }
        if self.0.leaves.borrow().len() >= MAX_ROOMS {
            return Err(RequestError::new(moqt::RequestCode::EXCESSIVE_LOAD, "this edge has too many rooms"));
        }
        let incarnation = self.0.incarnation.get();
        self.0.incarnation.set(incarnation + 1);
        let leaf = Rc::new(Leaf::new(Rc::clone(&self.0.shared), room.clone(), incarnation));
        self.0.leaves.borrow_mut().insert(room.clone(), Rc::clone(&leaf));
        self.0.shared.figures.rooms.inc();
        let (rooms, running) = (self.clone(), Rc::clone(&leaf));
        self.0.shared.platform.spawn(Box::pin(async move {
            running.run().await;
            rooms.leave(&running);
            rooms.0.shared.figures.rooms.dec();
        }));
        self.0.changed.notify_waiters();
        self.0.shared.wake_uplink();
        Ok(leaf)
    }

    fn leave(&self, leaf: &Rc<Leaf>) {
        self.0.leaves.borrow_mut().retain(|_, other| !Rc::ptr_eq(other, leaf));
        self.0.shared.wake_uplink();
    }
}
