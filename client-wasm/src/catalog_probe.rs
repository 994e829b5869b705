//! Search for the track that has the catalog, among those that may.
//!
//! Our own track is requested first, and the others when it is refused or sends nothing for a while: a creator that
//! publishes as ours do gets no further request. The first track that yields a catalog is used; when it is lost, the
//! search begins anew.

use moqt::Micros;

use crate::catalog::TRACKS;

/// Lead of our own track before the others are requested too.
const HEAD_START: Micros = Micros::from_millis(400);
/// Pause before a refused track is requested again.
const RETRY: Micros = Micros::from_millis(2_000);

/// The state of a search; `R` is a request.
#[derive(Debug)]
pub struct CatalogProbe<R> {
    asked: [Option<R>; TRACKS.len()],
    /// Set for each track whose request was accepted.
    accepted: [bool; TRACKS.len()],
    found: Option<usize>,
    /// The earliest time to request each track.
    due: [Micros; TRACKS.len()],
}

impl<R: Copy + PartialEq> CatalogProbe<R> {
    /// Begins a search.
    pub fn new(now: Micros) -> Self {
        let mut due = [now + HEAD_START; TRACKS.len()];
        due[0] = now;
        Self { asked: [None; TRACKS.len()], accepted: [false; TRACKS.len()], found: None, due }
    }

    /// Returns the name of the track that has the catalog, as far as is known.
    pub fn track(&self) -> &'static str {
        TRACKS[self.found.unwrap_or(0)]
    }

    /// Returns the index of a track to request now.
    pub fn next(&self, now: Micros) -> Option<usize> {
        let wanted = |index: &usize| self.found.is_none_or(|found| found == *index);
        (0..TRACKS.len())
            .find(|index| wanted(index) && self.asked[*index].is_none() && self.due[*index] <= now)
    }

    /// Notes the request that was sent for a track.
    pub fn asked(&mut self, index: usize, request: R) {
        self.asked[index] = Some(request);
        self.accepted[index] = false;
    }

    /// Notes that a request was accepted, if it is one of these.
    pub fn accept(&mut self, request: R) {
        if let Some(index) = self.asked.iter().position(|asked| *asked == Some(request)) {
            self.accepted[index] = true;
        }
    }

    /// Returns the request for a track, if it was accepted.
    pub fn accepted(&self, index: usize) -> Option<R> {
        self.asked[index].filter(|_| self.accepted[index])
    }

    /// Notes that a track has a catalog. Returns the requests for the other tracks, to be cancelled, or `None` if
    /// another track is in use.
    pub fn found(&mut self, index: usize) -> Option<Vec<R>> {
        if self.found.is_some_and(|found| found != index) {
            return None;
        }
        self.found = Some(index);
        let others = self.asked.iter_mut().enumerate().filter(|(other, _)| *other != index);
        Some(others.filter_map(|(_, asked)| asked.take()).collect())
    }

    /// Notes that a track was refused or has ended. Returns whether no track is left that may have a catalog.
    pub fn lost(&mut self, now: Micros, index: usize) -> bool {
        self.asked[index] = None;
        self.due[index] = now + RETRY;
        if self.found.take_if(|found| *found == index).is_some() {
            // The next creator may publish in another track.
            self.due = Self::new(now + RETRY).due;
        } else if index == 0 {
            for due in &mut self.due[1..] {
                *due = now.min(*due);
            }
        }
        self.asked.iter().all(Option::is_none) && self.next(now).is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Micros = Micros(1_000_000);

    /// Requests every due track; returns their indices.
    fn ask(probe: &mut CatalogProbe<u32>, now: Micros) -> Vec<usize> {
        let mut asked = Vec::new();
        while let Some(index) = probe.next(now) {
            probe.asked(index, index as u32);
            asked.push(index);
        }
        asked
    }

    #[test]
    fn who_publishes_as_we_do_is_asked_once() {
        let mut probe = CatalogProbe::new(START);
        assert_eq!(ask(&mut probe, START), [0]);
        assert_eq!(probe.found(0), Some(Vec::new()));
        assert_eq!(ask(&mut probe, START + HEAD_START), [] as [usize; 0]);
    }

    #[test]
    fn others_are_asked_at_once_when_ours_is_refused() {
        let mut probe = CatalogProbe::new(START);
        assert_eq!(ask(&mut probe, START), [0]);
        assert!(!probe.lost(START, 0), "the others are left");
        assert_eq!(ask(&mut probe, START), [1, 2]);
        assert!(!probe.lost(START, 1));
        assert_eq!(probe.found(2), Some(Vec::new()));
        assert_eq!(probe.track(), TRACKS[2]);
        assert_eq!(ask(&mut probe, START + RETRY), [] as [usize; 0], "one is enough");
    }

    #[test]
    fn others_are_asked_when_ours_keeps_silent() {
        let mut probe = CatalogProbe::new(START);
        assert_eq!(ask(&mut probe, START), [0]);
        assert_eq!(ask(&mut probe, START + HEAD_START), [1, 2]);
        assert_eq!(probe.found(1), Some(vec![0, 2]), "what need not be asked any longer");
        assert_eq!(probe.found(0), None, "it is too late for another");
        assert_eq!(probe.found(1), Some(Vec::new()), "a new version");
    }

    #[test]
    fn what_is_refused_has_not_been_accepted() {
        let mut probe = CatalogProbe::new(START);
        ask(&mut probe, START);
        assert_eq!(probe.accepted(0), None);
        probe.accept(7);
        assert_eq!(probe.accepted(0), None, "another request");
        probe.accept(0);
        assert_eq!(probe.accepted(0), Some(0));
        probe.lost(START, 0);
        assert_eq!(probe.accepted(0), None);
        ask(&mut probe, START + RETRY);
        assert_eq!(probe.accepted(0), None, "asked anew");
    }

    #[test]
    fn where_none_has_one_all_are_asked_again() {
        let mut probe = CatalogProbe::new(START);
        ask(&mut probe, START);
        probe.lost(START, 0);
        ask(&mut probe, START);
        assert!(!probe.lost(START, 2));
        assert!(probe.lost(START, 1));
        assert_eq!(ask(&mut probe, START), [] as [usize; 0]);
        assert_eq!(ask(&mut probe, START + RETRY), [0, 1, 2]);
    }

    #[test]
    fn after_a_loss_all_begins_anew() {
        let mut probe = CatalogProbe::new(START);
        ask(&mut probe, START);
        probe.lost(START, 0);
        ask(&mut probe, START);
        probe.found(2);
        assert!(probe.lost(START, 2));
        assert_eq!(ask(&mut probe, START + RETRY), [0]);
        assert_eq!(ask(&mut probe, START + RETRY + HEAD_START), [1, 2]);
    }
}
