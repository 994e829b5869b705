//! moov: the tracks of an initialisation segment, and their decoders' configuration.

use bytes::Bytes;
use moqt::Micros;

use super::{
    Error, MAX_TRACKS, codec,
    reader::{Name, Reader, boxes, child, descend},
};

/// Microseconds in a second.
const MICROS: i128 = 1_000_000;

/// A track of an initialisation segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Track {
    /// The number by which fragments refer to it.
    pub id: u32,
    /// The kind of media.
    pub kind: Kind,
    /// The codec string of WebCodecs.
    pub codec: String,
    /// The decoder's configuration.
    pub description: Option<Bytes>,
    /// Bytes that a key frame must begin with; they are prepended if missing.
    pub(super) prefix: Option<Bytes>,
    /// Set if its segment describes no other track.
    pub(super) alone: bool,
    pub(super) timescale: u32,
    /// Shift of presentation times against the track's own clock, in microseconds.
    pub(super) shift: i64,
    pub(super) defaults: Defaults,
}

/// The kind of media in a track.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Pictures of this size.
    Video {
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
    },
    /// Sound.
    Audio {
        /// Samples per second.
        rate: u32,
        /// Number of channels.
        channels: u32,
    },
}

/// Default values of samples that do not give their own (trex, Section 8.8.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Defaults {
    pub(super) duration: u32,
    pub(super) size: u32,
    pub(super) flags: u32,
}

/// Returns the tracks of an initialisation segment that can be played.
pub fn tracks(segment: &Bytes) -> Result<Vec<Track>, Error> {
    let moov = child(segment, *b"moov").ok_or(Error::Missing("moov"))?;
    let movie_timescale = child(moov, *b"mvhd").map_or(Ok(0), timescale)?;
    let mut tracks = Vec::new();
    let mut count = 0;
    for found in boxes(moov) {
        let found = found?;
        if found.name != *b"trak" {
            continue;
        }
        count += 1;
        if count > MAX_TRACKS {
            return Err(Error::TooManyTracks);
        }
        if let Some(track) = track(segment, found.body, movie_timescale)? {
            tracks.push(track);
        }
    }
    for track in &mut tracks {
        track.alone = count == 1;
    }
    for trex in boxes(child(moov, *b"mvex").unwrap_or_default()).filter_map(Result::ok) {
        if trex.name == *b"trex" {
            let (id, defaults) = self::defaults(trex.body)?;
            for track in tracks.iter_mut().filter(|track| track.id == id) {
                track.defaults = defaults;
            }
        }
    }
    Ok(tracks)
}

fn track(segment: &Bytes, trak: &[u8], movie_timescale: u32) -> Result<Option<Track>, Error> {
    let mdia = child(trak, *b"mdia").ok_or(Error::Missing("mdia"))?;
    let timescale = timescale(child(mdia, *b"mdhd").ok_or(Error::Missing("mdhd"))?)?;
    let stsd = descend(mdia, &[*b"minf", *b"stbl", *b"stsd"]).ok_or(Error::Missing("stsd"))?;
    let entries = stsd.get(8..).ok_or(Error::Truncated("stsd"))?;
    let Some(entry) = boxes(entries).next().transpose()? else { return Ok(None) };
    let Some(described) = sample_entry(segment, entry.name, entry.body)? else { return Ok(None) };
    let Described { kind, codec, description, prefix } = described;
    let shift = edits(descend(trak, &[*b"edts", *b"elst"]), movie_timescale, timescale)?;
    let id = track_id(child(trak, *b"tkhd").ok_or(Error::Missing("tkhd"))?)?;
    let defaults = Defaults::default();
    Ok(Some(Track { id, kind, codec, description, prefix, alone: false, timescale, shift, defaults }))
}

/// The content of a sample entry.
struct Described {
    kind: Kind,
    codec: String,
    description: Option<Bytes>,
    prefix: Option<Bytes>,
}

fn sample_entry(segment: &Bytes, name: Name, body: &[u8]) -> Result<Option<Described>, Error> {
    /// Offset of the size in a visual sample entry (Section 12.1.3); its boxes follow.
    const SIZE: usize = 24;
    const VISUAL: usize = 78;
    /// Offset of the channel count in an audio sample entry (Section 12.2.3).
    const CHANNELS: usize = 16;
    const AUDIO: usize = 28;
    let part = |from: usize| body.get(from..).ok_or(Error::Truncated("a sample entry"));
    let slice = |bytes: &[u8]| segment.slice_ref(bytes);
    let bare = |kind, codec| Described { kind, codec, description: None, prefix: None };
    let inner = |at, name: Name, what| child(part(at)?, name).ok_or(Error::Missing(what));
    let visual = || {
        let mut reader = Reader::new(part(SIZE)?, "a sample entry");
        Ok(Kind::Video { width: reader.u16()?.into(), height: reader.u16()?.into() })
    };
    let sound = || {
        let mut reader = Reader::new(part(CHANNELS)?, "a sample entry");
        let channels = reader.u16()?.into();
        reader.take(6)?;
        // The rate is in 16.16 fixed point.
        Ok(Kind::Audio { rate: reader.u32()? >> 16, channels })
    };
    let described = match &name {
        b"avc1" | b"avc3" => {
            let config = inner(VISUAL, *b"avcC", "avcC")?;
            let description = Some(slice(config));
            Described { description, ..bare(visual()?, codec::h264(name, config)?) }
        }
        b"hvc1" | b"hev1" => {
            let config = inner(VISUAL, *b"hvcC", "hvcC")?;
            let description = Some(slice(config));
            Described { description, ..bare(visual()?, codec::h265(name, config)?) }
        }
        b"av01" => {
            let config = inner(VISUAL, *b"av1C", "av1C")?;
            let (codec, header) = codec::av1(config)?;
            Described { prefix: Some(slice(header)), ..bare(visual()?, codec) }
        }
        b"vp08" => bare(visual()?, "vp8".into()),
        b"vp09" => bare(visual()?, codec::vp9(inner(VISUAL, *b"vpcC", "vpcC")?)?),
        b"mp4a" => match codec::aac(inner(AUDIO, *b"esds", "esds")?)? {
            Some((codec, config)) => Described { description: Some(slice(config)), ..bare(sound()?, codec) },
            None => return Ok(None),
        },
        b"Opus" => {
            let (channels, head) = codec::opus(inner(AUDIO, *b"dOps", "dOps")?)?;
            let kind = Kind::Audio { rate: codec::OPUS_RATE, channels };
            Described { description: head.map(Bytes::from), ..bare(kind, "opus".into()) }
        }
        _ => return Ok(None),
    };
    Ok(Some(described))
}

/// Returns the timescale of an mdhd or an mvhd, which start alike.
fn timescale(header: &[u8]) -> Result<u32, Error> {
    let mut reader = Reader::new(header, "mdhd");
    let (version, _) = reader.version_and_flags()?;
    reader.time(version)?;
    reader.time(version)?;
    match reader.u32()? {
        0 => Err(Error::Malformed("a timescale of 0")),
        timescale => Ok(timescale),
    }
}

fn track_id(tkhd: &[u8]) -> Result<u32, Error> {
    let mut reader = Reader::new(tkhd, "tkhd");
    let (version, _) = reader.version_and_flags()?;
    reader.time(version)?;
    reader.time(version)?;
    reader.u32()
}

fn defaults(trex: &[u8]) -> Result<(u32, Defaults), Error> {
    let mut reader = Reader::new(trex, "trex");
    reader.version_and_flags()?;
    let id = reader.u32()?;
    reader.u32()?;
    Ok((id, Defaults { duration: reader.u32()?, size: reader.u32()?, flags: reader.u32()? }))
}

/// Returns the shift that an edit list gives a track, in microseconds: a pause before it, less the part skipped at its
/// start.
fn edits(elst: Option<&[u8]>, movie_timescale: u32, timescale: u32) -> Result<i64, Error> {
    let Some(elst) = elst else { return Ok(0) };
    let mut reader = Reader::new(elst, "elst");
    let (version, _) = reader.version_and_flags()?;
    let count = reader.u32()?;
    let mut shift = 0i64;
    for _ in 0..count {
        let duration = reader.time(version)?;
        let time = reader.time(version)?;
        reader.u32()?;
        let time = if version == 0 { i64::from(time as u32 as i32) } else { time as i64 };
        if time >= 0 {
            return Ok(shift.saturating_sub(micros(time.into(), timescale)));
        }
        shift = shift.saturating_add(micros(duration.into(), movie_timescale));
    }
    Ok(shift)
}

/// Converts ticks to microseconds; 0 where there is no clock.
fn micros(ticks: i128, timescale: u32) -> i64 {
    let micros = ticks * MICROS / i128::from(timescale.max(1));
    i64::try_from(micros).unwrap_or(if micros < 0 { i64::MIN } else { i64::MAX })
}

impl Track {
    /// Returns the presentation time of a tick of the track.
    pub(super) fn time(&self, ticks: i128) -> Micros {
        let shown = micros(ticks, self.timescale).saturating_add(self.shift);
        Micros(u64::try_from(shown).unwrap_or_default())
    }

    /// Returns whether it holds pictures.
    pub fn is_video(&self) -> bool {
        matches!(self.kind, Kind::Video { .. })
    }
}
