//! A peer's open data streams: each belongs to a track or to the answer of a fetch.

use std::{cell::RefCell, collections::BTreeMap, rc::Rc};

use moqt::{
    Event, ResetCode,
    data::SubgroupHeader,
    session::{RequestId, StreamId},
};

use super::{
    fetch_proxy::{ProxiedFetch, Step},
    track::{End, Sequence, Track},
};

/// A peer's open data streams, by the track or fetch that each carries.
#[derive(Default)]
pub(super) struct Incoming(BTreeMap<StreamId, Carried>);

enum Carried {
    Subgroup(Rc<RefCell<Track>>, Sequence),
    /// The answer to a fetch.
    Answer(RequestId, Rc<ProxiedFetch>),
}

impl Incoming {
    /// Opens a stream that carries a subgroup.
    pub(super) fn subgroup(&mut self, stream: StreamId, track: &Rc<RefCell<Track>>, header: SubgroupHeader) {
        let sequence = track.borrow_mut().begin(header);
        self.0.insert(stream, Carried::Subgroup(Rc::clone(track), sequence));
    }

    /// Opens a stream that carries the answer to a fetch.
    pub(super) fn answer(&mut self, stream: StreamId, request: RequestId, fetch: &Rc<ProxiedFetch>) {
        fetch.push(Step::Open);
        self.0.insert(stream, Carried::Answer(request, Rc::clone(fetch)));
    }

    /// Returns the track whose subgroup a stream carries.
    pub(super) fn track(&self, stream: StreamId) -> Option<Rc<RefCell<Track>>> {
        match self.0.get(&stream) {
            Some(Carried::Subgroup(track, _)) => Some(Rc::clone(track)),
            _ => None,
        }
    }

    /// Handles data on a stream. Returns the fetch whose answer ends with it, if one does.
    pub(super) fn data(&mut self, event: Event) -> Option<RequestId> {
        match event {
            Event::Object { stream, header } => {
                if let Some(Carried::Subgroup(track, sequence)) = self.0.get(&stream) {
                    track.borrow_mut().object(*sequence, header);
                }
            }
            Event::Payload { stream, data } => match self.0.get(&stream)? {
                Carried::Subgroup(track, sequence) => track.borrow_mut().payload(*sequence, data),
                Carried::Answer(_, fetch) => {
                    if !fetch.push(Step::Payload(data)) {
                        return self.over(stream, End::Reset(ResetCode::TOO_FAR_BEHIND));
                    }
                }
            },
            Event::FetchObject { stream, object } => self.push(stream, Step::Object(object)),
            Event::RangeEnd { stream, end } => self.push(stream, Step::Range(end)),
            Event::StreamEnded { stream } => return self.over(stream, End::Finished),
            Event::StreamReset { stream, code } => return self.over(stream, End::Reset(code)),
            _ => {}
        }
        None
    }

    /// Ignores all streams of a track from now on, including their end.
    pub(super) fn forget_track(&mut self, track: &Rc<RefCell<Track>>) {
        self.0.retain(|_, carried| !matches!(carried, Carried::Subgroup(of, _) if Rc::ptr_eq(of, track)));
    }

    /// Ignores all streams of a fetch from now on, including their end.
    pub(super) fn forget_fetch(&mut self, request: RequestId) {
        self.0.retain(|_, carried| !matches!(carried, Carried::Answer(of, _) if *of == request));
    }

    fn push(&self, stream: StreamId, step: Step) {
        if let Some(Carried::Answer(_, fetch)) = self.0.get(&stream) {
            fetch.push(step);
        }
    }

    fn over(&mut self, stream: StreamId, end: End) -> Option<RequestId> {
        match self.0.remove(&stream)? {
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
                Some(request)
            }
        }
    }
}
