//! The playable part of a catalog.

use std::{collections::BTreeMap, rc::Rc};

use bytes::Bytes;
use moqt::msf::{self, Packaging, Track};

use crate::{
    cmaf::{self, Kind},
    frame::Format,
};

/// Names of the tracks that may have a room's catalog: our own first, then those of other implementations.
pub const TRACKS: [&str; 3] = [msf::TRACK, msf::TRACK_HANG, msf::TRACK_COMMON];
/// Largest number of initialisation segments in tracks of their own.
pub const MAX_INIT_TRACKS: usize = 8;

/// The renditions and the sound of a room, in WebCodecs' terms.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Catalog {
    /// Renditions of the picture, the best first.
    pub video: Vec<Video>,
    /// The sound.
    pub audio: Option<Audio>,
    /// Set if the broadcast has ended.
    pub complete: bool,
    /// Tracks with initialisation segments that are still needed.
    pub missing: Vec<String>,
}

/// Initialisation segments by the names of their tracks; `None` for a track that cannot be had.
pub type Inits = BTreeMap<String, Option<Bytes>>;

/// A rendition of the picture.
#[derive(Clone, Debug, PartialEq)]
pub struct Video {
    /// The name of the track.
    pub name: String,
    /// The format of its objects.
    pub format: Format,
    /// The codec string of WebCodecs.
    pub codec: String,
    /// The decoder's configuration.
    pub description: Option<Bytes>,
    /// Width in pixels; 0 if the catalog has none.
    pub width: u32,
    /// Height in pixels; 0 if the catalog has none.
    pub height: u32,
    /// Frames per second, if the catalog has it.
    pub framerate: Option<f64>,
    /// Bits per second; 0 if the catalog has none.
    pub bitrate: u64,
}

/// The sound of a room.
#[derive(Clone, Debug, PartialEq)]
pub struct Audio {
    /// The name of the track.
    pub name: String,
    /// The format of its objects.
    pub format: Format,
    /// The codec string of WebCodecs.
    pub codec: String,
    /// The decoder's configuration.
    pub description: Option<Bytes>,
    /// Samples per second.
    pub rate: u32,
    /// Number of channels.
    pub channels: u32,
}

/// Sample rate of a track without one.
const USUAL_RATE: u32 = 48_000;
/// Number of channels of a track without one.
const USUAL_CHANNELS: u32 = 2;

impl Catalog {
    /// Parses a catalog of any known kind. Tracks that cannot be played are left out, and so are those whose
    /// initialisation segments are not in `inits` yet.
    pub fn parse(json: &[u8], inits: &Inits) -> Result<Self, msf::Error> {
        let catalog = msf::Catalog::parse_any(json)?;
        let mut video: Vec<Video> = catalog
            .tracks
            .iter()
            .filter(|track| track.is_video())
            .filter_map(|track| Video::of(track, inits))
            .collect();
        video.sort_by_key(|video| std::cmp::Reverse((video.height, video.bitrate)));
        let audio =
            catalog.tracks.iter().filter(|track| track.is_audio()).find_map(|track| Audio::of(track, inits));
        let mut missing: Vec<String> = catalog
            .tracks
            .iter()
            .filter(|track| track.packaging == Packaging::Cmaf && track.init_data.is_none())
            .filter_map(|track| track.init_track.clone())
            .filter(|name| !inits.contains_key(name))
            .collect();
        missing.sort_unstable();
        missing.dedup();
        missing.truncate(MAX_INIT_TRACKS.saturating_sub(inits.len()));
        Ok(Self { video, audio, complete: catalog.is_complete, missing })
    }
}

impl Video {
    fn of(track: &Track, inits: &Inits) -> Option<Self> {
        let small = |size: Option<u64>| u32::try_from(size.unwrap_or_default()).unwrap_or_default();
        let Playable { format, codec, description } = Playable::of(track, inits)?;
        let (mut width, mut height) = (small(track.width), small(track.height));
        if let Format::Cmaf(cmaf) = &format
            && let Kind::Video { width: across, height: down } = cmaf.kind
            && height == 0
        {
            (width, height) = (across, down);
        }
        Some(Self {
            name: track.name.clone(),
            format,
            codec,
            description,
            width,
            height,
            framerate: track.framerate,
            bitrate: track.bitrate.unwrap_or_default(),
        })
    }

    /// Returns the viewers' name for it: `720p`, or its own.
    pub fn label(&self) -> String {
        if self.height > 0 { format!("{}p", self.height) } else { self.name.clone() }
    }
}

impl Audio {
    fn of(track: &Track, inits: &Inits) -> Option<Self> {
        let Playable { format, codec, description } = Playable::of(track, inits)?;
        let (rate, channels) = match &format {
            Format::Cmaf(cmaf) => match cmaf.kind {
                Kind::Audio { rate, channels } => (rate, channels),
                Kind::Video { .. } => return None,
            },
            _ => (0, 0),
        };
        let stated = |value: u32| Some(value).filter(|value| *value > 0);
        Some(Self {
            name: track.name.clone(),
            format,
            codec,
            description,
            rate: track
                .samplerate
                .and_then(|rate| u32::try_from(rate).ok())
                .or(stated(rate))
                .unwrap_or(USUAL_RATE),
            channels: track.channels().or(stated(channels)).unwrap_or(USUAL_CHANNELS),
        })
    }
}

/// The fields that both kinds of track need.
struct Playable {
    format: Format,
    codec: String,
    description: Option<Bytes>,
}

impl Playable {
    fn of(track: &Track, inits: &Inits) -> Option<Self> {
        let format = match track.packaging {
            Packaging::Loc => Format::Loc,
            Packaging::HangLoc => Format::HangLoc,
            Packaging::HangLegacy => Format::HangLegacy,
            Packaging::Cmaf => return Self::fragmented(track, inits),
            Packaging::Other(_) => return None,
        };
        Some(Self { format, codec: track.codec.clone()?, description: track.init_data.clone() })
    }

    fn fragmented(track: &Track, inits: &Inits) -> Option<Self> {
        let elsewhere = || inits.get(track.init_track.as_ref()?)?.clone();
        let segment = track.init_data.clone().or_else(elsewhere)?;
        let mut tracks = cmaf::tracks(&segment).ok()?;
        tracks.retain(|described| described.is_video() == track.is_video());
        // A segment with several tracks names them by their numbers: `1.m4s`.
        let number = track.name.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok();
        let index = tracks.iter().position(|described| Some(described.id) == number).unwrap_or(0);
        let described = tracks.into_iter().nth(index)?;
        // The segment goes to the decoder, so its description has precedence.
        let (codec, description) = (described.codec.clone(), described.description.clone());
        Some(Self { format: Format::Cmaf(Rc::new(described)), codec, description })
    }
}

#[cfg(test)]
mod tests;
