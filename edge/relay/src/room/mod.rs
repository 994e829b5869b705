//! The rooms of a node: for each that fans take part in, a worker in the leaf seat.
//!
//! What fans send is collected, and handed to the worker every [`TICK`]; what it answers goes
//! to their sessions, and its deltas go up the [`link`], one session with the origin for all rooms.

mod link;
mod place;
mod seat;

pub(crate) use place::{Places, is_room_track, shown};

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    rc::Rc,
    task::Waker,
    time::Duration,
};

use moqt::{Namespace, message::RequestError};
use tokio::sync::Notify;
use wire::{EdgeId, worker};

use crate::{Platform, Worker, relay::Figures};
use seat::Seat;

/// How often a worker is handed what fans have sent.
pub const TICK: Duration = Duration::from_millis(25);
/// How often it is handed nothing, beside that.
const IDLE: Duration = Duration::from_millis(200);
/// How long a room's seat is kept when no fan is left.
pub const ROOM_LINGER: Duration = Duration::from_secs(10);
/// Rooms that a node sits in at once.
pub const MAX_ROOMS: usize = 1024;

/// What a node needs to have rooms.
#[derive(Clone, Debug)]
pub struct RoomsConfig {
    /// Which edge it is: the same after a restart.
    pub edge: EdgeId,
    /// What fans' tokens are checked with, and those of fans without one are signed with.
    pub keys: token::Keys,
}

/// A node's rooms. A clone is the same.
#[derive(Clone)]
pub struct Rooms(Rc<Inner>);

struct Inner {
    platform: Rc<dyn Platform>,
    config: RoomsConfig,
    figures: Figures,
    seats: RefCell<BTreeMap<Namespace, Rc<Seat>>>,
    /// There are more or fewer seats.
    changed: Notify,
    link: Cell<Option<Waker>>,
    /// Of the newest seat.
    incarnation: Cell<u64>,
}

impl Rooms {
    /// Those of a node, which nobody takes part in yet.
    pub fn new(platform: Rc<dyn Platform>, config: RoomsConfig, figures: Figures) -> Self {
        Self(Rc::new(Inner {
            platform,
            config,
            figures,
            seats: RefCell::default(),
            changed: Notify::new(),
            link: Cell::new(None),
            incarnation: Cell::new(0),
        }))
    }

    /// The seat in a room, taken if it is not. `None` if there are too many.
    fn seat(&self, room: &Namespace) -> Result<Rc<Seat>, RequestError> {
        if let Some(seat) = self.0.seats.borrow().get(room) {
            return Ok(Rc::clone(seat));
        }
        if self.0.seats.borrow().len() >= MAX_ROOMS {
            return Err(RequestError::new(moqt::RequestCode::EXCESSIVE_LOAD, "this edge has too many rooms"));
        }
        // Higher than that of any seat before it, in this life of the node and in those before.
        let incarnation = self.0.platform.wall().0.max(self.0.incarnation.get() + 1);
        self.0.incarnation.set(incarnation);
        let seat = Rc::new(Seat::new(self.clone(), room.clone(), incarnation));
        self.0.seats.borrow_mut().insert(room.clone(), Rc::clone(&seat));
        self.0.figures.rooms.inc();
        let (rooms, running) = (self.clone(), Rc::clone(&seat));
        self.0.platform.spawn(Box::pin(async move {
            running.run().await;
            rooms.leave(&running);
            rooms.0.figures.rooms.dec();
        }));
        self.0.changed.notify_waiters();
        self.wake_link();
        Ok(seat)
    }

    /// The worker of a seat.
    async fn worker(&self, room: &Namespace, incarnation: u64) -> Result<Box<dyn Worker>, String> {
        let seat = worker::Seat::Leaf { edge: self.0.config.edge, incarnation };
        self.0.platform.worker(room, seat).await
    }

    fn leave(&self, seat: &Rc<Seat>) {
        self.0.seats.borrow_mut().retain(|_, other| !Rc::ptr_eq(other, seat));
        self.wake_link();
    }

    fn wake_link(&self) {
        if let Some(waker) = self.0.link.take() {
            waker.wake();
        }
    }
}
