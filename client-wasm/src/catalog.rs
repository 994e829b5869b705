//! What of a catalog can be played.

use bytes::Bytes;
use moqt::msf::{self, Packaging, Track};

/// The renditions and the sound of a stage, as WebCodecs takes them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Catalog {
    /// Renditions of the picture, the best first.
    pub video: Vec<Video>,
    /// The sound.
    pub audio: Option<Audio>,
    /// Whether the broadcast is over.
    pub complete: bool,
}

/// A rendition of the picture.
#[derive(Clone, Debug, PartialEq)]
pub struct Video {
    /// The track.
    pub name: String,
    /// What its objects hold.
    pub packaging: Packaging,
    /// As WebCodecs writes it.
    pub codec: String,
    /// What the decoder must know beforehand.
    pub description: Option<Bytes>,
    /// Pixels across; 0 if it is not told.
    pub width: u32,
    /// Pixels down; 0 if it is not told.
    pub height: u32,
    /// Frames a second, if told.
    pub framerate: Option<f64>,
    /// Bits a second; 0 if it is not told.
    pub bitrate: u64,
}

/// The sound of a stage.
#[derive(Clone, Debug, PartialEq)]
pub struct Audio {
    /// The track.
    pub name: String,
    /// What its objects hold.
    pub packaging: Packaging,
    /// As WebCodecs writes it.
    pub codec: String,
    /// What the decoder must know beforehand.
    pub description: Option<Bytes>,
    /// Samples a second.
    pub rate: u32,
    /// How many channels.
    pub channels: u32,
}

/// The samplerate of a track that does not tell.
const USUAL_RATE: u32 = 48_000;
/// The channels of a track that does not tell.
const USUAL_CHANNELS: u32 = 2;

impl Catalog {
    /// Reads a catalog of any kind that is known. Tracks that cannot be played are left out.
    pub fn parse(json: &[u8]) -> Result<Self, msf::Error> {
        let catalog = msf::Catalog::parse_any(json)?;
        let mut video: Vec<Video> =
            catalog.tracks.iter().filter(|track| track.is_video()).filter_map(Video::of).collect();
        video.sort_by_key(|video| std::cmp::Reverse((video.height, video.bitrate)));
        let audio = catalog.tracks.iter().filter(|track| track.is_audio()).find_map(Audio::of);
        Ok(Self { video, audio, complete: catalog.is_complete })
    }
}

impl Video {
    fn of(track: &Track) -> Option<Self> {
        let small = |size: Option<u64>| u32::try_from(size.unwrap_or_default()).unwrap_or_default();
        Some(Self {
            name: track.name.clone(),
            packaging: playable(track)?,
            codec: track.codec.clone()?,
            description: track.init_data.clone(),
            width: small(track.width),
            height: small(track.height),
            framerate: track.framerate,
            bitrate: track.bitrate.unwrap_or_default(),
        })
    }

    /// What a viewer calls it: `720p`, or its name.
    pub fn label(&self) -> String {
        if self.height > 0 { format!("{}p", self.height) } else { self.name.clone() }
    }
}

impl Audio {
    fn of(track: &Track) -> Option<Self> {
        Some(Self {
            name: track.name.clone(),
            packaging: playable(track)?,
            codec: track.codec.clone()?,
            description: track.init_data.clone(),
            rate: track.samplerate.and_then(|rate| u32::try_from(rate).ok()).unwrap_or(USUAL_RATE),
            channels: track.channels().unwrap_or(USUAL_CHANNELS),
        })
    }
}

/// The packaging, if it is one whose objects are frames.
fn playable(track: &Track) -> Option<Packaging> {
    match track.packaging {
        Packaging::Loc | Packaging::HangLoc | Packaging::HangLegacy => Some(track.packaging.clone()),
        Packaging::Cmaf | Packaging::Other(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use moqt::msf::Role;

    use super::*;

    fn track(name: &str, role: Role) -> Track {
        Track { name: name.into(), role: Some(role), codec: Some("avc1.42c01f".into()), ..Track::default() }
    }

    #[test]
    fn the_best_rendition_is_first_and_what_cannot_be_played_is_left_out() {
        let sized = |name, height| Track { height: Some(height), ..track(name, Role::Video) };
        let cmaf = Track { packaging: Packaging::Cmaf, ..sized("cmaf", 2160) };
        let audio = Track { codec: Some("opus".into()), ..track("audio", Role::Audio) };
        let catalog = msf::Catalog {
            tracks: vec![sized("low", 180), cmaf, audio, sized("high", 720)],
            ..msf::Catalog::default()
        };
        let catalog = Catalog::parse(&catalog.encode()).unwrap();
        let names: Vec<&str> = catalog.video.iter().map(|video| video.name.as_str()).collect();
        assert_eq!(names, ["high", "low"]);
        assert_eq!(catalog.video[0].label(), "720p");
        let audio = catalog.audio.unwrap();
        assert_eq!((audio.rate, audio.channels), (48_000, 2));
    }
}
