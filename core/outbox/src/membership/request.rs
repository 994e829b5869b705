//! Requests for the tracks of a membership.

use moqt::{Micros, Misuse, TrackName, session::RequestId};

/// The state of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Request {
    /// Not wanted at present.
    Idle,
    /// To be sent at this time.
    Due(Micros),
    /// Sent, and not ended.
    Open(RequestId),
}

/// A track, and the request for it.
#[derive(Debug)]
pub(super) struct Requested {
    name: TrackName,
    pub(super) request: Request,
}

impl Requested {
    pub(super) fn new(name: TrackName) -> Self {
        Self { name, request: Request::Idle }
    }

    /// Returns whether this is the open request.
    pub(super) fn is(&self, request: RequestId) -> bool {
        self.request == Request::Open(request)
    }

    /// Returns the time at which the request is to be sent.
    pub(super) fn due(&self) -> Option<Micros> {
        match self.request {
            Request::Due(at) => Some(at),
            Request::Idle | Request::Open(_) => None,
        }
    }

    /// Sends the request if it is due.
    pub(super) fn send_if_due(
        &mut self,
        now: Micros,
        send: impl FnOnce(TrackName) -> Result<RequestId, Misuse>,
    ) -> Result<(), Misuse> {
        if self.due().is_some_and(|at| at <= now) {
            self.request = Request::Open(send(self.name.clone())?);
        }
        Ok(())
    }

    /// Stops wanting the track; returns the open request.
    pub(super) fn take(&mut self) -> Option<RequestId> {
        match std::mem::replace(&mut self.request, Request::Idle) {
            Request::Open(request) => Some(request),
            Request::Idle | Request::Due(_) => None,
        }
    }
}
