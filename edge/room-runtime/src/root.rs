//! The root of a room: the worker that applies each delta once, in order, and publishes the room's three tracks.
//!
//! Whatever the worker was handed is journalled before any of its effects is carried out. On an error the root is
//! closed, and the edges' links with it; opened again, it is what its journal says, and what was not acknowledged comes
//! again.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    pin::pin,
    rc::Rc,
    time::Duration,
};

use bytes::Bytes;
use futures_util::future::select;
use moqt::{Micros as Monotonic, Namespace, TrackName};
use relay::{Platform, Publication, Relay};
use tokio::sync::{Notify, oneshot};
use wire::{
    FanId, Frame, Frames, Micros, Track, TrackItem, names,
    worker::{Effect, Group, Input, Level, Seat},
};

use crate::{Batch, Error, Hub, HubEvent, Journal, Worked, Worker, Workers, batch, clock, figures::Figures};

/// The shortest interval between a root's batches.
pub const ROOT_TICK: Duration = Duration::from_millis(45);
/// The interval between a root's batches while there is no input.
const IDLE: Duration = Duration::from_millis(250);
/// After the last input, the root keeps ticking at the fast rate for this long, so that output the worker paces itself,
/// such as the pulse, still goes out on time.
const FAST_TICKS: Monotonic = Monotonic::from_millis(300);
/// The time that a root stays after its last edge left.
pub const ROOT_LINGER: Duration = Duration::from_secs(15);
/// Batches in the journal before there is another snapshot: a minute and a half of a busy room.
const SNAPSHOT_BATCHES: u64 = 2_000;
/// Bytes of batches in the journal before there is another snapshot. A root is opened in the time that it takes to
/// handle so much again.
const SNAPSHOT_BYTES: usize = 1 << 20;

/// A way to a root while it runs. Clones reach the same root.
#[derive(Clone, Default)]
pub struct RootHandle(Rc<Shared>);

#[derive(Default)]
struct Shared {
    /// People to forget, and the tasks that wait for it.
    forget: RefCell<Vec<(FanId, oneshot::Sender<()>)>>,
    /// Notified when there is somebody to forget, or the room is wanted.
    ready: Notify,
    is_wanted: Cell<bool>,
    /// Set if the root has to close as soon as it is not used.
    is_closing: Cell<bool>,
    /// The last time at which it was used.
    used_at: Cell<Monotonic>,
    viewers: Cell<u64>,
}

impl RootHandle {
    /// Erases a person from the room. Resolves to whether that was done: not, if the root was closed meanwhile.
    pub async fn forget(&self, fan: FanId) -> bool {
        let (done, is_done) = oneshot::channel();
        self.0.forget.borrow_mut().push((fan, done));
        self.0.ready.notify_one();
        is_done.await.is_ok()
    }

    /// Keeps the root open for [`ROOT_LINGER`] from now on.
    pub fn want(&self) {
        self.0.is_wanted.set(true);
        self.0.ready.notify_one();
    }

    /// Closes the root without waiting for [`ROOT_LINGER`], unless it is used.
    pub fn close(&self) {
        self.0.is_closing.set(true);
        self.0.ready.notify_one();
    }

    /// Returns whether the root was told to close.
    pub fn is_closing(&self) -> bool {
        self.0.is_closing.get()
    }

    /// The last time at which the root was used.
    pub fn used_at(&self) -> Monotonic {
        self.0.used_at.get()
    }

    /// Viewers of the room, as its last pulse has them.
    pub fn viewers(&self) -> u64 {
        self.0.viewers.get()
    }

    /// Returns whether a call waits for the root.
    fn is_used(&self) -> bool {
        self.0.is_wanted.take() || !self.0.forget.borrow().is_empty()
    }
}

/// The node that a root runs on.
pub struct RootNode<'a> {
    /// Its machine.
    pub platform: Rc<dyn Platform>,
    /// Its relay, which has the room's tracks.
    pub relay: &'a Relay,
    /// Its workers.
    pub workers: &'a dyn Workers,
    /// Its counters of roots.
    pub figures: &'a RootFigures,
}

/// Counters of a node's roots and their workers.
#[derive(Clone, Default)]
pub struct RootFigures(Option<Figures>);

impl RootFigures {
    /// Registers new metrics beside those of the node's relay.
    pub fn new(relay: &relay::Figures) -> Self {
        Self(Some(Figures::of_roots(relay)))
    }
}

/// Ends the calls that wait for a root when it is closed.
struct Closing<'a>(&'a RootHandle);

impl Drop for Closing<'_> {
    fn drop(&mut self) {
        self.0.0.forget.take();
    }
}

/// A root that runs.
struct Root<'a> {
    room: &'a Namespace,
    platform: Rc<dyn Platform>,
    worker: Box<dyn Worker>,
    journal: &'a dyn Journal,
    hub: &'a Hub,
    handle: &'a RootHandle,
    tracks: BTreeMap<&'static str, Publication>,
    now: Micros,
    /// Batches and bytes in the journal since the last snapshot.
    since_snapshot: (u64, usize),
    worked: Worked,
    figures: Option<Figures>,
}

/// Runs the root of a room, until no edge has been linked for [`ROOT_LINGER`] and `is_used` is false.
pub async fn run_root(
    node: RootNode<'_>,
    journal: &dyn Journal,
    hub: &Hub,
    handle: &RootHandle,
    is_used: impl Fn() -> bool,
) -> Result<(), Error> {
    let RootNode { platform, relay, workers, figures } = node;
    let _closing = Closing(handle);
    let room = hub.room();
    let kept = journal.load().await?;
    let last = kept.batches.last().map(|batch| batch.now).unwrap_or_default();
    // An origin that is stopped again and again would otherwise have a journal that only grows.
    let since_snapshot =
        (kept.batches.len() as u64, kept.batches.iter().map(|batch| batch.inputs.len()).sum());
    let worker = workers.restore(room, Seat::Root, kept).await?;
    let first_group = platform.wall().as_millis();
    let tracks = [Track::Chat, Track::Pulse, Track::Stage].into_iter().filter_map(|track| {
        let namespace = Namespace::new([names::ROOM]).and_then(|prefix| prefix.join(room)).ok()?;
        let name = TrackName::new(namespace, track.name()).ok()?;
        // Higher than all groups of the root's earlier lives.
        Some((track.name(), relay.publish(name, first_group)))
    });
    let mut root = Root {
        room,
        worker,
        journal,
        hub,
        handle,
        tracks: tracks.collect(),
        now: clock::opened(last, platform.wall()),
        platform,
        since_snapshot,
        worked: Worked::default(),
        figures: figures.0.clone(),
    };
    if let Some(figures) = &root.figures {
        figures.rooms.inc();
    }
    root.handle_batch(&[Input::Opened]).await?;
    root.run(is_used).await
}

impl Root<'_> {
    async fn run(&mut self, is_used: impl Fn() -> bool) -> Result<(), Error> {
        let platform = Rc::clone(&self.platform);
        let linger = Monotonic::from(ROOT_LINGER);
        let (mut used_at, mut input_at) = (platform.now(), None::<Monotonic>);
        loop {
            let started = platform.now();
            let events = self.hub.take();
            if !events.is_empty() {
                input_at = Some(started);
            }
            let is_called = self.handle.is_used();
            if !events.is_empty() || is_called || self.hub.is_linked() || is_used() {
                used_at = started;
                self.handle.0.used_at.set(started);
                self.handle.0.is_closing.set(false);
            } else if started - used_at > linger || self.handle.is_closing() {
                return self.snapshot().await;
            }
            self.tick(&events).await?;
            let is_fast = input_at.is_some_and(|at| started - at < FAST_TICKS);
            let idle = if is_fast { ROOT_TICK } else { IDLE };
            self.wait(idle).await;
            // What follows the first event of a tick is handled together with it.
            let spent = Duration::from(platform.now() - started);
            platform.sleep(ROOT_TICK.saturating_sub(spent)).await;
        }
    }

    /// Waits for input, or for `idle`.
    async fn wait(&self, idle: Duration) {
        let (events, calls) = (pin!(self.hub.ready()), pin!(self.handle.0.ready.notified()));
        select(self.platform.sleep(idle), select(events, calls)).await;
    }

    async fn tick(&mut self, events: &[HubEvent]) -> Result<(), Error> {
        let forget = self.handle.0.forget.take();
        let inputs = events.iter().map(|event| match event {
            HubEvent::Joined { edge, incarnation } => {
                Input::EdgeJoined { edge: *edge, incarnation: *incarnation }
            }
            HubEvent::Delta { edge, packet } => Input::Delta { edge: *edge, packet },
            HubEvent::Left { edge } => Input::EdgeLeft { edge: *edge },
        });
        let forgotten = forget.iter().map(|(fan, _)| Input::Forget { fan: *fan });
        let inputs: Vec<_> = inputs.chain(forgotten).chain([Input::Tick]).collect();
        self.hand(&inputs).await?;
        let (batches, bytes) = self.since_snapshot;
        // A journal has what people said until the next snapshot.
        if batches >= SNAPSHOT_BATCHES || bytes >= SNAPSHOT_BYTES || !forget.is_empty() {
            self.snapshot().await?;
        }
        for (_, done) in forget {
            let _ = done.send(());
        }
        Ok(())
    }

    /// Hands inputs to the worker in parts that it can handle in time. An edge whose packet it does not survive loses
    /// its link.
    async fn hand(&mut self, inputs: &[Input<'_>]) -> Result<(), Error> {
        let (room, hub) = (self.room, self.hub);
        let refuse = |input: &Input<'_>, error| match input {
            Input::Delta { edge, .. } => {
                tracing::warn!(%room, edge = edge.0, %error, "an edge's packet is refused");
                hub.cut(*edge);
                Ok(())
            }
            _ => Err(error),
        };
        batch::hand(inputs, async |part| self.handle_batch(part).await, refuse).await
    }

    async fn handle_batch(&mut self, inputs: &[Input<'_>]) -> Result<(), Error> {
        let mut batch = Vec::new();
        wire::start(&mut batch);
        for input in inputs {
            wire::put(&mut batch, input);
        }
        let batch = Bytes::from(batch);
        self.now = clock::step(self.now, self.platform.wall());
        let handled = self.worker.handle(self.now, batch.clone()).await;
        let worked = self.worker.worked();
        if let Some(figures) = &self.figures {
            figures.worked(&self.worked, &worked);
        }
        self.worked = worked;
        let effects = handled?;
        if !matches!(inputs, [Input::Tick]) || matters(&effects) {
            self.since_snapshot.0 += 1;
            self.since_snapshot.1 += batch.len();
            self.journal.append(Batch { now: self.now, inputs: batch }, effects.clone()).await?;
        }
        self.carry_out(&effects);
        Ok(())
    }

    async fn snapshot(&mut self) -> Result<(), Error> {
        let state = self.worker.snapshot().await?;
        self.journal.snapshot(state).await?;
        self.since_snapshot = (0, 0);
        Ok(())
    }

    fn carry_out(&mut self, effects: &[u8]) {
        for effect in known(effects) {
            match effect {
                Effect::ToEdge { edge, packet } => self.hub.send(edge, Bytes::copy_from_slice(packet)),
                Effect::CloseEdge { edge } => self.hub.cut(edge),
                Effect::Publish { track, group, object } => self.publish(track, group, object),
                // Archived with the batch.
                Effect::Archive(_) => {}
                Effect::Log { level: Level::Warn, text } => tracing::warn!(room = %self.room, text),
                Effect::Log { level: Level::Info, text } => tracing::info!(room = %self.room, text),
                Effect::ToFan { .. } | Effect::CloseFan { .. } | Effect::ToRoot { .. } => {
                    tracing::warn!(room = %self.room, "a root's worker returned an effect of a leaf");
                }
            }
        }
    }

    fn publish(&mut self, track: Track, group: Group, object: &[u8]) {
        if track == Track::Pulse {
            for item in Frames::<TrackItem<'_>>::new(object).into_iter().flatten() {
                if let Ok(Frame::Known(TrackItem::Pulse(pulse))) = item {
                    self.handle.0.viewers.set(pulse.viewers.into());
                }
            }
        }
        let Some(publication) = self.tracks.get_mut(track.name()) else { return };
        let object = Bytes::copy_from_slice(object);
        match track {
            Track::Pulse => publication.push_group(object),
            Track::Chat | Track::Stage => publication.push_object(matches!(group, Group::New), object),
        }
    }
}

impl Drop for Root<'_> {
    fn drop(&mut self) {
        if let Some(figures) = &self.figures {
            figures.rooms.dec();
        }
        self.hub.cut_all();
        // Events that came after the last tick belong to links that are gone.
        self.hub.take();
    }
}

fn known(effects: &[u8]) -> impl Iterator<Item = Effect<'_>> {
    Frames::<Effect<'_>>::new(effects).into_iter().flatten().filter_map(|effect| match effect {
        Ok(Frame::Known(effect)) => Some(effect),
        _ => None,
    })
}

/// Returns whether a tick changed anything that outlives it. If not, it is not journalled: the pulse is whole in each of its
/// objects, and a log line is no state.
fn matters(effects: &[u8]) -> bool {
    known(effects)
        .any(|effect| !matches!(effect, Effect::Publish { track: Track::Pulse, .. } | Effect::Log { .. }))
}
