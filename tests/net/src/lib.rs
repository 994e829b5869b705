//! A network that exists only in virtual time: seeded, lossy, reordering, and free to split what is sent anywhere.
//!
//! [`Net`] carries the outputs of sessions and keeps the time. It owns no session, so that a caller may drive its
//! sessions from tasks. [`World`] owns the sessions too, and calls an [`App`] on each node: enough for tests of the
//! session itself.
//!
//! Tests on a real network have a [`Probe`] on a session instead: it makes the calls that they send, and sends them all
//! events.
#![forbid(unsafe_code)]

mod net;
pub use net::{Due, EndId, Net};

mod probe;
pub use probe::{Probe, Word};

mod rng;
pub use rng::{Rng, Seeds};

mod weather;
pub use weather::Weather;

mod world;
pub use world::{App, Cx, World};
