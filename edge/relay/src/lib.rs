//! The relay: one node's tracks, between their publishers and their subscribers.
//!
//! A [`Relay`] serves sessions: it is the [`App`](moqt::App) on each of them. It lives in one thread and runs the same
//! on an edge of our own, in a Durable Object and in a test: the machine's services are a [`Platform`], the way to the
//! upstream is a [`Dial`], and protocols beside tracks are [`Service`]s. [`Loopback`] joins two parts of one node.
#![forbid(unsafe_code)]

mod admission;
pub use admission::{Admission, PeerId, Published, Replaced};

mod budget;
pub use budget::{Limits, Rate, Role, Share};

mod cache;
pub use cache::{BYTES_KEPT, CacheLimits, GROUPS_KEPT, MAX_GROUP_BYTES, TOTAL_BYTES_KEPT, TrackStats};

mod credentials;
pub use credentials::{Credentials, MAX_TOKENS, Proof};

mod deadline;
pub use deadline::Deadline;

mod figures;
pub use figures::Figures;

mod guard;
pub use guard::Guard;

mod loopback;
pub use loopback::Loopback;

mod moved;
pub use moved::{Moved, run_until_moved};

mod platform;
pub use platform::{Dial, DialError, Platform, wait};

mod relay;
pub use relay::{Config, FAN_BACKLOG, FAN_LAG, IMPLEMENTATION, LINGER, Publication, Relay, RelaySession};

mod service;
pub use service::{Service, SessionService};

pub use timing::Backoff;
