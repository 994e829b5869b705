//! FETCH requests that this node passes on to a track's publisher or the upstream: their answer, on its way back.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    rc::Rc,
    task::Waker,
};

use bytes::Bytes;
use moqt::{
    Cx, FetchOk, Location, ResetCode, TrackName,
    data::{FetchObject, RangeEnd},
    message::RequestError,
    session::{RequestId, StreamId},
};

use crate::budget::Charge;

/// Bytes of an answer that wait for the requesting peer before no more is read from the source.
const PAUSE_AT: usize = 256 << 10;
/// Bytes at which reading goes on.
const RESUME_AT: usize = PAUSE_AT / 2;
/// Bytes that a part of an answer costs beside its payload.
const STEP_OVERHEAD: usize = 128;

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

impl Step {
    fn cost(&self) -> usize {
        STEP_OVERHEAD
            + match self {
                Self::Payload(data) => data.len(),
                Self::Object(object) => object.properties.as_wire().len(),
                _ => 0,
            }
    }
}

/// The pace at which a source is to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flow {
    /// The requesting peer keeps up.
    On,
    /// Enough waits for the requesting peer.
    Pause,
    /// The requesting peer is gone, or what waits for it is beyond its share.
    Over,
}

/// The request, and the parts of the answer that the requesting peer has not been sent.
pub(super) struct ProxiedFetch {
    pub(super) track: TrackName,
    pub(super) start: Location,
    pub(super) end: Location,
    pub(super) params: moqt::Params,
    steps: RefCell<VecDeque<Step>>,
    /// The cost of `steps`, paid by the requesting peer.
    charge: Charge,
    bytes: Cell<usize>,
    /// Set once the requesting peer no longer wants the answer.
    is_unwanted: Cell<bool>,
    waker: RefCell<Option<Waker>>,
    /// The task of the session with the source.
    source: RefCell<Option<Waker>>,
}

impl ProxiedFetch {
    pub(super) fn new(
        track: TrackName,
        range: (Location, Location),
        params: moqt::Params,
        charge: Charge,
    ) -> Rc<Self> {
        Rc::new(Self {
            track,
            start: range.0,
            end: range.1,
            params,
            steps: RefCell::default(),
            charge,
            bytes: Cell::new(0),
            is_unwanted: Cell::new(false),
            waker: RefCell::default(),
            source: RefCell::default(),
        })
    }

    /// Adds a part of the answer. Returns the pace at which more is to be read.
    pub(super) fn push(&self, step: Step) -> Flow {
        if self.is_unwanted.get() {
            return Flow::Over;
        }
        let cost = step.cost();
        if let Step::Payload(_) | Step::Object(_) | Step::Range(_) = step
            && self.charge.grow(cost as u64).is_err()
        {
            self.give_up();
            return Flow::Over;
        }
        self.bytes.set(self.bytes.get() + cost);
        self.put(step);
        if self.bytes.get() < PAUSE_AT { Flow::On } else { Flow::Pause }
    }

    /// Returns the pace at which the source is to be read.
    pub(super) fn flow(&self) -> Flow {
        match self.bytes.get() {
            _ if self.is_unwanted.get() => Flow::Over,
            ..=RESUME_AT => Flow::On,
            _ => Flow::Pause,
        }
    }

    /// Wakes the task of the session with the source when the pace may have changed.
    pub(super) fn watch(&self, task: &Waker) {
        let mut source = self.source.borrow_mut();
        if !source.as_ref().is_some_and(|known| known.will_wake(task)) {
            *source = Some(task.clone());
        }
    }

    /// Drops what waits, and has the answer broken off.
    fn give_up(&self) {
        self.is_unwanted.set(true);
        let is_data = |step: &Step| matches!(step, Step::Payload(_) | Step::Object(_) | Step::Range(_));
        self.steps.borrow_mut().retain(|step| !is_data(step));
        self.charge.clear();
        self.bytes.set(0);
        self.put(Step::Reset(ResetCode::EXCESSIVE_LOAD));
    }

    /// Returns whether the next part breaks the answer off, which waits for nothing.
    fn is_broken_off(&self) -> bool {
        matches!(self.steps.borrow().front(), Some(Step::Reset(_)))
    }

    fn put(&self, step: Step) {
        self.steps.borrow_mut().push_back(step);
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    fn take(&self) -> Option<Step> {
        let step = self.steps.borrow_mut().pop_front()?;
        let cost = step.cost();
        if let Step::Payload(_) | Step::Object(_) | Step::Range(_) = step {
            self.charge.shrink(cost as u64);
        }
        let before = self.bytes.replace(self.bytes.get().saturating_sub(cost));
        if before > RESUME_AT && self.bytes.get() <= RESUME_AT {
            self.wake_source();
        }
        Some(step)
    }

    fn wake_source(&self) {
        if let Some(source) = self.source.take() {
            source.wake();
        }
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
            let is_full = |stream| cx.backlog(stream) > super::subscription::FAN_BACKLOG;
            if self.stream.is_some_and(is_full) && !self.fetch.is_broken_off() {
                return true;
            }
            let Some(step) = self.fetch.take() else { return true };
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
            (Step::Payload(data), Some(stream)) => session.payload(stream, data).is_ok(),
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

impl Drop for PendingFetch {
    fn drop(&mut self) {
        self.fetch.is_unwanted.set(true);
        // What waits is no longer in use, even while the source still holds the request.
        self.fetch.steps.borrow_mut().clear();
        self.fetch.charge.clear();
        self.fetch.wake_source();
    }
}
