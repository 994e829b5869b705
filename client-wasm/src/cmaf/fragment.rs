//! moof and mdat: the samples of a fragment and their presentation times.

use bytes::{Bytes, BytesMut};
use moqt::Micros;

use super::{
    Error, MAX_SAMPLES, Track, codec,
    init::Defaults,
    reader::{Found, Reader, boxes, child},
};

/// A sample in the form that its decoder takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Presentation time, by the clock that all tracks of the initialisation segment share.
    pub media: Micros,
    /// Set if decoding can start with it.
    pub key: bool,
    /// The sample's bytes.
    pub data: Bytes,
}

/// Flags of tfhd: the optional fields that it has (Section 8.8.7).
mod tfhd {
    pub(super) const BASE_DATA_OFFSET: u32 = 0x01;
    pub(super) const SAMPLE_DESCRIPTION: u32 = 0x02;
    pub(super) const DURATION: u32 = 0x08;
    pub(super) const SIZE: u32 = 0x10;
    pub(super) const FLAGS: u32 = 0x20;
}

/// Flags of trun: the optional fields that it has (Section 8.8.8).
mod trun {
    pub(super) const DATA_OFFSET: u32 = 0x001;
    pub(super) const FIRST_FLAGS: u32 = 0x004;
    pub(super) const DURATION: u32 = 0x100;
    pub(super) const SIZE: u32 = 0x200;
    pub(super) const FLAGS: u32 = 0x400;
    pub(super) const COMPOSITION: u32 = 0x800;
}

/// `sample_is_non_sync_sample` (Section 8.8.3.1).
const NON_SYNC: u32 = 0x0001_0000;
/// `sample_depends_on`, and its value for a sample that depends on others.
const DEPENDS_ON: u32 = 0x0300_0000;
const DEPENDS_ON_OTHERS: u32 = 0x0100_0000;

/// A sample before its bytes are known.
struct Sample {
    ticks: i128,
    flags: u32,
    /// Offset in the object.
    at: i64,
    size: u32,
}

/// A track's part of a moof.
struct Run<'a> {
    id: u32,
    /// Set if offsets count from the start of a file that the object was once part of.
    foreign: bool,
    defaults: Defaults,
    decode: u64,
    traf: &'a [u8],
}

impl Track {
    /// Returns this track's samples in an object, in decoding order.
    pub fn frames(&self, object: &Bytes) -> Result<Vec<Frame>, Error> {
        let mut frames = Vec::new();
        let mut moof = None;
        for found in boxes(object) {
            let found = found?;
            match &found.name {
                b"moof" => moof = Some(found),
                b"mdat" => {
                    let moof = moof.take().ok_or(Error::Missing("moof before mdat"))?;
                    for sample in self.samples(&moof, &found)? {
                        if frames.len() == MAX_SAMPLES {
                            return Err(Error::TooManySamples);
                        }
                        frames.extend(self.frame(object, &found, &sample)?);
                    }
                }
                _ => {}
            }
        }
        if moof.is_some() { Err(Error::Missing("mdat")) } else { Ok(frames) }
    }

    fn frame(&self, object: &Bytes, mdat: &Found<'_>, sample: &Sample) -> Result<Option<Frame>, Error> {
        const OUTSIDE: Error = Error::Malformed("a sample outside mdat");
        let start = usize::try_from(sample.at).map_err(|_| OUTSIDE)?;
        let end = start.checked_add(sample.size as usize).ok_or(OUTSIDE)?;
        if start < mdat.body_at || end > mdat.body_at + mdat.body.len() {
            return Err(OUTSIDE);
        }
        // An empty sample: nothing was encoded for that time.
        if start == end {
            return Ok(None);
        }
        let flags = sample.flags;
        let key = !self.is_video() || flags & NON_SYNC == 0 && flags & DEPENDS_ON != DEPENDS_ON_OTHERS;
        let data = object.slice(start..end);
        let data = match &self.prefix {
            Some(header) if key && !codec::has_sequence_header(&data) => {
                let mut whole = BytesMut::with_capacity(header.len() + data.len());
                whole.extend_from_slice(header);
                whole.extend_from_slice(&data);
                whole.freeze()
            }
            _ => data,
        };
        Ok(Some(Frame { media: self.time(sample.ticks), key, data }))
    }

    /// Returns this track's samples that a moof describes, with their bytes in its mdat.
    fn samples(&self, moof: &Found<'_>, mdat: &Found<'_>) -> Result<Vec<Sample>, Error> {
        let mut runs = Vec::new();
        for traf in boxes(moof.body).filter_map(Result::ok).filter(|found| found.name == *b"traf") {
            runs.push(self.run(traf.body)?);
        }
        // A segment with one track owns all fragments, whatever track number they have.
        let only = self.alone && runs.len() == 1;
        let mut samples = Vec::new();
        let mut end = mdat.body_at as i64;
        for run in &runs {
            let wanted = only || run.id == self.id;
            let base = if run.foreign { None } else { Some(moof.at as i64) };
            end = run.read(base, end, |sample| {
                if wanted {
                    samples.push(sample);
                }
                if samples.len() > MAX_SAMPLES { Err(Error::TooManySamples) } else { Ok(()) }
            })?;
        }
        Ok(samples)
    }

    fn run<'a>(&self, traf: &'a [u8]) -> Result<Run<'a>, Error> {
        let header = child(traf, *b"tfhd").ok_or(Error::Missing("tfhd"))?;
        let mut reader = Reader::new(header, "tfhd");
        let (_, flags) = reader.version_and_flags()?;
        let id = reader.u32()?;
        if flags & tfhd::BASE_DATA_OFFSET != 0 {
            reader.u64()?;
        }
        if flags & tfhd::SAMPLE_DESCRIPTION != 0 {
            reader.u32()?;
        }
        let mut defaults = self.defaults;
        for (flag, field) in [
            (tfhd::DURATION, &mut defaults.duration),
            (tfhd::SIZE, &mut defaults.size),
            (tfhd::FLAGS, &mut defaults.flags),
        ] {
            if flags & flag != 0 {
                *field = reader.u32()?;
            }
        }
        let tfdt = child(traf, *b"tfdt").ok_or(Error::Missing("tfdt"))?;
        let mut reader = Reader::new(tfdt, "tfdt");
        let (version, _) = reader.version_and_flags()?;
        let decode = reader.time(version)?;
        Ok(Run { id, foreign: flags & tfhd::BASE_DATA_OFFSET != 0, defaults, decode, traf })
    }
}

impl Run<'_> {
    /// Passes each sample to `take`. The first is at `end` unless an offset from `base` is given. Returns the new end.
    fn read(
        &self,
        mut base: Option<i64>,
        mut end: i64,
        mut take: impl FnMut(Sample) -> Result<(), Error>,
    ) -> Result<i64, Error> {
        let mut decode = i128::from(self.decode);
        // Samples that need no bytes of their own in the object cost an attacker nothing to claim, so they are
        // counted.
        let mut claimed = 0usize;
        for found in boxes(self.traf).filter_map(Result::ok).filter(|found| found.name == *b"trun") {
            let mut reader = Reader::new(found.body, "trun");
            let (_, flags) = reader.version_and_flags()?;
            let count = reader.u32()?;
            claimed = claimed.saturating_add(count as usize);
            if claimed > MAX_SAMPLES {
                return Err(Error::TooManySamples);
            }
            if flags & trun::DATA_OFFSET != 0 {
                let offset = i64::from(reader.u32()? as i32);
                // The absolute offset is of the original file; here the first sample begins the mdat.
                end = base.get_or_insert(end - offset).saturating_add(offset);
            }
            let first = if flags & trun::FIRST_FLAGS != 0 { Some(reader.u32()?) } else { None };
            for index in 0..count {
                let mut field = |flag, default| if flags & flag != 0 { reader.u32() } else { Ok(default) };
                let duration = field(trun::DURATION, self.defaults.duration)?;
                let size = field(trun::SIZE, self.defaults.size)?;
                let own = field(trun::FLAGS, self.defaults.flags)?;
                // Some writers use negative offsets also in version 0, which has none.
                let offset = field(trun::COMPOSITION, 0)? as i32;
                let flags = first.filter(|_| index == 0).unwrap_or(own);
                take(Sample { ticks: decode + i128::from(offset), flags, at: end, size })?;
                decode += i128::from(duration);
                end = end.saturating_add(size.into());
            }
        }
        Ok(end)
    }
}
