//! The sources of tracks: which session is asked for a track, and which is next if it has none or goes.

use std::{cell::RefCell, rc::Rc, sync::Arc};

use moqt::{DoneCode, Micros, TrackName, message::RequestError};

use super::{
    RESUME,
    hub::{Command, Hub, absent, quarantined},
    track::{State, Track},
};
use crate::{
    PeerId,
    budget::{Kind as Cost, Payer},
};

/// The time for which a client's rendezvous is forwarded. The relay requests the track again for as long as a client
/// waits, so that one that waits for what never comes does not hold a request of the upstream's meanwhile.
const PATIENCE_FORWARDED: Micros = Micros::from_millis(3_000);
/// Subscribers that wait less are answered from memory if the name was refused a moment ago.
const REMEMBERED_PATIENCE_MS: u64 = 1_000;

/// A session that asks for a track.
#[derive(Clone, Copy)]
pub(super) struct Asking<'a> {
    pub(super) peer: PeerId,
    pub(super) payer: &'a Payer,
    /// Set if it is the upstream that asks, to which its own tracks are not requested back.
    pub(super) from_upstream: bool,
}

impl Hub {
    /// Returns the publisher of a track: the peer with the longest matching namespace, else the upstream. Never `asking`.
    pub(super) fn source(&self, name: &TrackName, asking: PeerId) -> Option<PeerId> {
        let local = self
            .local
            .iter()
            .filter(|(namespace, _)| namespace.is_prefix_of(name.namespace()))
            .filter_map(|(namespace, peers)| {
                let peer = peers.iter().rev().find(|peer| **peer != asking)?;
                Some((namespace.fields().len(), *peer))
            })
            .max_by_key(|(fields, _)| *fields)
            .map(|(_, peer)| peer);
        local.or(self.upstream.filter(|upstream| *upstream != asking))
    }

    /// Creates a track without a source.
    pub(super) fn new_track(&self, name: &TrackName) -> Track {
        let stats =
            self.admission.as_ref().map_or_else(|| Ok(Arc::default()), |admission| admission.stats(name));
        let stats = stats.unwrap_or_default();
        Track::new(name.clone(), self.figures.clone(), Rc::clone(&self.cache), stats)
    }

    /// Returns whether the admission expects a publisher for a track that has none now.
    pub(super) fn expects(&self, name: &TrackName) -> bool {
        self.admission.as_ref().is_some_and(|admission| admission.expects(name))
    }

    /// Returns the track of that name, or a new one if there is none or it is over.
    pub(super) fn get_or_create(&mut self, name: &TrackName) -> Rc<RefCell<Track>> {
        if let Some(track) = self.tracks.get(name).filter(|track| !track.borrow().is_over()) {
            return Rc::clone(track);
        }
        let track = Rc::new(RefCell::new(self.new_track(name)));
        self.tracks.insert(name.clone(), Rc::clone(&track));
        self.figures.tracks.set(self.tracks.len() as i64);
        track
    }

    /// Returns the track of that name, and requests it from a publisher or the upstream if it has no source. A
    /// subscriber waits for `patience` milliseconds, if it does at all.
    pub(super) fn get_or_request(
        &mut self,
        name: &TrackName,
        asking: Asking<'_>,
        patience: Option<u64>,
    ) -> Result<Rc<RefCell<Track>>, RequestError> {
        let Asking { peer: asking, payer, from_upstream } = asking;
        let held = if self.tracks.get(name).is_none_or(|track| track.borrow().is_unheld()) {
            Some(payer.charge(Cost::Held)?)
        } else {
            None
        };
        let track = self.get_or_create(name);
        let now = self.platform.now();
        let forwarded = patience.map(|ms| ms.min(PATIENCE_FORWARDED.as_millis()));
        track.borrow_mut().await_publisher(now, patience, forwarded);
        // Our upstream is asking us for a track that we asked it for: a loop. Take our request back; if no local peer
        // publishes the track, it does not exist.
        let upstream =
            self.upstream.filter(|upstream| from_upstream && track.borrow().source == Some(*upstream));
        if let Some(upstream) = upstream {
            self.send(upstream, Command::Unsubscribe(Rc::clone(&track)));
            track.borrow_mut().source = None;
        }
        if track.borrow().source.is_some() {
            return Ok(track);
        }
        if forwarded.is_none_or(|ms| ms < REMEMBERED_PATIENCE_MS)
            && let Some(error) = self.refusals.recall(now, name)
            && !track.borrow().is_live()
        {
            track.borrow_mut().set(State::Refused(error));
            return Ok(track);
        }
        track.borrow_mut().reopen();
        let source =
            self.source(name, asking).filter(|source| !(from_upstream && self.upstream == Some(*source)));
        match source {
            Some(source) if !self.may_request(source, name, asking) => {
                track.borrow_mut().set(State::Refused(quarantined()));
            }
            Some(source) => {
                track.borrow_mut().held = held;
                track.borrow_mut().requested_from(source);
                self.is_source(source);
                self.send(source, Command::Subscribe(Rc::clone(&track), forwarded));
            }
            // The track waits until the upstream or its publisher is back.
            None if (self.has_upstream && !from_upstream) || self.expects(name) => {
                track.borrow_mut().held = held;
            }
            None if track.borrow().is_live() => {
                track.borrow_mut().set(State::Ended(DoneCode::TRACK_ENDED));
            }
            None => track.borrow_mut().set(State::Refused(absent())),
        }
        Ok(track)
    }

    /// Returns whether a client's request for a name may go to a source: to the upstream, not if it may have ended
    /// the session with it before.
    pub(super) fn may_request(&mut self, source: PeerId, name: &TrackName, client: PeerId) -> bool {
        let now = self.platform.now();
        self.upstream != Some(source) || self.quarantine.admits(now, name, client)
    }

    /// Remembers that a name was refused.
    pub(super) fn remember_refusal(&mut self, name: &TrackName, error: &RequestError) {
        let now = self.platform.now();
        self.refusals.remember(now, name, error);
    }

    /// Returns the track of that name, and requests it from one session only: it belongs to that session's client.
    pub(super) fn get_or_request_from(&mut self, source: PeerId, name: &TrackName) -> Rc<RefCell<Track>> {
        let track = self.get_or_create(name);
        if track.borrow().source.is_none() {
            track.borrow_mut().reopen();
            track.borrow_mut().requested_from(source);
            self.is_source(source);
            self.send(source, Command::Subscribe(Rc::clone(&track), None));
        }
        track
    }

    /// Requests refused and orphaned tracks again: a new peer may have them.
    pub(super) fn retry_refused(&mut self) {
        self.refusals.clear();
        for track in self.tracks.values().filter(|track| track.borrow().source.is_none()) {
            track.borrow_mut().reopen();
        }
        self.reassign_orphans();
    }

    /// Finds publishers for tracks that have lost theirs, or found none yet.
    pub(super) fn reassign_orphans(&mut self) {
        let orphans: Vec<_> = self
            .tracks
            .values()
            .filter(|track| {
                let track = track.borrow();
                track.source.is_none() && matches!(track.state, State::Pending | State::Live)
            })
            .cloned()
            .collect();
        for track in orphans {
            self.reassign(track);
        }
    }

    /// Finds a publisher for a track that has lost its own, or found none yet.
    pub(super) fn reassign(&mut self, track: Rc<RefCell<Track>>) {
        let (name, takers) = (track.borrow().name.clone(), track.borrow().takers);
        match self.source(&name, PeerId(u64::MAX)) {
            Some(source)
                if self.upstream == Some(source)
                    && !self.quarantine.admits_waiting(self.platform.now(), &name, takers) =>
            {
                let over = track.borrow().is_live();
                let state =
                    if over { State::Ended(DoneCode::INTERNAL_ERROR) } else { State::Refused(quarantined()) };
                track.borrow_mut().set(state);
            }
            Some(source) => {
                track.borrow_mut().requested_from(source);
                self.is_source(source);
                let resume = track.borrow().is_live().then(|| RESUME.as_millis());
                let patience = track.borrow().patience.max(resume);
                self.send(source, Command::Subscribe(track, patience));
            }
            // No peer is left that could have the track.
            None if !self.has_upstream && track.borrow().is_live() && !self.expects(&name) => {
                track.borrow_mut().set(State::Ended(DoneCode::TRACK_ENDED));
            }
            None => {}
        }
    }
}
