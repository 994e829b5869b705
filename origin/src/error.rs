//! Errors of the origin.

use std::{io, net::SocketAddr};

/// A failure of the origin, in one line: what was wrong, with which value, and the way out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The UDP or TCP address cannot be had.
    #[error("cannot listen on {protocol} {addr}: {source}; {hint}")]
    Listen {
        /// `udp` (media) or `tcp` (HTTP).
        protocol: &'static str,
        /// The address asked for.
        addr: SocketAddr,
        /// What the operating system said.
        source: io::Error,
        /// What to do about it.
        hint: &'static str,
    },
    /// The certificate cannot be used.
    #[error(transparent)]
    Certificate(#[from] quic::CertificateError),
    /// A token or a key set is not one to go by.
    #[error(transparent)]
    Token(#[from] token::Error),
    /// The rooms cannot be kept, or be read back.
    #[error(transparent)]
    Keep(#[from] crate::keep::Error),
    /// The token's role may not do that.
    #[error("role {role} may not publish; a creator's token is needed")]
    WrongRole {
        /// The role in the token.
        role: token::Role,
    },
    /// Nothing was presented where a token is needed.
    #[error("{0} needs a token: present it in SETUP or as ?jwt= in the URL")]
    NoToken(&'static str),
    /// The origin has no keys, so it can verify no token.
    #[error("the origin has no keys to verify tokens with; give it a JWKS file")]
    NoKeys,
    /// A namespace that cannot be the name of a room.
    #[error("namespace {0} cannot name a room: it must be non-empty UTF-8")]
    BadNamespace(String),
    /// A name that is not for creators.
    #[error("room {0:?} begins with a dot: such names are the house's own, choose another")]
    Reserved(String),
    /// Somebody else's room.
    #[error("room {room:?} is {state} with creator {creator:?}; publish with ?takeover=1 to take it over")]
    RoomTaken {
        /// The room.
        room: String,
        /// Live or reconnecting.
        state: crate::State,
        /// Who holds it.
        creator: String,
    },
    /// The room has as many tracks as it may.
    #[error("room {room:?} already has {max} tracks; end one first")]
    TooManyTracks {
        /// The room.
        room: String,
        /// The bound.
        max: usize,
    },
    /// The origin holds as many rooms as it will.
    #[error("the origin already holds {0} rooms; end one or raise the bound")]
    TooManyRooms(usize),
    /// A person cannot be erased from a room.
    #[error("room {room:?} still has what that person said: its root failed twice; see the log")]
    Unforgotten {
        /// The room.
        room: String,
    },
    /// The UDP endpoint cannot be used.
    #[error(transparent)]
    Quic(#[from] quic::Error),
    /// The origin's thread has ended, or cannot be started.
    #[error("the origin's thread has ended: see the log")]
    Thread,
}
