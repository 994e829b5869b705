//! FETCH requests that this node passes on to a track's publisher or the upstream: their answer, on its way back.

use std::{cell::RefCell, collections::VecDeque, rc::Rc, task::Waker};

use bytes::Bytes;
use moqt::{
    Cx, FetchOk, Location, ResetCode, TrackName,
    data::{FetchObject, RangeEnd},
    message::RequestError,
    session::{RequestId, StreamId},
};

/// Bytes of an answer that may wait for the requesting peer before the fetch is reset.
pub const FETCH_BACKLOG: usize = 16 << 20;

/// One part of an answer: an event of the session with the publisher.
pub(super) enum Step {
    Ok(FetchOk),
    Error(RequestError),
    Open,
    Object(FetchObject),
    Range(RangeEnd),
    Payload(Bytes),
    End,
    Reset(ResetCode),
}

/// The request, and the parts of the answer that the requesting peer has not been sent.
pub(super) struct ProxiedFetch {
    pub(super) track: TrackName,
    pub(super) start: Location,
    pub(super) end: Location,
    pub(super) params: moqt::Params,
    steps: RefCell<VecDeque<Step>>,
    /// Payload bytes in `steps`, at most about [`FETCH_BACKLOG`].
    bytes: RefCell<usize>,
    waker: RefCell<Option<Waker>>,
}

impl ProxiedFetch {
    pub(super) fn new(track: TrackName, range: (Location, Location), params: moqt::Params) -> Rc<Self> {
        Rc::new(Self {
            track,
            start: range.0,
            end: range.1,
            params,
            steps: RefCell::default(),
            bytes: RefCell::default(),
            waker: RefCell::default(),
        })
    }

    /// Adds a part of the answer. Returns whether the requesting peer keeps up, within [`FETCH_BACKLOG`].
    pub(super) fn push(&self, step: Step) -> bool {
        if let Step::Payload(data) = &step {
            *self.bytes.borrow_mut() += data.len();
        }
        self.steps.borrow_mut().push_back(step);
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
        *self.bytes.borrow() <= FETCH_BACKLOG
    }
}

/// A FETCH of a peer whose answer comes from another session.
pub(super) struct PendingFetch {
    pub(super) request: RequestId,
    pub(super) fetch: Rc<ProxiedFetch>,
    stream: Option<StreamId>,
    accepted: bool,
    finished: bool,
}

impl PendingFetch {
    pub(super) fn new(request: RequestId, fetch: Rc<ProxiedFetch>) -> Self {
        Self { request, fetch, stream: None, accepted: false, finished: false }
    }

    /// Sends the parts that have come. Returns whether more are to come.
    pub(super) fn poll(&mut self, waker: &Waker, cx: &mut Cx<'_>) -> bool {
        self.fetch.waker.replace(Some(waker.clone()));
        loop {
            if self.stream.is_some_and(|stream| cx.backlog(stream) > super::subscription::FAN_BACKLOG) {
                return true;
            }
            let Some(step) = self.fetch.steps.borrow_mut().pop_front() else { return true };
            if !self.pass(step, cx) {
                return false;
            }
        }
    }

    fn pass(&mut self, step: Step, cx: &mut Cx<'_>) -> bool {
        let stream = self.stream;
        let session = &mut *cx.session;
        match (step, stream) {
            (Step::Ok(ok), _) => {
                self.accepted = true;
                session.accept_fetch(self.request, ok).is_ok() && !self.finished
            }
            (Step::Error(error), _) => {
                let _ = session.reject(self.request, error);
                false
            }
            (Step::Open, _) => {
                self.stream = session.open_fetch(self.request).ok();
                self.stream.is_some()
            }
            (Step::Object(object), Some(stream)) => session.fetch_object(stream, &object).is_ok(),
            (Step::Range(end), Some(stream)) => session.range_end(stream, end).is_ok(),
            (Step::Payload(data), Some(stream)) => {
                *self.fetch.bytes.borrow_mut() -= data.len();
                session.payload(stream, data).is_ok()
            }
            (Step::End, Some(stream)) => {
                let _ = session.finish(cx.now, stream);
                self.finished = true;
                // FETCH_OK may come after the stream's end.
                !self.accepted
            }
            (Step::Reset(code), Some(stream)) => {
                let _ = session.reset(stream, code);
                false
            }
            (_, None) => false,
        }
    }
}
