//! The roots of the origin's rooms, each opened when an edge links to it or a session subscribes to its tracks.

use std::{
    cell::{OnceCell, RefCell},
    collections::BTreeMap,
    rc::{Rc, Weak},
    sync::Arc,
    task::Waker,
    time::Duration,
};

use moqt::Namespace;
use node::WasmWorkers;
use relay::{Platform, Relay};
use room_runtime::{Hub, Hubs, RootFigures, RootHandle, RootNode, run_root};
use wire::{FanId, names};

use crate::{Error, RoomsConfig, journal::SqliteJournal, rooms::Rooms};

/// The open roots, by room.
pub(crate) struct Roots {
    this: Weak<Self>,
    rooms: Arc<Rooms>,
    config: RoomsConfig,
    workers: WasmWorkers,
    platform: Rc<dyn Platform>,
    figures: RootFigures,
    /// The relay, set once it exists: it has these roots as a service.
    relay: OnceCell<Relay>,
    open: RefCell<BTreeMap<Namespace, Open>>,
    /// The wakers of sessions that wait for a room to exist.
    wakers: RefCell<Vec<Waker>>,
}

/// An open root: its links and its handle.
#[derive(Clone)]
struct Open {
    hub: Hub,
    handle: RootHandle,
}

impl Roots {
    pub(crate) fn new(
        rooms: Arc<Rooms>,
        config: RoomsConfig,
        platform: Rc<dyn Platform>,
        figures: &relay::Figures,
    ) -> Rc<Self> {
        let RoomsConfig { engine, worker, fallback, .. } = config.clone();
        Rc::new_cyclic(|this| Self {
            this: Weak::clone(this),
            rooms,
            config,
            workers: WasmWorkers::new(engine, worker, fallback),
            platform,
            figures: RootFigures::new(figures),
            relay: OnceCell::new(),
            open: RefCell::default(),
            wakers: RefCell::default(),
        })
    }

    /// Sets the relay into which the roots publish their tracks.
    pub(crate) fn attach(&self, relay: Relay) {
        let _ = self.relay.set(relay);
    }

    /// Wakes the sessions that wait for a room: there may be a new one.
    pub(crate) fn wake(&self) {
        for waker in self.wakers.take() {
            waker.wake();
        }
    }

    /// Opens the root of a room, or keeps it open, if the room exists. Returns whether it does.
    pub(crate) fn want(&self, room: &Namespace) -> bool {
        let open = self.find(room);
        if let Some(open) = &open {
            open.handle.want();
        }
        open.is_some()
    }

    fn find(&self, room: &Namespace) -> Option<Open> {
        if let Some(open) = self.open.borrow().get(room) {
            return Some(open.clone());
        }
        let path = room.path().filter(|path| self.rooms.has_room(path))?;
        self.start(room, path)
    }

    fn start(&self, room: &Namespace, path: String) -> Option<Open> {
        let (this, relay) = (self.this.upgrade()?, self.relay.get()?.clone());
        let open = Open { hub: Hub::new(room.clone()), handle: RootHandle::default() };
        self.open.borrow_mut().insert(room.clone(), open.clone());
        let Open { hub, handle } = open.clone();
        self.platform.spawn(Box::pin(async move {
            this.rooms.add_journal(&path);
            let journal = SqliteJournal::new(this.config.keep.clone(), path);
            let (platform, workers) = (Rc::clone(&this.platform), &this.workers);
            let node = RootNode { platform, relay: &relay, workers, figures: &this.figures };
            if let Err(error) = run_root(node, &journal, &hub, &handle, || false).await {
                tracing::error!(room = %hub.room(), %error, "a room's root is closed");
            }
            this.open.borrow_mut().remove(hub.room());
            hub.cut_all();
            // Subscribers that wait for the root's tracks subscribe again, which opens it anew.
            if let Ok(tracks) = Namespace::new([names::ROOM]).and_then(|prefix| prefix.join(hub.room())) {
                relay.release(&tracks);
            }
        }));
        Some(open)
    }

    /// Lists the rooms that have a journal.
    pub(crate) async fn journalled(&self) -> Result<Vec<String>, Error> {
        Ok(self.config.keep.rooms().await?)
    }

    /// Deletes archived rows that are older than the retention allows, at an interval.
    pub(crate) async fn prune(&self, every: Duration) {
        let mut every = tokio::time::interval(every);
        loop {
            every.tick().await;
            match self.config.keep.prune(token::now(), &self.config.retention).await {
                Ok(0) => {}
                Ok(rows) => tracing::info!(rows, "pruned the archive"),
                Err(error) => tracing::error!(%error, "cannot prune the archive"),
            }
        }
    }

    /// Erases a person from all rooms that have a journal.
    pub(crate) async fn forget(&self, fan: FanId) -> Result<(), Error> {
        let keep = &self.config.keep;
        for name in keep.forget(fan).await? {
            let unforgotten = || Error::Unforgotten { room: name.clone() };
            let room = Namespace::from_path(&name).map_err(|_| unforgotten())?;
            self.rooms.add_journal(&name);
            let mut forgotten = false;
            // A root that fails is opened once more from its journal.
            for _ in 0..2 {
                let open = self.find(&room).ok_or_else(unforgotten)?;
                forgotten = open.handle.forget(fan).await;
                if forgotten {
                    break;
                }
            }
            if !forgotten {
                return Err(unforgotten());
            }
        }
        Ok(keep.scrub().await?)
    }
}

impl Hubs for Roots {
    fn hub(&self, room: &Namespace) -> Option<Hub> {
        self.find(room).map(|open| open.hub)
    }

    fn watch(&self, waker: &Waker) {
        let mut wakers = self.wakers.borrow_mut();
        if !wakers.iter().any(|known| known.will_wake(waker)) {
            wakers.push(waker.clone());
        }
    }
}
