use std::{io, net::SocketAddr};

/// Everything that can go wrong in the origin, one line each: what was wrong, with
/// which value, and the way out.
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
    /// The cryptographic provider refused to work.
    #[error("cryptography failed while {0}")]
    Crypto(&'static str),
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
    /// A track of the house's own cannot be written.
    #[error("a track cannot be served: {0}")]
    Serve(String),
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
    /// The track has a publisher already.
    #[error("track {0} is already being published")]
    Duplicate(String),
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
    /// The peer broke off, or broke the protocol.
    #[error("session: {0}")]
    Session(#[from] moq_transport::session::SessionError),
    /// A peer did not finish its handshake.
    #[error("handshake: {0}")]
    Handshake(String),
}

impl Error {
    /// The draft's code for refusing a request for this reason (§15.10.2).
    pub(crate) fn request_code(&self) -> u64 {
        use moq_transport::message::RequestErrorCode as Code;
        let code = match self {
            Self::Token(token::Error::Malformed(_)) => Code::MalformedAuthToken,
            Self::Token(token::Error::Expired { .. }) => Code::ExpiredAuthToken,
            Self::RoomTaken { .. } => Code::Uninterested,
            Self::Duplicate(_) => Code::DuplicateSubscription,
            Self::TooManyRooms(_) | Self::TooManyTracks { .. } => Code::ExcessiveLoad,
            Self::BadNamespace(_) => Code::NotSupported,
            _ => Code::Unauthorized,
        };
        code as u64
    }
}
