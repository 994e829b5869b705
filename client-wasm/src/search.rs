//! Which of the tracks that may hold a catalog to ask for, and when.
//!
//! Ours is asked for first, and the others when it is refused or has nothing to say for a while: whoever publishes as we
//! do is not asked for more. The first that gives a catalog is the one; when it is lost, all begins anew.

use moqt::Micros;

use crate::catalog::TRACKS;

/// How long our own has before the others are asked for too.
const HEAD_START: Micros = Micros::from_millis(400);
/// How long until what was refused is asked for again.
const RETRY: Micros = Micros::from_millis(2_000);

/// The state of a search; `R` is a request.
#[derive(Debug)]
pub struct Search<R> {
    asked: [Option<R>; TRACKS.len()],
    /// Whether what was asked of each is accepted.
    accepted: [bool; TRACKS.len()],
    found: Option<usize>,
    /// From when on each may be asked for.
    due: [Micros; TRACKS.len()],
}

impl<R: Copy + PartialEq> Search<R> {
    /// One that begins.
    pub fn new(now: Micros) -> Self {
        let mut due = [now + HEAD_START; TRACKS.len()];
        due[0] = now;
        Self { asked: [None; TRACKS.len()], accepted: [false; TRACKS.len()], found: None, due }
    }

    /// The name of the track that has the catalog, as far as is known.
    pub fn track(&self) -> &'static str {
        TRACKS[self.found.unwrap_or(0)]
    }

    /// A track to ask for now, by its index.
    pub fn next(&self, now: Micros) -> Option<usize> {
        let wanted = |index: &usize| self.found.is_none_or(|found| found == *index);
        (0..TRACKS.len())
            .find(|index| wanted(index) && self.asked[*index].is_none() && self.due[*index] <= now)
    }

    /// It was asked for.
    pub fn asked(&mut self, index: usize, request: R) {
        self.asked[index] = Some(request);
        self.accepted[index] = false;
    }

    /// What was asked is accepted, if it is one of these.
    pub fn accept(&mut self, request: R) {
        if let Some(index) = self.asked.iter().position(|asked| *asked == Some(request)) {
            self.accepted[index] = true;
        }
    }

    /// What was asked of a track, if it is accepted.
    pub fn accepted(&self, index: usize) -> Option<R> {
        self.asked[index].filter(|_| self.accepted[index])
    }

    /// It has a catalog. What was asked of the others, which need not be any longer; `None` if another is the one.
    pub fn found(&mut self, index: usize) -> Option<Vec<R>> {
        if self.found.is_some_and(|found| found != index) {
            return None;
        }
        self.found = Some(index);
        let others = self.asked.iter_mut().enumerate().filter(|(other, _)| *other != index);
        Some(others.filter_map(|(_, asked)| asked.take()).collect())
    }

    /// It was refused, or is over. Whether none is left that may have one.
    pub fn lost(&mut self, now: Micros, index: usize) -> bool {
        self.asked[index] = None;
        self.due[index] = now + RETRY;
        if self.found.take_if(|found| *found == index).is_some() {
            // Whoever comes next may publish otherwise.
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

    /// Asks for all that is due; which.
    fn ask(search: &mut Search<u32>, now: Micros) -> Vec<usize> {
        let mut asked = Vec::new();
        while let Some(index) = search.next(now) {
            search.asked(index, index as u32);
            asked.push(index);
        }
        asked
    }

    #[test]
    fn who_publishes_as_we_do_is_asked_once() {
        let mut search = Search::new(START);
        assert_eq!(ask(&mut search, START), [0]);
        assert_eq!(search.found(0), Some(Vec::new()));
        assert_eq!(ask(&mut search, START + HEAD_START), [] as [usize; 0]);
    }

    #[test]
    fn others_are_asked_at_once_when_ours_is_refused() {
        let mut search = Search::new(START);
        assert_eq!(ask(&mut search, START), [0]);
        assert!(!search.lost(START, 0), "the others are left");
        assert_eq!(ask(&mut search, START), [1, 2]);
        assert!(!search.lost(START, 1));
        assert_eq!(search.found(2), Some(Vec::new()));
        assert_eq!(search.track(), TRACKS[2]);
        assert_eq!(ask(&mut search, START + RETRY), [] as [usize; 0], "one is enough");
    }

    #[test]
    fn others_are_asked_when_ours_keeps_silent() {
        let mut search = Search::new(START);
        assert_eq!(ask(&mut search, START), [0]);
        assert_eq!(ask(&mut search, START + HEAD_START), [1, 2]);
        assert_eq!(search.found(1), Some(vec![0, 2]), "what need not be asked any longer");
        assert_eq!(search.found(0), None, "it is too late for another");
        assert_eq!(search.found(1), Some(Vec::new()), "a new version");
    }

    #[test]
    fn what_is_refused_has_not_been_accepted() {
        let mut search = Search::new(START);
        ask(&mut search, START);
        assert_eq!(search.accepted(0), None);
        search.accept(7);
        assert_eq!(search.accepted(0), None, "another request");
        search.accept(0);
        assert_eq!(search.accepted(0), Some(0));
        search.lost(START, 0);
        assert_eq!(search.accepted(0), None);
        ask(&mut search, START + RETRY);
        assert_eq!(search.accepted(0), None, "asked anew");
    }

    #[test]
    fn where_none_has_one_all_are_asked_again() {
        let mut search = Search::new(START);
        ask(&mut search, START);
        search.lost(START, 0);
        ask(&mut search, START);
        assert!(!search.lost(START, 2));
        assert!(search.lost(START, 1));
        assert_eq!(ask(&mut search, START), [] as [usize; 0]);
        assert_eq!(ask(&mut search, START + RETRY), [0, 1, 2]);
    }

    #[test]
    fn after_a_loss_all_begins_anew() {
        let mut search = Search::new(START);
        ask(&mut search, START);
        search.lost(START, 0);
        ask(&mut search, START);
        search.found(2);
        assert!(search.lost(START, 2));
        assert_eq!(ask(&mut search, START + RETRY), [0]);
        assert_eq!(ask(&mut search, START + RETRY + HEAD_START), [1, 2]);
    }
}
