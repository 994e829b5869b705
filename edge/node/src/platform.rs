//! What a relay runs on here: tokio, QUIC and wasmtime.

use std::time::Duration;

use moqt::{Micros, Misuse, Namespace, session::Config};
use relay::{App, Credentials, Dial, Dialled, Ended, Later, Platform, Worked, Worker};
use url::Url;

use crate::{Clock, Connection, Endpoint, drive, edge::RoomsConfig};

/// A thread of a node.
#[derive(Default)]
pub(crate) struct Thread {
    clock: Clock,
    rooms: Option<RoomsConfig>,
}

impl Thread {
    /// One whose rooms run in these workers.
    pub(crate) fn new(rooms: Option<RoomsConfig>) -> Self {
        Self { clock: Clock::default(), rooms }
    }
}

impl Platform for Thread {
    fn spawn(&self, task: Later<'static, ()>) {
        tokio::task::spawn_local(task);
    }

    fn sleep(&self, time: Duration) -> Later<'static, ()> {
        Box::pin(tokio::time::sleep(time))
    }

    fn now(&self) -> Micros {
        self.clock.now()
    }

    fn wall(&self) -> wire::Micros {
        token::now()
    }

    fn random(&self) -> Result<[u8; 16], token::Error> {
        token::random()
    }

    fn worker(
        &self,
        room: &Namespace,
        seat: wire::worker::Seat,
    ) -> Later<'_, Result<Box<dyn Worker>, String>> {
        let room = room.to_string();
        Box::pin(async move {
            let rooms = self.rooms.as_ref().ok_or("this node has no rooms")?;
            let mut setup = host::Setup::new(room, ::room::Config::new(seat), rooms.worker.clone());
            setup.fallback.clone_from(&rooms.fallback);
            let worker =
                host::Worker::start(&rooms.engine, setup).await.map_err(|error| error.to_string())?;
            Ok(Box::new(Hosted(worker)) as Box<dyn Worker>)
        })
    }
}

/// A worker in wasmtime.
struct Hosted(host::Worker);

impl Worker for Hosted {
    fn handle(&self, now: wire::Micros, inputs: Vec<u8>) -> Later<'_, Result<bytes::Bytes, String>> {
        let handled = self.0.handle(host::Batch { now, inputs: inputs.into() });
        Box::pin(async move { handled.await.map_err(|error| error.to_string()) })
    }

    fn worked(&self) -> Worked {
        let figures = self.0.figures();
        Worked { batches: figures.batches, faults: figures.faults.total(), fallbacks: figures.fallbacks }
    }
}

/// Who is asked for what is not here, over QUIC.
pub(crate) struct Upstream {
    endpoint: Endpoint,
    url: Url,
}

impl Upstream {
    pub(crate) fn new(endpoint: Endpoint, url: Url) -> Self {
        Self { endpoint, url }
    }
}

impl Dial for Upstream {
    fn dial(&self, client: Option<&Credentials>) -> Later<'_, Result<Box<dyn Dialled>, String>> {
        let mut url = self.url.clone();
        if let Some(client) = client {
            url.set_query(client.query.as_deref());
        }
        Box::pin(async move { self.endpoint.dial(&url).await.map_err(|error| error.to_string()) })
    }

    fn name(&self) -> &str {
        self.url.as_str()
    }
}

impl Dialled for Connection {
    fn config(&mut self) -> &mut Config {
        &mut self.config
    }

    fn run(self: Box<Self>, mut app: &mut dyn App) -> Later<'_, Result<Ended, Misuse>> {
        Box::pin(async move { drive(self.transport, self.config, Clock::default(), &mut app).await })
    }
}
