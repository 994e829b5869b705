//! Tracks and namespaces that the peer publishes: whether it may, and their way to the relay.

use std::{cell::RefCell, rc::Rc};

use moqt::{Cx, Namespace, Params, Properties, SessionCode, TrackName, session::RequestId};

use super::{OwnRequest, Session};
use crate::{Published, Replaced, relay::hub::Command};

impl Session {
    pub(super) fn publish_namespace(&mut self, cx: &mut Cx<'_>, request: RequestId, namespace: Namespace) {
        if self.is_upstream() {
            let _ = cx.session.accept(request, Params::default(), Properties::NONE);
            self.relay.0.borrow_mut().remote.insert(namespace);
            self.relay.0.borrow_mut().notify_namespaces();
            return;
        }
        if !self.may_publish(cx, request, Published::Namespace(&namespace)) {
            return;
        }
        // The upstream decides whether the peer may publish.
        let behalf = match self.behalf() {
            Ok(behalf) => behalf,
            Err(error) => {
                let _ = cx.session.reject(request, error);
                return;
            }
        };
        self.published.insert(request, namespace.clone());
        match behalf {
            Some(behalf) => self.send(behalf, Command::PublishNamespace(namespace, (self.id, request))),
            None => self.accepted(cx, request),
        }
    }

    pub(super) fn publish(
        &mut self,
        cx: &mut Cx<'_>,
        request: RequestId,
        name: &TrackName,
        params: &Params,
        properties: Properties,
    ) {
        if !self.may_publish(cx, request, Published::Track(name)) {
            return;
        }
        let behalf = match self.behalf() {
            Ok(behalf) => behalf,
            Err(error) => {
                let reason = error.reason_text().to_owned();
                let _ = cx.session.reject(request, error);
                cx.session.close(SessionCode::UNAUTHORIZED, &reason);
                return;
            }
        };
        let track = Rc::new(RefCell::new(self.relay.0.borrow().new_track(name)));
        track.borrow_mut().offered_by(self.id, properties, params.largest);
        self.offered.insert(request, Rc::clone(&track));
        match behalf {
            Some(behalf) => self.send(behalf, Command::Publish(track, Some((self.id, request)))),
            None => self.accepted(cx, request),
        }
    }

    /// Returns whether the peer may publish something, and refuses it if not. After a refused PUBLISH the session is
    /// closed with the reason too, since a peer's library may drop the reason of the refusal.
    pub(super) fn may_publish(&mut self, cx: &mut Cx<'_>, request: RequestId, what: Published<'_>) -> bool {
        let Some(admission) = &self.admission else { return true };
        match admission.publish(self.id, what) {
            Ok(replaced) => {
                if let Some(Replaced { peer, reason }) = replaced {
                    self.send(peer, Command::Close(SessionCode::UNAUTHORIZED, reason));
                }
                true
            }
            Err(error) => {
                self.relay.0.borrow().figures.refused_publishes.inc();
                let reason = error.reason_text().to_owned();
                tracing::info!(peer = self.id.0, ?what, reason, "publishing refused");
                let _ = cx.session.reject(request, error);
                if matches!(what, Published::Track(_)) {
                    cx.session.close(SessionCode::UNAUTHORIZED, &reason);
                }
                false
            }
        }
    }

    /// Reports to the admission that the peer has ended a publication.
    pub(super) fn withdraw(&self, what: Published<'_>) {
        if let Some(admission) = &self.admission {
            admission.withdraw(self.id, what);
        }
    }

    /// Accepts a request to publish: installs the track or namespace.
    pub(super) fn accepted(&mut self, cx: &mut Cx<'_>, request: RequestId) {
        if let Err(excess) = self.become_creator(cx) {
            let _ = cx.session.reject(request, excess.into());
            self.ended(request);
            return;
        }
        if let Some(namespace) = self.published.get(&request) {
            self.relay.0.borrow_mut().offer(namespace, self.id);
        }
        if let Some(track) = self.offered.get(&request) {
            self.relay.0.borrow_mut().install(track, self.id);
        }
        let _ = cx.session.accept(request, Params::default(), Properties::NONE);
    }

    /// A SUBSCRIBE proves that the peer accepted the namespace, even if its REQUEST_OK, on another stream, has not
    /// arrived yet. Treat the namespace as accepted now.
    pub(super) fn confirm_namespaces(&self, track: &TrackName) {
        for own in self.requests.values() {
            if let OwnRequest::Namespace(namespace, (peer, _)) = own
                && namespace.is_prefix_of(track.namespace())
            {
                let mut hub = self.relay.0.borrow_mut();
                let is_local = hub.local.get(namespace).is_some_and(|peers| peers.contains(peer));
                if !is_local && hub.peers.contains_key(peer) {
                    hub.offer(namespace, *peer);
                }
            }
        }
    }

    /// Sends the peer the namespaces that have come or gone since the last call.
    pub(super) fn send_namespaces(&mut self, cx: &mut Cx<'_>) {
        let mut watching = std::mem::take(&mut self.watching);
        for (request, (prefix, sent)) in &mut watching {
            let mut now = self.relay.0.borrow().namespaces(prefix);
            now.retain(|suffix| {
                prefix.join(suffix).is_ok_and(|namespace| self.may_watch(&namespace).is_ok())
            });
            for gone in sent.difference(&now) {
                let _ = cx.session.namespace_done(*request, gone.clone());
            }
            for new in now.difference(sent) {
                let _ = cx.session.namespace(*request, new.clone());
            }
            *sent = now;
        }
        self.watching = watching;
    }
}
