//! Tracks of fragmented MP4 on their own: what passes through as CMAF.

use bytes::Bytes;
use mp4_atom::{Encode as _, Moof, Moov, Mvex, Result, Traf};

/// The initialisation segment of one track: `ftyp` as it came, moov without the other tracks.
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

/// One track's part of a fragment, as a fragment of its own: `data` is its samples, end to end.
pub(crate) fn fragment(moof: &Moof, traf: &Traf, data: &[u8]) -> Result<Bytes> {
    let mut traf = Traf { tfhd: traf.tfhd.clone(), tfdt: traf.tfdt.clone(), trun: traf.trun.clone(), ..Traf::default() };
    traf.tfhd.base_data_offset = None;
    traf.tfhd.default_base_is_moof = true;
    for (index, trun) in traf.trun.iter_mut().enumerate() {
        trun.data_offset = (index == 0).then_some(0);
    }
    let mut alone = Moof { mfhd: moof.mfhd.clone(), traf: vec![traf] };
    let mut bytes = Vec::new();
    alone.encode(&mut bytes)?;
    // The offset counts from the start of moof, and is as long as the placeholder.
    let offset = i32::try_from(bytes.len() + 8).unwrap_or(i32::MAX);
    if let Some(first) = alone.traf.iter_mut().flat_map(|traf| &mut traf.trun).next() {
        first.data_offset = Some(offset);
    }
    bytes.clear();
    alone.encode(&mut bytes)?;
    bytes.extend_from_slice(&u32::try_from(data.len() + 8).unwrap_or(u32::MAX).to_be_bytes());
    bytes.extend_from_slice(b"mdat");
    bytes.extend_from_slice(data);
    Ok(bytes.into())
}
