//! The relay's platform on a server of our own: tokio, QUIC and wasmtime.

use std::time::Duration;

use bytes::Bytes;
use moqt::{Connected, Later, Micros, Namespace};
use quic::{Clock, Endpoint};
use relay::{Credentials, Dial, DialError, Platform};
use room_runtime::{Batch, Kept, Worked, Worker, Workers};
use url::Url;
use wire::worker::Seat;

/// The platform of one thread of a node, inside a [`LocalSet`](tokio::task::LocalSet).
#[derive(Default)]
pub struct Thread {
    clock: Clock,
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
}

/// Runs room workers in wasmtime.
pub struct WasmWorkers {
    engine: wasm_host::Engine,
    worker: wasm_host::Version,
    fallback: Option<wasm_host::Version>,
}

impl WasmWorkers {
    /// Runs all rooms in `worker`, and in `fallback` those where it fails again and again.
    pub fn new(
        engine: wasm_host::Engine,
        worker: wasm_host::Version,
        fallback: Option<wasm_host::Version>,
    ) -> Self {
        Self { engine, worker, fallback }
    }
}

impl Workers for WasmWorkers {
    fn restore(
        &self,
        room: &Namespace,
        role: Seat,
        kept: Kept,
    ) -> Later<'_, Result<Box<dyn Worker>, room_runtime::Error>> {
        let mut setup = wasm_host::Setup::new(room.to_string(), room::Config::new(role), self.worker.clone());
        setup.fallback.clone_from(&self.fallback);
        Box::pin(async move {
            let batches =
                kept.batches.into_iter().map(|Batch { now, inputs }| wasm_host::Batch { now, inputs });
            let worker = if let Some(snapshot) = kept.snapshot {
                let batches = batches.collect();
                wasm_host::Worker::restore(&self.engine, setup, snapshot, batches).await.map_err(failed)?
            } else {
                let worker = wasm_host::Worker::start(&self.engine, setup).await.map_err(failed)?;
                for batch in batches {
                    worker.handle(batch).await.map_err(failed)?;
                }
                worker
            };
            Ok(Box::new(WasmWorker(worker)) as Box<dyn Worker>)
        })
    }
}

/// A room worker in wasmtime.
struct WasmWorker(wasm_host::Worker);

impl Worker for WasmWorker {
    fn handle(&self, now: wire::Micros, inputs: Bytes) -> Later<'_, Result<Bytes, room_runtime::Error>> {
        let handled = self.0.handle(wasm_host::Batch { now, inputs });
        Box::pin(async move { handled.await.map_err(failed) })
    }

    fn snapshot(&self) -> Later<'_, Result<Bytes, room_runtime::Error>> {
        let snapshot = self.0.snapshot();
        Box::pin(async move { snapshot.await.map_err(failed) })
    }

    fn worked(&self) -> Worked {
        let figures = self.0.figures();
        Worked { batches: figures.batches, faults: figures.faults.total(), fallbacks: figures.fallbacks }
    }
}

fn failed(error: wasm_host::Error) -> room_runtime::Error {
    match error {
        wasm_host::Error::Skipped(fault) => room_runtime::Error::Skipped(fault.to_string()),
        error => room_runtime::Error::Worker(error.to_string()),
    }
}

/// The upstream of a node, over QUIC, WebTransport or a WebSocket.
pub struct Upstream {
    endpoint: Endpoint,
    url: Url,
}

impl Upstream {
    /// Creates the way to the node at `url`.
    pub fn new(endpoint: Endpoint, url: Url) -> Self {
        Self { endpoint, url }
    }
}

impl Dial for Upstream {
    fn dial(&self, client: Option<&Credentials>) -> Later<'_, Result<Box<dyn Connected>, DialError>> {
        let mut url = self.url.clone();
        if let Some(client) = client {
            url.set_query(client.query_without_tokens().as_deref());
        }
        Box::pin(async move {
            self.endpoint.dial(&url).await.map_err(|error| DialError::Unreachable(error.to_string()))
        })
    }

    fn name(&self) -> &str {
        self.url.as_str()
    }
}
