//! Pairs of sessions over seeded virtual time.
//!
//! Each test runs many seeds; a failure names its seed, and the same seed fails
//! the same way again.

mod apps;
mod track;

mod fetch;
mod goaway;
mod join;
mod priority;
mod publish;
mod reset;
mod subscribe;

use moqt::Micros;

/// Virtual time within which every scenario is long over.
const LONG: Micros = Micros(600_000_000);

/// Runs a scenario with each seed, and prints the one that failed.
fn seeds(count: u64, scenario: impl Fn(u64) + Sync) {
    testnet::Seeds::new(count).run(scenario);
}
