//! Codec configurations: the RFC 6381 name of each, and the part that WebCodecs takes.

use std::fmt::Write as _;

use super::{
    Error,
    reader::{Name, Reader},
};

/// Opus always counts in 48 kHz.
pub(super) const OPUS_RATE: u32 = 48_000;

/// Returns `avc1.42c01f`: profile, constraints and level of an avcC (ISO/IEC 14496-15, Section 5.3.3).
pub(super) fn h264(name: Name, avcc: &[u8]) -> Result<String, Error> {
    let [_, profile, constraints, level, ..] = avcc else { return Err(Error::Truncated("avcC")) };
    Ok(format!("{}.{profile:02x}{constraints:02x}{level:02x}", text(&name)))
}

/// Returns `hvc1.1.6.L93.B0` of an hvcC (ISO/IEC 14496-15, Annex E.3).
pub(super) fn h265(name: Name, hvcc: &[u8]) -> Result<String, Error> {
    let mut reader = Reader::new(hvcc, "hvcC");
    reader.u8()?;
    let first = reader.u8()?;
    let compatibility = reader.u32()?.reverse_bits();
    let constraints: [u8; 6] = reader.array()?;
    let level = reader.u8()?;
    let space = ["", "A", "B", "C"][usize::from(first >> 6)];
    let tier = if first & 0x20 == 0 { 'L' } else { 'H' };
    let mut codec = format!("{}.{space}{}.{compatibility:X}.{tier}{level}", text(&name), first & 0x1f);
    let used = constraints.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    for byte in &constraints[..used] {
        let _ = write!(codec, ".{byte:X}");
    }
    Ok(codec)
}

/// Returns `av01.0.04M.08` of an av1C (AV1-ISOBMFF, Section 2.3.3), and the sequence header in it.
pub(super) fn av1(av1c: &[u8]) -> Result<(String, &[u8]), Error> {
    let [_, profile_level, flags, _, header @ ..] = av1c else { return Err(Error::Truncated("av1C")) };
    let tier = if flags & 0x80 == 0 { 'M' } else { 'H' };
    let depth = match (flags & 0x40 != 0, flags & 0x20 != 0) {
        (false, _) => 8,
        (true, false) => 10,
        (true, true) => 12,
    };
    let (profile, level) = (profile_level >> 5, profile_level & 0x1f);
    Ok((format!("av01.{profile}.{level:02}{tier}.{depth:02}"), header))
}

/// Returns whether a temporal unit of AV1 starts with its sequence header, maybe after a temporal delimiter, which is
/// empty.
pub(super) fn has_sequence_header(unit: &[u8]) -> bool {
    const SEQUENCE_HEADER: u8 = 1;
    const TEMPORAL_DELIMITER: u8 = 2;
    let kind = |header: u8| header >> 3 & 0xf;
    match unit {
        [first, _, second, ..] if kind(*first) == TEMPORAL_DELIMITER => kind(*second) == SEQUENCE_HEADER,
        [first, ..] => kind(*first) == SEQUENCE_HEADER,
        [] => false,
    }
}

/// Returns `vp09.00.10.08` of a vpcC (VP Codec ISO Media File Format Binding).
pub(super) fn vp9(vpcc: &[u8]) -> Result<String, Error> {
    let mut reader = Reader::new(vpcc, "vpcC");
    reader.version_and_flags()?;
    let (profile, level, depth) = (reader.u8()?, reader.u8()?, reader.u8()? >> 4);
    Ok(format!("vp09.{profile:02}.{level:02}.{depth:02}"))
}

/// Returns `mp4a.40.2` of an esds (ISO/IEC 14496-1, Section 7.2.6), and its AudioSpecificConfig; `None` if it is not
/// AAC.
pub(super) fn aac(esds: &[u8]) -> Result<Option<(String, &[u8])>, Error> {
    const ES: u8 = 3;
    const DECODER_CONFIG: u8 = 4;
    const DECODER_SPECIFIC: u8 = 5;
    const AAC: u8 = 0x40;
    let mut reader = Reader::new(esds, "esds");
    reader.version_and_flags()?;
    let mut es = descriptor(reader.rest(), ES)?;
    es.u16()?;
    let flags = es.u8()?;
    if flags & 0x80 != 0 {
        es.u16()?;
    }
    if flags & 0x40 != 0 {
        let url = es.u8()?;
        es.take(url.into())?;
    }
    if flags & 0x20 != 0 {
        es.u16()?;
    }
    let mut config = descriptor(es.rest(), DECODER_CONFIG)?;
    if config.u8()? != AAC {
        return Ok(None);
    }
    config.take(12)?;
    let specific = descriptor(config.rest(), DECODER_SPECIFIC)?.rest();
    let [first, rest @ ..] = specific else { return Err(Error::Truncated("esds")) };
    let object_type = match first >> 3 {
        31 => 32 + (first << 3 & 0x38 | rest.first().ok_or(Error::Truncated("esds"))? >> 5),
        object_type => object_type,
    };
    Ok(Some((format!("mp4a.40.{object_type}"), specific)))
}

/// Returns the body of a descriptor: its tag, then its length in up to four bytes of seven bits.
fn descriptor(data: &[u8], tag: u8) -> Result<Reader<'_>, Error> {
    let mut reader = Reader::new(data, "esds");
    if reader.u8()? != tag {
        return Err(Error::Missing("descriptor of the decoder"));
    }
    let mut len = 0usize;
    for _ in 0..4 {
        let byte = reader.u8()?;
        len = len << 7 | usize::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            break;
        }
    }
    Ok(Reader::new(reader.take(len)?, "esds"))
}

/// Returns the channels of a dOps, and the `OpusHead` (RFC 7845, Section 5.1) with the same content, which WebCodecs
/// needs for more than two channels.
pub(super) fn opus(dops: &[u8]) -> Result<(u32, Option<Vec<u8>>), Error> {
    let mut reader = Reader::new(dops, "dOps");
    reader.u8()?;
    let channels = reader.u8()?;
    if channels <= 2 {
        return Ok((channels.into(), None));
    }
    let mut head = b"OpusHead\x01".to_vec();
    head.push(channels);
    head.extend(reader.u16()?.to_le_bytes());
    head.extend(reader.u32()?.to_le_bytes());
    head.extend(reader.u16()?.to_le_bytes());
    // The channel mapping is the same in both.
    head.extend(reader.rest());
    Ok((channels.into(), Some(head)))
}

fn text(name: &[u8]) -> &str {
    std::str::from_utf8(name).unwrap_or_default()
}
