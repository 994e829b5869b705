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
use tokio::sync::{Notify, oneshot};
use wire::{FanId, names};

use crate::{
    Error, RoomsConfig,
    journal::SqliteJournal,
    keep::{self, Erasure},
    rooms::Rooms,
};

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
    /// Notified when there is somebody to erase.
    to_forget: Notify,
    /// The calls that wait for the erasure of a person.
    forgetting: RefCell<Vec<Forgetting>>,
    /// The wakers of sessions that wait for a room to exist.
    wakers: RefCell<Vec<Waker>>,
}

/// A person who is being erased, and the channel for the result.
type Forgetting = (FanId, oneshot::Sender<Result<(), Error>>);

/// The most roots that are open at once.
const MAX_OPEN: usize = 1024;
/// The time after the start before anything is deleted for its age: a clock that is wrong at boot is usually set by then.
const FIRST_PRUNE: Duration = Duration::from_hours(1);
/// The interval at which an erasure that failed is tried again, and at which the file is rewritten if no room runs.
const FORGET_EVERY: Duration = Duration::from_mins(1);

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
            to_forget: Notify::new(),
            forgetting: RefCell::default(),
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

    /// Keeps the root of a room open, and opens it if the room has a show. Returns whether the room exists. Without a
    /// show the root of a room is opened by an edge's link only: otherwise anybody could open every room that there
    /// ever was.
    pub(crate) fn want(&self, room: &Namespace) -> bool {
        let open = self.open.borrow().get(room).cloned();
        if let Some(open) = open {
            open.handle.want();
            return true;
        }
        let Some(path) = room.path().filter(|path| self.rooms.has_room(path)) else { return false };
        !self.rooms.has_show(&path) || self.start(room, path).is_some()
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
        if self.open.borrow().len() >= MAX_OPEN && !self.close_an_idle_one() {
            tracing::warn!(%room, "a room's root is not opened: {MAX_OPEN} are open");
            return None;
        }
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

    /// Closes the root that has been idle for longest. Returns whether there is one.
    fn close_an_idle_one(&self) -> bool {
        let open = self.open.borrow();
        let idle = open.values().filter(|open| !open.hub.is_linked() && !open.handle.is_closing());
        let longest = idle.min_by_key(|open| open.handle.used_at());
        longest.inspect(|open| open.handle.close()).is_some()
    }

    /// Lists the rooms that have a journal.
    pub(crate) async fn journalled(&self) -> Result<Vec<String>, Error> {
        Ok(self.config.keep.rooms().await?)
    }

    /// Deletes archived rows that are older than the retention allows, at an interval.
    pub(crate) async fn prune(&self, every: Duration) {
        let mut every = tokio::time::interval_at(tokio::time::Instant::now() + FIRST_PRUNE, every);
        loop {
            every.tick().await;
            if let Err(error) = self.close_abandoned().await {
                tracing::error!(%error, "cannot close rooms without a show");
            }
            match self.config.keep.prune(token::now(), &self.config.retention).await {
                Ok(0) => {}
                Ok(rows) => tracing::info!(rows, "pruned the archive"),
                Err(error) => tracing::error!(%error, "cannot prune the archive"),
            }
        }
    }

    /// Closes the rooms for good that have had no show for long.
    async fn close_abandoned(&self) -> Result<(), Error> {
        let (keep, now) = (&self.config.keep, token::now());
        if !keep.is_plausible(now).await? {
            return Ok(());
        }
        keep.note_shows(self.rooms.shows(), now).await?;
        for room in keep.abandoned(now).await? {
            let is_open = self.open.borrow().keys().any(|open| open.path().as_ref() == Some(&room));
            if !is_open && !self.rooms.has_show(&room) {
                self.rooms.remove_journal(&room);
                keep.close_room(&room).await?;
                tracing::info!(room, "closed a room that had no show for {} days", keep::ROOM_DAYS);
            }
        }
        Ok(())
    }

    /// Erases a person from all rooms. What was begun is finished by [`run_erasures`](Self::run_erasures), also if the
    /// caller does not wait, or the origin is restarted meanwhile.
    pub(crate) async fn forget(&self, fan: FanId) -> Result<(), Error> {
        self.config.keep.begin_forget(fan, token::now()).await?;
        let (done, is_done) = oneshot::channel();
        self.forgetting.borrow_mut().push((fan, done));
        self.to_forget.notify_one();
        is_done.await.unwrap_or(Err(Error::Thread))
    }

    /// Runs the erasures that were begun, one room at a time, and those that an earlier life of the origin has left.
    pub(crate) async fn run_erasures(&self) {
        loop {
            match self.config.keep.erasures().await {
                Ok(erasures) => {
                    for erasure in erasures.into_iter().filter(|erasure| !erasure.is_done) {
                        self.run_erasure(erasure).await;
                    }
                }
                Err(error) => tracing::error!(%error, "cannot read whom to erase"),
            }
            if self.open.borrow().is_empty()
                && let Err(error) = self.config.keep.scrub_if_due().await
            {
                tracing::error!(%error, "cannot rewrite the file");
            }
            let _ = tokio::time::timeout(FORGET_EVERY, self.to_forget.notified()).await;
        }
    }

    async fn run_erasure(&self, erasure: Erasure) {
        let fan = erasure.fan;
        let erased = self.erase(erasure).await;
        match &erased {
            Ok(()) => tracing::info!("erased a person"),
            Err(error) => tracing::error!(%error, "a person is not erased yet"),
        }
        let waiting = self.forgetting.take();
        let (of_them, others) = waiting.into_iter().partition(|(other, _)| *other == fan);
        self.forgetting.borrow_mut().extend::<Vec<Forgetting>>(others);
        let of_them: Vec<Forgetting> = of_them;
        let reason = erased.err().map(|error| error.to_string());
        for (_, done) in of_them {
            let _ = done.send(reason.clone().map_or(Ok(()), |reason| Err(Error::NotErased { reason })));
        }
    }

    async fn erase(&self, Erasure { fan, room: last, .. }: Erasure) -> Result<(), Error> {
        let keep = &self.config.keep;
        for name in keep.rooms().await?.into_iter().filter(|room| *room > last || last.is_empty()) {
            self.forget_in(&name, fan).await?;
            keep.forgotten_in(fan, name).await?;
        }
        Ok(keep.end_forget(fan, token::now()).await?)
    }

    /// Has one room forget a person.
    async fn forget_in(&self, name: &str, fan: FanId) -> Result<(), Error> {
        let unforgotten = || Error::Unforgotten { room: name.to_owned() };
        let room = Namespace::from_path(name).map_err(|_| unforgotten())?;
        self.rooms.add_journal(name);
        // A root that fails is opened once more from its journal.
        for _ in 0..2 {
            let was_open = self.open.borrow().contains_key(&room);
            let open = self.find(&room).ok_or_else(unforgotten)?;
            let forgotten = open.handle.forget(fan).await;
            if !was_open {
                open.handle.close();
            }
            if forgotten {
                return Ok(());
            }
        }
        Err(unforgotten())
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
