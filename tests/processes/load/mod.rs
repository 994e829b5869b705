//! Load measurements, for `cargo xtask bench room`.

mod links;
mod listeners;
mod media;
mod strangers;

use std::time::Duration;

/// The duration of a measurement in seconds, unless `FANFARE_SECONDS` sets it.
const SECONDS: u64 = 20;

/// Measured durations.
#[derive(Debug, Default)]
pub(crate) struct Times(pub(crate) Vec<Duration>);

impl Times {
    /// The quantile `part` of the durations, in milliseconds.
    pub(crate) fn at(&mut self, part: f64) -> f64 {
        self.0.sort_unstable();
        let last = self.0.len().saturating_sub(1);
        let found = self.0.get((last as f64 * part).round() as usize);
        found.map_or(f64::INFINITY, |time| time.as_secs_f64() * 1000.0)
    }
}

/// The quantiles, as they are printed.
pub(crate) fn quantiles(times: &mut Times) -> String {
    let [half, most, all] = [0.5, 0.99, 1.0].map(|part| times.at(part));
    format!("p50 {half:.1} ms, p99 {most:.1} ms, slowest {all:.1} ms, of {}", times.0.len())
}
