//! Fragmented MP4: moof and mdat boxes, as CMAF and live encoders write them.

use std::collections::VecDeque;

use bytes::Bytes;
use mp4_atom::{Atom as _, Moof, Tfhd, Traf, TrunEntry};

use super::mp4_boxes::{Header, Ticks, Times, Track};
use super::source::Source;
use super::{Format, MAX_SAMPLE, Packaging, Progress};
use crate::{Error, Micros, Result, Sample, TrackInfo, cmaf};

const MAX_MOOF: u64 = 16 << 20;
/// Samples of a fragment, at most: an hour of sound has fewer.
const MAX_FRAGMENT_SAMPLES: usize = 200_000;
/// ISO/IEC 14496-12 8.8.3.1: `sample_is_non_sync_sample`.
const NON_SYNC: u32 = 0x1_0000;

/// Reader of fragmented MP4: moof, mdat, and so on.
pub(super) struct Fragments {
    source: Source,
    infos: Vec<TrackInfo>,
    tracks: Vec<Track>,
    /// Decode time of each track's next sample, used without a tfdt.
    next_decode: Vec<u64>,
    /// Number of fragments written by this crate.
    sequence: u32,
    packaging: Packaging,
}

/// Media data of a fragment, possibly cut short by the end of the input.
struct Mdat {
    at: u64,
    size: u64,
    data: Bytes,
}

impl Mdat {
    /// Returns the bytes at an offset of the input; `Ok(None)` if the input ended before.
    fn slice(&self, at: u64, len: u32) -> Result<Option<Bytes>, &'static str> {
        let start = at.checked_sub(self.at).ok_or("a sample lies before mdat")?;
        let end = start + u64::from(len);
        if end > self.size {
            return Err("a sample lies behind mdat");
        }
        Ok((end <= self.data.len() as u64).then(|| self.data.slice(start as usize..end as usize)))
    }
}

/// A sample of a fragment, with its bytes.
struct Part {
    times: Times,
    keyframe: bool,
    decode: u64,
    entry: TrunEntry,
    data: Bytes,
}

impl Fragments {
    pub(super) fn new(source: Source, tracks: Vec<Track>, packaging: Packaging) -> Self {
        let infos = tracks.iter().map(|track| track.info.clone()).collect();
        let next_decode = vec![0; tracks.len()];
        Self { source, infos, tracks, next_decode, sequence: 0, packaging }
    }

    fn fragment(&mut self, header: &Header, out: &mut VecDeque<Sample>) -> Result<()> {
        let raw = self.source.take_all(header.bounded(MAX_MOOF)?, "moof")?;
        let moof = Moof::decode_body(&mut &raw[..]).map_err(|error| header.malformed(error))?;
        let mdat_header = loop {
            match Header::read(&mut self.source)? {
                None => return Err(Error::Truncated { what: "a fragment".into(), at: self.source.offset() }),
                Some(next) if &next.kind == b"mdat" => break next,
                Some(next) => self.source.skip(next.bounded(MAX_MOOF)?, &next.name())?,
            }
        };
        let size = mdat_header.bounded(MAX_SAMPLE)?;
        let mdat = Mdat { at: self.source.offset(), size, data: self.source.take(size)?.into() };
        let mut samples = Vec::new();
        let mut whole = true;
        let mut end = header.at;
        for traf in &moof.traf {
            let Some(track) =
                self.tracks.iter().position(|track| track.trak.tkhd.track_id == traf.tfhd.track_id)
            else {
                continue;
            };
            let parts = self.parts(header, (track, traf), &mdat, &mut end)?;
            whole &= parts.len() == traf.trun.iter().map(|trun| trun.samples.len()).sum::<usize>();
            match self.packaging {
                Packaging::Frames => samples.extend(parts.into_iter().map(|part| self.frame(track, part))),
                Packaging::Cmaf if whole => {
                    let verbatim = || [&header.raw, &raw, &mdat_header.raw, &mdat.data[..]].concat().into();
                    let only =
                        moof.traf.len() == 1 && runs(&parts, self.infos[track].is_video()).count() == 1;
                    let verbatim = only.then(verbatim);
                    samples.extend(
                        self.chunks(track, &parts, verbatim).map_err(|error| header.malformed(error))?,
                    );
                }
                Packaging::Cmaf => {}
            }
        }
        // Tracks follow each other within a fragment; they must be interleaved to be sent in time.
        samples.sort_by_key(|sample| sample.dts);
        out.extend(samples);
        if (mdat.data.len() as u64) < size || !whole {
            return Err(Error::Truncated { what: "mdat".into(), at: self.source.offset() });
        }
        Ok(())
    }

    /// Returns the samples of one track in a fragment, up to the end of the input.
    fn parts(
        &mut self,
        header: &Header,
        (track, traf): (usize, &Traf),
        mdat: &Mdat,
        end: &mut u64,
    ) -> Result<Vec<Part>> {
        let Tfhd { base_data_offset, default_base_is_moof, .. } = traf.tfhd;
        let base = base_data_offset.unwrap_or(if default_base_is_moof { header.at } else { *end });
        let mut decode =
            traf.tfdt.as_ref().map_or(self.next_decode[track], |tfdt| tfdt.base_media_decode_time);
        let mut at = base;
        let mut parts = Vec::new();
        for trun in &traf.trun {
            if let Some(offset) = trun.data_offset {
                at = base.saturating_add_signed(offset.into());
            }
            for entry in &trun.samples {
                if parts.len() == MAX_FRAGMENT_SAMPLES {
                    return Err(header.malformed(format!("it has more than {MAX_FRAGMENT_SAMPLES} samples")));
                }
                let (entry, keyframe) = self.complete(track, &traf.tfhd, entry);
                let (size, duration) = (entry.size.unwrap_or(0), entry.duration.unwrap_or(0));
                let Some(data) = mdat.slice(at, size).map_err(|why| header.malformed(why))? else {
                    return Ok(parts);
                };
                let ticks = Ticks { decode, composition: entry.cts.unwrap_or(0), duration };
                parts.push(Part { times: self.tracks[track].times(ticks), keyframe, decode, entry, data });
                at += u64::from(size);
                decode = decode.saturating_add(duration.into());
            }
        }
        *end = at;
        self.next_decode[track] = decode;
        Ok(parts)
    }

    /// Fills in the defaults of the fragment and of the track.
    fn complete(&self, track: usize, tfhd: &Tfhd, entry: TrunEntry) -> (TrunEntry, bool) {
        let Track { trex, info, .. } = &self.tracks[track];
        let flags = entry.flags.or(tfhd.default_sample_flags).unwrap_or(trex.default_sample_flags);
        let entry = TrunEntry {
            duration: entry.duration.or(tfhd.default_sample_duration).or(Some(trex.default_sample_duration)),
            size: entry.size.or(tfhd.default_sample_size).or(Some(trex.default_sample_size)),
            flags: Some(flags),
            cts: Some(entry.cts.unwrap_or(0)),
        };
        (entry, !info.is_video() || flags & NON_SYNC == 0)
    }

    fn frame(&self, track: usize, Part { times, keyframe, data, .. }: Part) -> Sample {
        let Times { pts, dts, duration } = times;
        Sample {
            track,
            pts,
            dts,
            duration,
            keyframe,
            frames: 1,
            data: self.tracks[track].sample(data, keyframe),
        }
    }

    /// Divides a track's part of a fragment into fragments. The result is one fragment, `verbatim` if the
    /// track is alone in it; but one for each key frame of video, because a group can only start with a
    /// fragment.
    fn chunks(
        &mut self,
        track: usize,
        parts: &[Part],
        verbatim: Option<Bytes>,
    ) -> mp4_atom::Result<Vec<Sample>> {
        let video = self.infos[track].is_video();
        let mut chunks = Vec::new();
        for run in runs(parts, video) {
            let Some(first) = run.first() else { continue };
            let data = match &verbatim {
                Some(bytes) => bytes.clone(),
                None => self.chunk(track, first.decode, run)?,
            };
            let duration = run.iter().fold(Micros::ZERO, |sum, part| sum + part.times.duration);
            let Times { pts, dts, .. } = first.times;
            chunks.push(Sample {
                track,
                pts,
                dts,
                duration,
                keyframe: first.keyframe,
                frames: run.len() as u32,
                data,
            });
        }
        Ok(chunks)
    }

    fn chunk(&mut self, track: usize, decode: u64, run: &[Part]) -> mp4_atom::Result<Bytes> {
        self.sequence += 1;
        let entries = run.iter().map(|part| part.entry).collect();
        let track_id = self.tracks[track].trak.tkhd.track_id;
        let run_of = cmaf::Run { sequence: self.sequence, track_id, decode, entries };
        cmaf::fragment(run_of, &run.iter().map(|part| &part.data[..]).collect::<Vec<_>>().concat())
    }
}

/// Cuts before each key frame of video.
fn runs(parts: &[Part], video: bool) -> impl Iterator<Item = &[Part]> {
    parts.chunk_by(move |_, next| !video || !next.keyframe)
}

impl Format for Fragments {
    fn tracks(&self) -> &[TrackInfo] {
        &self.infos
    }

    fn advance(&mut self, out: &mut VecDeque<Sample>) -> Result<Progress> {
        let Some(header) = Header::read(&mut self.source)? else { return Ok(Progress::End) };
        if &header.kind == b"moof" {
            self.fragment(&header, out)?;
        } else if let Some(size) = header.body {
            self.source.skip(size, &header.name())?;
        } else {
            return Ok(Progress::End);
        }
        Ok(Progress::More)
    }
}
