//! The edge node as a server of our own: a relay and its rooms on tokio, QUIC and wasmtime, and the pages for browsers.
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

pub use relay::Limits;
