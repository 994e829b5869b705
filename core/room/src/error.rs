//! What a host can do wrong.

/// Why a call was refused. The room is as it was before, unless the error says otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A batch is no packet of inputs. What came before the fault in it is handled.
    #[error("a batch of inputs that cannot be read: {0}")]
    Batch(#[from] wire::Error),
    /// A snapshot of a version that this room does not read.
    #[error("a snapshot of version {0}: this room reads version {SNAPSHOT_VERSION}")]
    SnapshotVersion(u8),
    /// A snapshot that cannot be read.
    #[error("a snapshot that cannot be read")]
    Snapshot,
    /// A snapshot of another seat, or of one that was laid out in another way.
    #[error("a snapshot of another seat, or of one laid out in another way")]
    Seat,
}

/// The version of snapshots: their first byte.
pub(crate) const SNAPSHOT_VERSION: u8 = 1;
