//! Errors of an edge node.

use std::{io, net::SocketAddr};

/// An edge node that cannot start or go on, in one line with the way out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The TCP address cannot be taken.
    #[error("cannot listen on TCP {addr}: {source}; choose another address")]
    Listen {
        /// The address.
        addr: SocketAddr,
        /// The operating system's error.
        source: io::Error,
    },
    /// The UDP socket or the TLS configuration cannot be used.
    #[error(transparent)]
    Quic(#[from] quic::Error),
}
