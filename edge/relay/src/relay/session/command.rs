//! Commands that a session receives from the other sessions and the relay.

use std::{cell::RefCell, rc::Rc};

use moqt::{
    Cx, Micros, Namespace, Params, RequestCode,
    message::{FetchKind, RequestError},
    session::RequestId,
};

use super::{OwnRequest, Progress, Session, Waiting, misused};
use crate::{
    PeerId,
    budget::{Kind as Cost, Pace},
    relay::{
        fetch_proxy::ProxiedFetch,
        hub::{Command, Kind},
        subscription::Subscription,
        track::Track,
    },
};

/// Requests that this node has open on one session, below the 8,192 that a peer of this make allows an edge: as many as
/// an edge's 1,024 rooms with seven tracks each need.
const OWN_REQUESTS: usize = 7_500;

impl Session {
    pub(super) fn command(&mut self, cx: &mut Cx<'_>, command: Command) {
        if self.requests.len() >= OWN_REQUESTS && command.is_request() {
            let error =
                RequestError::new(RequestCode::EXCESSIVE_LOAD, "this node has too many requests open");
            return self.give_up(command, error);
        }
        let session = &mut *cx.session;
        match command {
            Command::Subscribe(track, patience) => {
                let name = track.borrow().name.clone();
                let params = Params { rendezvous_timeout: patience, ..Params::default() };
                let waiting = Waiting { since: self.relay.platform().now(), patience };
                match session.subscribe(name, params) {
                    Ok(request) => {
                        self.requests.insert(request, OwnRequest::Track(track, waiting));
                    }
                    Err(error) => self.failed(OwnRequest::Track(track, waiting), misused(&error)),
                }
            }
            Command::Unsubscribe(track) => self.unsubscribe(cx, &track),
            Command::Publish(track, None) if self.may_watch(track.borrow().name.namespace()).is_err() => {}
            // Another creator has published the track meanwhile.
            Command::Publish(track, answer @ Some(_)) if track.borrow().source.is_none() => {
                let error = RequestError::new(RequestCode::GOING_AWAY, "the track is another creator's now");
                self.failed(OwnRequest::Offer(answer), error);
            }
            Command::Publish(track, answer) => self.offer_track(cx, track, answer),
            Command::PublishNamespace(namespace, answer) => {
                let own = OwnRequest::Namespace(namespace.clone(), answer);
                match session.publish_namespace(namespace, Params::default()) {
                    Ok(request) => {
                        self.requests.insert(request, own);
                    }
                    Err(error) => self.failed(own, misused(&error)),
                }
            }
            Command::WithdrawNamespace(namespace) => {
                self.cancel_own(cx, |own| matches!(own, OwnRequest::Namespace(of, _) if *of == namespace));
            }
            Command::Answer(request, Ok(())) => self.accepted(cx, request),
            Command::Answer(request, Err(error)) => {
                // A request that was accepted before can only be cancelled.
                if session.reject(request, error).is_err() {
                    let _ = session.cancel(request);
                }
                self.ended(request);
            }
            Command::Fetch(fetch) => {
                let ProxiedFetch { track, start, end, params, .. } = &*fetch;
                let kind = FetchKind::Standalone { track: track.clone(), start: *start, end: *end };
                match session.fetch(kind, params.clone()) {
                    Ok(request) => {
                        self.requests.insert(request, OwnRequest::Fetch(fetch, Progress::Requested));
                        self.fetching.push(request);
                    }
                    Err(error) => self.failed(OwnRequest::Fetch(fetch, Progress::Requested), misused(&error)),
                }
            }
            Command::Status(track, of) => match session.track_status(track.clone(), Params::default()) {
                Ok(own) => {
                    self.requests.insert(own, OwnRequest::Status(track, of));
                }
                Err(error) => self.failed(OwnRequest::Status(track, of), misused(&error)),
            },
            Command::StatusAnswer(request, Ok(answer)) => {
                let _ = session.accept(request, answer.0, answer.1);
            }
            Command::StatusAnswer(request, Err(error)) => {
                let _ = session.reject(request, error);
            }
            Command::WatchNamespaces(true) => {
                if let Ok(request) = session.subscribe_namespace(Namespace::default(), Params::default()) {
                    self.requests.insert(request, OwnRequest::Namespaces);
                }
            }
            Command::WatchNamespaces(false) => {
                self.cancel_own(cx, |own| matches!(own, OwnRequest::Namespaces));
                self.relay.0.borrow_mut().remote.clear();
            }
            Command::WatchTracks(prefix, true) => {
                if let Ok(request) = session.subscribe_tracks(prefix.clone(), Params::default()) {
                    self.requests.insert(request, OwnRequest::Tracks(prefix));
                }
            }
            Command::WatchTracks(prefix, false) => {
                self.cancel_own(cx, |own| matches!(own, OwnRequest::Tracks(of) if *of == prefix));
            }
            Command::Close(code, reason) => session.close(code, &reason),
            Command::GoAway(within) => {
                let within = Micros::from_millis(within.as_millis() as u64);
                let _ = session.goaway(cx.now, "", Some(within));
                self.leaving = true;
            }
        }
    }

    /// Refuses a command for which the peer allows no further request.
    fn give_up(&mut self, command: Command, error: RequestError) {
        match command {
            Command::Subscribe(track, patience) => {
                let waiting = Waiting { since: self.now(), patience };
                self.failed(OwnRequest::Track(track, waiting), error);
            }
            Command::Fetch(fetch) => self.failed(OwnRequest::Fetch(fetch, Progress::Requested), error),
            Command::Status(name, of) => self.failed(OwnRequest::Status(name, of), error),
            _ => {}
        }
    }

    /// Cancels a request of this node's, if there is such a one.
    fn cancel_own(&mut self, cx: &mut Cx<'_>, is: impl Fn(&OwnRequest) -> bool) {
        if let Some(request) = self.requests.iter().find(|(_, own)| is(own)).map(|(id, _)| *id) {
            let _ = cx.session.cancel(request);
            self.requests.remove(&request);
        }
    }

    /// Takes the commands that published upstream for a creator, for the next session to repeat.
    pub(in crate::relay) fn take_publications(&mut self) -> Vec<Command> {
        let mut publications = Vec::new();
        for (request, own) in std::mem::take(&mut self.requests) {
            match own {
                OwnRequest::Namespace(namespace, answer) => {
                    publications.push(Command::PublishNamespace(namespace, answer));
                }
                OwnRequest::Offer(answer) => {
                    let of = |subscription: &&Subscription| subscription.request == request;
                    if let Some(subscription) = self.subscriptions.iter().find(of) {
                        publications.push(Command::Publish(Rc::clone(&subscription.track), answer));
                    }
                }
                own => {
                    self.failed(own, RequestError::new(RequestCode::INTERNAL_ERROR, "the origin is gone"));
                }
            }
        }
        publications
    }

    /// Returns the session that publishes upstream on this client's behalf, opened if need be. `None` without an
    /// upstream. A client whose tokens are none, or known to be false, gets none: each is a handshake for both nodes.
    pub(super) fn behalf(&mut self) -> Result<Option<PeerId>, RequestError> {
        let Kind::Client(credentials) = &self.kind else { return Ok(None) };
        let has_keys = {
            let hub = self.relay.0.borrow();
            if !hub.has_upstream {
                return Ok(None);
            }
            if let Some((id, _)) = self.behalf.as_ref().filter(|(id, _)| hub.peers.contains_key(id)) {
                return Ok(Some(*id));
            }
            hub.keys.is_some()
        };
        if !credentials.are_for_upstream(has_keys) {
            let reason = match credentials.proofs().iter().find_map(|proof| proof.outcome.as_ref().err()) {
                Some(error) => error.to_string(),
                None => "publishing needs a token".to_owned(),
            };
            return Err(RequestError::new(RequestCode::UNAUTHORIZED, &reason));
        }
        let payer = &self.intake.payer;
        payer.pace(self.now(), Pace::Behalf)?;
        let charge = payer.charge(Cost::Behalf)?;
        let id = self.relay.open_on_behalf(credentials.clone());
        self.behalf = Some((id, charge));
        Ok(Some(id))
    }

    /// Cancels the request by which this node takes a track from the peer.
    fn unsubscribe(&mut self, cx: &mut Cx<'_>, track: &Rc<RefCell<Track>>) {
        let is_same = |own: &OwnRequest| matches!(own, OwnRequest::Track(of, _) if Rc::ptr_eq(of, track));
        let request = self.requests.iter().find(|(_, own)| is_same(own)).map(|(id, _)| *id);
        let request =
            request.or_else(|| self.offered.iter().find(|(_, of)| Rc::ptr_eq(of, track)).map(|(id, _)| *id));
        if let Some(request) = request {
            let _ = cx.session.cancel(request);
            self.requests.remove(&request);
            self.offered.remove(&request);
            self.incoming.forget_track(track);
        }
    }

    /// Offers a track to the peer (PUBLISH).
    fn offer_track(
        &mut self,
        cx: &mut Cx<'_>,
        track: Rc<RefCell<Track>>,
        answer: Option<(PeerId, RequestId)>,
    ) {
        let (name, properties, largest) = {
            let track = track.borrow();
            (track.name.clone(), track.properties.clone(), track.largest)
        };
        match cx.session.publish(name, Params { largest, ..Params::default() }, properties) {
            Ok(request) => {
                self.requests.insert(request, OwnRequest::Offer(answer));
                let viewer = answer.is_none().then(|| self.viewer(&track)).flatten();
                self.subscriptions.push(Subscription::offered(track, request, answer.is_none(), viewer));
            }
            Err(error) => self.failed(OwnRequest::Offer(answer), misused(&error)),
        }
    }
}
