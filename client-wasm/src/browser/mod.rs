//! The parts that need a browser: connections, decoders, the canvas and the loudspeaker, and the [`Player`] that runs
//! them.

mod audio;
mod clock;
mod player;
mod playout;
mod room_client;
mod small_map;
mod state;
mod stats;
mod subscriptions;
mod transport;
mod video;

pub use player::Player;
