//! Small values that are more than integers.

use std::ops::{Add, Sub};

/// Microseconds: a moment on the caller's monotonic clock, or a span of time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Micros(pub u64);

impl Micros {
    /// A span of `ms` milliseconds.
    pub const fn from_millis(ms: u64) -> Self {
        Self(ms.saturating_mul(1000))
    }

    /// This span in whole milliseconds.
    pub const fn as_millis(self) -> u64 {
        self.0 / 1000
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

/// Where an object is in its track (Section 1.4.2). Ordered by group, then object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Location {
    /// The group.
    pub group: u64,
    /// The object in it.
    pub object: u64,
}

impl Location {
    /// The object `object` of group `group`.
    pub const fn new(group: u64, object: u64) -> Self {
        Self { group, object }
    }
}

/// Which groups of a subscription or fetch go first (Section 7.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum GroupOrder {
    /// The lowest group ID first.
    #[default]
    Ascending,
    /// The highest group ID first: what live viewers want.
    Descending,
}

impl GroupOrder {
    pub(crate) const fn to_wire(self) -> u8 {
        match self {
            Self::Ascending => 1,
            Self::Descending => 2,
        }
    }

    pub(crate) const fn from_wire(value: u64) -> Option<Self> {
        match value {
            1 => Some(Self::Ascending),
            2 => Some(Self::Descending),
            _ => None,
        }
    }
}
