//! From a creator's file, pipe or test card to samples that fit in MoQ objects.
//!
//! No networking, no clock, no async: a [`Demuxer`] reads from anything that is [`std::io::Read`] and hands out
//! [`Sample`]s; [`Pacer`], [`Timeline`] and [`Groups`] say when each is due, on what timeline and in which group;
//! [`testcard`] makes samples out of nothing but the time it is told.
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
pub use groups::{Groups, Place};
pub use pacer::Pacer;
pub use sample::Sample;
pub use timeline::Timeline;
pub use timing::Micros;
pub use track::{AudioCodec, Kind, TrackInfo, VideoCodec};
