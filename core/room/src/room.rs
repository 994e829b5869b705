//! A room, in either seat.

use wire::worker::{Input, Seat};
use wire::{Frame, Frames, Micros};

use crate::effects::Effects;
use crate::error::SNAPSHOT_VERSION;
use crate::leaf::Leaf;
use crate::root::Root;
use crate::{Config, Error};

/// What a snapshot is of: a seat, as it is laid out now. One that is laid out in another way has another number, and
/// the other seat's snapshots can be read all the same.
const LEAF: u8 = 2;
const ROOT: u8 = 1;

/// A room in one seat, as a state machine.
///
/// # Contract
///
/// * **Inputs.** [`handle`](Self::handle) takes a packet of [`Input`]s and appends a packet of
///   [`Effect`](wire::worker::Effect)s. Each batch has its moment, which never goes back (an
///   earlier one is taken for the latest). [`Input::Tick`] comes every 50 ms or more often.
/// * **Order.** Effects are carried out in order. At the root, not before the batch they came
///   from is kept: that, [`snapshot`](Self::snapshot) and [`restore`](Self::restore) make a root
///   that outlives its node. When kept batches are handled again, their effects are dropped.
/// * **Trust.** What fans and edges sent may be anything: it is refused, and never harms. What the
///   host says, as who a fan is, is believed.
///
/// The one invariant: what comes out is a function of what went in.
#[derive(Debug)]
pub struct Room {
    place: Place,
    now: Micros,
    packet: Vec<u8>,
}

#[derive(Debug)]
enum Place {
    Leaf(Box<Leaf>),
    Root(Box<Root>),
}

impl Room {
    /// A room in which nothing has happened.
    pub fn new(config: Config) -> Self {
        let place = match config.seat {
            Seat::Leaf { edge, incarnation } => {
                Place::Leaf(Box::new(Leaf::new(edge, incarnation, config.limits)))
            }
            Seat::Root => Place::Root(Box::new(Root::new(config.limits))),
        };
        Self { place, now: Micros(0), packet: Vec::new() }
    }

    /// Takes a batch, at a moment; appends what is to be done.
    pub fn handle(&mut self, now: Micros, batch: &[u8], effects: &mut Vec<u8>) -> Result<(), Error> {
        self.now = self.now.max(now);
        wire::start(effects);
        let mut effects = Effects::new(effects, &mut self.packet);
        for input in Frames::<Input<'_>>::new(batch)? {
            let input = match input? {
                Frame::Known(input) => input,
                Frame::Unknown(_) => {
                    effects.warn("an input that this room does not know is ignored");
                    continue;
                }
            };
            match &mut self.place {
                Place::Leaf(leaf) => leaf.input(self.now, input, &mut effects),
                Place::Root(root) => root.input(self.now, input, &mut effects),
            }
        }
        Ok(())
    }

    /// All of the room's state.
    pub fn snapshot(&self) -> Vec<u8> {
        let out = vec![SNAPSHOT_VERSION];
        let written = match &self.place {
            Place::Leaf(leaf) => postcard::to_extend(&(LEAF, self.now, leaf), out),
            Place::Root(root) => postcard::to_extend(&(ROOT, self.now, root), out),
        };
        written.expect("a state that can be written: all of it is ours")
    }

    /// The room that a snapshot was made of.
    pub fn restore(config: Config, snapshot: &[u8]) -> Result<Self, Error> {
        let state = match snapshot.split_first() {
            Some((&SNAPSHOT_VERSION, state)) => state,
            Some((&other, _)) => return Err(Error::SnapshotVersion(other)),
            None => return Err(Error::Snapshot),
        };
        let ((seat, now), state): ((u8, Micros), _) =
            postcard::take_from_bytes(state).map_err(|_| Error::Snapshot)?;
        let place = match (config.seat, seat) {
            (Seat::Leaf { edge, incarnation }, LEAF) => {
                let leaf: Leaf = postcard::from_bytes(state).map_err(|_| Error::Snapshot)?;
                Place::Leaf(Box::new(leaf.restored(edge, incarnation, config.limits)?))
            }
            (Seat::Root, ROOT) => {
                let root: Root = postcard::from_bytes(state).map_err(|_| Error::Snapshot)?;
                Place::Root(Box::new(root.restored(config.limits)?))
            }
            _ => return Err(Error::Seat),
        };
        Ok(Self { place, now, packet: Vec::new() })
    }
}
