//! What the tests share that need more than one part of Fanfare.
//!
//! [`Stage`] is a creator and an edge in one thread: a live test card, served over WebTransport and a WebSocket. [`Site`]
//! serves pages, [`Browser`] looks at them.
#![forbid(unsafe_code)]

mod browser;
pub use browser::{Browser, Page};

mod site;
pub use site::{Isolation, Site};

mod stage;
pub use stage::{ROOM, Stage};

mod viewer;
