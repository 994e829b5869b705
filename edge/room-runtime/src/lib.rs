//! The runtime of rooms: everything between sessions and a room's worker.
//!
//! [`Rooms`] runs a leaf for each room that a node's fans take part in, and is the service by which they do; its uplink
//! carries the leaves' deltas to the origin. A [`Hub`] is the other end of those links, and [`run_root`] runs the root that
//! they lead to, on a [`Journal`].
#![forbid(unsafe_code)]

mod addresses;

mod batch;

mod clock;

mod error;
pub use error::Error;

mod figures;

mod hub;
pub use hub::{Hub, HubEvent, HubService, Hubs};

mod journal;
pub use journal::{Batch, Journal, Kept};

mod leaf;
pub use leaf::{ROOM_LINGER, TICK};

mod membership;

mod patterns;
pub use patterns::RoomPatterns;

mod proof;

mod rivals;

mod rooms;
pub use rooms::{MAX_ROOMS, Rooms};

mod root;
pub use root::{ROOT_LINGER, ROOT_TICK, RootFigures, RootHandle, RootNode, run_root};

mod shared;
pub use shared::RoomsConfig;

mod trust;
pub use trust::{Trust, TrustService};

mod uplink;

mod vouching;

mod worker;
pub use worker::{Worked, Worker, Workers};
