//! Seeds, and the numbers drawn from them.

use std::{
    ops::Range,
    sync::atomic::{AtomicU64, Ordering},
    time::Instant,
};

/// SplitMix64: small, and the same on every platform.
#[derive(Clone, Debug)]
pub struct Rng(u64);

impl Rng {
    /// Starts the sequence of a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Draws a number of 64 bits.
    #[expect(clippy::should_implement_trait, reason = "it never ends")]
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Draws a number of a range.
    pub fn of(&mut self, range: Range<u64>) -> u64 {
        range.start + self.next() % (range.end - range.start)
    }

    /// Draws `true` with a probability of `percent`.
    pub fn chance(&mut self, percent: u64) -> bool {
        self.of(0..100) < percent
    }

    /// Draws an element of a slice, which must not be empty.
    pub fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.of(0..of.len() as u64) as usize]
    }
}

/// The seeds that a scenario is run with.
#[derive(Clone, Copy, Debug)]
pub struct Seeds {
    first: u64,
    count: u64,
}

impl Seeds {
    /// Sets the number of seeds, which the environment overrides: `FANFARE_SEED` runs that seed alone, `FANFARE_SEEDS`
    /// sets another number.
    pub fn new(count: u64) -> Self {
        let number = |name: &str| {
            let text = std::env::var(name).ok()?;
            Some(text.parse().unwrap_or_else(|_| panic!("{name}={text} is not a number")))
        };
        match number("FANFARE_SEED") {
            Some(first) => Self { first, count: 1 },
            None => Self { first: 0, count: number("FANFARE_SEEDS").unwrap_or(count) },
        }
    }

    /// Runs a scenario with each seed, on all cores, and prints a seed that failed. Prints the rate.
    pub fn run(self, scenario: impl Fn(u64) + Sync) {
        let begun = Instant::now();
        let next = AtomicU64::new(0);
        let threads = std::thread::available_parallelism().map_or(1, usize::from).min(self.count as usize);
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    loop {
                        let at = next.fetch_add(1, Ordering::Relaxed);
                        if at >= self.count {
                            break;
                        }
                        let name = Name { seed: self.first + at, next: &next, end: self.count };
                        scenario(name.seed);
                    }
                });
            }
        });
        let took = begun.elapsed().as_secs_f64();
        println!("{} seeds in {took:.2} s: {:.0} a second", self.count, self.count as f64 / took);
    }
}

/// Prints the seed if its scenario panics, and stops further scenarios from starting.
struct Name<'a> {
    seed: u64,
    next: &'a AtomicU64,
    end: u64,
}

impl Drop for Name<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.next.store(self.end, Ordering::Relaxed);
            eprintln!("failed with seed {0}: FANFARE_SEED={0} runs it again", self.seed);
        }
    }
}
