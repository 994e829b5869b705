//! The outcomes of this node's own requests: answers, refusals and ends.

use std::{cell::RefCell, rc::Rc};

use moqt::{DoneCode, Params, Properties, RequestCode, message::RequestError, session::RequestId};

use super::{OwnRequest, Progress, Session, Waiting};
use crate::{
    Published,
    relay::{
        fetch_proxy::Step,
        hub::{Command, is_absence},
        track::{State, Track, is_room_track},
    },
};

impl Session {
    pub(super) fn failed(&mut self, own: OwnRequest, error: RequestError) {
        match own {
            OwnRequest::Track(track, waiting) => self.refused(track, waiting, error),
            OwnRequest::Offer(Some((peer, request))) | OwnRequest::Namespace(_, (peer, request)) => {
                self.send(peer, Command::Answer(request, Err(error)));
            }
            OwnRequest::Fetch(fetch, _) => {
                fetch.push(Step::Error(error));
            }
            OwnRequest::Status(name, (peer, request)) => {
                self.relay.0.borrow_mut().remember_refusal(&name, &error);
                self.send(peer, Command::StatusAnswer(request, Err(error)));
            }
            OwnRequest::Namespaces if error.code == RequestCode::PREFIX_OVERLAP => {
                let mut hub = self.relay.0.borrow_mut();
                let commands = hub.interests.namespaces_overlapped();
                hub.send_upstream(commands);
            }
            OwnRequest::Tracks(prefix) if error.code == RequestCode::PREFIX_OVERLAP => {
                let mut hub = self.relay.0.borrow_mut();
                let commands = hub.interests.overlapped(&prefix);
                hub.send_upstream(commands);
            }
            OwnRequest::Offer(None) | OwnRequest::Own | OwnRequest::Namespaces | OwnRequest::Tracks(_) => {}
        }
    }

    /// The peer has refused a track, or cannot be requested to send it.
    pub(super) fn refused(&self, track: Rc<RefCell<Track>>, waiting: Waiting, error: RequestError) {
        if track.borrow().source != Some(self.id) {
            return;
        }
        track.borrow_mut().source = None;
        let mut hub = self.relay.0.borrow_mut();
        let now = hub.platform.now();
        if track.borrow().is_live() {
            // A track that was live and cannot be resumed is over for its subscribers.
            track.borrow_mut().set(State::Ended(DoneCode::TRACK_ENDED));
            return;
        }
        let waits_longer = track.borrow().patience > waiting.patience;
        let is_awaited = waiting.is_over(now) && is_absence(&error) && track.borrow().is_awaited(now);
        if waits_longer || is_awaited {
            // A subscriber is willing to wait longer: request the track again.
            hub.reassign(track);
        } else {
            hub.refusals.remember(now, &track.borrow().name, &error);
            track.borrow_mut().set(State::Refused(error));
        }
    }

    /// Suspects what the peer, an upstream, had not answered when it ended the session.
    pub(in crate::relay) fn suspect_requests(&self) {
        let mut hub = self.relay.0.borrow_mut();
        let now = hub.platform.now();
        for own in self.requests.values() {
            match own {
                OwnRequest::Track(track, _) if !track.borrow().is_live() => {
                    hub.quarantine.add(now, &track.borrow().name);
                }
                OwnRequest::Fetch(fetch, Progress::Requested) => hub.quarantine.add(now, &fetch.track),
                OwnRequest::Status(name, _) => hub.quarantine.add(now, name),
                _ => {}
            }
        }
    }

    pub(super) fn answered(&mut self, request: RequestId, params: Params, properties: Properties) {
        match self.requests.get(&request) {
            Some(OwnRequest::Offer(Some((peer, request))) | OwnRequest::Namespace(_, (peer, request))) => {
                self.send(*peer, Command::Answer(*request, Ok(())));
            }
            Some(OwnRequest::Status(_, (peer, of))) => {
                self.send(*peer, Command::StatusAnswer(*of, Ok(Box::new((params, properties)))));
                self.requests.remove(&request);
            }
            _ => {}
        }
    }

    pub(super) fn done(&mut self, request: RequestId, code: DoneCode) {
        let track = if let Some(OwnRequest::Track(track, _)) = self.requests.remove(&request) {
            Some(track)
        } else {
            let offered = self.offered.remove(&request);
            if let Some(track) = &offered {
                self.withdraw(Published::Track(&track.borrow().name));
            }
            offered
        };
        let Some(track) = track.filter(|track| track.borrow().source == Some(self.id)) else { return };
        match code {
            // A room's tracks go on when the room's root has been opened again.
            DoneCode::TRACK_ENDED | DoneCode::SUBSCRIPTION_ENDED
                if !is_room_track(track.borrow().name.namespace()) =>
            {
                track.borrow_mut().source = None;
                track.borrow_mut().set(State::Ended(code));
            }
            // Another publisher may have the track.
            _ => self.lost(&track),
        }
    }

    /// Orphans a track whose source this session was, and looks for another publisher.
    pub(super) fn lost(&self, track: &Rc<RefCell<Track>>) {
        if track.borrow().source == Some(self.id) {
            track.borrow_mut().orphaned();
            self.relay.0.borrow_mut().reassign_orphans();
        }
    }
}
