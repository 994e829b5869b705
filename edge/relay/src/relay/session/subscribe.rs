//! The peer's subscriptions: to tracks, to namespaces, and to all tracks under a prefix.

use std::collections::BTreeSet;

use moqt::{
    Cx, Namespace, Params, Properties, RequestCode, TrackName, message::RequestError, session::RequestId,
};
use wire::names;

use super::{OwnRequest, Session};
use crate::Role;
use crate::relay::{
    hub::Command,
    sourcing::Asking,
    subscription::Subscription,
    track::{State, is_under},
};

impl Session {
    pub(super) fn subscribe(
        &mut self,
        cx: &mut Cx<'_>,
        request: RequestId,
        track: TrackName,
        params: Params,
    ) {
        if let Err(error) = self.may_take(&track) {
            let _ = cx.session.reject(request, error);
            return;
        }
        self.confirm_namespaces(&track);
        // The uplink of an edge that follows this node: only the session on its behalf presents its token.
        let linked = match is_under(track.namespace(), names::EDGE).then(|| self.behalf()).transpose() {
            Ok(linked) => linked.flatten(),
            Err(error) => {
                let _ = cx.session.reject(request, error);
                return;
            }
        };
        let from_upstream = self.is_upstream();
        let patience = params.rendezvous_timeout.filter(|ms| *ms > 0);
        let requested = {
            let mut hub = self.relay.0.borrow_mut();
            let asking = Asking { peer: self.id, payer: &self.intake.payer, from_upstream };
            match linked {
                Some(source) => Ok(hub.get_or_request_from(source, &track)),
                None => hub.get_or_request(&track, asking, patience),
            }
        };
        let track = match requested {
            Ok(track) => track,
            Err(error) => {
                let _ = cx.session.reject(request, error);
                return;
            }
        };
        let viewer = self.viewer(&track);
        self.subscriptions.push(Subscription::requested(track, request, &params, viewer));
    }

    pub(super) fn subscribe_namespace(&mut self, cx: &mut Cx<'_>, request: RequestId, prefix: Namespace) {
        let _ = cx.session.accept(request, Params::default(), Properties::NONE);
        self.watching.insert(request, (prefix, BTreeSet::new()));
        self.namespaces_changed = true;
        let mut hub = self.relay.0.borrow_mut();
        let commands = hub.interests.add_namespaces(self.id, request);
        hub.send_upstream(commands);
    }

    /// Offers the peer all tracks under a prefix, those there are and those that will come.
    pub(super) fn subscribe_tracks(&mut self, cx: &mut Cx<'_>, request: RequestId, prefix: Namespace) {
        if prefix.is_empty() && self.intake.payer.role() == Role::Fan {
            // The upstream would send this node all that it has.
            let reason = "all tracks of all namespaces are too many; name a namespace";
            let error = RequestError::new(RequestCode::NAMESPACE_TOO_LARGE, reason);
            let _ = cx.session.reject(request, error);
            return;
        }
        let _ = cx.session.accept(request, Params::default(), Properties::NONE);
        let mut hub = self.relay.0.borrow_mut();
        let here: Vec<_> = hub
            .tracks
            .values()
            .filter(|track| {
                let track = track.borrow();
                matches!(track.state, State::Live)
                    && track.source.is_some_and(|source| source != self.id)
                    && prefix.is_prefix_of(track.name.namespace())
            })
            .filter(|track| {
                let track = track.borrow();
                self.may_watch(track.name.namespace()).is_ok()
            })
            .cloned()
            .collect();
        for track in here {
            hub.send(self.id, Command::Publish(track, None));
        }
        let commands = hub.interests.add_tracks((self.id, request), prefix, !self.is_upstream());
        hub.send_upstream(commands);
    }

    pub(super) fn update(&mut self, cx: &mut Cx<'_>, request: RequestId, params: Params) {
        let found = self.subscriptions.iter().find(|subscription| subscription.request == request);
        let largest = found.and_then(|subscription| subscription.track.borrow().largest);
        let _ = cx.session.accept_update(request, Params { largest, ..Params::default() });
        if let (Some(prefix), Some(watching)) = (params.namespace_prefix, self.watching.get_mut(&request)) {
            *watching = (prefix, BTreeSet::new());
            self.namespaces_changed = true;
        }
    }

    /// Ends a request that the peer has cancelled, whichever side sent it.
    pub(super) fn cancelled(&mut self, request: RequestId) {
        self.incoming.forget_fetch(request);
        match self.requests.remove(&request) {
            Some(OwnRequest::Track(track, _)) => {
                self.incoming.forget_track(&track);
                self.lost(&track);
            }
            Some(own) => {
                let error = RequestError::new(RequestCode::INTERNAL_ERROR, "the request was broken off");
                self.failed(own, error);
            }
            None => {}
        }
        self.ended(request);
    }
}
