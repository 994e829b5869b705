//! A peer's open data streams: each belongs to a track or to the answer of a fetch.

use std::{cell::RefCell, collections::BTreeMap, rc::Rc};

use moqt::{
    Cx, Event, ResetCode,
    data::SubgroupHeader,
    session::{RequestId, StreamId},
};

use super::{
    fetch_proxy::{Flow, ProxiedFetch, Step},
    track::{End, Sequence, Track},
};
use crate::budget::Payer;

/// A peer's open data streams, by the track or fetch that each carries.
#[derive(Default)]
pub(super) struct Incoming {
    streams: BTreeMap<StreamId, Carried>,
    /// Streams that are not read for now: enough of them waits.
    paused: Vec<StreamId>,
}

enum Carried {
    Subgroup(Rc<RefCell<Track>>, Sequence),
    /// The answer to a fetch.
    Answer(RequestId, Rc<ProxiedFetch>),
}

/// What is to be done after data has come.
pub(super) enum After {
    /// The answer to this fetch has ended.
    Delivered(RequestId),
    /// This fetch is to be cancelled: the requesting peer is gone, or too slow.
    Unwanted(RequestId),
    /// The track has more than its publisher may keep open.
    Overflow(Rc<RefCell<Track>>),
}

impl Incoming {
    /// Opens a stream that carries a subgroup, at the cost of the session.
    pub(super) fn subgroup(
        &mut self,
        stream: StreamId,
        track: &Rc<RefCell<Track>>,
        header: SubgroupHeader,
        payer: &Payer,
    ) -> Option<After> {
        let sequence = track.borrow_mut().begin(header, Some(payer));
        self.streams.insert(stream, Carried::Subgroup(Rc::clone(track), sequence));
        overflow(track)
    }

    /// Opens a stream that carries the answer to a fetch.
    pub(super) fn answer(&mut self, stream: StreamId, request: RequestId, fetch: &Rc<ProxiedFetch>) {
        fetch.push(Step::Open);
        self.streams.insert(stream, Carried::Answer(request, Rc::clone(fetch)));
    }

    /// Handles data on a stream.
    pub(super) fn data(&mut self, cx: &Cx<'_>, event: Event) -> Option<After> {
        match event {
            Event::Object { stream, header } => match self.streams.get(&stream)? {
                Carried::Subgroup(track, sequence) => {
                    track.borrow_mut().object(*sequence, header);
                    overflow(track)
                }
                Carried::Answer(..) => None,
            },
            Event::Payload { stream, data } => match self.streams.get(&stream)? {
                Carried::Subgroup(track, sequence) => {
                    track.borrow_mut().payload(*sequence, data);
                    overflow(track)
                }
                Carried::Answer(..) => self.push(cx, stream, Step::Payload(data)),
            },
            Event::FetchObject { stream, object } => self.push(cx, stream, Step::Object(object)),
            Event::RangeEnd { stream, end } => self.push(cx, stream, Step::Range(end)),
            Event::StreamEnded { stream } => self.over(stream, End::Finished),
            Event::StreamReset { stream, code } => self.over(stream, End::Reset(code)),
            _ => None,
        }
    }

    /// Reads those paused streams again whose answers were taken.
    pub(super) fn resume(&mut self, cx: &Cx<'_>) {
        let streams = &self.streams;
        self.paused.retain(|stream| {
            let Some(Carried::Answer(_, fetch)) = streams.get(stream) else { return false };
            let is_taken = fetch.flow() == Flow::On;
            if is_taken {
                cx.resume(*stream);
            }
            !is_taken
        });
    }

    /// Ignores all streams of a track from now on, including their end.
    pub(super) fn forget_track(&mut self, track: &Rc<RefCell<Track>>) {
        self.streams
            .retain(|_, carried| !matches!(carried, Carried::Subgroup(of, _) if Rc::ptr_eq(of, track)));
    }

    /// Ignores all streams of a fetch from now on, including their end.
    pub(super) fn forget_fetch(&mut self, request: RequestId) {
        self.streams.retain(|_, carried| !matches!(carried, Carried::Answer(of, _) if *of == request));
    }

    fn push(&mut self, cx: &Cx<'_>, stream: StreamId, step: Step) -> Option<After> {
        let Some(Carried::Answer(request, fetch)) = self.streams.get(&stream) else { return None };
        match fetch.push(step) {
            Flow::On => None,
            Flow::Pause => {
                if !self.paused.contains(&stream) {
                    self.paused.push(stream);
                    cx.pause(stream);
                }
                None
            }
            Flow::Over => {
                let request = *request;
                self.streams.remove(&stream);
                Some(After::Unwanted(request))
            }
        }
    }

    fn over(&mut self, stream: StreamId, end: End) -> Option<After> {
        match self.streams.remove(&stream)? {
            Carried::Subgroup(track, sequence) => {
                track.borrow_mut().end(sequence, end);
                None
            }
            Carried::Answer(request, fetch) => {
                fetch.push(match end {
                    End::Finished => Step::End,
                    End::Reset(code) => Step::Reset(code),
                    End::Orphaned => Step::Reset(ResetCode::CANCELLED),
                });
                Some(After::Delivered(request))
            }
        }
    }
}

fn overflow(track: &Rc<RefCell<Track>>) -> Option<After> {
    track.borrow().has_overflown().then(|| After::Overflow(Rc::clone(track)))
}
