//! What the tests share that need more than one part of Fanfare.
//!
//! [`Stage`] is a creator and an edge in one thread: a live test card, served over WebTransport and a WebSocket. [`Site`]
//! serves pages, [`Browser`] looks at them.
//! [`Line`] is a way there that is as narrow as one likes, [`Radio`] one that loses packets. [`House`] is the real thing: creator, origin and edges as they
//! are run. A [`Guest`] does
//! what a test says. A [`Peer`] is a program of other people's that takes part, a [`Tape`] what it publishes.
#![forbid(unsafe_code)]

mod browser;
pub use browser::{Browser, Page};

mod guest;
pub use guest::{Guest, send_group};

mod house;
pub use house::{Door, House};

mod part;
pub use part::Exit;

mod peer;
pub use peer::{Peer, moq_watch, peers};

mod isolate;
pub use isolate::{Deployed, Isolate, Socket, target, worked};

mod line;
pub use line::Line;

mod radio;
pub use radio::Radio;

mod site;
pub use site::root;
use site::worker_cache;
pub use site::{Isolation, Site};
pub use site::{client_folder, room_component};

mod stage;
pub use stage::{Dialect, ROOM, Stage};

mod talker;
pub use talker::Talker;

mod tape;
pub use tape::{Tape, demux};

mod viewer;
