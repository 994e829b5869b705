//! One instance of a worker: its calls, and their limits.

use std::time::Duration;

use room::Config;
use wasmtime::{Store, Trap, UpdateDeadline};
use wire::worker::{Demand, Effect, Level};
use wire::{Frame, Frames, Micros};

use crate::bindings::{self, LogHost, TypesHost};
use crate::cpu_time::thread_time;
use crate::guest_log::GuestLog;
use crate::memory::Memory;
use crate::{Fault, Options, Version};

/// Outcome of a call: a fault if the instance died, otherwise the worker's own result.
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

/// State that a store holds for its instance.
pub(crate) struct Held {
    memory: Memory,
    log: GuestLog,
    allowance: Duration,
    /// Thread time at which the current call was first checked.
    since: Option<Duration>,
}

/// The call has used up its time.
#[derive(Debug, thiserror::Error)]
#[error("the deadline of a call has passed")]
struct Late;

impl Instance {
    /// Creates an instance, which logs under the name of that room.
    pub fn new(version: &Version, options: Options, room: &str) -> Result<Self, Fault> {
        let held = Held {
            memory: Memory::new(options.memory),
            log: GuestLog::new(room),
            allowance: options.state,
            since: None,
        };
        let mut store = Store::new(version.engine().wasmtime(), held);
        store.limiter(|held| &mut held.memory);
        // wasmtime copies a call's result out of the instance only up to this length.
        store.set_hostcall_fuel(options.effects);
        store.epoch_deadline_callback(|mut store| {
            let held = store.data_mut();
            let now = thread_time();
            // A call that ends within a tick costs no read of the clock.
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

    /// Configures the worker's seat and limits.
    pub fn configure(&mut self, config: &Config) -> Outcome<()> {
        let config = bindings::config(config);
        self.call(self.options.state, self.options.effects, |exports, store| {
            exports.call_configure(store, config)
        })
    }

    /// Passes it a batch; returns the effects, all of which decode, and writes its log entries.
    pub fn handle(&mut self, now: Micros, batch: &[u8]) -> Outcome<Vec<u8>> {
        let handled = self.call(self.options.call, self.options.effects, |exports, store| {
            exports.call_handle(store, now.0, batch)
        })?;
        if let Ok(effects) = &handled {
            self.read(effects)?;
        }
        Ok(handled)
    }

    /// Returns one rendition per demand, [`SKIP`](wire::worker::SKIP) for none; replaces indices out of range
    /// by it.
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

    /// Returns all of the worker's state.
    pub fn snapshot(&mut self) -> Result<Vec<u8>, Fault> {
        // A snapshot cannot be longer than the memory.
        self.call(self.options.state_of(self.memory()), self.options.memory, |exports, store| {
            exports.call_snapshot(store)
        })
    }

    /// Replaces the worker's state by a snapshot's.
    pub fn restore(&mut self, snapshot: &[u8]) -> Outcome<()> {
        self.call(self.options.state_of(snapshot.len()), self.options.effects, |exports, store| {
            exports.call_restore(store, snapshot)
        })
    }

    /// Turns logging on or off; it is off while the worker replays batches.
    pub(crate) fn set_logging(&mut self, enabled: bool) {
        self.store.data_mut().log.set_enabled(enabled);
    }

    /// Returns the bytes of memory in use.
    pub fn memory(&self) -> usize {
        self.store.data().memory.used()
    }

    /// Returns the number of log entries dropped since the last call.
    pub(crate) fn take_dropped_entries(&mut self) -> u64 {
        self.store.data_mut().log.take_dropped()
    }

    /// Checks that all effects decode, so that the caller need not; writes the log entries among them.
    fn read(&mut self, effects: &[u8]) -> Result<(), Fault> {
        for frame in Frames::<Effect<'_>>::new(effects).map_err(Fault::Garbage)? {
            if let Frame::Known(Effect::Log { level, text }) = frame.map_err(Fault::Garbage)? {
                self.store.data_mut().log.write(level, text);
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
        self.log.write(level, &text);
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
        // A worker that is refused memory fails in various ways: report the cause.
        _ if held.memory.refused() => Fault::Memory(held.memory.cap()),
        Some(trap) => Fault::Trap(trap.to_string().trim_start_matches("wasm trap: ").to_owned()),
        None => {
            let cause = error.root_cause().to_string();
            // wasmtime has no error type for this.
            if cause.contains("fuel allocated for hostcalls") {
                return Fault::TooLong(longest);
            }
            Fault::Trap(cause.lines().next().unwrap_or_default().to_owned())
        }
    }
}
