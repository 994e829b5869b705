//! Tests of whole rooms: a root, leaves and scripted fans, in virtual time.
//!
//! One file per feature, with the feature's name. `harness` connects them without latency. `net` loses,
//! duplicates and delays packets, and crashes nodes, from a seed.

mod harness;
mod net;
mod seeds;

mod bounds;
mod chat;
mod cheers;
mod danmaku;
mod determinism;
mod exactly_once;
mod gifts;
mod hostile;
mod moderation;
mod paces;
mod polls;
mod questions;
mod tally;
