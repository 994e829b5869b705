//! Our origin and edges with programs from other projects, in the versions that those publish.
//!
//! `cargo xtask interop` builds the programs and runs all of this. Tests that are ignored need a program that takes
//! minutes to build; `cargo xtask test` runs the others.

mod moq_cli;
mod moq_rs;
mod restream;
mod test_client;
