//! Numbers that look like chance and come again with the seed.

/// SplitMix64.
#[derive(Clone, Debug)]
pub(crate) struct Roll(pub(crate) u64);

impl Roll {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }

    /// Below `end`.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    pub(crate) fn between(&mut self, from: u64, to: u64) -> u64 {
        from + self.below(to - from)
    }

    pub(crate) fn percent(&mut self, chance: u64) -> bool {
        self.below(100) < chance
    }
}

/// Runs a scenario with each seed, and says which one failed. `FANFARE_SEEDS` is how many times as
/// many are run.
pub(crate) fn seeds(range: std::ops::Range<u64>, scenario: impl Fn(u64)) {
    struct Name(u64);
    impl Drop for Name {
        fn drop(&mut self) {
            if std::thread::panicking() {
                eprintln!("failed with seed {}", self.0);
            }
        }
    }
    let times = std::env::var("FANFARE_SEEDS").ok().and_then(|times| times.parse().ok()).unwrap_or(1);
    for seed in range.start..range.start + (range.end - range.start) * times {
        let name = Name(seed);
        scenario(seed);
        std::mem::forget(name);
    }
}
