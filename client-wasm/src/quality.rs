//! Choice of the rendition, by the lateness and the throughput of what arrives.
//!
//! It goes down at once when frames are late, and up one at a time and with patience: a rendition that failed is tried
//! again after a wait that doubles each time it fails.

use moqt::Micros;

/// Troubled groups before a lower rendition is chosen.
const TROUBLED_GROUPS: u32 = 2;
/// Late or dropped frames that a group may have without counting as troubled.
const FEW: u64 = 2;
/// Time without trouble before a higher rendition is tried.
const PATIENCE: Micros = Micros::from_millis(6_000);
/// The longest wait after failures.
const LONGEST: Micros = Micros::from_millis(120_000);
/// Time after a switch in which trouble counts as a failure of that rendition.
const PROBATION: Micros = Micros::from_millis(10_000);
/// Throughput needed for a rendition, as a multiple of its bitrate.
const HEADROOM: f64 = 1.5;
/// Weight of a new measurement.
const NEW: f64 = 0.3;
/// Time for which a measurement holds: on a network that has become fast, transfers are too short to be measured.
const FRESH: Micros = Micros::from_millis(10_000);
/// Shortest transfer that is measured.
const SHORTEST: Micros = Micros(4_000);

/// Counts of one group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Frames that arrived after they were due.
    pub late: u64,
    /// Frames that arrived in time and were not shown.
    pub dropped: u64,
}

/// Chooses among renditions, the best first.
#[derive(Debug)]
pub struct Quality {
    bitrates: Vec<u64>,
    current: usize,
    /// Index of the best useful rendition, by the size at which it is shown.
    best: usize,
    throughput: Option<f64>,
    /// Time of the last measurement.
    measured: Micros,
    troubled: u32,
    since: Micros,
    patience: Micros,
}

impl Quality {
    /// Creates a choice among renditions of these bitrates in bits per second, the best first; 0 where unknown.
    pub fn new(bitrates: Vec<u64>, current: usize, now: Micros) -> Self {
        let current = current.min(bitrates.len().saturating_sub(1));
        Self {
            bitrates,
            current,
            best: 0,
            throughput: None,
            measured: now,
            troubled: 0,
            since: now,
            patience: PATIENCE,
        }
    }

    /// Returns the index of the chosen rendition.
    pub fn current(&self) -> usize {
        self.current
    }

    /// Returns the measured throughput in bits per second, if any.
    pub fn throughput(&self) -> Option<f64> {
        self.throughput
    }

    /// Sets the best useful rendition.
    pub fn limit(&mut self, best: usize) {
        self.best = best.min(self.bitrates.len().saturating_sub(1));
    }

    /// Records a transfer that its sender did not hold up, and the time it took.
    pub fn measured(&mut self, now: Micros, bytes: u64, took: Micros) {
        if took < SHORTEST {
            return;
        }
        self.measured = now;
        let rate = bytes as f64 * 8e6 / took.0 as f64;
        self.throughput = Some(self.throughput.map_or(rate, |before| before + (rate - before) * NEW));
    }

    /// Records the end of a group. Returns the rendition for the next one, if it is another.
    pub fn group(&mut self, now: Micros, report: Report) -> Option<usize> {
        if now - self.measured > FRESH {
            self.throughput = None;
        }
        if report.late + report.dropped > FEW {
            self.troubled += 1;
        } else {
            self.troubled = 0;
        }
        let next = if self.current < self.best {
            self.best
        } else if self.troubled >= TROUBLED_GROUPS {
            if self.current + 1 >= self.bitrates.len() {
                return None;
            }
            if now - self.since < PROBATION {
                self.patience = Micros(self.patience.0 * 2).min(LONGEST);
            }
            self.current + 1
        } else if self.troubled == 0 && now - self.since >= self.patience && self.current > self.best {
            let better = self.current - 1;
            let needed = self.bitrates.get(better).map_or(0.0, |rate| *rate as f64 * HEADROOM);
            if self.throughput.is_some_and(|throughput| throughput < needed) {
                return None;
            }
            better
        } else {
            if now - self.since > Micros(PROBATION.0 + self.patience.0) && self.current == self.best {
                self.patience = PATIENCE;
            }
            return None;
        };
        let next = next.min(self.bitrates.len().saturating_sub(1));
        if next == self.current {
            return None;
        }
        self.current = next;
        self.since = now;
        self.troubled = 0;
        Some(next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WELL: Report = Report { late: 0, dropped: 0 };
    const BAD: Report = Report { late: 9, dropped: 0 };

    fn quality() -> Quality {
        Quality::new(vec![4_000_000, 1_500_000, 400_000], 0, Micros(0))
    }

    /// Runs groups of a second; returns the choice after each.
    fn run(quality: &mut Quality, from: u64, to: u64, report: impl Fn(usize) -> Report) -> Vec<usize> {
        (from..to)
            .map(|second| {
                let report = report(quality.current());
                quality.group(Micros::from_millis(second * 1_000), report);
                quality.current()
            })
            .collect()
    }

    #[test]
    fn trouble_means_less_and_peace_means_more() {
        let mut quality = quality();
        assert_eq!(run(&mut quality, 0, 4, |_| BAD), [0, 1, 1, 2]);
        assert_eq!(run(&mut quality, 4, 6, |_| BAD), [2, 2], "there is nothing below");
        let better = run(&mut quality, 6, 120, |_| WELL);
        assert_eq!(*better.last().unwrap(), 0);
        assert!(better.is_sorted_by(|before, after| after <= before && before - after <= 1));
    }

    #[test]
    fn trouble_with_nothing_below_costs_no_patience() {
        let mut quality = Quality::new(vec![800_000, 60_000], 0, Micros(0));
        assert_eq!(run(&mut quality, 0, 9, |_| BAD).last(), Some(&1));
        assert_eq!(run(&mut quality, 9, 15, |_| WELL).last(), Some(&0));
    }

    #[test]
    fn what_keeps_failing_is_tried_ever_less_often() {
        let mut quality = quality();
        let taken = run(&mut quality, 0, 300, |rendition| if rendition == 0 { BAD } else { WELL });
        let tries = taken.windows(2).filter(|pair| pair == &[1, 0]).count();
        assert!((2..=8).contains(&tries), "{tries} tries in five minutes");
    }

    #[test]
    fn a_network_too_slow_is_not_tried_until_it_is_too_fast_to_be_measured() {
        let mut quality = quality();
        run(&mut quality, 0, 2, |_| BAD);
        let second = |second: u64| Micros::from_millis(second * 1_000);
        for now in (2..62).step_by(5) {
            quality.measured(second(now), 100_000, Micros::from_millis(400));
            assert_eq!(quality.throughput(), Some(2_000_000.0));
            assert!(run(&mut quality, now, now + 5, |_| WELL).iter().all(|rendition| *rendition == 1));
        }
        quality.measured(second(62), 1, Micros(10));
        assert_eq!(quality.throughput(), Some(2_000_000.0), "too short to say anything");
        assert_eq!(run(&mut quality, 62, 72, |_| WELL).last(), Some(&0));
    }

    #[test]
    fn a_small_picture_needs_no_large_rendition() {
        let mut quality = quality();
        quality.limit(1);
        assert_eq!(run(&mut quality, 0, 30, |_| WELL).last(), Some(&1));
        quality.limit(0);
        assert_eq!(run(&mut quality, 30, 60, |_| WELL).last(), Some(&0));
        assert_eq!(run(&mut Quality::new(Vec::new(), 0, Micros(0)), 0, 9, |_| BAD), [0; 9]);
    }
}
