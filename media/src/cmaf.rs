//! CMAF passthrough: single tracks of fragmented MP4, each as its own stream of fragments.

use bytes::Bytes;
use mp4_atom::{Encode as _, Mfhd, Moof, Moov, Mvex, Result, Tfdt, Tfhd, Traf, Trun, TrunEntry};

/// Returns the initialisation segment of one track: `ftyp` unchanged, moov without the other tracks.
pub(crate) fn init(ftyp: &[u8], moov: &Moov, track_id: u32) -> Result<Bytes> {
    let mut alone = Moov { mvhd: moov.mvhd.clone(), ..Moov::default() };
    alone.trak = moov.trak.iter().filter(|trak| trak.tkhd.track_id == track_id).cloned().collect();
    alone.mvex = moov.mvex.as_ref().map(|mvex| Mvex {
        mehd: mvex.mehd.clone(),
        trex: mvex.trex.iter().filter(|trex| trex.track_id == track_id).cloned().collect(),
    });
    let mut segment = ftyp.to_vec();
    alone.encode(&mut segment)?;
    Ok(segment.into())
}

/// Returns samples of one track as a fragment of their own: `data` is their bytes, end to end.
pub(crate) fn fragment(run: Run, data: &[u8]) -> Result<Bytes> {
    let tfhd = Tfhd { track_id: run.track_id, default_base_is_moof: true, ..Tfhd::default() };
    let traf = |offset| Traf {
        tfhd: tfhd.clone(),
        tfdt: Some(Tfdt { base_media_decode_time: run.decode }),
        trun: vec![Trun { data_offset: Some(offset), samples: run.entries.clone().into() }],
        ..Traf::default()
    };
    let moof = |offset| Moof { mfhd: Mfhd { sequence_number: run.sequence }, traf: vec![traf(offset)] };
    let mut bytes = Vec::new();
    moof(0).encode(&mut bytes)?;
    // The offset counts from the start of moof, and has the same length as its placeholder.
    let offset = i32::try_from(bytes.len() + 8).unwrap_or(i32::MAX);
    bytes.clear();
    moof(offset).encode(&mut bytes)?;
    bytes.extend_from_slice(&u32::try_from(data.len() + 8).unwrap_or(u32::MAX).to_be_bytes());
    bytes.extend_from_slice(b"mdat");
    bytes.extend_from_slice(data);
    Ok(bytes.into())
}

/// Values for the boxes around some samples.
pub(crate) struct Run {
    pub(crate) sequence: u32,
    pub(crate) track_id: u32,
    /// Decode time of the first sample, in ticks of the track.
    pub(crate) decode: u64,
    pub(crate) entries: Vec<TrunEntry>,
}
