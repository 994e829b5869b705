//! The parts of a node that all its rooms share.

use std::{
    cell::{Cell, OnceCell},
    rc::Rc,
    task::Waker,
};

use moqt::Namespace;
use relay::Platform;
use token::Claims;
use wire::{EdgeId, worker::Seat};

use crate::{Error, Trust, Worker, Workers, addresses::AddressNumbers, figures::Figures};

/// The configuration of a node's rooms.
#[derive(Clone, Debug)]
pub struct RoomsConfig {
    /// The number of this edge: the same after a restart.
    pub edge: EdgeId,
    /// The incarnation of this node's first leaf. It is higher than that of any earlier leaf of the edge, over restarts
    /// and whatever the clock says; those of its later leaves follow it.
    pub incarnation: u64,
    /// The keys that verify fans' tokens and sign those of anonymous fans.
    pub keys: token::Keys,
}

pub(crate) struct Shared {
    pub(crate) platform: Rc<dyn Platform>,
    pub(crate) workers: Rc<dyn Workers>,
    pub(crate) config: RoomsConfig,
    pub(crate) figures: Figures,
    pub(crate) addresses: AddressNumbers,
    /// The uplink's task.
    pub(crate) uplink: Cell<Option<Waker>>,
    /// The guard of private rooms; without it, fans may take part in every room.
    pub(crate) trust: OnceCell<Rc<Trust>>,
}

impl Shared {
    /// Returns whether the origin asks for the fans' own tokens: it does if the key that signs this edge's token has a
    /// scope.
    pub(crate) fn proves(&self) -> bool {
        let now = self.platform.wall();
        let claims = Claims::for_edge(self.config.edge, now, now);
        self.config.keys.signing_scope(&claims).is_ok_and(|scope| scope.is_some())
    }

    /// Starts the worker of a leaf.
    pub(crate) async fn worker(&self, room: &Namespace, incarnation: u64) -> Result<Box<dyn Worker>, Error> {
        let leaf = Seat::Leaf { edge: self.config.edge, incarnation };
        self.workers.start(room, leaf).await
    }

    pub(crate) fn wake_uplink(&self) {
        if let Some(waker) = self.uplink.take() {
            waker.wake();
        }
    }
}
