//! Matroska and WebM.

use std::collections::VecDeque;

use mp4_atom::{Atom as _, Avcc, Hvcc};
use webm_iterable::WebmIterator;
use webm_iterable::errors::TagIteratorError;
use webm_iterable::iterator::AllowableErrors;
use webm_iterable::matroska_spec::{Master, MatroskaSpec};

use super::source::Source;
use super::{Format, MAX_SAMPLE, Progress, Spacing};
use crate::codec::{Parsed, aac, av1, h264, h265, opus, vp9};
use crate::track::{Kind, VideoCodec};
use crate::{Error, Micros, Result, Sample, TrackInfo};

mod block;

use block::Block;

/// Tracks of an input, at most: more than any show has.
const MAX_TRACKS: usize = 64;

pub(super) fn sniff(start: &[u8]) -> bool {
    start.starts_with(&[0x1a, 0x45, 0xdf, 0xa3])
}

/// Reader of Matroska and WebM, including live streams with clusters of unknown size.
pub(super) struct Mkv {
    tags: WebmIterator<Source>,
    infos: Vec<TrackInfo>,
    tracks: Vec<Track>,
    /// Reasons for which tracks were left out.
    refused: Vec<String>,
    /// Nanoseconds per tick.
    scale: u64,
    /// Ticks at the start of the current cluster.
    cluster: u64,
}

struct Track {
    number: u64,
    av1: Option<av1::Config>,
    /// Duration of each frame, if the container declares one for all.
    duration: Option<Micros>,
    /// Codec delay: the decoder's output starts this much before the timestamp.
    delay: Micros,
    spacing: Spacing,
}

impl Mkv {
    pub(super) fn new(source: Source) -> Self {
        use MatroskaSpec::{BlockGroup, TrackEntry};
        let whole = [TrackEntry(Master::Start), BlockGroup(Master::Start)];
        let mut tags = WebmIterator::new(source, &whole);
        // Elements that are newer than the iterator are no errors; it skips them.
        tags.allow_errors(&[AllowableErrors::InvalidTagIds]);
        tags.set_max_allowable_tag_size(Some(MAX_SAMPLE as usize));
        let (infos, tracks, refused) = (Vec::new(), Vec::new(), Vec::new());
        Self { tags, infos, tracks, refused, scale: 1_000_000, cluster: 0 }
    }

    fn here(&self) -> u64 {
        self.tags.last_emitted_tag_offset() as u64
    }

    fn malformed(&self, what: &str, why: impl ToString) -> Error {
        Error::Malformed { what: what.into(), at: self.here(), why: why.to_string() }
    }

    fn micros(&self, ticks: u64) -> Micros {
        Micros(ticks.saturating_mul(self.scale) / 1000)
    }

    fn failed(&self, error: TagIteratorError) -> Error {
        match error {
            TagIteratorError::UnexpectedEOF { .. } => {
                Error::Truncated { what: "an element".into(), at: self.tags.get_ref().offset() }
            }
            TagIteratorError::ReadError { source } => Error::Io { at: self.tags.get_ref().offset(), source },
            TagIteratorError::CorruptedTagData { tag_id, .. } => self.malformed(
                "element after the one",
                format!("element {tag_id:x} does not hold what it should"),
            ),
            TagIteratorError::CorruptedFileData(why) => self.malformed("element after the one", why),
        }
    }

    fn entry(&mut self, children: &[MatroskaSpec]) -> Result<()> {
        if self.tracks.len() == MAX_TRACKS {
            return Err(self.malformed("track", format!("there are more than {MAX_TRACKS}")));
        }
        let entry = Entry::new(children);
        match entry.info() {
            Ok(Some((info, av1))) => {
                let (duration, delay) =
                    (entry.duration.map(|nanos| Micros(nanos / 1000)), Micros(entry.delay / 1000));
                self.tracks.push(Track {
                    number: entry.number,
                    av1,
                    duration,
                    delay,
                    spacing: Spacing::default(),
                });
                self.infos.push(info);
            }
            Ok(None) => self.refused.push(entry.codec.to_owned()),
            Err(why) => self.refused.push(format!("{}: {why}", entry.codec)),
        }
        Ok(())
    }

    /// Appends the frames of a block. `duration` is in ticks.
    fn block(&mut self, block: Block, duration: Option<u64>, out: &mut VecDeque<Sample>) {
        let Some(index) = self.tracks.iter().position(|track| track.number == block.track) else { return };
        let ticks = self.cluster.saturating_add_signed(block.ticks.into());
        // All tracks move by the same amount, so that no delay takes one before zero.
        let most = self.tracks.iter().map(|track| track.delay).max().unwrap_or_default();
        let known = duration.map(|ticks| self.micros(ticks));
        let mut pts = self.micros(ticks) + (most - self.tracks[index].delay);
        let keyframe = block.keyframe || !self.infos[index].is_video();
        let is_opus = self.infos[index].codec_string == "opus";
        let track = &mut self.tracks[index];
        for data in block.frames {
            let packet = if is_opus { opus::duration(&data) } else { None };
            let dts = track.spacing.dts(pts);
            let duration = track.spacing.duration(dts, packet.or(known).or(track.duration));
            let data = match &track.av1 {
                Some(config) => config.sample(data, keyframe),
                None => data,
            };
            out.push_back(Sample { track: index, pts, dts, duration, keyframe, frames: 1, data });
            pts = pts + duration;
        }
    }
}

impl Format for Mkv {
    fn tracks(&self) -> &[TrackInfo] {
        &self.infos
    }

    fn advance(&mut self, out: &mut VecDeque<Sample>) -> Result<Progress> {
        let Some(tag) = self.tags.next() else { return Ok(Progress::End) };
        match tag.map_err(|error| self.failed(error))? {
            MatroskaSpec::TimestampScale(nanos) => self.scale = nanos,
            MatroskaSpec::TrackEntry(Master::Full(children)) => self.entry(&children)?,
            MatroskaSpec::Tracks(Master::End) if self.tracks.is_empty() => {
                let why = format!("none of these can be: {}", self.refused.join(", "));
                return Err(Error::NoTracks { why });
            }
            MatroskaSpec::Timestamp(ticks) => self.cluster = ticks,
            MatroskaSpec::SimpleBlock(data) => {
                let block = Block::parse(data.into()).map_err(|why| self.malformed("SimpleBlock", why))?;
                self.block(block, None, out);
            }
            MatroskaSpec::BlockGroup(Master::Full(children)) => {
                let duration = children.iter().find_map(|child| match child {
                    MatroskaSpec::BlockDuration(ticks) => Some(*ticks),
                    _ => None,
                });
                let keyframe = !children.iter().any(|child| matches!(child, MatroskaSpec::ReferenceBlock(_)));
                for child in children {
                    let MatroskaSpec::Block(data) = child else { continue };
                    let block = Block::parse(data.into()).map_err(|why| self.malformed("Block", why))?;
                    self.block(Block { keyframe, ..block }, duration, out);
                }
            }
            _ => {}
        }
        Ok(Progress::More)
    }
}

/// Values of a `TrackEntry`.
#[derive(Default)]
struct Entry<'a> {
    number: u64,
    codec: &'a str,
    private: &'a [u8],
    duration: Option<u64>,
    delay: u64,
    lang: Option<&'a str>,
    size: (u32, u32),
    channels: u32,
    encoded: bool,
}

impl<'a> Entry<'a> {
    fn new(children: &'a [MatroskaSpec]) -> Self {
        let mut entry = Self { channels: 1, ..Self::default() };
        entry.read(children);
        entry
    }

    fn read(&mut self, children: &'a [MatroskaSpec]) {
        for child in children {
            match child {
                MatroskaSpec::TrackNumber(number) => self.number = *number,
                MatroskaSpec::CodecID(codec) => self.codec = codec,
                MatroskaSpec::CodecPrivate(private) => self.private = private,
                MatroskaSpec::DefaultDuration(nanos) => self.duration = Some(*nanos),
                MatroskaSpec::CodecDelay(nanos) => self.delay = *nanos,
                MatroskaSpec::Language(lang) => self.lang = self.lang.or(Some(lang)),
                MatroskaSpec::LanguageIETF(lang) => self.lang = Some(lang),
                MatroskaSpec::PixelWidth(width) => self.size.0 = *width as u32,
                MatroskaSpec::PixelHeight(height) => self.size.1 = *height as u32,
                MatroskaSpec::Channels(channels) => self.channels = *channels as u32,
                MatroskaSpec::ContentEncodings(_) => self.encoded = true,
                MatroskaSpec::Video(Master::Full(inner)) | MatroskaSpec::Audio(Master::Full(inner)) => {
                    self.read(inner);
                }
                _ => {}
            }
        }
    }

    fn info(&self) -> Parsed<Option<(TrackInfo, Option<av1::Config>)>> {
        /// Ticks a second by default, for tracks that declare no other scale; samples are in microseconds
        /// anyway.
        const TIMESCALE: u32 = 1000;
        if self.encoded {
            return Err("compressed or encrypted by the container".into());
        }
        let mut record = self.private;
        let mut av1 = None;
        let mut info = match self.codec {
            "V_MPEG4/ISO/AVC" => {
                let avcc = Avcc::decode_body(&mut record).map_err(|error| error.to_string())?;
                h264::track(&avcc, self.size, TIMESCALE)?
            }
            "V_MPEGH/ISO/HEVC" => {
                let hvcc = Hvcc::decode_body(&mut record).map_err(|error| error.to_string())?;
                h265::track(&hvcc, self.size, TIMESCALE)?
            }
            "V_AV1" => {
                let config = av1::Config::parse(self.private)?;
                let info =
                    TrackInfo::video(VideoCodec::Av1, config.codec_string.clone(), self.size, TIMESCALE);
                av1 = Some(config);
                info
            }
            "V_VP9" => {
                let name = vp9::from_codec_private(self.private, self.size);
                TrackInfo::video(VideoCodec::Vp9, name, self.size, TIMESCALE)
            }
            "A_OPUS" => opus::track(self.private, self.channels, TIMESCALE),
            "A_AAC" => aac::track(self.private, TIMESCALE)?,
            _ => return Ok(None),
        };
        if let (Kind::Video { framerate: framerate @ None, .. }, Some(nanos @ 1..)) =
            (&mut info.kind, self.duration)
        {
            *framerate = Some(1e9 / nanos as f64);
        }
        info.lang = self.lang.filter(|lang| *lang != "und").map(str::to_owned);
        Ok(Some((info, av1)))
    }
}
