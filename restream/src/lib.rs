//! Carries a room from one MoQ relay to another, frame for frame.
//!
//! [`restream`] connects to both relays as a client, with `moq-transport` (draft 18). At the source it reads the catalogs
//! of the room, to learn which tracks there are. At the destination it announces the room and answers SUBSCRIBE: it
//! subscribes to a track at the source for as long as the destination is subscribed to it, and no longer.
//!
//! Streams pass through one for one, with their group, subgroup and object ids, properties and payloads. A destination
//! that is too slow loses whole groups and goes on with the newest ([`MAX_LAG`]).
#![forbid(unsafe_code)]

mod address;
pub use address::{Address, AddressError};

mod carry;
mod catalog;
mod catalog_track;
mod connect;
mod destination;

mod error;
pub use error::{End, Error};

mod guard;
pub use guard::{MAX_GROUP_BYTES, MAX_LAG};

mod hub;

mod pauses;

mod report;
pub use report::{Counts, Link, Report, Room};

mod restream;
pub use restream::{Options, restream};

mod source;
