//! Test support for everything that needs more than one component of Fanfare.
//!
//! [`Stack`] runs the real thing: a creator, an origin and edges, as they run in production. [`TestCardServer`] is
//! smaller, a creator and an edge in one thread: a live test card, served over WebTransport and a WebSocket.
//!
//! [`Site`] serves pages and [`Browser`] opens them. [`Throttle`] limits the bandwidth of a TCP path, [`LossyUdp`]
//! loses datagrams. A [`ScriptedSession`] runs the calls of a test. A [`Peer`] is a program from another project that
//! takes part, and [`LoopedMedia`] is what it publishes.
#![forbid(unsafe_code)]

mod browser;
pub use browser::{Browser, Frame, Page};

mod scripted_session;
pub use scripted_session::{ScriptedSession, send_group};

mod stranger;
pub use stranger::{ATTACKS, Attack, Target, go_last, persist};

mod watcher;
pub use watcher::Watcher;

mod stack;
pub use stack::{Node, Setting, Stack};

mod component;
pub use component::Exit;

mod peer;
pub use peer::{Peer, moq_watch, peers};

mod isolate;
pub use isolate::{Deployed, Isolate, Socket, target, worked};

mod throttle;
pub use throttle::Throttle;

mod lossy_udp;
pub use lossy_udp::LossyUdp;

mod site;
pub use site::root;
use site::worker_cache;
pub use site::{Isolation, Site};
pub use site::{client_folder, room_component};

mod test_card_server;
pub use test_card_server::{Dialect, ROOM, TestCardServer};

mod talker;
pub use talker::Talker;

mod looped_media;
pub use looped_media::{LoopedMedia, demux};

mod viewer;
