//! Roles: the places of a node that a session may take.

/// The place that a session takes in a node. Each role has places of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Role {
    /// Its SETUP has not come: it may be anybody's.
    Arriving,
    /// A fan, with or without a token.
    Fan,
    /// A creator: its token says so, or what it publishes was accepted.
    Creator,
    /// A node that follows this one: its token says so.
    Edge,
    /// The node's own session with its upstream.
    Upstream,
}

impl Role {
    /// All roles, in the order of their numbers.
    pub(crate) const ALL: [Self; 5] = [Self::Arriving, Self::Fan, Self::Creator, Self::Edge, Self::Upstream];

    /// Returns the role's name in metrics.
    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::Arriving => "arriving",
            Self::Fan => "fan",
            Self::Creator => "creator",
            Self::Edge => "edge",
            Self::Upstream => "upstream",
        }
    }

    /// Returns whether the session's address is charged: sessions whose token was signed for a purpose have places
    /// of their own, whatever crowd is at their address.
    pub(crate) const fn pays_by_address(self) -> bool {
        matches!(self, Self::Arriving | Self::Fan)
    }
}
