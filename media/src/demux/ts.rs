//! MPEG-2 transport streams.

use std::collections::VecDeque;

use mpeg2ts_reader::StreamType;
use mpeg2ts_reader::demultiplex::{
    Demultiplex, DemuxContext, FilterChangeset, FilterRequest, NullPacketFilter, PacketFilter,
    PatPacketFilter, PmtPacketFilter,
};
use mpeg2ts_reader::descriptor::{Descriptor, DescriptorError};
use mpeg2ts_reader::packet::{ContinuityCounter, Packet};
use mpeg2ts_reader::pes::{PesContents, PesHeader, PesLength, PtsDts, Timestamp};
use mpeg2ts_reader::psi::pat::PAT_PID;

use super::source::Source;
use super::{Format, Progress};
use crate::{Error, Result, Sample, TrackInfo};

mod stream;

use stream::{Coding, Stream};

/// Bytes that [`sniff`] looks at.
pub(super) const SNIFF: usize = Packet::SIZE * 2 + 1;
/// Elementary streams of an input, at most: more than any show has.
const MAX_STREAMS: usize = 32;
/// Bytes of samples held back, at most: after that, the reader starts without announced streams that have not
/// begun.
const MAX_HELD: usize = 16 << 20;

pub(super) fn sniff(start: &[u8]) -> bool {
    !start.is_empty() && start.iter().step_by(Packet::SIZE).all(|byte| *byte == 0x47)
}

/// Reader of an MPEG-2 transport stream, in which each PES packet holds one video frame or some audio frames,
/// as encoders write it.
pub(super) struct Ts {
    source: Source,
    demultiplex: Demultiplex<Context>,
    context: Context,
    infos: Vec<TrackInfo>,
    /// Samples completed before all tracks are known, still numbered by stream.
    held: Vec<Sample>,
    state: State,
}

#[derive(Debug, PartialEq, Eq)]
enum State {
    Announcing,
    Playing,
}

impl Ts {
    pub(super) fn new(source: Source) -> Self {
        let mut context = Context::default();
        let demultiplex = Demultiplex::new(&mut context);
        Self { source, demultiplex, context, infos: Vec::new(), held: Vec::new(), state: State::Announcing }
    }

    /// Fixes the tracks.
    fn play(&mut self) {
        for stream in &mut self.context.streams {
            if let Some(info) = stream.info().cloned() {
                stream.track = Some(self.infos.len());
                self.infos.push(info);
            }
        }
        self.state = State::Playing;
    }

    /// Appends the completed samples, once the tracks are fixed.
    fn put(&mut self, out: &mut VecDeque<Sample>) {
        self.held.append(&mut self.context.samples);
        let streams = &self.context.streams;
        let known = !streams.is_empty() && streams.iter().all(|stream| stream.info().is_some());
        let full = self.held.iter().map(|sample| sample.data.len()).sum::<usize>() > MAX_HELD;
        if self.state == State::Announcing && (known || full) {
            self.play();
        }
        if self.state == State::Playing {
            let track =
                |sample: &Sample| self.context.streams.get(sample.track).and_then(|stream| stream.track);
            out.extend(
                self.held.drain(..).filter_map(|sample| Some(Sample { track: track(&sample)?, ..sample })),
            );
        }
    }

    /// Completes unfinished frames at the end of the input.
    fn finish(&mut self, out: &mut VecDeque<Sample>) {
        for stream in 0..self.context.streams.len() {
            self.context.end(stream);
        }
        if self.state == State::Announcing {
            self.play();
        }
        self.put(out);
    }
}

impl Format for Ts {
    fn tracks(&self) -> &[TrackInfo] {
        &self.infos
    }

    fn advance(&mut self, out: &mut VecDeque<Sample>) -> Result<Progress> {
        let what = "transport packet";
        let at = self.source.offset();
        let packet = self.source.take(Packet::SIZE as u64)?;
        if packet.len() < Packet::SIZE {
            self.finish(out);
            let at = self.source.offset();
            return if packet.is_empty() {
                Ok(Progress::End)
            } else {
                Err(Error::Truncated { what: what.into(), at })
            };
        }
        let malformed = |why| Error::Malformed { what: what.into(), at, why };
        if Packet::try_new(&packet).is_none() {
            self.finish(out);
            return Err(malformed("it does not start with the sync byte".into()));
        }
        self.demultiplex.push(&mut self.context, &packet);
        self.put(out);
        match self.context.failed.take() {
            Some(why) => Err(malformed(why)),
            None => Ok(Progress::More),
        }
    }
}

/// State that the filters of a transport stream share.
#[derive(Default)]
struct Context {
    changes: FilterChangeset<Filter>,
    streams: Vec<Stream>,
    samples: Vec<Sample>,
    /// The newest timestamp, extended beyond 33 bits.
    clock: Option<i64>,
    failed: Option<String>,
}

impl Context {
    /// Finishes the PES packet of a stream.
    fn end(&mut self, stream: usize) {
        if let Some(it) = self.streams.get_mut(stream)
            && let Err(why) = it.end(stream, &mut self.samples)
        {
            self.failed.get_or_insert(why);
        }
    }

    /// Extends a timestamp beyond the 33 bits after which it wraps.
    fn unwrap(&mut self, timestamp: Timestamp) -> u64 {
        const WRAP: i64 = 1 << 33;
        let value = timestamp.value() as i64;
        let last = self.clock.unwrap_or(value);
        let step = (value - last).rem_euclid(WRAP);
        let unwrapped = last.saturating_add(if step < WRAP / 2 { step } else { step - WRAP });
        self.clock = Some(unwrapped);
        u64::try_from(unwrapped).unwrap_or(0)
    }
}

impl DemuxContext for Context {
    type F = Filter;

    fn filter_changeset(&mut self) -> &mut FilterChangeset<Filter> {
        &mut self.changes
    }

    fn construct(&mut self, request: FilterRequest<'_, '_>) -> Filter {
        let FilterRequest::ByStream { stream_type, stream_info, .. } = request else {
            return match request {
                FilterRequest::ByPid(PAT_PID) => Filter::Pat(PatPacketFilter::default()),
                FilterRequest::Pmt { pid, program_number } => {
                    Filter::Pmt(PmtPacketFilter::new(pid, program_number))
                }
                _ => Filter::Null(NullPacketFilter::default()),
            };
        };
        let coding = match stream_type {
            StreamType::H264 => Coding::H264,
            StreamType::H265 => Coding::H265,
            StreamType::ADTS => Coding::Aac,
            StreamType::H222_0_PES_PRIVATE_DATA
                if stream_info.descriptors::<Raw<'_>>().flatten().any(|raw| raw.registers(*b"Opus")) =>
            {
                Coding::Opus
            }
            _ => return Filter::Null(NullPacketFilter::default()),
        };
        let pid = stream_info.elementary_pid();
        let known = self.streams.iter().position(|stream| stream.pid == pid && stream.coding() == coding);
        let index = known.unwrap_or(self.streams.len());
        if index == MAX_STREAMS {
            return Filter::Null(NullPacketFilter::default());
        }
        if known.is_none() {
            self.streams.push(Stream::new(pid, coding));
        }
        Filter::Pes(Pes::new(index))
    }
}

/// Treatment of the packets of one PID.
enum Filter {
    Pat(PatPacketFilter<Context>),
    Pmt(PmtPacketFilter<Context>),
    Pes(Pes),
    Null(NullPacketFilter<Context>),
}

impl PacketFilter for Filter {
    type Ctx = Context;

    fn consume(&mut self, context: &mut Context, packet: &Packet<'_>) {
        match self {
            Self::Pat(filter) => filter.consume(context, packet),
            Self::Pmt(filter) => filter.consume(context, packet),
            Self::Pes(filter) => filter.consume(context, packet),
            Self::Null(filter) => filter.consume(context, packet),
        }
    }
}

/// Collects the PES packets of a stream. The crate's own filter ends a packet only when the next one starts;
/// this one also at the length that a packet declares, so that sound need not wait.
struct Pes {
    stream: usize,
    counter: Option<ContinuityCounter>,
    state: PesState,
}

enum PesState {
    /// Waits for the start of a packet, and drops anything else.
    Waiting,
    /// Reads a packet: this many bytes are missing, if it declares its length.
    Reading(Option<usize>),
}

impl Pes {
    fn new(stream: usize) -> Self {
        Self { stream, counter: None, state: PesState::Waiting }
    }

    fn begin(&mut self, context: &mut Context, payload: &[u8]) {
        self.state = PesState::Waiting;
        let Some(header) = PesHeader::from_bytes(payload) else { return };
        let PesContents::Parsed(Some(parsed)) = header.contents() else { return };
        let (pts, dts) = match parsed.pts_dts() {
            Ok(PtsDts::PtsOnly(Ok(pts))) => (Some(pts), Some(pts)),
            Ok(PtsDts::Both { pts: Ok(pts), dts: Ok(dts) }) => (Some(pts), Some(dts)),
            _ => (None, None),
        };
        let dts = dts.map(|dts| context.unwrap(dts));
        let pts = pts.map(|pts| context.unwrap(pts));
        if let Some(stream) = context.streams.get_mut(self.stream) {
            stream.begin(pts, dts);
        }
        let body = parsed.payload();
        // The length counts from the field's own end (ISO/IEC 13818-1 2.4.3.7).
        let missing = match header.pes_packet_length() {
            PesLength::Bounded(len) => {
                Some((6 + usize::from(len.get())).saturating_sub(payload.len() - body.len()))
            }
            PesLength::Unbounded => None,
        };
        self.state = PesState::Reading(missing);
        self.append(context, body);
    }

    fn append(&mut self, context: &mut Context, data: &[u8]) {
        let PesState::Reading(missing) = &mut self.state else { return };
        let data = &data[..data.len().min(missing.unwrap_or(usize::MAX))];
        if let Some(stream) = context.streams.get_mut(self.stream)
            && let Err(why) = stream.append(data)
        {
            context.failed.get_or_insert(why);
        }
        if let Some(missing) = missing {
            *missing -= data.len();
            if *missing == 0 {
                self.state = PesState::Waiting;
                context.end(self.stream);
            }
        }
    }

    /// Returns the packet's order after the last one of its PID (ISO/IEC 13818-1 2.4.3.3).
    fn order(&self, packet: &Packet<'_>) -> Order {
        let this = packet.continuity_counter();
        match self.counter {
            None => Order::Next,
            Some(last) if this.count() == last.count() => Order::Repeated,
            Some(last) if this.follows(last) => Order::Next,
            Some(_) => Order::Gap,
        }
    }
}

enum Order {
    Next,
    /// Sent twice, or without payload and therefore not counted.
    Repeated,
    Gap,
}

impl PacketFilter for Pes {
    type Ctx = Context;

    fn consume(&mut self, context: &mut Context, packet: &Packet<'_>) {
        match self.order(packet) {
            Order::Next => {}
            Order::Repeated => return,
            Order::Gap => {
                self.state = PesState::Waiting;
                if let Some(stream) = context.streams.get_mut(self.stream) {
                    stream.lost();
                }
            }
        }
        self.counter = Some(packet.continuity_counter());
        let payload = packet.payload().unwrap_or_default();
        if packet.payload_unit_start_indicator() {
            context.end(self.stream);
            self.begin(context, payload);
        } else {
            self.append(context, payload);
        }
    }
}

/// A descriptor, undecoded.
struct Raw<'a> {
    tag: u8,
    body: &'a [u8],
}

impl Raw<'_> {
    /// Returns whether this is a registration descriptor for a format (ISO/IEC 13818-1 2.6.8).
    fn registers(&self, format: [u8; 4]) -> bool {
        self.tag == 5 && self.body.starts_with(&format)
    }
}

impl<'a> Descriptor<'a> for Raw<'a> {
    fn from_bytes(bytes: &'a [u8]) -> Result<Self, DescriptorError> {
        match bytes {
            [tag, _, body @ ..] => Ok(Self { tag: *tag, body }),
            _ => Err(DescriptorError::BufferTooShort { buflen: bytes.len() }),
        }
    }
}
