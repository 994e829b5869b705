//! What a relay runs on.

use std::{future::Future, pin::Pin, time::Duration};

use moqt::{Micros, Misuse, Namespace, session::Config};

use crate::{App, Credentials, Ended};

/// Something that will be there.
pub type Later<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

/// What a relay has of the machine.
pub trait Platform {
    /// Runs a task beside the others.
    fn spawn(&self, task: Later<'static, ()>);

    /// Waits.
    fn sleep(&self, time: Duration) -> Later<'static, ()>;

    /// Time that only goes forward, from any moment.
    fn now(&self) -> Micros;

    /// The time since the UNIX epoch.
    fn wall(&self) -> wire::Micros;

    /// Bytes that nobody can guess.
    fn random(&self) -> Result<[u8; 16], token::Error>;

    /// A worker in the leaf seat of a room.
    fn worker(
        &self,
        room: &Namespace,
        seat: wire::worker::Seat,
    ) -> Later<'_, Result<Box<dyn Worker>, String>>;
}

/// What a room runs in.
pub trait Worker {
    /// Hands it a packet of inputs, and takes a packet of effects.
    fn handle(&self, now: wire::Micros, inputs: Vec<u8>) -> Later<'_, Result<bytes::Bytes, String>>;

    /// What it has been through since it was started.
    fn worked(&self) -> Worked;
}

/// What a worker has been through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Worked {
    /// Batches that it handled.
    pub batches: u64,
    /// Times that it ended, and was made anew.
    pub faults: u64,
    /// Times that it was given up for the one before.
    pub fallbacks: u64,
}

/// Who is asked for what is not here.
pub trait Dial {
    /// Connects: in our own name, or in that of a client, by what it had in its address.
    fn dial(&self, client: Option<&Credentials>) -> Later<'_, Result<Box<dyn Dialled>, String>>;

    /// Its address, for people.
    fn name(&self) -> &str;
}

/// Somebody who has answered.
pub trait Dialled {
    /// What the session is to be like.
    fn config(&mut self) -> &mut Config;

    /// Runs it until it ends.
    fn run(self: Box<Self>, app: &mut dyn App) -> Later<'_, Result<Ended, Misuse>>;
}
