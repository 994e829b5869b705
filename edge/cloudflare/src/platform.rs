//! The relay's platform on Cloudflare, an isolate, and the room workers in it.

use std::{
    cell::{Cell, RefCell},
    time::Duration,
};

use bytes::Bytes;
use moqt::{Later, Micros, Namespace};
use relay::Platform;
use room::{Config, Room};
use room_runtime::{Batch, Kept, Worked, Worker, Workers};
use wire::{
    FanId,
    worker::{Input, Seat},
};

use crate::storage::RoomStorage;

/// The [`Platform`] of an isolate: its timers, clock and randomness.
pub(crate) struct Isolate;

/// Returns the time since the UNIX epoch. The platform's clock advances only with input and output.
pub(crate) fn wall() -> wire::Micros {
    wire::Micros(worker::js_sys::Date::now() as u64 * 1_000)
}

impl Platform for Isolate {
    fn spawn(&self, task: Later<'static, ()>) {
        wasm_bindgen_futures::spawn_local(task);
    }

    fn sleep(&self, time: Duration) -> Later<'static, ()> {
        // Delays are in whole milliseconds.
        Box::pin(worker::Delay::from(time + Duration::from_micros(999)))
    }

    fn now(&self) -> Micros {
        Micros(wall().0)
    }

    fn wall(&self) -> wire::Micros {
        wall()
    }

    fn random(&self) -> Result<[u8; 16], token::Error> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).map_err(|_| token::Error::NoSigningKey)?;
        Ok(bytes)
    }
}

/// Runs room workers as Rust code in the isolate itself, without a Wasm host.
pub(crate) struct LocalWorkers;

impl Workers for LocalWorkers {
    fn restore(
        &self,
        _: &Namespace,
        role: Seat,
        kept: Kept,
    ) -> Later<'_, Result<Box<dyn Worker>, room_runtime::Error>> {
        let restored = restore(role, kept).map(|room| {
            Box::new(LocalWorker { room: RefCell::new(room), batches: Cell::new(0) }) as Box<dyn Worker>
        });
        Box::pin(std::future::ready(restored.map_err(failed)))
    }
}

/// Erases a person from a room whose root does not run.
pub(crate) fn forget(storage: &RoomStorage, fan: FanId) -> worker::Result<()> {
    let unreadable = |error: room::Error| worker::Error::from(format!("the journal cannot be read: {error}"));
    let kept = storage.load_now()?;
    let last = kept.batches.iter().map(|batch| batch.now).max().unwrap_or_default();
    let mut room = restore(Seat::Root, kept).map_err(unreadable)?;
    let batch = Batch { now: last.max(wall()), inputs: wire::packet(&Input::Forget { fan }).into() };
    let mut effects = Vec::new();
    room.handle(batch.now, &batch.inputs, &mut effects).map_err(unreadable)?;
    storage.append_now(&batch, &effects)?;
    // The snapshot replaces the journal, which still has the person's messages.
    storage.snapshot_now(&room.snapshot())
}

/// Restores a room from its snapshot and journal.
fn restore(role: Seat, kept: Kept) -> Result<Room, room::Error> {
    let batches = kept.batches.iter().map(|batch| (batch.now, &batch.inputs));
    Room::replay(Config::new(role), kept.snapshot.as_deref(), batches)
}

/// A room worker in the isolate itself, and the number of batches that it has handled.
struct LocalWorker {
    room: RefCell<Room>,
    batches: Cell<u64>,
}

impl Worker for LocalWorker {
    fn handle(&self, now: wire::Micros, inputs: Bytes) -> Later<'_, Result<Bytes, room_runtime::Error>> {
        let mut effects = Vec::new();
        self.batches.set(self.batches.get() + 1);
        let handled = self.room.borrow_mut().handle(now, &inputs, &mut effects);
        Box::pin(std::future::ready(handled.map(|()| Bytes::from(effects)).map_err(failed)))
    }

    fn snapshot(&self) -> Later<'_, Result<Bytes, room_runtime::Error>> {
        Box::pin(std::future::ready(Ok(self.room.borrow().snapshot().into())))
    }

    fn worked(&self) -> Worked {
        Worked { batches: self.batches.get(), ..Worked::default() }
    }
}

fn failed(error: room::Error) -> room_runtime::Error {
    room_runtime::Error::Worker(error.to_string())
}
