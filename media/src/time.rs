use std::ops::{Add, Sub};

/// Microseconds: of a media timeline, of a show since its start, or of the UNIX epoch, as each use says.
///
/// Arithmetic saturates, so that no timestamp an input makes up can overflow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Micros(pub u64);

impl Micros {
    /// Zero.
    pub const ZERO: Self = Self(0);
    /// One second.
    pub const SECOND: Self = Self(1_000_000);

    /// From whole milliseconds.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis.saturating_mul(1000))
    }

    /// Whole milliseconds, rounded down.
    pub const fn as_millis(self) -> u64 {
        self.0 / 1000
    }

    /// From `ticks` of a clock that runs at `timescale` ticks a second. A timescale of zero counts as one.
    pub fn from_ticks(ticks: u64, timescale: u32) -> Self {
        let micros = u128::from(ticks) * 1_000_000 / u128::from(timescale.max(1));
        Self(u64::try_from(micros).unwrap_or(u64::MAX))
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
    fn sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl From<Micros> for std::time::Duration {
    fn from(micros: Micros) -> Self {
        Self::from_micros(micros.0)
    }
}
