//! Runs scenarios with many seeds.

/// Runs a scenario with each seed, and prints the one that failed. `FANFARE_SEEDS` multiplies the number of
/// seeds.
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
