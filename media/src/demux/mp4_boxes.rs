//! The parts that fragmented and progressive MP4 share: boxes, and the tracks in moov.

use bytes::Bytes;
use mp4_atom::{Atom as _, Codec, Moov, Trak, Trex};

use super::source::Source;
use crate::codec::{Parsed, aac, av1, h264, h265, opus, vp9};
use crate::track::VideoCodec;
use crate::{Error, Micros, Result, TrackInfo};

/// The header of a box.
#[derive(Debug, Clone)]
pub(super) struct Header {
    pub(super) kind: [u8; 4],
    /// Offset of the box in the input.
    pub(super) at: u64,
    /// The header's bytes, unchanged.
    pub(super) raw: Vec<u8>,
    /// Bytes after the header; `None` if the box extends to the end of the input.
    pub(super) body: Option<u64>,
}

impl Header {
    /// Reads a header; `None` at the end of the input.
    pub(super) fn read(source: &mut Source) -> Result<Option<Self>> {
        let at = source.offset();
        let mut raw = source.take(8)?;
        let truncated = |at| Error::Truncated { what: "a box header".into(), at };
        let Some((size, kind)) = raw.split_first_chunk::<4>() else {
            return if raw.is_empty() { Ok(None) } else { Err(truncated(source.offset())) };
        };
        let kind: [u8; 4] = kind.try_into().map_err(|_| truncated(source.offset()))?;
        let size = match u32::from_be_bytes(*size) {
            0 => None,
            1 => {
                let large = source.take_all(8, "a box header")?;
                raw.extend_from_slice(&large);
                Some(large.iter().fold(0u64, |size, byte| size << 8 | u64::from(*byte)))
            }
            size => Some(size.into()),
        };
        let mut header = Self { kind, at, raw, body: None };
        if let Some(size) = size {
            let body = size.checked_sub(header.raw.len() as u64);
            header.body = Some(body.ok_or_else(|| header.malformed("it is smaller than its own header"))?);
        }
        Ok(Some(header))
    }

    pub(super) fn name(&self) -> String {
        self.kind.escape_ascii().to_string()
    }

    pub(super) fn malformed(&self, why: impl ToString) -> Error {
        Error::Malformed { what: self.name(), at: self.at, why: why.to_string() }
    }

    /// Returns the size of the body, if it is known and not over the limit.
    pub(super) fn bounded(&self, limit: u64) -> Result<u64> {
        match self.body {
            None => Err(self.malformed("its size is not known")),
            Some(size) if size > limit => {
                Err(Error::TooLarge { what: self.name(), at: self.at, size, limit })
            }
            Some(size) => Ok(size),
        }
    }

    /// Returns the offset of the next box.
    pub(super) fn end(&self) -> Option<u64> {
        Some(self.at.saturating_add(self.raw.len() as u64).saturating_add(self.body?))
    }
}

/// A track of moov that can be published.
pub(super) struct Track {
    pub(super) info: TrackInfo,
    pub(super) trak: Trak,
    pub(super) trex: Trex,
    /// Offset from the track's media timeline to the one that all tracks share.
    shift: Micros,
    av1: Option<av1::Config>,
}

/// Times of a sample, in ticks of its track.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ticks {
    pub(super) decode: u64,
    pub(super) composition: i64,
    pub(super) duration: u32,
}

/// Times of a sample on the shared timeline.
#[derive(Debug, Clone, Copy)]
pub(super) struct Times {
    pub(super) pts: Micros,
    pub(super) dts: Micros,
    pub(super) duration: Micros,
}

impl Track {
    pub(super) fn times(&self, ticks: Ticks) -> Times {
        let micros = |ticks| Micros::from_ticks(ticks, self.info.timescale);
        let dts = micros(ticks.decode);
        Times {
            pts: micros(ticks.decode.saturating_add_signed(ticks.composition)) + self.shift,
            dts: dts + self.shift,
            duration: micros(ticks.decode.saturating_add(ticks.duration.into())) - dts,
        }
    }

    pub(super) fn sample(&self, data: Bytes, keyframe: bool) -> Bytes {
        match &self.av1 {
            Some(config) => config.sample(data, keyframe),
            None => data,
        }
    }
}

pub(super) fn tracks(moov: &Moov) -> Parsed<Vec<Track>> {
    let mut tracks = Vec::new();
    let mut shifts = Vec::new();
    for trak in &moov.trak {
        let Some((info, av1)) = track(trak)? else { continue };
        let trex =
            moov.mvex.iter().flat_map(|mvex| &mvex.trex).find(|trex| trex.track_id == trak.tkhd.track_id);
        shifts.push(edits(trak, moov.mvhd.timescale));
        tracks.push(Track {
            info,
            trak: trak.clone(),
            trex: trex.cloned().unwrap_or_default(),
            shift: Micros::ZERO,
            av1,
        });
    }
    // Edit lists may put the start of a track before zero; all tracks move by the same amount until none
    // does.
    let earliest = shifts.iter().copied().min().unwrap_or(0).min(0);
    for (track, shift) in tracks.iter_mut().zip(shifts) {
        track.shift = Micros(shift.saturating_sub(earliest).unsigned_abs());
    }
    Ok(tracks)
}

/// Returns the microseconds by which the edit list moves a track: a pause before it, less the part that it
/// skips at its start.
fn edits(trak: &Trak, movie_timescale: u32) -> i64 {
    let mut shift = 0i64;
    let signed = |micros: Micros| i64::try_from(micros.0).unwrap_or(i64::MAX);
    for entry in trak.edts.iter().flat_map(|edts| &edts.elst).flat_map(|elst| &elst.entries) {
        match entry.media_time {
            None => {
                let pause = Micros::from_ticks(entry.segment_duration, movie_timescale);
                shift = shift.saturating_add(signed(pause));
            }
            Some(time) => {
                return shift.saturating_sub(signed(Micros::from_ticks(time, trak.mdia.mdhd.timescale)));
            }
        }
    }
    shift
}

fn track(trak: &Trak) -> Parsed<Option<(TrackInfo, Option<av1::Config>)>> {
    let timescale = trak.mdia.mdhd.timescale.max(1);
    let Some(codec) = trak.mdia.minf.stbl.stsd.codecs.first() else { return Ok(None) };
    let size = codec.visual().map_or((0, 0), |visual| (visual.width.into(), visual.height.into()));
    let renamed =
        |info: TrackInfo, from, to| TrackInfo { codec_string: info.codec_string.replace(from, to), ..info };
    let (mut av1, mut bitrate) = (None, None);
    let mut info = match codec {
        Codec::Avc1(entry) => h264::track(&entry.avcc, size, timescale)?,
        Codec::Avc3(entry) => renamed(h264::track(&entry.avcc, size, timescale)?, "avc1", "avc3"),
        Codec::Hvc1(entry) => h265::track(&entry.hvcc, size, timescale)?,
        Codec::Hev1(entry) => renamed(h265::track(&entry.hvcc, size, timescale)?, "hvc1", "hev1"),
        Codec::Vp09(entry) => {
            let name = vp9::codec_string(entry.vpcc.profile, entry.vpcc.level, entry.vpcc.bit_depth);
            TrackInfo::video(VideoCodec::Vp9, name, size, timescale)
        }
        Codec::Av01(entry) => {
            let mut record = Vec::new();
            entry.av1c.encode_body(&mut record).map_err(|error| error.to_string())?;
            let config = av1::Config::parse(&record)?;
            let info = TrackInfo::video(VideoCodec::Av1, config.codec_string.clone(), size, timescale);
            av1 = Some(config);
            info
        }
        Codec::Opus(entry) => {
            opus::track(&opus::head(&entry.dops), entry.dops.output_channel_count.into(), timescale)
        }
        Codec::Mp4a(entry) => {
            let config = &entry.esds.es_desc.dec_config;
            bitrate = Some(config.avg_bitrate);
            match &config.dec_specific {
                Some(specific) if config.object_type_indication == 0x40 => {
                    aac::track(&specific.raw, timescale)?
                }
                _ => return Ok(None),
            }
        }
        _ => return Ok(None),
    };
    info.bitrate = bitrate.filter(|bits| *bits > 0).map(u64::from);
    info.lang = Some(&trak.mdia.mdhd.language).filter(|lang| *lang != "und" && !lang.is_empty()).cloned();
    Ok(Some((info, av1)))
}
