//! Catalogs: which tracks a creator has, and how they are decoded
//! (draft-ietf-moq-msf-01, the MOQT Streaming Format).
//!
//! [`Catalog::encode`] writes that draft. [`Catalog::parse`] reads it and draft
//! 00; [`Catalog::parse_any`] also what other programs put into their catalogs:
//! moq-dev's "hang", and the common catalog format that came before MSF.
//! Fields that are not known are ignored, as the draft wants.

use bytes::Bytes;

mod hang;
mod wire;

/// The name of the track that holds the catalog.
pub const TRACK: &str = "catalog";
/// Name of that track in programs with moq-dev's "hang" catalog.
pub const TRACK_HANG: &str = "catalog.json";
/// Name of that track in programs with the common catalog format.
pub const TRACK_COMMON: &str = ".catalog";

/// Bytes of a catalog, at most.
pub const MAX_LEN: usize = 1 << 20;
/// Tracks in a catalog, at most.
pub const MAX_TRACKS: usize = 256;

/// Not a catalog, or not one that can be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The catalog is longer than [`MAX_LEN`].
    #[error("a catalog of {0} bytes: at most {MAX_LEN} are read")]
    TooLong(usize),
    /// The catalog has more tracks than [`MAX_TRACKS`].
    #[error("a catalog of {0} tracks: at most {MAX_TRACKS} are read")]
    TooManyTracks(usize),
    /// Not JSON, or without what a catalog must have.
    #[error("not a catalog: {0}")]
    Json(String),
    /// The catalog has a version with another meaning.
    #[error("a catalog of version {0}: 1 and \"draft-…\" are understood")]
    Version(String),
    /// A change to a catalog, where a whole one is needed.
    #[error("a catalog that only says what changed; one that stands alone is needed")]
    Delta,
    /// The initialisation data of a track cannot be had.
    #[error("track {track:?}: {why}")]
    InitData {
        /// Name of the track.
        track: String,
        /// The reason for the refusal.
        why: &'static str,
    },
}

/// The tracks of a broadcast at one time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Catalog {
    /// Time of its creation, in milliseconds since the UNIX epoch.
    pub generated_at: Option<u64>,
    /// True if the broadcast is over: no track will grow.
    pub is_complete: bool,
    /// The tracks, the preferred ones first.
    pub tracks: Vec<Track>,
}

/// One track of a broadcast.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Track {
    /// The track's name in its namespace.
    pub name: String,
    /// Its namespace, if it is not that of the catalog.
    pub namespace: Option<String>,
    /// Format of the track's objects.
    pub packaging: Packaging,
    /// True if objects will be added.
    pub is_live: bool,
    /// Purpose of the track.
    pub role: Option<Role>,
    /// Label for human readers.
    pub label: Option<String>,
    /// Tracks with the same number are shown together, and their groups start at the same times.
    pub render_group: Option<u64>,
    /// Tracks with the same number are the same content in different renditions.
    pub alt_group: Option<u64>,
    /// The codec's WebCodecs name, such as `avc1.42c01f`.
    pub codec: Option<String>,
    /// MIME type of the track as a file.
    pub mime_type: Option<String>,
    /// Width of the picture in pixels.
    pub width: Option<u64>,
    /// Height of the picture in pixels.
    pub height: Option<u64>,
    /// Frames of video a second.
    pub framerate: Option<f64>,
    /// Bits a second, at most.
    pub bitrate: Option<u64>,
    /// Samples of sound a second.
    pub samplerate: Option<u64>,
    /// The channels of sound; a plain number is their count.
    pub channel_config: Option<String>,
    /// Its language, as BCP 47 writes it.
    pub lang: Option<String>,
    /// Decoder configuration: with [`Packaging::Loc`] WebCodecs' `description`, with [`Packaging::Cmaf`] the
    /// initialisation segment.
    pub init_data: Option<Bytes>,
    /// The track whose first object is the init data, in catalogs older than MSF.
    pub init_track: Option<String>,
    /// Milliseconds between capture and presentation that the publisher aims at.
    pub target_latency: Option<u64>,
}

/// Format of a track's objects.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Packaging {
    /// A frame, with its timestamp in the properties: see [`loc`](crate::loc).
    #[default]
    Loc,
    /// Each object is a fragment of MP4.
    Cmaf,
    /// A frame with its properties in front of it, as hang's "loc" has it: see
    /// [`split_properties`](crate::loc::split_properties).
    HangLoc,
    /// A frame with its timestamp in front of it, as hang's "legacy" has it: see
    /// [`split_timestamp`](crate::loc::split_timestamp).
    HangLegacy,
    /// Any other format, by its name.
    Other(String),
}

/// Purpose of a track.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Moving pictures, for a video decoder.
    Video,
    /// Sound, for an audio decoder.
    Audio,
    /// Any other purpose, such as `caption`.
    Other(String),
}

impl Catalog {
    /// The version that [`encode`](Self::encode) writes.
    pub const VERSION: &str = "draft-01";

    /// Encodes the catalog as JSON.
    pub fn encode(&self) -> Bytes {
        wire::encode(self)
    }

    /// Reads an MSF catalog.
    pub fn parse(json: &[u8]) -> Result<Self, Error> {
        wire::parse(read(json)?)?.bounded()
    }

    /// Reads a catalog of any kind that is known.
    pub fn parse_any(json: &[u8]) -> Result<Self, Error> {
        let value = read(json)?;
        if hang::is(&value) { hang::parse(value)?.bounded() } else { wire::parse(value)?.bounded() }
    }

    /// The track with this name.
    pub fn track(&self, name: &str) -> Option<&Track> {
        self.tracks.iter().find(|track| track.name == name)
    }

    fn bounded(self) -> Result<Self, Error> {
        match self.tracks.len() {
            count if count > MAX_TRACKS => Err(Error::TooManyTracks(count)),
            _ => Ok(self),
        }
    }
}

fn read(json: &[u8]) -> Result<serde_json::Value, Error> {
    if json.len() > MAX_LEN {
        return Err(Error::TooLong(json.len()));
    }
    Ok(serde_json::from_slice(json)?)
}

impl From<serde_json::Error> for Error {
    fn from(error: serde_json::Error) -> Self {
        Self::Json(error.to_string())
    }
}

impl Track {
    /// Returns whether it holds pictures, by its role or by its other fields.
    pub fn is_video(&self) -> bool {
        match (&self.role, &self.mime_type) {
            (Some(role), _) => *role == Role::Video,
            (None, Some(mime)) => mime.starts_with("video/"),
            (None, None) => self.width.is_some(),
        }
    }

    /// Returns whether it holds sound, by its role or by its other fields.
    pub fn is_audio(&self) -> bool {
        match (&self.role, &self.mime_type) {
            (Some(role), _) => *role == Role::Audio,
            (None, Some(mime)) => mime.starts_with("audio/"),
            (None, None) => self.width.is_none() && self.samplerate.is_some(),
        }
    }

    /// Returns the number of audio channels, if the catalog has one.
    pub fn channels(&self) -> Option<u32> {
        match self.channel_config.as_deref()? {
            "mono" => Some(1),
            "stereo" => Some(2),
            count => count.parse().ok(),
        }
    }
}

impl Packaging {
    /// Returns its name in a catalog.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Loc => "loc",
            Self::Cmaf => "cmaf",
            Self::HangLoc => "hang-loc",
            Self::HangLegacy => "legacy",
            Self::Other(name) => name,
        }
    }
}

impl From<&str> for Packaging {
    fn from(name: &str) -> Self {
        match name {
            "loc" => Self::Loc,
            "cmaf" => Self::Cmaf,
            "hang-loc" => Self::HangLoc,
            "legacy" => Self::HangLegacy,
            other => Self::Other(other.to_owned()),
        }
    }
}

impl Role {
    /// Returns its name in a catalog.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Video => "video",
            Self::Audio => "audio",
            Self::Other(name) => name,
        }
    }
}

impl From<&str> for Role {
    fn from(name: &str) -> Self {
        match name {
            "video" => Self::Video,
            "audio" => Self::Audio,
            other => Self::Other(other.to_owned()),
        }
    }
}

#[cfg(test)]
mod tests;
