//! MP4: finds out whether it is fragmented or progressive, and opens it.

use mp4_atom::{Atom as _, Moov};

use super::fragments::Fragments;
use super::mp4_boxes::{Header, tracks};
use super::progressive::Progressive;
use super::source::Source;
use super::{Container, Format, Packaging};
use crate::{Error, Result, cmaf};

/// Bytes of moov, at most: the table of a day-long file fits.
const MAX_MOOV: u64 = 64 << 20;
const MAX_FTYP: u64 = 4096;

pub(super) fn sniff(start: &[u8]) -> bool {
    const FIRST: [&[u8]; 11] =
        [b"ftyp", b"styp", b"moov", b"moof", b"mdat", b"free", b"skip", b"sidx", b"wide", b"prft", b"emsg"];
    start.get(4..8).is_some_and(|kind| FIRST.contains(&kind))
}

/// Reads up to moov, and chooses the reader that fits.
pub(super) fn open(mut source: Source, packaging: Packaging) -> Result<(Container, Box<dyn Format>)> {
    let mut ftyp = b"\0\0\0\x18ftypiso6\0\0\0\0iso6cmfc".to_vec();
    loop {
        let Some(header) = Header::read(&mut source)? else {
            return Err(Error::NoTracks { why: "the input ends before moov".into() });
        };
        match &header.kind {
            b"moov" => {
                let body = source.take_all(header.bounded(MAX_MOOV)?, "moov")?;
                let moov = Moov::decode_body(&mut &body[..]).map_err(|error| header.malformed(error))?;
                return with_moov(source, packaging, (&header, &moov), &ftyp);
            }
            b"ftyp" => {
                ftyp.clone_from(&header.raw);
                ftyp.extend(source.take_all(header.bounded(MAX_FTYP)?, "ftyp")?);
            }
            b"moof" => return Err(header.malformed("no moov comes before it")),
            b"mdat" if !source.seekable() => {
                let what = "an MP4 file with its moov at the end, through a pipe,".into();
                let instead =
                    "give the file itself, or let ffmpeg write it with -movflags +frag_keyframe+empty_moov";
                return Err(Error::Unsupported { what, instead });
            }
            _ if source.seekable() => source.seek(header.end().unwrap_or(u64::MAX / 2))?,
            _ => source.skip(header.bounded(u64::MAX)?, &header.name())?,
        }
    }
}

fn with_moov(
    source: Source,
    packaging: Packaging,
    (header, moov): (&Header, &Moov),
    ftyp: &[u8],
) -> Result<(Container, Box<dyn Format>)> {
    let mut tracks = tracks(moov).map_err(|why| header.malformed(why))?;
    if tracks.is_empty() {
        let why = format!("none of the {} tracks in moov has a codec we know", moov.trak.len());
        return Err(Error::NoTracks { why });
    }
    if moov.mvex.is_none() {
        if packaging == Packaging::Cmaf {
            let what = "MP4 that is not fragmented, as CMAF,".into();
            return Err(Error::Unsupported { what, instead: "publish it as single frames" });
        }
        let format = Progressive::new(source, tracks, header)?;
        return Ok((Container::ProgressiveMp4, Box::new(format)));
    }
    if packaging == Packaging::Cmaf {
        for track in &mut tracks {
            let init = cmaf::init(ftyp, moov, track.trak.tkhd.track_id);
            track.info.init = Some(init.map_err(|error| header.malformed(error))?);
        }
    }
    Ok((Container::FragmentedMp4, Box::new(Fragments::new(source, tracks, packaging))))
}
