//! List of the most active fans.

use serde::{Deserialize, Serialize};
use wire::FanId;

/// Fans in the list.
const LENGTH: usize = 10;

/// The fans with the largest amounts, largest first. Exact, since amounts only grow and each growth is
/// recorded.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Top(Vec<(u64, FanId)>);

impl Top {
    /// Records a fan's new amount.
    #[inline]
    pub(crate) fn record(&mut self, fan: FanId, amount: u64) {
        if self.0.len() == LENGTH && self.0[LENGTH - 1].0 >= amount {
            return;
        }
        self.place(fan, amount);
    }

    fn place(&mut self, fan: FanId, amount: u64) {
        self.forget(fan);
        let at = self.0.partition_point(|(other, _)| *other >= amount);
        self.0.insert(at, (amount, fan));
        self.0.truncate(LENGTH);
    }

    pub(crate) fn forget(&mut self, fan: FanId) {
        self.0.retain(|(_, other)| *other != fan);
    }

    pub(crate) fn contains(&self, fan: FanId) -> bool {
        self.0.iter().any(|(_, other)| *other == fan)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, FanId)> + '_ {
        self.0.iter().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tally_top_is_exact() {
        let (mut top, mut amounts) = (Top::default(), [0u64; 50]);
        let mut roll = 1u64;
        for _ in 0..5000 {
            roll = roll.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let fan = (roll >> 33) as usize % 50;
            amounts[fan] += (roll >> 50) % 7 + (fan as u64 % 5);
            top.record(FanId(fan as u64), amounts[fan]);
        }
        let listed: Vec<_> = top.iter().collect();
        let mut largest = amounts;
        largest.sort_unstable_by(|a, b| b.cmp(a));
        assert!(listed.iter().map(|(amount, _)| *amount).eq(largest[..LENGTH].iter().copied()));
        assert!(listed.iter().all(|(amount, fan)| amounts[fan.0 as usize] == *amount));
    }
}
