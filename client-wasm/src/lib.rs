//! The browser client: a room played in a dedicated Worker.
//!
//! A page hands a canvas and, once it may make sound, the two ends of an audio ring to a Worker; this crate does the
//! rest there: it subscribes over WebTransport or a WebSocket, decodes with WebCodecs and presents picture and sound in
//! time. `js/` holds the page's side: the `Player` class and the `<fanfare-player>` element.
//!
//! The modules that decide are pure, and tested natively: [`catalog_probe`] finds the catalog; [`catalog`], [`frame`]
//! and [`cmaf`] read what the server sends; [`reorder`] puts frames in order; [`jitter`] chooses the frame to show and
//! [`ring`] the samples to play at a time; [`quality`] chooses the rendition; [`room_view`] turns the room's tracks into
//! the page's JSON. Two further parts are crates: `timing` has the pauses between attempts, and [`outbox`] the fan's
//! membership in the room, with the fan's acts until they are counted. The module `browser` does the I/O. It is compiled
//! only with `--cfg web_sys_unstable_apis`, behind which `web-sys` keeps WebTransport and WebCodecs.
#![forbid(unsafe_code)]

pub mod catalog;
pub mod catalog_probe;
pub mod cmaf;
pub mod frame;
pub mod jitter;
pub mod quality;
pub mod reorder;
pub mod ring;
pub mod room_view;

#[cfg(web_sys_unstable_apis)]
mod browser;
#[cfg(web_sys_unstable_apis)]
pub use browser::Player;
