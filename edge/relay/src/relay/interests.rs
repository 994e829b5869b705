//! Interests: the subscriptions of clients to namespaces and to all tracks of one, and what the upstream is asked for them.

use std::collections::BTreeSet;

use moqt::{Namespace, session::RequestId};

use super::hub::Command;
use crate::PeerId;

/// The interests of all sessions. The upstream is asked once for each prefix, and no more once the last session has no
/// interest in it.
#[derive(Default)]
pub(super) struct Interests {
    /// Subscriptions to tracks under a prefix (SUBSCRIBE_TRACKS).
    tracks: Vec<Interest>,
    /// Prefixes that the upstream is asked for. None is under another, which the upstream would refuse.
    asked: BTreeSet<Namespace>,
    /// Subscriptions to namespaces (SUBSCRIBE_NAMESPACE).
    namespaces: BTreeSet<(PeerId, RequestId)>,
    /// Set while the upstream is asked for its namespaces.
    asks_namespaces: bool,
}

struct Interest {
    peer: PeerId,
    request: RequestId,
    prefix: Namespace,
    /// Unset for the upstream's own.
    is_forwarded: bool,
}

impl Interests {
    /// Adds an interest in all tracks under a prefix. Returns the commands for the upstream.
    pub(super) fn add_tracks(
        &mut self,
        (peer, request): (PeerId, RequestId),
        prefix: Namespace,
        is_forwarded: bool,
    ) -> Vec<Command> {
        self.tracks.push(Interest { peer, request, prefix, is_forwarded });
        self.compare()
    }

    /// Adds an interest in namespaces. Returns the commands for the upstream.
    pub(super) fn add_namespaces(&mut self, peer: PeerId, request: RequestId) -> Vec<Command> {
        self.namespaces.insert((peer, request));
        self.compare()
    }

    /// Removes the interest of a request, if it was one. Returns the commands for the upstream.
    pub(super) fn remove(&mut self, peer: PeerId, request: RequestId) -> Vec<Command> {
        let before = self.tracks.len();
        self.tracks.retain(|interest| (interest.peer, interest.request) != (peer, request));
        if self.namespaces.remove(&(peer, request)) || self.tracks.len() < before {
            self.compare()
        } else {
            Vec::new()
        }
    }

    /// Removes all interests of a session. Returns the commands for the upstream.
    pub(super) fn leave(&mut self, peer: PeerId) -> Vec<Command> {
        self.tracks.retain(|interest| interest.peer != peer);
        self.namespaces.retain(|(of, _)| *of != peer);
        self.compare()
    }

    /// Returns the commands for an upstream that has been asked for nothing yet.
    pub(super) fn begin(&mut self) -> Vec<Command> {
        self.asked.clear();
        self.asks_namespaces = false;
        self.compare()
    }

    /// Forgets that the upstream was asked for a prefix: it has refused, since the prefix overlapped one that was
    /// cancelled on another stream. Returns the commands for the upstream.
    pub(super) fn overlapped(&mut self, prefix: &Namespace) -> Vec<Command> {
        self.asked.remove(prefix);
        self.compare()
    }

    /// Forgets that the upstream was asked for its namespaces, for the same reason.
    pub(super) fn namespaces_overlapped(&mut self) -> Vec<Command> {
        self.asks_namespaces = false;
        self.compare()
    }

    /// Returns the sessions that are to be offered a track of a namespace.
    pub(super) fn in_tracks<'a>(&'a self, namespace: &'a Namespace) -> impl Iterator<Item = PeerId> + 'a {
        let of = self.tracks.iter().filter(|interest| interest.prefix.is_prefix_of(namespace));
        of.map(|interest| interest.peer)
    }

    /// Returns the sessions that watch namespaces, each once for each of its requests.
    pub(super) fn in_namespaces(&self) -> impl Iterator<Item = PeerId> + '_ {
        self.namespaces.iter().map(|(peer, _)| *peer)
    }

    /// Compares what the upstream is asked for with what clients want.
    fn compare(&mut self) -> Vec<Command> {
        let mut commands = Vec::new();
        let wants_namespaces = !self.namespaces.is_empty();
        if std::mem::replace(&mut self.asks_namespaces, wants_namespaces) != wants_namespaces {
            commands.push(Command::WatchNamespaces(wants_namespaces));
        }
        let forwarded = self.tracks.iter().filter(|interest| interest.is_forwarded);
        let all: BTreeSet<_> = forwarded.map(|interest| &interest.prefix).collect();
        let mut wanted: BTreeSet<Namespace> = BTreeSet::new();
        for prefix in all {
            // In this order, what is under a prefix follows it.
            if !wanted.last().is_some_and(|above| above.is_prefix_of(prefix)) {
                wanted.insert(prefix.clone());
            }
        }
        let gone = self.asked.difference(&wanted).cloned();
        commands.extend(gone.map(|prefix| Command::WatchTracks(prefix, false)));
        let new = wanted.difference(&self.asked).cloned();
        commands.extend(new.map(|prefix| Command::WatchTracks(prefix, true)));
        self.asked = wanted;
        commands
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefix(of: &str) -> Namespace {
        Namespace::from_path(of).unwrap()
    }

    fn asked(commands: &[Command]) -> Vec<(String, bool)> {
        let of = |command: &Command| match command {
            Command::WatchTracks(prefix, is_on) => Some((prefix.to_string(), *is_on)),
            _ => None,
        };
        commands.iter().filter_map(of).collect()
    }

    #[test]
    fn a_prefix_is_asked_for_once_and_cancelled_with_the_last_interest() {
        let mut interests = Interests::default();
        let add = |interests: &mut Interests, peer, of| {
            asked(&interests.add_tracks((PeerId(peer), RequestId(0)), prefix(of), true))
        };
        assert_eq!(add(&mut interests, 1, "a"), [(prefix("a").to_string(), true)]);
        assert_eq!(add(&mut interests, 2, "a"), []);
        assert_eq!(add(&mut interests, 3, "a/b"), [], "it is under another");
        assert_eq!(asked(&interests.leave(PeerId(1))), []);
        let moved = [(prefix("a").to_string(), false), (prefix("a/b").to_string(), true)];
        assert_eq!(asked(&interests.remove(PeerId(2), RequestId(0))), moved);
        assert_eq!(asked(&interests.begin()), [(prefix("a/b").to_string(), true)]);
        assert_eq!(asked(&interests.leave(PeerId(3))), [(prefix("a/b").to_string(), false)]);
    }

    #[test]
    fn the_upstreams_own_interests_are_not_passed_back_to_it() {
        let mut interests = Interests::default();
        assert!(interests.add_tracks((PeerId(1), RequestId(0)), prefix("a"), false).is_empty());
        assert_eq!(interests.in_tracks(&prefix("a/b")).count(), 1);
    }
}
