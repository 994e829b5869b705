//! Errors of the room runtime.

use moqt::Misuse;

/// A room that cannot run here, or a link of it that is broken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The node was started without a worker.
    #[error("this node has no worker for rooms: start it with --worker")]
    NoWorker,
    /// The worker cannot be started, or failed.
    #[error("the worker failed: {0}")]
    Worker(String),
    /// The worker does not survive a batch, and is as if it had not been handed over.
    #[error("the worker does not survive a batch: {0}")]
    Skipped(String),
    /// The journal cannot be read or written.
    #[error("the room's journal: {0}")]
    Journal(String),
    /// A room's name does not fit into the name of its link.
    #[error("room {0:?} has a name too long for a link")]
    Name(String),
    /// The session refuses a request of ours.
    #[error("the session refuses a request: {0}")]
    Misuse(#[from] Misuse),
    /// The origin refused one of the two tracks of a room's link.
    #[error("the origin refuses the link: {0}")]
    Refused(&'static str),
    /// Another node with this edge's number, started later, has a link to the room.
    #[error(
        "another node links to the origin with this edge's number: give each node a data directory of its own"
    )]
    Rival,
    /// Packets from the origin are not in order, or too long.
    #[error("packets from the origin: {0}")]
    Packets(#[from] moqt::packet_track::Broken),
    /// The origin ended one of the two tracks.
    #[error("the origin ended the link")]
    Ended,
    /// More deltas wait than may.
    #[error("the origin takes deltas too slowly")]
    Behind,
}
