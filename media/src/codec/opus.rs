//! Opus: the duration of a packet, and the header that a decoder of more than two channels needs.

use mp4_atom::Dops;

use crate::Micros;
use crate::track::{AudioCodec, TrackInfo};

/// Opus always counts in 48 kHz.
pub(crate) const SAMPLE_RATE: u32 = 48_000;

/// Returns a track. WebCodecs needs an `OpusHead` (RFC 7845 5.1) only if channels are mapped.
pub(crate) fn track(head: &[u8], channels: u32, timescale: u32) -> TrackInfo {
    let info = TrackInfo::audio(AudioCodec::Opus, "opus".into(), (SAMPLE_RATE, channels), timescale);
    if channels > 2 && head.starts_with(b"OpusHead") { info.described(head.to_vec()) } else { info }
}

/// Converts MP4's `dOps` to an `OpusHead`.
pub(crate) fn head(dops: &Dops) -> Vec<u8> {
    let mut head = b"OpusHead\x01".to_vec();
    head.push(dops.output_channel_count);
    head.extend(dops.pre_skip.to_le_bytes());
    head.extend(dops.input_sample_rate.to_le_bytes());
    head.extend(dops.output_gain.to_le_bytes());
    match &dops.channel_mapping {
        None => head.push(0),
        Some(mapping) => {
            head.extend([mapping.family, mapping.stream_count, mapping.coupled_count]);
            head.extend(&mapping.channel_mapping);
        }
    }
    head
}

/// Returns the duration of a packet (RFC 6716 3.1).
pub(crate) fn duration(packet: &[u8]) -> Option<Micros> {
    let toc = *packet.first()?;
    let frame = match toc >> 3 {
        config @ 0..12 => [10_000, 20_000, 40_000, 60_000][usize::from(config & 3)],
        config @ 12..16 => [10_000, 20_000][usize::from(config & 1)],
        config => [2_500, 5_000, 10_000, 20_000][usize::from(config & 3)],
    };
    let frames = match toc & 3 {
        0 => 1,
        1 | 2 => 2,
        _ => u64::from(packet.get(1)? & 0x3f),
    };
    Some(Micros(frame * frames))
}
