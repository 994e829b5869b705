//! Refused names: the answers that a relay repeats from memory for a moment, instead of asking its upstream again.

use std::collections::{BTreeMap, VecDeque};

use moqt::{Micros, RequestCode, TrackName, message::RequestError};

/// The time for which a refused name is answered from memory.
const REMEMBERED_FOR: Micros = Micros::from_millis(1_000);
/// Names that are remembered at once, so that made-up names cost a bounded amount of memory.
const NAMES: usize = 1_024;

/// The names that a publisher or the upstream refused within the last second, with the refusals.
#[derive(Default)]
pub(super) struct Refusals {
    errors: BTreeMap<TrackName, (Micros, RequestError)>,
    /// The same names in the order in which they were refused, some of them more than once.
    order: VecDeque<(Micros, TrackName)>,
}

impl Refusals {
    /// Remembers a refusal, unless it was about the moment rather than the name.
    pub(super) fn remember(&mut self, now: Micros, name: &TrackName, error: &RequestError) {
        if matches!(error.code, RequestCode::GOING_AWAY | RequestCode::INTERNAL_ERROR) {
            return;
        }
        while self.order.front().is_some_and(|(at, _)| self.order.len() >= NAMES || is_past(now, *at)) {
            let Some((at, name)) = self.order.pop_front() else { break };
            if self.errors.get(&name).is_some_and(|(newest, _)| *newest == at) {
                self.errors.remove(&name);
            }
        }
        self.errors.insert(name.clone(), (now, error.clone()));
        self.order.push_back((now, name.clone()));
    }

    /// Returns the refusal of a name, if it is recent.
    pub(super) fn recall(&self, now: Micros, name: &TrackName) -> Option<RequestError> {
        let (at, error) = self.errors.get(name)?;
        (!is_past(now, *at)).then(|| error.clone())
    }

    /// Forgets all: a new publisher may have what others refused.
    pub(super) fn clear(&mut self) {
        self.errors.clear();
        self.order.clear();
    }
}

fn is_past(now: Micros, at: Micros) -> bool {
    now >= at + REMEMBERED_FOR
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(of: usize) -> TrackName {
        TrackName::new(moqt::Namespace::from_path("room").unwrap(), of.to_string()).unwrap()
    }

    #[test]
    fn a_refusal_is_remembered_for_a_second() {
        let mut refusals = Refusals::default();
        let error = RequestError::new(RequestCode::DOES_NOT_EXIST, "no");
        refusals.remember(Micros(0), &name(1), &error);
        assert_eq!(refusals.recall(Micros(999_999), &name(1)), Some(error.clone()));
        assert_eq!(refusals.recall(Micros(1_000_000), &name(1)), None);
        refusals.remember(Micros(500_000), &name(1), &error);
        refusals.remember(Micros(1_200_000), &name(2), &error);
        assert!(refusals.recall(Micros(1_400_000), &name(1)).is_some(), "the later refusal counts");
    }

    #[test]
    fn made_up_names_take_a_bounded_amount_of_memory() {
        let mut refusals = Refusals::default();
        let error = RequestError::new(RequestCode::DOES_NOT_EXIST, "no");
        for of in 0..10 * NAMES {
            refusals.remember(Micros(of as u64), &name(of), &error);
        }
        assert!(refusals.errors.len() <= NAMES && refusals.order.len() <= NAMES);
        assert!(refusals.recall(Micros(10 * NAMES as u64), &name(10 * NAMES - 1)).is_some());
    }
}
