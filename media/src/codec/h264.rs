//! H.264: avcC, and samples in its format.

use bytes::Bytes;
use h264_reader::nal::sps::SeqParameterSet;
use h264_reader::rbsp::{BitReader, ByteReader};
use mp4_atom::{Atom as _, Avcc, AvccExt};

use super::{Parsed, nal};
use crate::track::{Kind, TrackInfo, VideoCodec};

const IDR: u8 = 5;
const SPS: u8 = 7;
const PPS: u8 = 8;
const AUD: u8 = 9;
const FILLER: u8 = 12;

fn kind(unit: &[u8]) -> u8 {
    unit.first().map_or(0, |header| header & 0x1f)
}

/// `avc1.PPCCLL`, from the bytes that follow the version in avcC or the header in an SPS (RFC 6381 3.3).
pub(crate) fn codec_string(profile: u8, constraints: u8, level: u8) -> String {
    format!("avc1.{profile:02x}{constraints:02x}{level:02x}")
}

/// Parses an SPS, which describes the pictures.
fn sps(unit: &[u8]) -> Parsed<SeqParameterSet> {
    let bits = BitReader::new(ByteReader::skipping_h264_header(unit));
    SeqParameterSet::from_bits(bits).map_err(|error| format!("{error:?}"))
}

/// Returns a track from its avcC. `size` is the container's; the SPS's takes precedence.
pub(crate) fn track(avcc: &Avcc, size: (u32, u32), timescale: u32) -> Parsed<TrackInfo> {
    let mut description = Vec::new();
    avcc.encode_body(&mut description).map_err(|error| error.to_string())?;
    let codec =
        codec_string(avcc.avc_profile_indication, avcc.profile_compatibility, avcc.avc_level_indication);
    let sps = avcc.sequence_parameter_sets.first().and_then(|unit| sps(unit).ok());
    let size = sps.as_ref().and_then(|sps| sps.pixel_dimensions().ok()).unwrap_or(size);
    let mut info = TrackInfo::video(VideoCodec::H264, codec, size, timescale).described(description);
    if let Kind::Video { framerate, .. } = &mut info.kind {
        *framerate = sps.and_then(|sps| sps.fps()).filter(|fps| fps.is_finite() && *fps > 0.0);
    }
    Ok(info)
}

/// Converts access units in Annex B to samples for avcC.
#[derive(Debug, Default)]
pub(crate) struct AnnexB {
    described: nal::ParameterSets,
    track: Option<TrackInfo>,
}

impl AnnexB {
    /// Returns the track, once a key frame has brought its parameter sets.
    pub(crate) fn track(&self) -> Option<&TrackInfo> {
        self.track.as_ref()
    }

    /// Converts one access unit; returns the sample, and whether it is a key frame. Parameter sets that are
    /// in the description are left out; newer ones stay in the sample, so that a key frame can always be
    /// decoded by itself.
    pub(crate) fn sample(&mut self, data: &[u8], timescale: u32) -> Parsed<Option<(Bytes, bool)>> {
        let keyframe = nal::annex_b(data).any(|unit| kind(unit) == IDR);
        if self.track.is_none() {
            if !keyframe {
                return Ok(None);
            }
            for unit in nal::annex_b(data).filter(|unit| matches!(kind(unit), SPS | PPS)) {
                self.described.insert(kind(unit), parameter_set_id(unit), unit);
            }
            self.track = Some(track(&self.avcc()?, (0, 0), timescale)?);
        }
        let bytes = nal::prefix(nal::annex_b(data).filter(|unit| match kind(unit) {
            AUD | FILLER => false,
            SPS | PPS => !self.described.of(kind(unit)).any(|known| known == unit),
            _ => true,
        }));
        Ok((!bytes.is_empty()).then_some((bytes, keyframe)))
    }

    fn avcc(&self) -> Parsed<Avcc> {
        let first = self.described.of(SPS).next().ok_or("a key frame without SPS")?;
        let pps = self.described.of(PPS).next().ok_or("a key frame without PPS")?;
        let parsed = sps(first)?;
        let mut avcc = Avcc::new(first, pps).map_err(|error| error.to_string())?;
        avcc.sequence_parameter_sets = self.described.of(SPS).cloned().collect();
        avcc.picture_parameter_sets = self.described.of(PPS).cloned().collect();
        // ISO/IEC 14496-15 5.3.3.1.2: only the high profiles have these fields.
        if !matches!(avcc.avc_profile_indication, 66 | 77 | 88) {
            avcc.ext = Some(AvccExt {
                chroma_format: parsed.chroma_info.chroma_format.to_u32() as u8,
                bit_depth_luma: parsed.chroma_info.bit_depth_luma_minus8 + 8,
                bit_depth_chroma: parsed.chroma_info.bit_depth_chroma_minus8 + 8,
                sequence_parameter_sets_ext: Vec::new(),
            });
        }
        Ok(avcc)
    }
}

/// Returns the id of a parameter set: an SPS has it after profile and level, a PPS at its start.
fn parameter_set_id(unit: &[u8]) -> u8 {
    nal::first_golomb(unit, if kind(unit) == SPS { 4 } else { 1 })
}

#[cfg(test)]
mod tests {
    #[test]
    fn an_sps_that_is_cut_short_is_refused() {
        let unit = [0x67, 0x42, 0xc0, 0x1e];
        for len in 0..=unit.len() {
            assert!(super::sps(&unit[..len]).is_err(), "{len} bytes");
        }
    }
}
