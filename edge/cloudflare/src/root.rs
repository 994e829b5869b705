//! The room's root, from when somebody comes until nobody has been there for a while.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    pin::pin,
    rc::Rc,
    time::Duration,
};

use bytes::Bytes;
use futures_util::future::select;
use moqt::{Namespace, TrackName};
use relay::{Publication, Relay};
use room_runtime::{Hub, HubEvent};
use room::{Config, Room};
use wire::{
    FanId, Frame, Frames, Micros, Track, TrackItem, names,
    worker::{Effect, Group, Input, Level, Seat},
};
use worker::{Result, console_error, console_log};

use crate::{
    keep::{Keep, Kept},
    platform::{Isolate, wall},
};

/// How soon the room is handed what edges have sent.
const TICK: Duration = Duration::from_millis(45);
/// How often it is handed nothing.
const IDLE: Duration = Duration::from_millis(250);
/// For how long it is told the time as often as when there is something.
const FOLLOWS: Micros = Micros(300_000);
/// How long it stays when no edge is left.
const LINGER: Micros = Micros(15_000_000);
/// Batches that are kept before there is another snapshot, and bytes of them.
const SNAPSHOT: (u64, usize) = (2_000, 1 << 20);

/// The room in its root seat, and what it was handed.
pub(crate) struct Seated {
    room: Room,
    keep: Keep,
    /// Of the last batch that is kept.
    seq: i64,
    hub: Hub,
    tracks: BTreeMap<&'static str, Publication>,
    now: Micros,
    since_snapshot: (u64, usize),
    viewers: Rc<Cell<u64>>,
}

impl Seated {
    /// The room as it was kept.
    pub(crate) fn open(
        keep: Keep,
        name: &Namespace,
        relay: &Relay,
        hub: Hub,
        viewers: Rc<Cell<u64>>,
    ) -> Result<Self> {
        let (room, seq, now) = stood_up(&keep)?;
        let tracks = [Track::Chat, Track::Pulse, Track::Stage].into_iter().filter_map(|track| {
            let namespace = Namespace::new([names::ROOM]).and_then(|prefix| prefix.join(name)).ok()?;
            let of = TrackName::new(namespace, track.name()).ok()?;
            // Later than all groups of the root's lives before.
            Some((track.name(), relay.publish(of, wall().as_millis())))
        });
        let tracks = tracks.collect();
        let now = now.max(wall());
        let mut root = Self { room, keep, seq, hub, tracks, now, since_snapshot: (0, 0), viewers };
        root.handle(&[Input::Opened])?;
        Ok(root)
    }

    /// Hands the room what there is, until nobody has been there for a while.
    pub(crate) async fn run(this: Rc<RefCell<Self>>, is_used: impl Fn() -> bool) -> Result<()> {
        let platform: Rc<dyn relay::Platform> = Rc::new(Isolate);
        let hub = this.borrow().hub.clone();
        let (mut busy, mut last) = (wall(), Micros(0));
        loop {
            let begun = wall();
            let told = hub.take();
            if !told.is_empty() {
                last = begun;
            }
            if !told.is_empty() || hub.is_linked() || is_used() {
                busy = wall();
            } else if wall() - busy > LINGER {
                return this.borrow_mut().snapshot();
            }
            this.borrow_mut().tick(&told)?;
            // What is said at its own pace, such as the pulse, follows within that.
            let idle = if begun - last < FOLLOWS { TICK } else { IDLE };
            select(platform.sleep(idle), pin!(hub.ready())).await;
            // What follows the first word is handed over together.
            platform.sleep(TICK.saturating_sub(Duration::from_micros((wall() - begun).0))).await;
        }
    }

    /// Erases a person.
    pub(crate) fn forget(&mut self, fan: FanId) -> Result<()> {
        self.handle(&[Input::Forget { fan }])?;
        // What is in the journal goes with it.
        self.snapshot()
    }

    /// Erases a person from a room in which nobody is.
    pub(crate) fn forget_in(keep: &Keep, fan: FanId) -> Result<()> {
        let (mut room, seq, now) = stood_up(keep)?;
        let mut effects = Vec::new();
        room.handle(now.max(wall()), &wire::packet(&Input::Forget { fan }), &mut effects)
            .map_err(unreadable)?;
        archive(keep, &effects)?;
        keep.snapshot(seq, &room.snapshot())
    }

    fn tick(&mut self, told: &[HubEvent]) -> Result<()> {
        let inputs = told.iter().map(|told| match told {
            HubEvent::Joined { edge, incarnation } => {
                Input::EdgeJoined { edge: *edge, incarnation: *incarnation }
            }
            HubEvent::Delta { edge, packet } => Input::Delta { edge: *edge, packet },
            HubEvent::Left { edge } => Input::EdgeLeft { edge: *edge },
        });
        let inputs: Vec<_> = inputs.chain([Input::Tick]).collect();
        self.handle(&inputs)?;
        if self.since_snapshot.0 >= SNAPSHOT.0 || self.since_snapshot.1 >= SNAPSHOT.1 {
            self.snapshot()?;
        }
        Ok(())
    }

    fn handle(&mut self, inputs: &[Input<'_>]) -> Result<()> {
        let mut batch = Vec::new();
        wire::start(&mut batch);
        for input in inputs {
            wire::put(&mut batch, input);
        }
        self.now = self.now.max(wall());
        let mut effects = Vec::new();
        self.room.handle(self.now, &batch, &mut effects).map_err(|error| error.to_string())?;
        if !matches!(inputs, [Input::Tick]) || matters(&effects) {
            self.seq += 1;
            self.since_snapshot.0 += 1;
            self.since_snapshot.1 += batch.len();
            self.keep.append(self.seq, self.now, batch)?;
            archive(&self.keep, &effects)?;
        }
        self.carry_out(&effects);
        Ok(())
    }

    fn snapshot(&mut self) -> Result<()> {
        self.since_snapshot = (0, 0);
        self.keep.snapshot(self.seq, &self.room.snapshot())
    }

    fn carry_out(&mut self, effects: &[u8]) {
        for effect in known(effects) {
            match effect {
                Effect::ToEdge { edge, packet } => self.hub.send(edge, Bytes::copy_from_slice(packet)),
                Effect::CloseEdge { edge } => self.hub.cut(edge),
                Effect::Publish { track, group, object } => {
                    if track == Track::Pulse {
                        self.count(object);
                    }
                    let Some(publication) = self.tracks.get_mut(track.name()) else { continue };
                    let object = Bytes::copy_from_slice(object);
                    match track {
                        Track::Pulse => publication.push_group(object),
                        Track::Chat | Track::Stage => publication.push_object(matches!(group, Group::New), object),
                    }
                }
                Effect::Log { level: Level::Warn, text } => console_error!("{text}"),
                Effect::Log { level: Level::Info, text } => console_log!("{text}"),
                Effect::Archive(_)
                | Effect::ToFan { .. }
                | Effect::CloseFan { .. }
                | Effect::ToRoot { .. } => {}
            }
        }
    }

    fn count(&self, pulse: &[u8]) {
        for item in Frames::<TrackItem<'_>>::new(pulse).into_iter().flatten() {
            if let Ok(Frame::Known(TrackItem::Pulse(pulse))) = item {
                self.viewers.set(pulse.viewers.into());
            }
        }
    }
}

/// The room as it was kept, the number of the last batch, and when that was.
fn stood_up(keep: &Keep) -> Result<(Room, i64, Micros)> {
    let Kept { snapshot, batches, seq } = keep.load()?;
    let config = Config::new(Seat::Root);
    let mut room = match snapshot {
        Some(snapshot) => Room::restore(config, &snapshot).map_err(unreadable)?,
        None => Room::new(config),
    };
    let mut last = Micros(0);
    let mut effects = Vec::new();
    for (at, inputs) in batches {
        effects.clear();
        room.handle(at, &inputs, &mut effects).map_err(unreadable)?;
        last = last.max(at);
    }
    Ok((room, seq, last))
}

fn unreadable(error: room::Error) -> worker::Error {
    format!("what is kept cannot be read: {error}").into()
}

fn known(effects: &[u8]) -> impl Iterator<Item = Effect<'_>> {
    Frames::<Effect<'_>>::new(effects).into_iter().flatten().filter_map(|effect| match effect {
        Ok(Frame::Known(effect)) => Some(effect),
        _ => None,
    })
}

/// Whether it makes a difference to anybody but the pulse, which is whole in each of its objects, that the room was
/// told the time: if not, that is no row in the journal.
fn matters(effects: &[u8]) -> bool {
    known(effects)
        .any(|effect| !matches!(effect, Effect::Publish { track: Track::Pulse, .. } | Effect::Log { .. }))
}

fn archive(keep: &Keep, effects: &[u8]) -> Result<()> {
    for effect in known(effects) {
        if let Effect::Archive(row) = effect {
            keep.archive(&row)?;
        }
    }
    Ok(())
}
