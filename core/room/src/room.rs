//! The room's state machine, as root or leaf.

use std::cell::Cell;

use serde::Deserialize;
use wire::worker::{Input, Seat};
use wire::{Frame, Frames, Micros};

use crate::effects::Effects;
use crate::error::SNAPSHOT_VERSION;
use crate::leaf::Leaf;
use crate::root::{Rest, Root};
use crate::{Config, Error};

/// Snapshot kinds: a seat in its present layout. A new layout gets a new number; snapshots of the other seat
/// stay readable.
const LEAF: u8 = 2;
const ROOT: u8 = 1;

/// Time by which a batch may be earlier than the one before and be taken for as late. A room whose clock goes back
/// further was ahead, and goes back with it.
const CLOCK_ERROR: Micros = Micros::from_secs(60 * 60);

/// A room in one seat, as a state machine.
///
/// # Contract
///
/// * **Inputs.** [`handle`](Self::handle) takes a packet of [`Input`]s and appends a packet of
///   [`Effect`](wire::worker::Effect)s. Each batch has its time. The room treats an earlier time as the
///   latest, unless it is earlier by more than an hour: then the clock was ahead, and the room's time goes back. [`Input::Tick`] arrives every 50 ms or more often.
/// * **Order.** The host carries out effects in order. At the root it first stores the batch that they came
///   from: that, [`snapshot`](Self::snapshot) and [`restore`](Self::restore) make a root
///   that outlives its node. When the host replays stored batches, it drops their effects.
/// * **Trust.** Fans and edges may send anything: the room refuses it without harm. It believes
///   the host, for instance on a fan's identity.
///
/// The one invariant: the output is a function of the input.
#[derive(Debug)]
pub struct Room {
    state: State,
    now: Micros,
    packet: Vec<u8>,
    /// Bytes of the last snapshot, by which the next is allocated: to grow it step by step takes twice the memory.
    snapshot_bytes: Cell<usize>,
}

#[derive(Debug)]
enum State {
    Leaf(Box<Leaf>),
    Root(Box<Root>),
}

impl Room {
    /// Creates a room without any history.
    pub fn new(config: Config) -> Self {
        let state = match config.seat {
            Seat::Leaf { edge, incarnation } => {
                State::Leaf(Box::new(Leaf::new(edge, incarnation, config.limits)))
            }
            Seat::Root => State::Root(Box::new(Root::new(config.limits))),
        };
        Self { state, now: Micros(0), packet: Vec::new(), snapshot_bytes: Cell::new(0) }
    }

    /// Handles a batch at a moment; appends the effects.
    pub fn handle(&mut self, now: Micros, batch: &[u8], effects: &mut Vec<u8>) -> Result<(), Error> {
        if now + CLOCK_ERROR < self.now {
            self.now = now;
            match &mut self.state {
                State::Leaf(leaf) => leaf.set_back(now),
                State::Root(root) => root.set_back(now),
            }
        }
        self.now = self.now.max(now);
        wire::start(effects);
        let mut effects = Effects::new(effects, &mut self.packet);
        for input in Frames::<Input<'_>>::new(batch)? {
            let input = match input? {
                Frame::Known(input) => input,
                Frame::Unknown(_) => {
                    effects.warn("an input of an unknown kind is ignored");
                    continue;
                }
            };
            match &mut self.state {
                State::Leaf(leaf) => leaf.input(self.now, input, &mut effects),
                State::Root(root) => root.input(self.now, input, &mut effects),
            }
        }
        Ok(())
    }

    /// Returns all of the room's state.
    pub fn snapshot(&self) -> Vec<u8> {
        let large = match &self.state {
            State::Leaf(_) => 0,
            State::Root(root) => root.cost(),
        };
        let before = self.snapshot_bytes.get().max(large);
        let mut out = Vec::with_capacity(before + before / 8 + 1);
        out.push(SNAPSHOT_VERSION);
        let written = match &self.state {
            State::Leaf(leaf) => postcard::to_extend(&(LEAF, self.now, leaf, leaf.addresses()), out),
            State::Root(root) => postcard::to_extend(&(ROOT, self.now, root, root.rest()), out),
        };
        let snapshot = written.expect("a state that can be written: all of it is ours");
        self.snapshot_bytes.set(snapshot.len());
        snapshot
    }

    /// Restores a room from its snapshot, if it has one, and the batches that it handled since: a time and the inputs.
    pub fn replay(
        config: Config,
        snapshot: Option<&[u8]>,
        batches: impl IntoIterator<Item = (Micros, impl AsRef<[u8]>)>,
    ) -> Result<Self, Error> {
        let mut room = match snapshot {
            Some(snapshot) => Self::restore(config, snapshot)?,
            None => Self::new(config),
        };
        let mut known = Vec::new();
        for (now, inputs) in batches {
            known.clear();
            room.handle(now, inputs.as_ref(), &mut known)?;
        }
        Ok(room)
    }

    /// Restores a room from its snapshot.
    pub fn restore(config: Config, snapshot: &[u8]) -> Result<Self, Error> {
        let state = match snapshot.split_first() {
            Some((&SNAPSHOT_VERSION, state)) => state,
            Some((&other, _)) => return Err(Error::SnapshotVersion(other)),
            None => return Err(Error::Snapshot),
        };
        let ((seat, now), state): ((u8, Micros), _) =
            postcard::take_from_bytes(state).map_err(|_| Error::Snapshot)?;
        let state = match (config.seat, seat) {
            (Seat::Leaf { edge, incarnation }, LEAF) => {
                let (leaf, rest): (Leaf, _) = part(state)?;
                let (addresses, _) = next(rest)?;
                State::Leaf(Box::new(leaf.restored((edge, incarnation), addresses, config.limits)?))
            }
            (Seat::Root, ROOT) => {
                let (root, rest): (Root, _) = part(state)?;
                let (added, rest) = next(rest)?;
                let is_earlier = rest.is_empty();
                let (strangers, paces) = next(rest)?;
                if !is_earlier && paces.is_empty() {
                    return Err(Error::Snapshot);
                }
                let rest = Rest { added, strangers, paces };
                State::Root(Box::new(root.restored(rest, config.limits)?))
            }
            _ => return Err(Error::Seat),
        };
        Ok(Self { state, now, packet: Vec::new(), snapshot_bytes: Cell::new(snapshot.len()) })
    }
}

/// Decodes a part of a snapshot. Returns what follows it, too.
pub(crate) fn part<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<(T, &'a [u8]), Error> {
    postcard::take_from_bytes(bytes).map_err(|_| Error::Snapshot)
}

/// Decodes a part that snapshots of earlier layouts end before. Those of later layouts go on after the last.
pub(crate) fn next<'a, T: Deserialize<'a> + Default>(bytes: &'a [u8]) -> Result<(T, &'a [u8]), Error> {
    if bytes.is_empty() { Ok((T::default(), bytes)) } else { part(bytes) }
}
