use crate::keep;

/// Why a root is closed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// It cannot be kept, or is not kept as it was.
    #[error(transparent)]
    Keep(#[from] keep::Error),
    /// It has no worker, or one that fails.
    #[error(transparent)]
    Worker(#[from] wasm_host::Error),
    /// It cannot publish.
    #[error(transparent)]
    Tracks(#[from] crate::Error),
    /// It was closed before somebody was forgotten.
    #[error("room {room:?} has not forgotten: its worker fails; see the log, and ask again")]
    Unforgotten {
        /// Which.
        room: String,
    },
}
