//! Quarantine: names whose request may have ended the session with the upstream.
//!
//! All clients share that session. If a request makes the upstream end it, asking again as soon as another session is
//! open would end that one too, for as long as the client that asked stays.

use std::collections::{BTreeMap, BTreeSet};

use moqt::{Micros, SessionCode, TrackName};

use crate::PeerId;

/// The time for which a name is suspected after the first session ended. It doubles with each further one.
const SUSPECTED_FOR: Micros = Micros::from_millis(10_000);
/// Doublings of the time, and of the clients that are needed.
const MAX_STRIKES: u32 = 5;
/// Names that are suspected at once.
const NAMES: usize = 1_024;

/// Names that were requested and not answered when the upstream ended its session for a violation of the protocol.
#[derive(Default)]
pub(super) struct Quarantine(BTreeMap<TrackName, Suspect>);

struct Suspect {
    /// The sessions that ended while the name was requested.
    strikes: u32,
    until: Micros,
    /// Clients that have requested it since.
    wanted_by: BTreeSet<PeerId>,
}

impl Quarantine {
    /// Suspects a name.
    pub(super) fn add(&mut self, now: Micros, name: &TrackName) {
        if self.0.len() >= NAMES {
            self.0.retain(|_, suspect| now < suspect.until);
        }
        if self.0.len() >= NAMES {
            return;
        }
        let suspect = self.0.entry(name.clone()).or_insert_with(|| Suspect {
            strikes: 0,
            until: now,
            wanted_by: BTreeSet::new(),
        });
        suspect.strikes = (suspect.strikes + 1).min(MAX_STRIKES);
        suspect.until = now + Micros(SUSPECTED_FOR.0 << (suspect.strikes - 1));
        suspect.wanted_by.clear();
    }

    /// Returns whether a name may be requested for one client more: a suspected one needs two clients, and twice as
    /// many after each further session that ended.
    pub(super) fn admits(&mut self, now: Micros, name: &TrackName, client: PeerId) -> bool {
        let Some(suspect) = self.0.get_mut(name) else { return true };
        if suspect.until <= now {
            // The strikes stay for as long as others push it out: the next one counts more.
            return true;
        }
        suspect.wanted_by.insert(client);
        suspect.wanted_by.len() >= 1 << suspect.strikes
    }

    /// Returns whether a name may be requested again for clients that have waited since before it was suspected.
    pub(super) fn admits_waiting(&self, now: Micros, name: &TrackName, clients: usize) -> bool {
        self.0.get(name).is_none_or(|suspect| suspect.until <= now || clients >= 1 << suspect.strikes)
    }

    /// Clears a name that the upstream has answered.
    pub(super) fn clear(&mut self, name: &TrackName) {
        if !self.0.is_empty() {
            self.0.remove(name);
        }
    }
}

/// Returns whether a session ended because of what was sent on it, and not because its connection or its peer went.
pub(super) fn is_violation(code: SessionCode) -> bool {
    matches!(
        code,
        SessionCode::PROTOCOL_VIOLATION
            | SessionCode::INVALID_REQUEST_ID
            | SessionCode::DUPLICATE_TRACK_ALIAS
            | SessionCode::KEY_VALUE_FORMATTING_ERROR
            | SessionCode::AUTH_TOKEN_CACHE_OVERFLOW
            | SessionCode::DUPLICATE_AUTH_TOKEN_ALIAS
            | SessionCode::MALFORMED_AUTH_TOKEN
            | SessionCode::UNKNOWN_AUTH_TOKEN_ALIAS
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_suspected_name_needs_twice_as_many_clients_after_each_session_that_ended() {
        let name = TrackName::new(moqt::Namespace::from_path("room").unwrap(), "video").unwrap();
        let mut quarantine = Quarantine::default();
        assert!(quarantine.admits(Micros(0), &name, PeerId(1)));
        quarantine.add(Micros(0), &name);
        assert!(!quarantine.admits(Micros(1), &name, PeerId(1)));
        assert!(!quarantine.admits(Micros(1), &name, PeerId(1)), "the same client again");
        assert!(quarantine.admits(Micros(1), &name, PeerId(2)));
        quarantine.add(Micros(2), &name);
        assert!((1..4).all(|peer| !quarantine.admits(Micros(3), &name, PeerId(peer))));
        assert!(quarantine.admits(Micros(3), &name, PeerId(4)));
        assert!(quarantine.admits(Micros(2 + 2 * SUSPECTED_FOR.0), &name, PeerId(1)), "its time is over");
        quarantine.clear(&name);
        assert!(quarantine.admits(Micros(3), &name, PeerId(1)));
    }
}
