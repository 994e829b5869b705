//! Workers in wasmtime: the code of a room, sandboxed, on an edge or at the origin.
//!
//! An [`Engine`] compiles components of the world in `wit/worker.wit` into [`Version`]s, and owns the threads
//! that they run on. A [`Worker`] runs one room: it survives faults of its code, or falls back to the version
//! before. An [`Instance`] is the layer below: one instance, which a fault ends.
//!
//! [`Options`] bound a worker: processor time for each call, memory, stack, the length of results, and log
//! entries. [`Figures`] count what happened.

mod bindings;

mod cache;

mod cpu_time;

mod engine;
pub use engine::{COMPONENT, Engine};

mod error;
pub use error::{Error, Fault};

mod figures;
pub use figures::{Faults, Figures};

mod instance;
pub use instance::{Instance, Outcome};

mod keeper;

mod guest_log;

mod journal;
pub use journal::Batch;

mod memory;

mod options;
pub use options::Options;

mod pool;

mod ticker;
pub use ticker::TICK;

mod version;
pub use version::Version;

mod worker;
pub use worker::{Setup, WAITING, WAITING_BYTES, Worker};
