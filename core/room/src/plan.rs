//! The plan: assigns each fan a rendition for the next group.

use wire::worker::{Demand, Hint, SKIP};

/// Percent of the measured throughput that media may use if the fan stays with a rendition.
const STAY: u64 = 90;
/// Percent of the measured throughput that media may use after a move up. The gap to [`STAY`] keeps a fan at
/// a border from switching back and forth.
const CLIMB: u64 = 70;
/// Queued media in milliseconds that show a drop in throughput: one rendition down.
const BACKLOG_DOWN_MS: u32 = 700;
/// Queued media in milliseconds at which the next group would only add to the delay: skip it.
const BACKLOG_SKIP_MS: u32 = 3000;

/// Returns a rendition, or [`SKIP`], for each demand. `renditions` are bit rates in kbit/s, in any order;
/// those beyond the 255th are not used.
pub fn plan(demands: &[Demand], renditions: &[u32]) -> Vec<u8> {
    let mut order: Vec<u8> = (0..renditions.len().min(usize::from(SKIP)) as u8).collect();
    order.sort_by_key(|index| (renditions[usize::from(*index)], *index));
    let ladder = Ladder { order, renditions };
    demands.iter().map(|demand| ladder.choose(demand)).collect()
}

struct Ladder<'a> {
    /// Indices of renditions by ascending bit rate.
    order: Vec<u8>,
    renditions: &'a [u32],
}

impl Ladder<'_> {
    fn choose(&self, demand: &Demand) -> u8 {
        let highest = match demand.hint {
            Hint::Nothing => return SKIP,
            Hint::Auto => self.order.len(),
            Hint::AtMost(index) => self.step(index).map_or(self.order.len(), |step| step + 1),
        };
        if highest == 0 || demand.backlog_ms >= BACKLOG_SKIP_MS {
            return SKIP;
        }
        let wanted = match self.step(demand.current) {
            Some(current) => self.move_from(current, demand),
            // Without a measurement and a current rendition, the lowest shows a picture soonest.
            None => self.affordable(demand.throughput_kbps, CLIMB),
        };
        self.order[wanted.min(highest - 1)]
    }

    fn move_from(&self, current: usize, demand: &Demand) -> usize {
        if demand.backlog_ms >= BACKLOG_DOWN_MS {
            return current.saturating_sub(1).min(self.affordable(demand.throughput_kbps, STAY));
        }
        if demand.throughput_kbps == 0 {
            return current;
        }
        let stay = self.affordable(demand.throughput_kbps, STAY);
        if stay < current {
            return stay;
        }
        current.max(self.affordable(demand.throughput_kbps, CLIMB))
    }

    /// Returns the highest step within `percent` of the throughput, or the lowest.
    fn affordable(&self, kbps: u32, percent: u64) -> usize {
        let budget = u64::from(kbps) * percent / 100;
        let within = |index: &u8| u64::from(self.renditions[usize::from(*index)]) <= budget;
        self.order.partition_point(within).saturating_sub(1)
    }

    fn step(&self, index: u8) -> Option<usize> {
        self.order.iter().position(|other| *other == index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Renditions not in order of bit rate: 1 is the lowest, 2 the highest.
    const RENDITIONS: [u32; 3] = [1000, 300, 4000];

    fn one(demand: Demand) -> u8 {
        plan(&[demand], &RENDITIONS)[0]
    }

    fn at(current: u8, throughput_kbps: u32, backlog_ms: u32) -> u8 {
        one(Demand { throughput_kbps, backlog_ms, current, hint: Hint::Auto })
    }

    #[test]
    fn plan_starts_with_what_fits() {
        assert_eq!(at(SKIP, 0, 0), 1);
        assert_eq!(at(SKIP, 1300, 0), 1);
        assert_eq!(at(SKIP, 1500, 0), 0);
        assert_eq!(at(SKIP, 100_000, 0), 2);
    }

    #[test]
    fn plan_does_not_flap() {
        // 1200 is enough to stay with 1000, not enough to climb to it.
        assert_eq!(at(0, 1200, 0), 0);
        assert_eq!(at(1, 1200, 0), 1);
        assert_eq!(at(0, 1100, 0), 1, "not enough to stay");
        assert_eq!(at(0, 5000, 0), 0, "4000 would be more than 70 % of it");
        assert_eq!(at(0, 6000, 0), 2);
        assert_eq!(at(0, 0, 0), 0, "nothing measured");
    }

    #[test]
    fn plan_heeds_backlog() {
        assert_eq!(at(2, 100_000, 800), 0, "one down, whatever was measured");
        assert_eq!(at(2, 400, 800), 1, "or more");
        assert_eq!(at(1, 100_000, 800), 1, "the lowest stays");
        assert_eq!(at(2, 100_000, 3000), SKIP);
    }

    #[test]
    fn plan_heeds_hints() {
        let demand = Demand { throughput_kbps: 100_000, current: 2, ..Demand::default() };
        assert_eq!(one(Demand { hint: Hint::Nothing, ..demand }), SKIP);
        assert_eq!(one(Demand { hint: Hint::AtMost(0), ..demand }), 0);
        assert_eq!(one(Demand { hint: Hint::AtMost(1), ..demand }), 1);
        assert_eq!(one(Demand { hint: Hint::AtMost(9), ..demand }), 2, "a rendition that is not there");
    }

    #[test]
    fn hostile_plans() {
        let demand = Demand { throughput_kbps: u32::MAX, backlog_ms: 1, current: 77, hint: Hint::Auto };
        assert_eq!(plan(&[demand], &[]), [SKIP]);
        assert_eq!(plan(&[demand; 3], &[u32::MAX, 0]), [1, 1, 1]);
        let many = vec![5; 400];
        assert!(plan(&[demand], &many)[0] < SKIP);
        assert!(plan(&[], &RENDITIONS).is_empty());
    }
}
