//! Progressive MP4: one table for all samples.

use std::collections::VecDeque;

use bytes::Bytes;
use mp4_atom::{Stbl, StszSamples};

use super::mp4_boxes::{Header, Ticks, Times, Track};
use super::source::Source;
use super::{Format, MAX_SAMPLE, Progress};
use crate::{Error, Result, Sample, TrackInfo};

/// Samples of a file, at most: seven hours at 30 frames a second with sound.
const MAX_SAMPLES: usize = 2_000_000;
/// Bytes held back, at most, while tracks that lie apart in the file are interleaved.
const MAX_HELD: usize = 128 << 20;

/// Reader of MP4 with one table for all its samples.
pub(super) struct Progressive {
    source: Source,
    infos: Vec<TrackInfo>,
    tracks: Vec<Track>,
    /// All samples, in decoding order.
    entries: Vec<Entry>,
    /// Indices of `entries`, by offset in the file.
    by_offset: Vec<u32>,
    /// The next of `by_offset` to read, and of `entries` to return.
    read: usize,
    put: usize,
    held: usize,
}

struct Entry {
    track: u32,
    size: u32,
    at: u64,
    times: Times,
    keyframe: bool,
    data: Option<Bytes>,
}

impl Progressive {
    pub(super) fn new(source: Source, tracks: Vec<Track>, header: &Header) -> Result<Self> {
        let mut entries = Vec::new();
        for (index, track) in tracks.iter().enumerate() {
            table(track, index as u32, &mut entries).map_err(|why| header.malformed(why))?;
        }
        entries.sort_by_key(|entry| entry.times.dts);
        let mut by_offset: Vec<u32> = (0..entries.len() as u32).collect();
        by_offset.sort_by_key(|index| entries[*index as usize].at);
        let infos = tracks.iter().map(|track| track.info.clone()).collect();
        let mut this = Self { source, infos, tracks, entries, by_offset, read: 0, put: 0, held: 0 };
        if let Some(first) = this.by_offset.first().map(|index| this.entries[*index as usize].at) {
            this.source.seek(first)?;
        }
        Ok(this)
    }

    /// Reads the sample with the next offset in the file.
    fn read(&mut self) -> Result<()> {
        let Some(index) = self.by_offset.get(self.read) else { return Ok(()) };
        let entry = &mut self.entries[*index as usize];
        let what = "a sample that moov lists";
        let gap = entry.at.checked_sub(self.source.offset()).ok_or_else(|| Error::Malformed {
            what: what.into(),
            at: entry.at,
            why: "it overlaps another, or lies before moov".into(),
        })?;
        self.source.skip(gap, what)?;
        entry.data = Some(self.source.take_all(entry.size.into(), what)?.into());
        self.held += entry.size as usize;
        self.read += 1;
        if self.held > MAX_HELD {
            let (what, at) = ("the distance between the tracks".into(), self.source.offset());
            return Err(Error::TooLarge { what, at, size: self.held as u64, limit: MAX_HELD as u64 });
        }
        Ok(())
    }
}

impl Format for Progressive {
    fn tracks(&self) -> &[TrackInfo] {
        &self.infos
    }

    fn advance(&mut self, out: &mut VecDeque<Sample>) -> Result<Progress> {
        let read = if self.entries.get(self.put).is_some_and(|next| next.data.is_none()) {
            self.read()
        } else {
            Ok(())
        };
        // After an error the reader still returns all whole samples, in order, even with gaps.
        let upto = if read.is_ok() { self.put + 1 } else { self.entries.len() };
        while self.put < upto.min(self.entries.len()) {
            let entry = &mut self.entries[self.put];
            match entry.data.take() {
                Some(data) => {
                    self.held -= entry.size as usize;
                    let Times { pts, dts, duration } = entry.times;
                    let (track, keyframe) = (entry.track as usize, entry.keyframe);
                    let data = self.tracks[track].sample(data, keyframe);
                    out.push_back(Sample { track, pts, dts, duration, keyframe, frames: 1, data });
                }
                None if read.is_ok() => break,
                None => {}
            }
            self.put += 1;
        }
        read?;
        Ok(if self.put == self.entries.len() { Progress::End } else { Progress::More })
    }
}

/// Expands the run-length tables of a track into entries.
fn table(track: &Track, index: u32, entries: &mut Vec<Entry>) -> Result<(), String> {
    let stbl = &track.trak.mdia.minf.stbl;
    let mut durations = runs(stbl.stts.entries.iter().map(|run| (run.sample_count, run.sample_delta)));
    let mut offsets = runs(
        stbl.ctts.iter().flat_map(|ctts| &ctts.entries).map(|run| (run.sample_count, run.sample_offset)),
    );
    let mut sync = stbl.stss.as_ref().map(|stss| stss.entries.iter().peekable());
    let mut places = chunk_offsets(stbl);
    let (mut sizes, count): (Box<dyn Iterator<Item = u32>>, usize) = match &stbl.stsz.samples {
        StszSamples::Identical { count, size } => (Box::new(std::iter::repeat(*size)), *count as usize),
        StszSamples::Different { sizes } => (Box::new(sizes.iter().copied()), sizes.len()),
    };
    if count.saturating_add(entries.len()) > MAX_SAMPLES {
        return Err(format!("it lists more than {MAX_SAMPLES} samples"));
    }
    let mut decode = 0u64;
    let mut at = 0u64;
    for number in 1..=count as u32 {
        let (Some(size), Some(place)) = (sizes.next(), places.next()) else {
            return Err("its tables of sizes and chunks differ".into());
        };
        if u64::from(size) > MAX_SAMPLE {
            return Err(format!("it lists a sample of {size} bytes"));
        }
        at = place.unwrap_or(at);
        let duration = durations.next().unwrap_or(0);
        let times = track.times(Ticks { decode, composition: offsets.next().unwrap_or(0), duration });
        let keyframe = sync.as_mut().is_none_or(|sync| sync.next_if_eq(&&number).is_some());
        entries.push(Entry { track: index, size, at, times, keyframe, data: None });
        at = at.saturating_add(size.into());
        decode = decode.saturating_add(duration.into());
    }
    Ok(())
}

fn runs<T: Copy>(runs: impl Iterator<Item = (u32, T)>) -> impl Iterator<Item = T> {
    runs.flat_map(|(count, value)| std::iter::repeat_n(value, count as usize))
}

/// Returns for each sample the offset of its chunk, if it opens one.
fn chunk_offsets(stbl: &Stbl) -> impl Iterator<Item = Option<u64>> {
    let short = stbl.stco.iter().flat_map(|stco| &stco.entries).map(|offset| u64::from(*offset));
    let chunks = short.chain(stbl.co64.iter().flat_map(|co64| &co64.entries).copied());
    let mut rules = stbl.stsc.entries.iter().peekable();
    let mut samples = 0;
    chunks.zip(1u32..).flat_map(move |(offset, chunk)| {
        while let Some(rule) = rules.next_if(|rule| rule.first_chunk <= chunk) {
            samples = rule.samples_per_chunk;
        }
        (0..samples).map(move |sample| (sample == 0).then_some(offset))
    })
}
