//! Errors that end a restream.

use std::fmt;

/// One of the two ends of a restream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The relay that has the room.
    Source,
    /// The relay that gets it.
    Destination,
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Source => "source",
            Self::Destination => "destination",
        })
    }
}

impl End {
    /// The option of the command that gives this end its token.
    fn option(self) -> &'static str {
        match self {
            Self::Source => "--from-token",
            Self::Destination => "--to-token",
        }
    }
}

/// Errors that end a restream. A connection that was established and is lost is made again, and is no error.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The first attempt to reach a relay failed.
    #[error("cannot connect to the {end}, {address}: {reason}")]
    Connect {
        /// The end that failed.
        end: End,
        /// The relay and its room.
        address: String,
        /// The reason that the network, TLS or the relay gave.
        reason: String,
    },
    /// A relay does not let us in, or not into this room.
    #[error("unauthorized at the {end}, {address}: {reason}; give a token with {}", end.option())]
    Unauthorized {
        /// The end that refused.
        end: End,
        /// The relay and its room.
        address: String,
        /// The reason that the relay gave.
        reason: String,
    },
    /// A task of the restream failed, which is a fault of this program.
    #[error("a task failed: {0}")]
    Task(#[from] tokio::task::JoinError),
}
