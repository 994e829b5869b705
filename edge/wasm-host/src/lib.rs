//! Workers in wasmtime: the code of a room, sandboxed, on an edge or at the origin.
//!
//! An [`Engine`] compiles components of the world in `wit/worker.wit` into [`Version`]s, and has the threads
//! that they run on. A [`Worker`] is one room's: it survives what its code does, or gives its
//! place to the version before. An [`Instance`] is what there is below: one instance, whose faults end it.
//!
//! What a worker may is bounded: processor time for each call, memory, stack, the length of what it
//! gives, and lines in the log. Those are [`Options`], and what happened is in its [`Figures`].

mod bindings;

mod cache;

mod clock;

mod engine;
pub use engine::{COMPONENT, Engine};

mod error;
pub use error::{Error, Fault};

mod figures;
pub use figures::{Faults, Figures};

mod instance;
pub use instance::{Instance, Outcome};

mod keeper;

mod lines;

mod log;
pub use log::Batch;

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
