//! Errors of the host's calls.

/// Reason for which a call was refused. The room is unchanged, unless the variant documents otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The batch is no packet of inputs. The room has handled the inputs before the fault.
    #[error("the batch of inputs does not decode: {0}")]
    Batch(#[from] wire::Error),
    /// The snapshot has a version that this room does not read.
    #[error("the snapshot has version {0}: this room reads version {SNAPSHOT_VERSION}")]
    SnapshotVersion(u8),
    /// The snapshot's bytes do not decode.
    #[error("the snapshot does not decode")]
    Snapshot,
    /// The snapshot is of another seat, or of another layout of this one.
    #[error("the snapshot is of another seat, or of another layout of this one")]
    Seat,
}

/// The version of snapshots: their first byte.
pub(crate) const SNAPSHOT_VERSION: u8 = 1;
