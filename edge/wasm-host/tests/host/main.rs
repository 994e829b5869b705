//! Tests of real components in wasmtime: the room's own, and hostile ones.
#![allow(missing_docs)]

mod bounds;
mod cache;
mod determinism;
mod guest;
mod hostile;
mod revival;
mod swap;
