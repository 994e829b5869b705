//! Relays, creators and subscribers in virtual time, over a net that loses, reorders and splits what is sent.
//!
//! Each test runs many seeds; a failure names its seed, and the same seed fails the same way again
//! (`FANFARE_SEED=n`; `FANFARE_SEEDS=n` sets how many).

mod admission;
mod content;
mod creator;
mod executor;
mod platform;
mod scripted;
mod subscriber;
mod topology;

mod behalf;
mod budget;
mod discovery;
mod drain;
mod fetch;
mod greedy;
mod guard;
mod held;
mod interests;
mod late;
mod linger;
mod loops;
mod quarantine;
mod random;
mod rejoin;
mod slow;
mod standing;
mod takeover;
mod through;
mod waiting;
mod weather;
