//! Small values that are more than integers.

/// Location of an object in its track (Section 1.4.2). Ordered by group, then object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Location {
    /// Number of the group.
    pub group: u64,
    /// ID of the object in its group.
    pub object: u64,
}

impl Location {
    /// The object `object` of group `group`.
    pub const fn new(group: u64, object: u64) -> Self {
        Self { group, object }
    }
}

/// Order in which the groups of a subscription or fetch are sent (Section 7.1).
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
