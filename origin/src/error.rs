//! Errors of the origin.

use std::{io, net::SocketAddr};

/// A failure of the origin, in one line: what was wrong, with which value, and the way out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The UDP or TCP address cannot be bound.
    #[error("cannot listen on {protocol} {addr}: {source}; {hint}")]
    Listen {
        /// The protocol: `udp` (media) or `tcp` (HTTP).
        protocol: &'static str,
        /// The address that was requested.
        addr: SocketAddr,
        /// The operating system's reason for refusing it.
        source: io::Error,
        /// Advice on how to solve it.
        hint: &'static str,
    },
    /// The certificate cannot be used.
    #[error(transparent)]
    Certificate(#[from] quic::CertificateError),
    /// A token or a key set is invalid.
    #[error(transparent)]
    Token(#[from] token::Error),
    /// The storage of rooms failed.
    #[error(transparent)]
    Keep(#[from] crate::keep::Error),
    /// The token's role may not do that.
    #[error("role {role} may not publish; a creator's token is needed")]
    WrongRole {
        /// The role that the token gives.
        role: token::Role,
    },
    /// A token is needed and none was presented.
    #[error("{0} needs a token: present it in SETUP or as ?jwt= in the URL")]
    NoToken(&'static str),
    /// The origin has no keys, so it can verify no token.
    #[error("the origin has no keys to verify tokens with; give it a JWKS file")]
    NoKeys,
    /// A namespace cannot be the name of a room.
    #[error("namespace {0} cannot name a room: it must be non-empty UTF-8")]
    BadNamespace(String),
    /// A name is reserved: it begins with a dot.
    #[error("room {0:?} begins with a dot: such names are reserved, choose another")]
    Reserved(String),
    /// The room belongs to another creator.
    #[error("room {room:?} is {state} with creator {creator:?}; publish with ?takeover=1 to take it over")]
    RoomTaken {
        /// The name of the room.
        room: String,
        /// The room's state: live or reconnecting.
        state: crate::State,
        /// The name of the creator that owns it.
        creator: String,
    },
    /// The room has as many tracks as it may.
    #[error("room {room:?} already has {max} tracks; end one first")]
    TooManyTracks {
        /// The name of the room.
        room: String,
        /// The most tracks in a room.
        max: usize,
    },
    /// The edge that a private room is published through does not keep it private.
    #[error(
        "room {room:?} is private, and this edge would show it to anyone: publish it at the origin, or through an edge of this version whose key the origin knows"
    )]
    Unguarded {
        /// The name of the room.
        room: String,
    },
    /// The origin has as many rooms as it may.
    #[error("the origin already holds {0} rooms; end one or raise the bound")]
    TooManyRooms(usize),
    /// A person cannot be erased from a room, because its root failed.
    #[error("room {room:?} still has that person's data: its root failed twice; see the log")]
    Unforgotten {
        /// The name of the room.
        room: String,
    },
    /// The erasure of a person has failed, and is tried again.
    #[error("that person is not erased yet; it is tried again every minute: {reason}")]
    NotErased {
        /// The reason for which it failed.
        reason: String,
    },
    /// The UDP endpoint cannot be used.
    #[error(transparent)]
    Quic(#[from] quic::Error),
    /// The origin's thread has ended, or cannot be started.
    #[error("the origin's thread has ended: see the log")]
    Thread,
}
