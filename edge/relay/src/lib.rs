//! What an edge does with sessions, wherever it runs: on a node of our own, or in an isolate of somebody else's.
//!
//! A [`Relay`] has one node's share of the tracks, between who publishes and who watches; [`Rooms`] are those that its
//! fans take part in. Both are of [`App`]s on sessions, and live in one thread. What carries the sessions, and what else
//! they run on, is a [`Platform`]'s; [`Socket`] is a session on anything that carries messages.
#![forbid(unsafe_code)]

mod app;
pub use app::{App, Cx, Ended, Transit};

mod due;
pub use due::Due;

mod inside;
pub use inside::Inside;

pub mod packets;

mod platform;
pub use platform::{Dial, Dialled, Later, Platform, Worked, Worker};

mod relay;
pub use relay::{
    BYTES_KEPT, Credentials, FAN_BACKLOG, FAN_LAG, FETCH_BACKLOG, Figures, GROUPS_KEPT, Guest, LINGER,
    Publication, Relay,
};

mod room;
pub use room::{MAX_ROOMS, ROOM_LINGER, Rooms, RoomsConfig, TICK as ROOM_TICK};

mod root;
pub use root::{Root, Told};

mod socket;
pub use socket::Socket;
