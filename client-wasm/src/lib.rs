//! The browser client: a stage played in a dedicated Worker.
//!
//! A page hands a canvas and, once it may make sound, the two ends of an audio ring to a Worker; this crate does the
//! rest there: it subscribes over WebTransport or a WebSocket, decodes with WebCodecs and presents picture and sound in
//! time. `js/` holds the page's side: the `Player` class and the `<fanfare-player>` element.
//!
//! What decides is pure, and tested natively: [`search`] finds the catalog, [`catalog`], [`frame`] and [`cmaf`] read
//! what comes, [`order`] puts it in order, [`jitter`] says what to show when, [`ring`] where sound belongs, [`quality`]
//! which rendition to take, [`backoff`] when to try again; [`voice`] says what a fan has to say until it is counted, and
//! [`mirror`] is what the room shows. What acts needs a browser, and is compiled with
//! `--cfg web_sys_unstable_apis` only, behind which `web-sys` keeps WebTransport and WebCodecs.
#![forbid(unsafe_code)]

pub mod catalog;
pub mod cmaf;
pub mod frame;
pub mod jitter;
pub mod mirror;
pub mod order;
pub mod quality;
pub mod ring;
pub mod search;

#[cfg(web_sys_unstable_apis)]
mod audio;
#[cfg(web_sys_unstable_apis)]
mod clock;
#[cfg(web_sys_unstable_apis)]
mod few;
#[cfg(web_sys_unstable_apis)]
mod player;
#[cfg(web_sys_unstable_apis)]
mod room;
#[cfg(web_sys_unstable_apis)]
mod stage;
#[cfg(web_sys_unstable_apis)]
mod stats;
#[cfg(web_sys_unstable_apis)]
mod talk;
#[cfg(web_sys_unstable_apis)]
mod transport;
#[cfg(web_sys_unstable_apis)]
mod video;

#[cfg(web_sys_unstable_apis)]
pub use player::Player;
