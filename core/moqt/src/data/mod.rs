//! Objects on data streams and in datagrams (Section 11).

mod datagram;
mod fetch;
mod reader;
mod subgroup;

pub use datagram::{Datagram, DatagramBody};
pub use fetch::{FetchHeader, FetchObject, FetchWriter, RangeEnd};
pub use reader::{Item, StreamReader};
pub use subgroup::{ObjectHeader, SubgroupHeader, SubgroupId, SubgroupWriter};

use crate::Violation;

/// The type of the stream with the control messages (Section 3.4).
pub(crate) const SETUP_STREAM: u64 = 0x2F00;
/// The type of a stream that answers a FETCH.
pub(crate) const FETCH_STREAM: u64 = 0x05;
/// The type of a stream without meaning (Section 11.5.1).
pub(crate) const PADDING_STREAM: u64 = 0x132B_3E28;
/// The type of a datagram without meaning (Section 11.5.2).
pub(crate) const PADDING_DATAGRAM: u64 = 0x132B_3E29;

/// Bytes in the properties of one object that [`StreamReader`] takes.
pub const MAX_PROPERTIES_LEN: usize = 64 * 1024;

/// Status of an object: its statement about what exists (Section 11.2.1.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Status {
    /// An object as any other.
    #[default]
    Normal,
    /// No object with this or a higher ID exists in the group.
    EndOfGroup,
    /// No object at this or a later location exists in the track.
    EndOfTrack,
}

impl Status {
    pub(crate) fn from_wire(value: u64) -> Result<Self, Violation> {
        match value {
            0 => Ok(Self::Normal),
            3 => Ok(Self::EndOfGroup),
            4 => Ok(Self::EndOfTrack),
            _ => Err(Violation::protocol("an unknown object status")),
        }
    }

    pub(crate) const fn to_wire(self) -> u8 {
        match self {
            Self::Normal => 0,
            Self::EndOfGroup => 3,
            Self::EndOfTrack => 4,
        }
    }
}
