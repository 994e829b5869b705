//! One root, from when it is opened until no edge has been there for a while.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, MissedTickBehavior},
};
use wire::{
    EdgeId, Frame, Frames, Micros,
    worker::{Effect, Input, Level, Seat},
};

use super::{
    Error, Message, ROOT_LINGER, Roots, TICK,
    tracks::{Downs, Tracks},
};
use crate::keep::Batch;

/// Batches that are kept before there is another snapshot: at 22 ticks a second, a minute and a half.
const SNAPSHOT_BATCHES: u64 = 2000;
/// Bytes of batches before there is another.
const SNAPSHOT_BYTES: usize = 4 << 20;
/// How long the old tracks of the same names may take to be cleared away.
const CLEARED: Duration = Duration::from_secs(2);

struct Root {
    room: String,
    worker: wasm_host::Worker,
    tracks: Tracks,
    edges: BTreeMap<EdgeId, Edge>,
    batch: Vec<u8>,
    now: Micros,
    /// Of the last batch that was kept.
    sequence: u64,
    since_snapshot: (u64, usize),
    forgotten: Vec<oneshot::Sender<()>>,
    /// What the worker has been through, when it was last looked at.
    figures: wasm_host::Figures,
}

struct Edge {
    link: u64,
    downs: Downs,
}

/// Runs it. Fails if it cannot be what it was kept as, or cannot be kept.
pub(super) async fn run(
    roots: &Arc<Roots>,
    room: &str,
    mut inbox: mpsc::Receiver<Message>,
) -> Result<(), Error> {
    let mut root = Root::open(roots, room).await?;
    let mut every = tokio::time::interval(TICK);
    every.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut busy = Instant::now();
    loop {
        tokio::select! {
            biased;
            _ = every.tick() => {
                root.tick(roots).await?;
                if !root.edges.is_empty() {
                    busy = Instant::now();
                } else if busy.elapsed() > ROOT_LINGER && inbox.is_empty() {
                    inbox.close();
                }
            }
            message = inbox.recv() => {
                let Some(message) = message else {
                    // Closed, and nothing waits any more.
                    root.tick(roots).await?;
                    return root.snapshot(roots).await;
                };
                busy = Instant::now();
                root.take(message);
            }
        }
    }
}

impl Root {
    async fn open(roots: &Arc<Roots>, room: &str) -> Result<Self, Error> {
        let config = &roots.config;
        let kept = config.keep.load(room).await?;
        let sequence = kept.as_ref().map_or(0, |kept| kept.seq);
        let (snapshot, batches) = kept.map_or((None, Vec::new()), |kept| (kept.snapshot, kept.batches));
        let last = batches.iter().map(|batch| batch.now).max().unwrap_or_default();
        let batches: Vec<_> = batches
            .into_iter()
            .map(|Batch { now, inputs }| wasm_host::Batch { now, inputs: inputs.into() })
            .collect();
        let mut setup = wasm_host::Setup::new(room, ::room::Config::new(Seat::Root), config.worker.clone());
        setup.fallback.clone_from(&config.fallback);
        let worker = if let Some(snapshot) = snapshot {
            wasm_host::Worker::restore(&config.engine, setup, snapshot.into(), batches).await?
        } else {
            let worker = wasm_host::Worker::start(&config.engine, setup).await?;
            for batch in batches {
                worker.handle(batch).await?;
            }
            worker
        };
        let now = last.max(token::now());
        let mut changes = roots.registry.changes();
        let until = Instant::now() + CLEARED;
        let tracks = loop {
            match Tracks::open(&roots.registry, room, now) {
                Ok(tracks) => break tracks,
                Err(error) => {
                    if tokio::time::timeout_at(until, changes.changed()).await.is_err() {
                        return Err(error.into());
                    }
                }
            }
        };
        let mut root = Self {
            room: room.to_owned(),
            worker,
            tracks,
            edges: BTreeMap::new(),
            batch: Vec::new(),
            now,
            sequence,
            since_snapshot: (0, 0),
            forgotten: Vec::new(),
            figures: wasm_host::Figures::default(),
        };
        root.input(&Input::Opened);
        Ok(root)
    }

    fn input(&mut self, input: &Input<'_>) {
        if self.batch.is_empty() {
            wire::start(&mut self.batch);
        }
        wire::put(&mut self.batch, input);
    }

    fn take(&mut self, message: Message) {
        match message {
            Message::Joined { edge, incarnation, link, downs } => {
                if self.edges.insert(edge, Edge { link, downs }).is_some() {
                    self.input(&Input::EdgeLeft { edge });
                }
                self.input(&Input::EdgeJoined { edge, incarnation });
            }
            Message::Delta { edge, link, packet } if self.is_linked(edge, link) => {
                self.input(&Input::Delta { edge, packet: &packet });
            }
            Message::Left { edge, link } if self.is_linked(edge, link) => {
                self.edges.remove(&edge);
                self.input(&Input::EdgeLeft { edge });
            }
            // Of a link whose place another has taken.
            Message::Delta { .. } | Message::Left { .. } | Message::Wanted => {}
            Message::Forget { fan, done } => {
                self.input(&Input::Forget { fan });
                self.forgotten.push(done);
            }
        }
    }

    fn is_linked(&self, edge: EdgeId, link: u64) -> bool {
        self.edges.get(&edge).is_some_and(|edge| edge.link == link)
    }

    async fn tick(&mut self, roots: &Roots) -> Result<(), Error> {
        self.input(&Input::Tick);
        self.now = self.now.max(token::now());
        let inputs = std::mem::take(&mut self.batch);
        let bytes = inputs.len();
        let batch = wasm_host::Batch { now: self.now, inputs: inputs.clone().into() };
        let effects = self.worker.handle(batch).await;
        let figures = self.worker.figures();
        roots.workers.add(&self.figures, &figures);
        self.figures = figures;
        let effects = effects?;
        let batch = Batch { now: self.now, inputs };
        self.sequence = roots.config.keep.append(&self.room, batch, &effects).await?;
        self.carry_out(&effects);
        self.since_snapshot.0 += 1;
        self.since_snapshot.1 += bytes;
        let due = self.since_snapshot.0 >= SNAPSHOT_BATCHES || self.since_snapshot.1 >= SNAPSHOT_BYTES;
        if due || !self.forgotten.is_empty() {
            self.snapshot(roots).await?;
            for done in self.forgotten.drain(..) {
                let _ = done.send(());
            }
        }
        Ok(())
    }

    async fn snapshot(&mut self, roots: &Roots) -> Result<(), Error> {
        let snapshot = self.worker.snapshot().await?;
        roots.config.keep.snapshot(&self.room, self.sequence, snapshot.into()).await?;
        self.since_snapshot = (0, 0);
        Ok(())
    }

    fn carry_out(&mut self, effects: &[u8]) {
        let Ok(frames) = Frames::<Effect<'_>>::new(effects) else {
            tracing::warn!(room = self.room, "a worker's effects cannot be read");
            return;
        };
        for frame in frames {
            let Ok(Frame::Known(effect)) = frame else { continue };
            match effect {
                Effect::ToEdge { edge, packet } => {
                    let Some(linked) = self.edges.get_mut(&edge) else { continue };
                    if let Err(error) = linked.downs.send(Bytes::copy_from_slice(packet)) {
                        tracing::warn!(room = self.room, ?edge, %error, "an edge's link is broken");
                        self.cut(edge);
                    }
                }
                Effect::CloseEdge { edge } => self.cut(edge),
                Effect::Publish { track, group, object } => {
                    self.tracks.publish(track, group, Bytes::copy_from_slice(object));
                }
                // Kept with the batch.
                Effect::Archive(_) => {}
                Effect::Log { level: Level::Warn, text } => tracing::warn!(room = self.room, text),
                Effect::Log { level: Level::Info, text } => tracing::info!(room = self.room, text),
                Effect::ToFan { .. } | Effect::CloseFan { .. } | Effect::ToRoot { .. } => {
                    tracing::warn!(room = self.room, "a worker in the root seat does what a leaf does");
                }
            }
        }
    }

    /// Ends an edge's link: without what goes down to it, the edge begins anew.
    fn cut(&mut self, edge: EdgeId) {
        self.edges.remove(&edge);
        self.input(&Input::EdgeLeft { edge });
    }
}
