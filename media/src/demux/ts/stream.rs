//! An elementary stream of a transport stream: from PES packets to samples.

use bytes::Bytes;
use mpeg2ts_reader::packet::Pid;

use crate::codec::{Parsed, aac, h264, h265, opus};
use crate::demux::Spacing;
use crate::{Micros, Sample, TrackInfo};

/// Ticks a second of PTS and DTS.
const TIMESCALE: u32 = 90_000;
/// Bytes of the largest PES packet accepted.
const MAX_PES: usize = 16 << 20;
/// Tolerated drift: audio frames follow each other without gaps unless timestamps differ by more than this.
const MAX_DRIFT: Micros = Micros::from_millis(100);

/// Codec of an elementary stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Coding {
    H264,
    H265,
    Aac,
    Opus,
}

#[derive(Debug)]
enum Decoder {
    H264(h264::AnnexB),
    H265(h265::AnnexB),
    /// AAC, with the start of a frame whose end is in the next packet.
    Aac(Vec<u8>),
    Opus,
}

/// Continuity of a stream's frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Health {
    Sound,
    /// Packets are missing: the next frames could only be decoded with errors.
    Lost,
}

/// An elementary stream on its way from PES packets to samples.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) pid: Pid,
    /// Index among the tracks, once those are fixed.
    pub(super) track: Option<usize>,
    decoder: Decoder,
    audio: Option<TrackInfo>,
    buffer: Vec<u8>,
    times: Option<(Micros, Micros)>,
    next: Option<Micros>,
    spacing: Spacing,
    health: Health,
}

impl Stream {
    pub(super) fn new(pid: Pid, coding: Coding) -> Self {
        let decoder = match coding {
            Coding::H264 => Decoder::H264(h264::AnnexB::default()),
            Coding::H265 => Decoder::H265(h265::AnnexB::default()),
            Coding::Aac => Decoder::Aac(Vec::new()),
            Coding::Opus => Decoder::Opus,
        };
        let (buffer, spacing) = (Vec::new(), Spacing::default());
        Self {
            pid,
            track: None,
            decoder,
            audio: None,
            buffer,
            times: None,
            next: None,
            spacing,
            health: Health::Sound,
        }
    }

    pub(super) fn coding(&self) -> Coding {
        match self.decoder {
            Decoder::H264(_) => Coding::H264,
            Decoder::H265(_) => Coding::H265,
            Decoder::Aac(_) => Coding::Aac,
            Decoder::Opus => Coding::Opus,
        }
    }

    /// Returns the track, once the stream has described itself.
    pub(super) fn info(&self) -> Option<&TrackInfo> {
        match &self.decoder {
            Decoder::H264(annex_b) => annex_b.track(),
            Decoder::H265(annex_b) => annex_b.track(),
            Decoder::Aac(_) | Decoder::Opus => self.audio.as_ref(),
        }
    }

    /// Begins a PES packet.
    pub(super) fn begin(&mut self, pts: Option<u64>, dts: Option<u64>) {
        let micros = |ticks| Micros::from_ticks(ticks, TIMESCALE);
        self.buffer.clear();
        self.times = pts.zip(dts).map(|(pts, dts)| (micros(pts), micros(dts)));
    }

    pub(super) fn append(&mut self, data: &[u8]) -> Parsed<()> {
        if self.buffer.len() + data.len() > MAX_PES {
            return Err(format!("a PES packet has more than {MAX_PES} bytes"));
        }
        self.buffer.extend_from_slice(data);
        Ok(())
    }

    /// Handles missing packets: the buffered part never becomes whole.
    pub(super) fn lost(&mut self) {
        self.buffer.clear();
        self.next = None;
        self.health = Health::Lost;
        if let Decoder::Aac(rest) = &mut self.decoder {
            rest.clear();
        }
    }

    /// Ends a PES packet: appends its frames under the stream's own number.
    pub(super) fn end(&mut self, stream: usize, out: &mut Vec<Sample>) -> Parsed<()> {
        let data = std::mem::take(&mut self.buffer);
        if data.is_empty() {
            return Ok(());
        }
        match &mut self.decoder {
            Decoder::H264(annex_b) => {
                let known = annex_b.track().is_some();
                let sample = annex_b.sample(&data, TIMESCALE);
                self.video(if known { sample? } else { sample.ok().flatten() }, stream, out);
            }
            Decoder::H265(annex_b) => {
                let known = annex_b.track().is_some();
                let sample = annex_b.sample(&data, TIMESCALE);
                self.video(if known { sample? } else { sample.ok().flatten() }, stream, out);
            }
            Decoder::Aac(rest) => {
                let mut whole = std::mem::take(rest);
                whole.extend_from_slice(&data);
                self.aac(&whole, stream, out)?;
            }
            Decoder::Opus => self.opus(&data, stream, out)?,
        }
        self.buffer = data;
        self.buffer.clear();
        Ok(())
    }

    fn video(&mut self, sample: Option<(Bytes, bool)>, track: usize, out: &mut Vec<Sample>) {
        let (Some((data, keyframe)), Some((pts, dts))) = (sample, self.times) else { return };
        if keyframe {
            self.health = Health::Sound;
        } else if self.health == Health::Lost {
            return;
        }
        let dts = dts.max(self.spacing.last_dts.unwrap_or_default());
        let duration = self.spacing.duration(dts, None);
        out.push(Sample { track, pts, dts, duration, keyframe, frames: 1, data });
    }

    fn audio(&mut self, unit: &[u8], duration: Micros, track: usize, out: &mut Vec<Sample>) {
        let Some(pts) = self.next else { return };
        self.next = Some(pts + duration);
        let data = Bytes::copy_from_slice(unit);
        out.push(Sample { track, pts, dts: pts, duration, keyframe: true, frames: 1, data });
    }

    /// Uses the packet's timestamp for its first frame, unless that closely follows the last one.
    fn resume(&mut self) {
        if let Some((pts, _)) = self.times
            && self.next.is_none_or(|next| next.0.abs_diff(pts.0) > MAX_DRIFT.0)
        {
            self.next = Some(pts);
        }
    }

    fn aac(&mut self, mut data: &[u8], stream: usize, out: &mut Vec<Sample>) -> Parsed<()> {
        self.resume();
        while let Some(frame) = aac::adts(&mut data)? {
            if self.audio.is_none() {
                self.audio = Some(aac::track(&frame.config, TIMESCALE)?);
            }
            let duration = Micros::from_ticks(aac::FRAME.into(), frame.sample_rate);
            self.audio(frame.unit, duration, stream, out);
        }
        self.decoder = Decoder::Aac(data.to_vec());
        Ok(())
    }

    /// Appends Opus packets, each of which follows a control header (ETSI TS opus 0.1.3, 4.2).
    fn opus(&mut self, mut data: &[u8], stream: usize, out: &mut Vec<Sample>) -> Parsed<()> {
        self.resume();
        while let [0x7f, flags, rest @ ..] = data {
            if flags & 0xe0 != 0xe0 {
                break;
            }
            let sizes = rest.iter().take_while(|byte| **byte == 0xff).count();
            let last = rest.get(sizes).ok_or("an Opus control header is cut off")?;
            let len = sizes * 255 + usize::from(*last);
            let trims = 2 * usize::from(flags >> 4 & 1) + 2 * usize::from(flags >> 3 & 1);
            let rest = rest.get(sizes + 1 + trims..).ok_or("an Opus control header is cut off")?;
            let (packet, rest) = rest.split_at_checked(len).ok_or("an Opus packet is cut off")?;
            self.audio.get_or_insert_with(|| opus::track(&[], 2, TIMESCALE));
            self.audio(packet, opus::duration(packet).unwrap_or_default(), stream, out);
            data = rest;
        }
        Ok(())
    }
}
