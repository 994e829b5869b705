//! AAC: `AudioSpecificConfig` and ADTS.

use super::Parsed;
use crate::track::{AudioCodec, TrackInfo};

const SAMPLE_RATES: [u32; 13] =
    [96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350];

/// Samples in an AAC frame.
pub(crate) const FRAME: u32 = 1024;

/// Returns a track from its `AudioSpecificConfig` (ISO/IEC 14496-3 1.6.2.1).
pub(crate) fn track(config: &[u8], timescale: u32) -> Parsed<TrackInfo> {
    let bits =
        config.iter().chain([0; 8].iter()).take(8).fold(0u64, |bits, byte| bits << 8 | u64::from(*byte));
    let take = |at: u32, len: u32| (bits << at >> (64 - len)) as u32;
    if config.len() < 2 {
        return Err("AudioSpecificConfig is too short".into());
    }
    let (object, at) = match take(0, 5) {
        31 => (32 + take(5, 6), 11),
        object => (object, 5),
    };
    let (rate, at) = match take(at, 4) {
        15 => (take(at + 4, 24), at + 28),
        index => (
            *SAMPLE_RATES.get(index as usize).ok_or("AudioSpecificConfig has a reserved sample rate")?,
            at + 4,
        ),
    };
    let channels = match take(at, 4) {
        7 => 8,
        0 => 2,
        channels => channels,
    };
    Ok(TrackInfo::audio(AudioCodec::Aac, format!("mp4a.40.{object}"), (rate, channels), timescale)
        .described(config.to_vec()))
}

/// One ADTS frame: its raw access unit and its header's values.
pub(crate) struct Adts<'a> {
    pub(crate) config: [u8; 2],
    pub(crate) sample_rate: u32,
    pub(crate) unit: &'a [u8],
}

/// Takes one ADTS frame off the front of `data`. Returns `Ok(None)` if it is incomplete.
pub(crate) fn adts<'a>(data: &mut &'a [u8]) -> Parsed<Option<Adts<'a>>> {
    // ISO/IEC 14496-3 1.A.2.2: 56 bits, then maybe a CRC.
    let Some(header) = data.first_chunk::<7>() else { return Ok(None) };
    let bits = header.iter().fold(0u64, |bits, byte| bits << 8 | u64::from(*byte));
    let take = |at: u32, len: u32| (bits >> (56 - at - len)) as u8 & ((1u16 << len) - 1) as u8;
    if bits >> 44 != 0xfff || take(13, 2) != 0 {
        return Err("no ADTS sync word".into());
    }
    let (object, rate, channels) = (take(16, 2) + 1, take(18, 4), take(23, 3));
    let len = (bits >> 13 & 0x1fff) as usize;
    let blocks = take(54, 2);
    let header = if take(15, 1) == 0 { 9 } else { 7 };
    let sample_rate = *SAMPLE_RATES.get(usize::from(rate)).ok_or("ADTS has a reserved sample rate")?;
    if len < header || blocks != 0 {
        return Err("ADTS frame with an impossible length or several data blocks".into());
    }
    let Some((frame, rest)) = data.split_at_checked(len) else { return Ok(None) };
    *data = rest;
    let config = [object << 3 | rate >> 1, rate << 7 | channels << 3];
    Ok(Some(Adts { config, sample_rate, unit: &frame[header..] }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Kind;

    #[test]
    fn audio_specific_config() {
        let info = track(&[0x11, 0x90], 48000).unwrap();
        assert_eq!(info.codec_string, "mp4a.40.2");
        assert_eq!(info.kind, Kind::Audio { codec: AudioCodec::Aac, sample_rate: 48000, channels: 2 });
        assert!(track(&[0x11], 1).is_err());
        assert!(track(&[0x16, 0x90], 1).is_err());
    }

    #[test]
    fn adts_frames() {
        let stream = [0xff, 0xf1, 0x4c, 0x80, 0x01, 0x3f, 0xfc, 1, 2, 0xff];
        let mut rest = &stream[..];
        let frame = adts(&mut rest).unwrap().unwrap();
        assert_eq!((frame.config, frame.sample_rate, frame.unit), ([0x11, 0x90], 48000, &[1, 2][..]));
        assert_eq!(rest, [0xff]);
        assert!(adts(&mut rest).unwrap().is_none());
        assert!(adts(&mut &[0; 9][..]).is_err());
    }
}
