//! H.265: hvcC, and samples in its format.

use std::fmt::Write as _;
use std::num::NonZeroUsize;

use bytes::Bytes;
use h264_reader::rbsp::{BitRead as _, BitReader, ByteReader};
use mp4_atom::{Atom as _, HvcCArray, Hvcc};

use super::{Parsed, nal};
use crate::track::{TrackInfo, VideoCodec};

const VPS: u8 = 32;
const SPS: u8 = 33;
const PPS: u8 = 34;
const AUD: u8 = 35;
const FILLER: u8 = 38;

fn kind(unit: &[u8]) -> u8 {
    unit.first().map_or(0, |header| header >> 1 & 0x3f)
}

/// Returns whether a NAL unit type is an IRAP picture (H.265 table 7-1).
fn is_key(kind: u8) -> bool {
    (16..=23).contains(&kind)
}

/// Values of an SPS that hvcC needs (H.265 7.3.2.2).
struct Sps {
    profile_tier_level: [u8; 12],
    sub_layers: u8,
    nested: bool,
    chroma_format: u8,
    bit_depth_luma_minus8: u8,
    bit_depth_chroma_minus8: u8,
    size: (u32, u32),
}

impl Sps {
    fn parse(unit: &[u8]) -> Parsed<Self> {
        let header = NonZeroUsize::new(2).ok_or("no header")?;
        let mut bits = BitReader::new(ByteReader::skipping_bytes(unit, header));
        Self::read(&mut bits).map_err(|error| format!("SPS: {error:?}"))
    }

    fn read<R: std::io::BufRead + Clone>(
        bits: &mut BitReader<R>,
    ) -> Result<Self, h264_reader::rbsp::BitReaderError> {
        bits.read::<4, u8>("sps_video_parameter_set_id")?;
        let sub_layers_minus1: u8 = bits.read::<3, u8>("sps_max_sub_layers_minus1")?;
        let nested = bits.read_bit("sps_temporal_id_nesting_flag")?;
        let profile_tier_level = bits.read_to("general_profile_tier_level")?;
        let mut below = 0;
        for _ in 0..sub_layers_minus1 {
            below += 88 * u32::from(bits.read_bit("sub_layer_profile_present_flag")?);
            below += 8 * u32::from(bits.read_bit("sub_layer_level_present_flag")?);
        }
        if sub_layers_minus1 > 0 {
            below += 2 * (8 - u32::from(sub_layers_minus1));
        }
        bits.skip(below, "sub_layers")?;
        bits.read_ue("sps_seq_parameter_set_id")?;
        let chroma_format = bits.read_ue("chroma_format_idc")?.min(3);
        if chroma_format == 3 {
            bits.read_bit("separate_colour_plane_flag")?;
        }
        let (mut width, mut height) =
            (bits.read_ue("pic_width_in_luma_samples")?, bits.read_ue("pic_height_in_luma_samples")?);
        if bits.read_bit("conformance_window_flag")? {
            let [x, y] = [1 + u32::from(matches!(chroma_format, 1 | 2)), 1 + u32::from(chroma_format == 1)];
            for (side, unit) in [(&mut width, x), (&mut height, y)] {
                let cropped =
                    bits.read_ue("conf_win_offset")?.saturating_add(bits.read_ue("conf_win_offset")?);
                *side = side.saturating_sub(cropped.saturating_mul(unit));
            }
        }
        Ok(Self {
            profile_tier_level,
            sub_layers: sub_layers_minus1 + 1,
            nested,
            chroma_format: chroma_format as u8,
            bit_depth_luma_minus8: bits.read_ue("bit_depth_luma_minus8")?.min(8) as u8,
            bit_depth_chroma_minus8: bits.read_ue("bit_depth_chroma_minus8")?.min(8) as u8,
            size: (width, height),
        })
    }
}

/// Returns `hvc1.1.6.L93.B0` or the like (ISO/IEC 14496-15 annex E.3).
pub(crate) fn codec_string(hvcc: &Hvcc) -> String {
    let space = ["", "A", "B", "C"][usize::from(hvcc.general_profile_space & 3)];
    let compatibility = u32::from_be_bytes(hvcc.general_profile_compatibility_flags).reverse_bits();
    let tier = if hvcc.general_tier_flag { 'H' } else { 'L' };
    let mut name = format!(
        "hvc1.{space}{}.{compatibility:X}.{tier}{}",
        hvcc.general_profile_idc, hvcc.general_level_idc
    );
    let constraints = &hvcc.general_constraint_indicator_flags;
    let used = constraints.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    for byte in &constraints[..used] {
        let _ = write!(name, ".{byte:X}");
    }
    name
}

/// Returns a track from its hvcC. `size` is the container's; the SPS's takes precedence.
pub(crate) fn track(hvcc: &Hvcc, size: (u32, u32), timescale: u32) -> Parsed<TrackInfo> {
    let mut description = Vec::new();
    hvcc.encode_body(&mut description).map_err(|error| error.to_string())?;
    let sps =
        hvcc.arrays.iter().filter(|array| array.nal_unit_type == SPS).flat_map(|array| &array.nalus).next();
    let size = sps.and_then(|unit| Sps::parse(unit).ok()).map_or(size, |sps| sps.size);
    Ok(TrackInfo::video(VideoCodec::H265, codec_string(hvcc), size, timescale).described(description))
}

/// Converts access units in Annex B to samples for hvcC.
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

    /// Converts one access unit, as [`super::h264::AnnexB::sample`] does.
    pub(crate) fn sample(&mut self, data: &[u8], timescale: u32) -> Parsed<Option<(Bytes, bool)>> {
        let keyframe = nal::annex_b(data).any(|unit| is_key(kind(unit)));
        if self.track.is_none() {
            if !keyframe {
                return Ok(None);
            }
            for unit in nal::annex_b(data).filter(|unit| matches!(kind(unit), VPS | SPS | PPS)) {
                self.described.insert(kind(unit), parameter_set_id(unit), unit);
            }
            self.track = Some(track(&self.hvcc()?, (0, 0), timescale)?);
        }
        let bytes = nal::prefix(nal::annex_b(data).filter(|unit| match kind(unit) {
            AUD | FILLER => false,
            VPS | SPS | PPS => !self.described.of(kind(unit)).any(|known| known == unit),
            _ => true,
        }));
        Ok((!bytes.is_empty()).then_some((bytes, keyframe)))
    }

    fn hvcc(&self) -> Parsed<Hvcc> {
        let sps = Sps::parse(self.described.of(SPS).next().ok_or("a key frame without SPS")?)?;
        let [flags, a, b, c, d, constraints @ .., level] = sps.profile_tier_level;
        let arrays = [VPS, SPS, PPS].map(|kind| HvcCArray {
            completeness: true,
            nal_unit_type: kind,
            nalus: self.described.of(kind).cloned().collect(),
        });
        Ok(Hvcc {
            general_profile_space: flags >> 6,
            general_tier_flag: flags & 0x20 != 0,
            general_profile_idc: flags & 0x1f,
            general_profile_compatibility_flags: [a, b, c, d],
            general_constraint_indicator_flags: constraints,
            general_level_idc: level,
            chroma_format_idc: sps.chroma_format,
            bit_depth_luma_minus8: sps.bit_depth_luma_minus8,
            bit_depth_chroma_minus8: sps.bit_depth_chroma_minus8,
            num_temporal_layers: sps.sub_layers,
            temporal_id_nested: sps.nested,
            length_size_minus_one: 3,
            arrays: arrays.into_iter().filter(|array| !array.nalus.is_empty()).collect(),
            ..Hvcc::new()
        })
    }
}

/// Returns the id of a parameter set: a VPS has it in the first four bits, a PPS at its start. Live streams
/// have one SPS only.
fn parameter_set_id(unit: &[u8]) -> u8 {
    match kind(unit) {
        VPS => unit.get(2).map_or(0, |byte| byte >> 4),
        PPS => nal::first_golomb(unit, 2),
        _ => 0,
    }
}
