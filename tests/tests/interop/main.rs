//! Programs of other people against ours, as they are published.
//!
//! `cargo xtask interop` builds them and runs all of this. Tests that are ignored need a program that takes minutes to
//! build; `cargo xtask test` runs the others.

mod moq_cli;
mod moq_rs;
mod restream;
mod test_client;
