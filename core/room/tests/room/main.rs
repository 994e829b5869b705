//! Rooms, put together: a root, leaves and scripted fans, in virtual time.
//!
//! One file per feature, named as it is; `house` is a room without distances for them. In `net`
//! everything that can be lost is lost, by a seed.

mod house;
mod net;
mod roll;

mod chat;
mod cheers;
mod danmaku;
mod determinism;
mod exactly_once;
mod gifts;
mod hostile;
mod moderation;
mod polls;
mod questions;
mod tally;
