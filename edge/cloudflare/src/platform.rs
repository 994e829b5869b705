//! A relay's platform on Cloudflare: an isolate.

use std::{cell::RefCell, time::Duration};

use bytes::Bytes;
use moqt::{Later, Micros, Namespace};
use relay::Platform;
use room::{Config, Room};
use room_runtime::{Worked, Worker, Workers};
use wire::worker::Seat;

/// The isolate.
pub(crate) struct Isolate;

/// Since the UNIX epoch; the platform's clock stands still while nothing comes in or goes out.
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

/// Rooms in the isolate itself.
pub(crate) struct LocalWorkers;

impl Workers for LocalWorkers {
    fn start(&self, _: &Namespace, role: Seat) -> Later<'_, Result<Box<dyn Worker>, room_runtime::Error>> {
        Box::pin(async move {
            Ok(Box::new(LocalWorker(RefCell::new((Room::new(Config::new(role)), 0)))) as Box<dyn Worker>)
        })
    }
}

/// A room in the isolate itself, and the number of batches that it has handled.
struct LocalWorker(RefCell<(Room, u64)>);

impl Worker for LocalWorker {
    fn handle(
        &self,
        now: wire::Micros,
        inputs: Vec<u8>,
    ) -> Later<'_, Result<Bytes, room_runtime::Error>> {
        let (room, batches) = &mut *self.0.borrow_mut();
        let mut effects = Vec::new();
        *batches += 1;
        let handled = room.handle(now, &inputs, &mut effects);
        let handled = handled
            .map(|()| Bytes::from(effects))
            .map_err(|error| room_runtime::Error::Worker(error.to_string()));
        Box::pin(std::future::ready(handled))
    }

    fn worked(&self) -> Worked {
        Worked { batches: self.0.borrow().1, ..Worked::default() }
    }
}
