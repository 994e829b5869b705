//! Microseconds.

use std::{
    ops::{Add, Sub},
    time::Duration,
};

/// Microseconds: a span of time, or a moment on a timeline that each use names, such as the caller's monotonic clock,
/// a media timeline or the time since the UNIX epoch.
///
/// Arithmetic saturates, so that no timestamp of a peer or a file can overflow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Micros(pub u64);

impl Micros {
    /// Zero.
    pub const ZERO: Self = Self(0);
    /// One second.
    pub const SECOND: Self = Self(1_000_000);

    /// A span of `ms` milliseconds.
    pub const fn from_millis(ms: u64) -> Self {
        Self(ms.saturating_mul(1000))
    }

    /// A span of `s` seconds.
    pub const fn from_secs(s: u64) -> Self {
        Self(s.saturating_mul(1_000_000))
    }

    /// Converts `ticks` of a clock that runs at `timescale` ticks a second. A timescale of zero counts as one.
    pub fn from_ticks(ticks: u64, timescale: u32) -> Self {
        let micros = u128::from(ticks) * 1_000_000 / u128::from(timescale.max(1));
        Self(u64::try_from(micros).unwrap_or(u64::MAX))
    }

    /// This span in whole milliseconds, rounded down.
    pub const fn as_millis(self) -> u64 {
        self.0 / 1000
    }

    /// This span in milliseconds, rounded up, for timers that must not fire early.
    pub fn wait_ms(self) -> u32 {
        u32::try_from(self.0.div_ceil(1000)).unwrap_or(u32::MAX)
    }
}

impl Add for Micros {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl Sub for Micros {
    type Output = Self;
    /// The span between two moments; zero if they are in the wrong order.
    fn sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl From<Micros> for Duration {
    fn from(micros: Micros) -> Self {
        Self::from_micros(micros.0)
    }
}

/// A span longer than 584,000 years saturates.
impl From<Duration> for Micros {
    fn from(span: Duration) -> Self {
        Self(u64::try_from(span.as_micros()).unwrap_or(u64::MAX))
    }
}
