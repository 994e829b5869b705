//! The answers to what the peer requests of a track: FETCH, TRACK_STATUS and the right to watch.

use std::{cell::RefCell, rc::Rc};

use moqt::{
    Cx, Location, Namespace, Params, Properties, RequestCode, TrackName, message::RequestError,
    session::RequestId,
};

use super::{Held, OwnRequest, Progress, Session};
use crate::{
    PeerId,
    budget::Kind as Cost,
    figures::FetchSource,
    relay::{
        fetch::Fetch,
        fetch_proxy::{PendingFetch, ProxiedFetch},
        hub::{Command, absent, quarantined},
        subscription::Viewer,
        track::{State, Track},
    },
};

impl Session {
    /// Returns an error if the peer may not watch a namespace.
    pub(super) fn may_watch(&self, namespace: &Namespace) -> Result<(), RequestError> {
        self.guarded(namespace)?;
        self.admission.as_ref().map_or(Ok(()), |admission| admission.watch(self.id, namespace))
    }

    /// Returns an error if the peer may not watch a track, or the relay may not have one more track.
    pub(super) fn may_take(&self, track: &TrackName) -> Result<(), RequestError> {
        self.may_watch(track.namespace())?;
        self.admission.as_ref().map_or(Ok(()), |admission| admission.stats(track).map(drop))
    }

    /// Counts a subscription of the peer with the admission, until the result is dropped.
    pub(super) fn viewer(&self, track: &Rc<RefCell<Track>>) -> Option<Viewer> {
        let admission = self.admission.clone()?;
        Some(Viewer::new(admission, self.id, track.borrow().name.clone()))
    }

    pub(super) fn fetch(
        &mut self,
        cx: &mut Cx<'_>,
        request: RequestId,
        name: TrackName,
        range: (Location, Location),
        params: Params,
    ) {
        let figures = self.relay.figures();
        if let Err(error) = self.may_watch(name.namespace()) {
            figures.fetch(FetchSource::Refused);
            let _ = cx.session.reject(request, error);
            return;
        }
        let track = self.relay.0.borrow().tracks.get(&name).cloned();
        match track.as_ref().map_or(Held::Elsewhere, |track| self.held(&track.borrow(), range)) {
            Held::Here => {
                figures.fetch(FetchSource::Kept);
                let order = params.group_order.unwrap_or_default();
                self.fetches.extend(track.and_then(|track| Fetch::accept(track, request, range, order, cx)));
                return;
            }
            Held::Never(error) => {
                figures.fetch(FetchSource::Refused);
                let _ = cx.session.reject(request, error);
                return;
            }
            Held::Elsewhere => {}
        }
        let source = {
            let hub = self.relay.0.borrow();
            let of_track = track.and_then(|track| track.borrow().source).filter(|source| *source != self.id);
            let upstream = hub.upstream;
            of_track.or_else(|| hub.source(&name, self.id)).filter(|source| {
                // A request of the upstream is not answered from the upstream.
                !(self.is_upstream() && Some(*source) == upstream)
            })
        };
        let refused = match source {
            None => Some(absent()),
            Some(source) => self.refused_before(source, &name),
        };
        let (Some(source), None) = (source, &refused) else {
            figures.fetch(FetchSource::Refused);
            let _ = cx.session.reject(request, refused.unwrap_or_else(absent));
            return;
        };
        figures.fetch(FetchSource::Publisher);
        let charge = self.intake.payer.empty(Cost::FetchBytes);
        let fetch = ProxiedFetch::new(name, range, Params { tokens: Vec::new(), ..params }, charge);
        self.proxied.push(PendingFetch::new(request, Rc::clone(&fetch)));
        self.send(source, Command::Fetch(fetch));
    }

    /// Returns how a FETCH is answered. A node with an admission answers for the tracks that creators publish to
    /// it; another passes the request for groups that it no longer keeps on to their publisher.
    pub(super) fn held(&self, track: &Track, (start, end): (Location, Location)) -> Held {
        let beyond = || {
            Held::Never(RequestError::new(RequestCode::INVALID_RANGE, "the track has not come that far yet"))
        };
        if Fetch::is_whole(track, start) {
            return if track.largest.is_none_or(|largest| start > largest) { beyond() } else { Held::Here };
        }
        let is_asked = track.source.is_some() && !track.is_offered();
        if self.admission.is_none() || is_asked || !(track.is_live() || track.is_over()) {
            return Held::Elsewhere;
        }
        if track.largest.is_none_or(|largest| start > largest) {
            return beyond();
        }
        if Fetch::is_partial(track, end) {
            return Held::Here;
        }
        let oldest = track.oldest().unwrap_or_default();
        let reason = format!("these groups are no longer kept: the oldest group is {oldest}");
        Held::Never(RequestError::new(RequestCode::DOES_NOT_EXIST, &reason))
    }

    /// A fetch is over once it has been both accepted and delivered.
    pub(super) fn fetch_progress(&mut self, request: RequestId, now: Progress) {
        if let Some(OwnRequest::Fetch(_, progress)) = self.requests.get_mut(&request) {
            if *progress == Progress::Requested {
                *progress = now;
            } else {
                self.requests.remove(&request);
            }
        }
    }

    pub(super) fn track_status(&mut self, cx: &mut Cx<'_>, request: RequestId, name: TrackName) {
        if let Err(error) = self.may_watch(name.namespace()) {
            let _ = cx.session.reject(request, error);
            return;
        }
        if self.relay.0.borrow().own_track.as_ref() == Some(&name) {
            let _ = cx.session.accept(request, Params::default(), Properties::NONE);
            return;
        }
        let track = self.relay.0.borrow().tracks.get(&name).cloned();
        if let Some(track) = track {
            let track = track.borrow();
            if matches!(track.state, State::Live) {
                let params = Params { largest: track.largest, ..Params::default() };
                let _ = cx.session.accept(request, params, track.properties.clone());
                return;
            }
        }
        let source = self.relay.0.borrow().source(&name, self.id).filter(|_| !self.is_upstream());
        let refused = match source {
            None => Some(absent()),
            Some(source) => self.refused_before(source, &name),
        };
        match (source, refused) {
            (_, Some(error)) => drop(cx.session.reject(request, error)),
            (Some(source), None) => self.send(source, Command::Status(name, (self.id, request))),
            (None, None) => {}
        }
    }

    /// Returns the refusal of a name that its source refused a moment ago, or whose request may have ended the
    /// session with the upstream.
    fn refused_before(&self, source: PeerId, name: &TrackName) -> Option<RequestError> {
        let mut hub = self.relay.0.borrow_mut();
        let remembered = hub.refusals.recall(hub.platform.now(), name);
        let may = remembered.is_some() || hub.may_request(source, name, self.id);
        if may { remembered } else { Some(quarantined()) }
    }
}
