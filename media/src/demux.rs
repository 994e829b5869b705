//! Demuxing: recognises a container, and reads its tracks and samples.

use std::collections::VecDeque;
use std::fmt;
use std::io::{Read, Seek};

use crate::{Error, Micros, Result, Sample, TrackInfo};

mod fragments;
mod mkv;
mod mp4;
mod mp4_boxes;
mod progressive;
mod source;
mod ts;

use source::Source;

/// Bytes of the largest frame or fragment accepted.
pub(crate) const MAX_SAMPLE: u64 = 64 << 20;

/// Container of an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Container {
    /// MP4 in fragments, CMAF included.
    FragmentedMp4,
    /// MP4 with one table for all its samples.
    ProgressiveMp4,
    /// An MPEG-2 transport stream.
    MpegTs,
    /// Matroska or WebM.
    Matroska,
}

/// Content of a sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Packaging {
    /// Single encoded frames, for LOC objects.
    #[default]
    Frames,
    /// Whole fragments of MP4, moof and mdat, one track each. Only fragmented MP4 can be passed through in
    /// this form.
    Cmaf,
}

/// Reads the tracks and samples of a container from a file or a pipe.
///
/// Opening reads until the tracks are known; then each sample is read on request, which blocks if
/// the input is a pipe. Samples come in decoding order over all tracks, as near as the container has them. An error ends
/// the samples; the demuxer returns all that were whole before it.
///
/// ```no_run
/// use media::{Demuxer, Groups, Packaging};
///
/// let demuxer = Demuxer::open(std::io::stdin(), Packaging::Frames)?;
/// let mut groups = Groups::new(demuxer.tracks(), 0);
/// for sample in demuxer {
///     let sample = sample?;
///     if let Some(position) = groups.position(&sample) {
///         println!("track {} {position:?}: {} bytes", sample.track, sample.data.len());
///     }
/// }
/// # Ok::<(), media::Error>(())
/// ```
pub struct Demuxer {
    format: Box<dyn Format>,
    container: Container,
    ready: VecDeque<Sample>,
    end: End,
}

enum End {
    Open,
    Reached,
    Failed(Error),
}

/// A container's reader.
trait Format: Send {
    /// Returns the tracks. Complete and fixed once [`advance`](Self::advance) has returned the first sample.
    fn tracks(&self) -> &[TrackInfo];

    /// Reads on, and appends the samples that it completes. Samples appended before an error are valid.
    fn advance(&mut self, out: &mut VecDeque<Sample>) -> Result<Progress>;
}

#[derive(Debug, PartialEq, Eq)]
enum Progress {
    More,
    End,
}

impl fmt::Debug for Demuxer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Demuxer")
            .field("container", &self.container)
            .field("tracks", &self.format.tracks())
            .finish_non_exhaustive()
    }
}

impl Demuxer {
    /// Opens a pipe, or anything else that can only be read from front to end.
    pub fn open(reader: impl Read + Send + 'static, packaging: Packaging) -> Result<Self> {
        Self::sniff(Source::pipe(reader), packaging)
    }

    /// Opens a file: also one whose MP4 header comes last.
    pub fn open_file(file: impl Read + Seek + Send + 'static, packaging: Packaging) -> Result<Self> {
        Self::sniff(Source::file(file), packaging)
    }

    fn sniff(mut source: Source, packaging: Packaging) -> Result<Self> {
        let start = source.peek(8)?.to_vec();
        let (container, format): (_, Box<dyn Format>) = if mp4::sniff(&start) {
            mp4::open(source, packaging)?
        } else if packaging == Packaging::Cmaf {
            let what = "an input that is not fragmented MP4, as CMAF,".into();
            return Err(Error::Unsupported { what, instead: "publish it as single frames" });
        } else if mkv::sniff(&start) {
            (Container::Matroska, Box::new(mkv::Mkv::new(source)))
        } else if ts::sniff(source.peek(ts::SNIFF)?) {
            (Container::MpegTs, Box::new(ts::Ts::new(source)))
        } else {
            return Err(Error::UnknownContainer { start });
        };
        let mut demuxer = Self { format, container, ready: VecDeque::new(), end: End::Open };
        while demuxer.ready.is_empty() && matches!(demuxer.end, End::Open) {
            demuxer.advance();
        }
        if !demuxer.ready.is_empty() {
            return Ok(demuxer);
        }
        match demuxer.end {
            End::Failed(error) => Err(error),
            _ => Err(Error::NoTracks { why: "the input ends before the first sample".into() }),
        }
    }

    /// Returns the container of the input.
    pub fn container(&self) -> Container {
        self.container
    }

    /// Returns the tracks that can be published; others are left out.
    pub fn tracks(&self) -> &[TrackInfo] {
        self.format.tracks()
    }

    /// Returns the next sample; `None` at the end of the input.
    pub fn next_sample(&mut self) -> Result<Option<Sample>> {
        while self.ready.is_empty() && matches!(self.end, End::Open) {
            self.advance();
        }
        match (self.ready.pop_front(), std::mem::replace(&mut self.end, End::Reached)) {
            (None, End::Failed(error)) => Err(error),
            (sample, end) => {
                self.end = end;
                Ok(sample)
            }
        }
    }

    fn advance(&mut self) {
        match self.format.advance(&mut self.ready) {
            Ok(Progress::More) => {}
            Ok(Progress::End) => self.end = End::Reached,
            Err(error) => self.end = End::Failed(error),
        }
    }
}

impl Iterator for Demuxer {
    type Item = Result<Sample>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_sample().transpose()
    }
}

/// Estimates values that a container leaves out: durations from the last spacing, decoding times from the
/// order.
#[derive(Debug, Default, Clone)]
struct Spacing {
    last_dts: Option<Micros>,
    max_pts: Micros,
    duration: Micros,
    order: Order,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Order {
    /// All samples so far are decoded in the order in which they are shown.
    #[default]
    AsShown,
    /// Some frames are shown before others that were decoded earlier.
    Reordered,
}

impl Spacing {
    /// Returns the decoding time of a sample that has a presentation time only.
    fn dts(&mut self, pts: Micros) -> Micros {
        if pts < self.max_pts {
            self.order = Order::Reordered;
        }
        let dts = if self.order == Order::Reordered { pts.min(self.max_pts) } else { pts };
        self.max_pts = self.max_pts.max(pts);
        dts.max(self.last_dts.unwrap_or_default())
    }

    /// Returns the duration of a sample at `dts`; estimates it if the container has none.
    fn duration(&mut self, dts: Micros, known: Option<Micros>) -> Micros {
        let spacing =
            self.last_dts.map(|last| dts - last).filter(|spacing| (1..Micros::SECOND.0).contains(&spacing.0));
        self.last_dts = Some(dts);
        self.duration = known.or(spacing).unwrap_or(self.duration);
        self.duration
    }
}
