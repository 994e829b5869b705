//! Media input: turns a creator's file, pipe or test card into samples that fit in MoQ objects.
//!
//! No networking, no clock, no async: a [`Demuxer`] reads from any [`std::io::Read`] and returns [`Sample`]s;
//! [`Pacer`], [`Timeline`] and [`Groups`] determine when each is due, on which timeline and in which group;
//! [`testcard`] makes samples from nothing but the time that it receives.
#![forbid(unsafe_code)]

mod cmaf;
mod codec;
mod demux;
mod error;
mod groups;
mod pacer;
mod sample;
#[cfg(feature = "testcard")]
pub mod testcard;
mod timeline;
mod track;

pub use demux::{Container, Demuxer, Packaging};
pub use error::{Error, Result};
pub use groups::{Groups, Position};
pub use pacer::Pacer;
pub use sample::Sample;
pub use timeline::Timeline;
pub use timing::Micros;
pub use track::{AudioCodec, Kind, TrackInfo, VideoCodec};
