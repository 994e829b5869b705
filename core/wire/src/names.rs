//! Names of the tracks that Fanfare reserves for itself: each lies in a namespace whose first field begins
//! with a dot, followed by the fields of the room's namespace.

/// First byte of the namespaces that no creator may publish.
pub const RESERVED: u8 = b'.';

/// Namespace of the tracks to and from one fan: [`ACTS`] and [`ANSWERS`].
pub const FAN: &str = ".fan";
/// Namespace of the tracks to all fans: those of [`Track`](crate::Track).
pub const ROOM: &str = ".room";
/// Namespace of the tracks to and from an edge: [`DELTAS`] and [`DOWNS`]. Two more fields follow, before the
/// room's: the edge and its incarnation, in hexadecimal.
pub const EDGE: &str = ".edge";

/// Track in [`FAN`], published by the fan: packets of [`FanMessage`](crate::FanMessage)s.
pub const ACTS: &str = "acts";
/// Track in [`FAN`], published to the fan: packets of [`EdgeMessage`](crate::EdgeMessage)s.
pub const ANSWERS: &str = "answers";
/// Track in [`EDGE`], published by the edge: packets of [`Up`](crate::Up)s.
pub const DELTAS: &str = "deltas";
/// Track in [`EDGE`], published to the edge: packets of [`Down`](crate::Down)s.
pub const DOWNS: &str = "downs";

/// Track in the namespace `.edge/EDGE`, published to the edge: what the origin tells its edges about keys, revocations and
/// private rooms.
pub const TRUST: &str = "trust";

/// The namespace by which a node finds out that it follows itself: `.node/ID`, where ID is a number that it draws when
/// it starts. It asks its upstream for the status of the track [`SELF`] there. Only the node itself has that track, so
/// that an upstream that knows it leads back to the node.
pub const NODE: &str = ".node";
/// The track of a node's own namespace.
pub const SELF: &str = "self";
