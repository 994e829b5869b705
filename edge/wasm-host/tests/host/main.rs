//! Real components in wasmtime: the room's own, and those that mean harm.
#![allow(missing_docs)]

mod cache;
mod determinism;
mod guest;
mod hostile;
mod revival;
mod swap;
