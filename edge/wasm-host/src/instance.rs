//! One instance of a worker: the calls, and what bounds them.

use std::time::Duration;

use room::Config;
use wasmtime::{Store, Trap, UpdateDeadline};
use wire::worker::{Demand, Effect, Level};
use wire::{Frame, Frames, Micros};

use crate::bindings::{self, LogHost, TypesHost};
use crate::clock::worked;
use crate::lines::Lines;
use crate::memory::Memory;
use crate::{Fault, Options, Version};

/// The outcome of a call: of the instance's life, and within it of what the worker says.
pub type Outcome<T> = Result<Result<T, String>, Fault>;

/// An instance of a worker, for one room in one seat.
///
/// # Contract
///
/// [`configure`](Self::configure) first; then [`restore`](Self::restore), if there is a snapshot; then
/// the others in any order. After a [`Fault`] the instance is dead: drop it.
pub struct Instance {
    store: Store<Held>,
    exports: bindings::Worker,
    options: Options,
    _version: Version,
}

/// What a store holds for its instance.
pub(crate) struct Held {
    memory: Memory,
    lines: Lines,
    allowance: Duration,
    /// When the present call was first looked at, in the time of its thread.
    since: Option<Duration>,
}

/// The call has used up its time.
#[derive(Debug, thiserror::Error)]
#[error("the deadline of a call has passed")]
struct Late;

impl Instance {
    /// Makes one, which writes into the log of that room.
    pub fn new(version: &Version, options: Options, room: &str) -> Result<Self, Fault> {
        let held = Held {
            memory: Memory::new(options.memory),
            lines: Lines::new(room),
            allowance: options.state,
            since: None,
        };
        let mut store = Store::new(version.engine().wasmtime(), held);
        store.limiter(|held| &mut held.memory);
        // What a call gives is copied out of the instance at most up to this.
        store.set_hostcall_fuel(options.effects);
        store.epoch_deadline_callback(|mut store| {
            let held = store.data_mut();
            let now = worked();
            // A call that ends within a tick costs no look at the clock.
            if now.saturating_sub(*held.since.get_or_insert(now)) < held.allowance {
                return Ok(UpdateDeadline::Continue(1));
            }
            Err(Late.into())
        });
        store.set_epoch_deadline(1);
        let exports = match version.pre().instantiate(&mut store) {
            Ok(exports) => exports,
            Err(error) => return Err(fault(&store, options.effects, &error)),
        };
        Ok(Self { store, exports, options, _version: version.clone() })
    }

    /// Tells the worker its place.
    pub fn configure(&mut self, config: &Config) -> Outcome<()> {
        let config = bindings::config(config);
        self.call(self.options.state, self.options.effects, |exports, store| {
            exports.call_configure(store, config)
        })
    }

    /// Hands it a batch; gives the effects, each of which can be read, and writes its lines into the log.
    pub fn handle(&mut self, now: Micros, batch: &[u8]) -> Outcome<Vec<u8>> {
        let handled = self.call(self.options.call, self.options.effects, |exports, store| {
            exports.call_handle(store, now.0, batch)
        })?;
        if let Ok(effects) = &handled {
            self.read(effects)?;
        }
        Ok(handled)
    }

    /// A rendition for each demand, [`SKIP`](wire::worker::SKIP) for none: as many as there are demands,
    /// and none that there is not.
    pub fn plan(&mut self, demands: &[Demand], renditions: &[u32]) -> Result<Vec<u8>, Fault> {
        let theirs: Vec<_> = demands.iter().map(bindings::demand).collect();
        let mut plan = self.call(self.options.call, self.options.effects, |exports, store| {
            exports.call_plan(store, &theirs, renditions)
        })?;
        plan.resize(demands.len(), wire::worker::SKIP);
        for choice in &mut plan {
            if usize::from(*choice) >= renditions.len() {
                *choice = wire::worker::SKIP;
            }
        }
        Ok(plan)
    }

    /// All of the worker's state.
    pub fn snapshot(&mut self) -> Result<Vec<u8>, Fault> {
        // There is no more of it than there is memory.
        self.call(self.options.state, self.options.memory, |exports, store| exports.call_snapshot(store))
    }

    /// Takes over a snapshot.
    pub fn restore(&mut self, snapshot: &[u8]) -> Outcome<()> {
        self.call(self.options.state, self.options.effects, |exports, store| {
            exports.call_restore(store, snapshot)
        })
    }

    /// Whether what it logs is written; not while it handles again what it has handled before.
    pub(crate) fn speak(&mut self, aloud: bool) {
        self.store.data_mut().lines.speak(aloud);
    }

    /// Bytes of memory that it has.
    pub(crate) fn memory(&self) -> usize {
        self.store.data().memory.used()
    }

    /// Lines that were not written, since this was last asked.
    pub(crate) fn take_dropped_lines(&mut self) -> u64 {
        self.store.data_mut().lines.take_dropped()
    }

    /// Sees that all of the effects can be read: who carries them out need not ask again. Lines among them go
    /// the way of all lines.
    fn read(&mut self, effects: &[u8]) -> Result<(), Fault> {
        for frame in Frames::<Effect<'_>>::new(effects).map_err(Fault::Garbage)? {
            if let Frame::Known(Effect::Log { level, text }) = frame.map_err(Fault::Garbage)? {
                self.store.data_mut().lines.line(level, text);
            }
        }
        Ok(())
    }

    fn call<T>(
        &mut self,
        allowance: Duration,
        longest: usize,
        call: impl FnOnce(&bindings::Worker, &mut Store<Held>) -> wasmtime::Result<T>,
    ) -> Result<T, Fault> {
        let held = self.store.data_mut();
        held.allowance = allowance;
        held.since = None;
        self.store.set_hostcall_fuel(longest);
        self.store.set_epoch_deadline(1);
        call(&self.exports, &mut self.store).map_err(|error| fault(&self.store, longest, &error))
    }
}

impl std::fmt::Debug for Instance {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Instance").field("memory", &self.memory()).finish_non_exhaustive()
    }
}

impl LogHost for Held {
    fn log(&mut self, level: bindings::Level, text: String) {
        let level = match level {
            bindings::Level::Info => Level::Info,
            bindings::Level::Warn => Level::Warn,
        };
        self.lines.line(level, &text);
    }
}

impl TypesHost for Held {}

fn fault(store: &Store<Held>, longest: usize, error: &wasmtime::Error) -> Fault {
    let held = store.data();
    if error.is::<Late>() {
        return Fault::Deadline(held.allowance);
    }
    match error.downcast_ref::<Trap>() {
        Some(Trap::StackOverflow) => Fault::Stack,
        // A worker that is refused memory gives up, one way or another.
        _ if held.memory.refused() => Fault::Memory(held.memory.cap()),
        Some(trap) => Fault::Trap(trap.to_string().trim_start_matches("wasm trap: ").to_owned()),
        None => {
            let cause = error.root_cause().to_string();
            // wasmtime has no type for it.
            if cause.contains("fuel allocated for hostcalls") {
                return Fault::TooLong(longest);
            }
            Fault::Trap(cause.lines().next().unwrap_or_default().to_owned())
        }
    }
}
