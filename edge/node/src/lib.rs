//! An edge node of our own: a relay and its rooms on tokio, QUIC and wasmtime, and the pages that make a browser a fan.
#![forbid(unsafe_code)]

mod config;
pub use config::{Config as EdgeConfig, Pages, RoomsConfig};

mod edge;
pub use edge::Edge;

mod error;
pub use error::Error;

mod headers;

mod platform;
pub use platform::{Thread, Upstream, WasmWorkers};
