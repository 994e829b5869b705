//! Distribution of latencies.

use serde::{Deserialize, Serialize};
use wire::{LatencyBucket, List};

/// Values below this have buckets of their own, and each doubling above has as many.
const STEPS: u32 = 16;
const STEP_BITS: u32 = STEPS.trailing_zeros();
/// The longest latency that is distinguished, in milliseconds.
const LONGEST: u32 = 0xffff;
const BUCKETS: usize = bucket(LONGEST) + 1;

/// Counts of latencies in buckets that grow with them: a quantile is right within 1/16.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sketch {
    /// Counts by bucket, without trailing zeros, so that equal sketches have equal bytes.
    counts: Vec<u32>,
}

const fn bucket(ms: u32) -> usize {
    if ms < STEPS {
        return ms as usize;
    }
    let shift = ms.ilog2() - STEP_BITS;
    ((shift + 1) * STEPS + (ms >> shift) - STEPS) as usize
}

/// Returns the middle of a bucket.
fn value(bucket: usize) -> u32 {
    let bucket = bucket as u32;
    if bucket < STEPS {
        return bucket;
    }
    let (shift, step) = (bucket / STEPS - 1, bucket % STEPS);
    ((STEPS + step) << shift) + (1 << shift) / 2
}

impl Sketch {
    /// Counts one latency.
    pub fn insert(&mut self, ms: u32) {
        let count = self.at(bucket(ms.min(LONGEST)));
        *count = count.saturating_add(1);
    }

    /// Merges another sketch of the same source: takes the larger count of each bucket.
    pub fn merge(&mut self, other: &Self) {
        for (bucket, count) in other.counts.iter().enumerate() {
            let kept = self.at(bucket);
            *kept = (*kept).max(*count);
        }
    }

    /// Adds the counts of other latencies.
    pub fn add(&mut self, other: &Self) {
        for (bucket, count) in other.counts.iter().enumerate() {
            let kept = self.at(bucket);
            *kept = kept.saturating_add(*count);
        }
    }

    /// Returns the latency that `permille` thousandths of all do not exceed; 0 if there are none.
    pub fn quantile(&self, permille: u64) -> u32 {
        let total: u64 = self.counts.iter().map(|count| u64::from(*count)).sum();
        let rank = (total * permille).div_ceil(1000).max(1);
        let mut below = 0;
        let reached = |count: &u32| {
            below += u64::from(*count);
            below >= rank
        };
        self.counts.iter().position(reached).map_or(0, value)
    }

    /// Encodes the sketch for the origin.
    pub(crate) fn to_wire(&self) -> List<LatencyBucket> {
        let used = (0..).zip(&self.counts).filter(|(_, count)| **count > 0);
        used.map(|(bucket, count)| LatencyBucket { bucket, count: *count }).collect()
    }

    /// Decodes an edge's buckets; skips invalid ones.
    pub(crate) fn from_wire(buckets: &[LatencyBucket]) -> Self {
        let mut sketch = Self::default();
        for LatencyBucket { bucket, count } in buckets {
            if usize::from(*bucket) < BUCKETS && *count > 0 {
                *sketch.at(usize::from(*bucket)) = *count;
            }
        }
        sketch
    }

    fn at(&mut self, bucket: usize) -> &mut u32 {
        if self.counts.len() <= bucket {
            self.counts.resize(bucket + 1, 0);
        }
        &mut self.counts[bucket]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tally_latency_buckets_are_in_order_and_narrow() {
        let mut last = 0;
        for ms in 0..=LONGEST {
            let bucket = bucket(ms);
            assert!(bucket == last || bucket == last + 1, "{ms}");
            last = bucket;
            assert!(value(bucket).abs_diff(ms) * 32 <= ms.max(32), "{ms} is told as {}", value(bucket));
        }
        assert_eq!(last + 1, BUCKETS);
    }

    #[test]
    fn tally_latency_quantiles() {
        let mut sketch = Sketch::default();
        assert_eq!(sketch.quantile(500), 0);
        (1..=1000).for_each(|ms| sketch.insert(ms));
        for (permille, ms) in [(500, 500u32), (990, 990), (1000, 1000), (1, 1)] {
            let told = sketch.quantile(permille);
            assert!(told.abs_diff(ms) * 16 <= ms.max(16), "{permille} ‰ is told as {told}");
        }
        sketch.insert(u32::MAX);
        assert!(sketch.quantile(1000).abs_diff(LONGEST) < LONGEST / 16);
    }

    #[test]
    fn tally_latency_over_the_wire() {
        let mut sketch = Sketch::default();
        for ms in [0, 3, 80, 81, 5000] {
            sketch.insert(ms);
        }
        assert_eq!(Sketch::from_wire(&sketch.to_wire()), sketch);
        let beyond = [LatencyBucket { bucket: BUCKETS as u16, count: 1 }];
        assert_eq!(Sketch::from_wire(&beyond), Sketch::default());
    }
}
