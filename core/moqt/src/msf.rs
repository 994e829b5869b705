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
/// What programs that speak moq-dev's "hang" call that track.
pub const TRACK_HANG: &str = "catalog.json";
/// What programs that speak the common catalog format call that track.
pub const TRACK_COMMON: &str = ".catalog";

/// Bytes of a catalog, at most.
pub const MAX_LEN: usize = 1 << 20;
/// Tracks in a catalog, at most.
pub const MAX_TRACKS: usize = 256;

/// Not a catalog, or not one that can be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// More than anybody needs.
    #[error("a catalog of {0} bytes: at most {MAX_LEN} are read")]
    TooLong(usize),
    /// More than anybody needs.
    #[error("a catalog of {0} tracks: at most {MAX_TRACKS} are read")]
    TooManyTracks(usize),
    /// Not JSON, or without what a catalog must have.
    #[error("not a catalog: {0}")]
    Json(String),
    /// Of a version that means something else.
    #[error("a catalog of version {0}: 1 and \"draft-…\" are understood")]
    Version(String),
    /// A change to a catalog, where a whole one is needed.
    #[error("a catalog that only says what changed; one that stands alone is needed")]
    Delta,
    /// The initialisation data of a track cannot be had.
    #[error("track {track:?}: {why}")]
    InitData {
        /// The track.
        track: String,
        /// Why not.
        why: &'static str,
    },
}

/// The tracks of a broadcast at one time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Catalog {
    /// When it was made, in milliseconds since the UNIX epoch.
    pub generated_at: Option<u64>,
    /// Whether the broadcast is over: nothing will be added to any track.
    pub is_complete: bool,
    /// The tracks, the preferred ones first.
    pub tracks: Vec<Track>,
}

/// One track of a broadcast.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Track {
    /// Its name.
    pub name: String,
    /// Its namespace, if it is not that of the catalog.
    pub namespace: Option<String>,
    /// What its objects hold.
    pub packaging: Packaging,
    /// Whether objects will be added.
    pub is_live: bool,
    /// What it is for.
    pub role: Option<Role>,
    /// What people should read.
    pub label: Option<String>,
    /// Tracks with the same number are shown together, and their groups start at the same times.
    pub render_group: Option<u64>,
    /// Tracks with the same number are the same content in different renditions.
    pub alt_group: Option<u64>,
    /// As WebCodecs writes it, such as `avc1.42c01f`.
    pub codec: Option<String>,
    /// What a file of it would be.
    pub mime_type: Option<String>,
    /// Pixels across.
    pub width: Option<u64>,
    /// Pixels down.
    pub height: Option<u64>,
    /// Frames a second.
    pub framerate: Option<f64>,
    /// Bits a second.
    pub bitrate: Option<u64>,
    /// Samples of sound a second.
    pub samplerate: Option<u64>,
    /// The channels of sound; a plain number is their count.
    pub channel_config: Option<String>,
    /// Its language, as BCP 47 writes it.
    pub lang: Option<String>,
    /// What a decoder must know: with [`Packaging::Loc`] what WebCodecs calls the
    /// description, with [`Packaging::Cmaf`] the initialisation segment.
    pub init_data: Option<Bytes>,
    /// The track whose first object is that, in catalogs that came before MSF.
    pub init_track: Option<String>,
    /// How many milliseconds after it was made it should be shown.
    pub target_latency: Option<u64>,
}

/// What the objects of a track hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Packaging {
    /// A frame, with its timestamp in the properties: see [`loc`](crate::loc).
    #[default]
    Loc,
    /// A fragment of MP4.
    Cmaf,
    /// A frame with its properties in front of it, as hang's "loc" has it: see
    /// [`split_properties`](crate::loc::split_properties).
    HangLoc,
    /// A frame with its timestamp in front of it, as hang's "legacy" has it: see
    /// [`split_timestamp`](crate::loc::split_timestamp).
    HangLegacy,
    /// Something else.
    Other(String),
}

/// What a track is for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Pictures.
    Video,
    /// Sound.
    Audio,
    /// Something else, such as `caption`.
    Other(String),
}

impl Catalog {
    /// The version that [`encode`](Self::encode) writes.
    pub const VERSION: &str = "draft-01";

    /// The catalog as JSON.
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
    /// Whether it holds pictures: it says so, or it can be seen.
    pub fn is_video(&self) -> bool {
        match (&self.role, &self.mime_type) {
            (Some(role), _) => *role == Role::Video,
            (None, Some(mime)) => mime.starts_with("video/"),
            (None, None) => self.width.is_some(),
        }
    }

    /// Whether it holds sound: it says so, or it can be seen.
    pub fn is_audio(&self) -> bool {
        match (&self.role, &self.mime_type) {
            (Some(role), _) => *role == Role::Audio,
            (None, Some(mime)) => mime.starts_with("audio/"),
            (None, None) => self.width.is_none() && self.samplerate.is_some(),
        }
    }

    /// How many channels of sound there are, if that is told.
    pub fn channels(&self) -> Option<u32> {
        match self.channel_config.as_deref()? {
            "mono" => Some(1),
            "stereo" => Some(2),
            count => count.parse().ok(),
        }
    }
}

impl Packaging {
    /// What a catalog calls it.
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
    /// What a catalog calls it.
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
