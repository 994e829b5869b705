#[cfg(feature = "native")]
use std::{io, path::PathBuf};

use crate::{MAX_TOKEN_BYTES, Role};

/// Why a token or a key is not taken, one line each.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A key set's file cannot be read.
    #[cfg(feature = "native")]
    #[error("cannot read key set {}: {source}; check the path and its permissions", path.display())]
    Read {
        /// Its path.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// A key set's file cannot be written.
    #[cfg(feature = "native")]
    #[error("cannot write key set {}: {source}; choose a writable data directory", path.display())]
    Write {
        /// Its path.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// A file was read but is no key set.
    #[cfg(feature = "native")]
    #[error("key set {} is not usable: {reason}", path.display())]
    File {
        /// Its path.
        path: PathBuf,
        /// What is wrong in it.
        reason: String,
    },
    /// The operating system has no random numbers.
    #[cfg(feature = "native")]
    #[error("this machine has no random numbers to make a key or token of: {0}")]
    Random(getrandom::Error),
    /// Not a key set.
    #[error("the key set is not usable: {0}")]
    KeySet(String),
    /// A key set holds no key able to sign.
    #[error("the key set holds no private key; sign with the private file that `token` generated")]
    NoSigningKey,
    /// The claims make a token that nobody would read.
    #[error("the token would have {0} bytes, over {MAX_TOKEN_BYTES}: shorten its room or name")]
    TooLong(usize),
    /// The token is not a JWT that is understood here.
    #[error("the token is malformed: {0}")]
    Malformed(String),
    /// The token was signed with a key that is not there.
    #[error("the token was signed with unknown key {kid:?}; add that key to the origin's JWKS")]
    UnknownKey {
        /// The `kid` of the token's header.
        kid: String,
    },
    /// The token's signature is wrong.
    #[error("the token's signature does not match key {kid:?}")]
    BadSignature {
        /// The `kid` of the token's header.
        kid: String,
    },
    /// The token is over.
    #[error("the token expired at {exp} (Unix time); mint a new one")]
    Expired {
        /// Its `exp` claim.
        exp: u64,
    },
    /// The token's time has not come.
    #[error("the token begins at {nbf} (Unix time); check this machine's clock")]
    Early {
        /// Its `nbf` claim.
        nbf: u64,
    },
    /// The token is for another room.
    #[error("the token is for room {has:?}, not {wanted:?}")]
    WrongRoom {
        /// The room in the token.
        has: String,
        /// The room asked for.
        wanted: String,
    },
    /// The token opens no room.
    #[error("the token is one that any stranger gets; room {wanted:?} needs one that was minted for it")]
    Anonymous {
        /// The room asked for.
        wanted: String,
    },
    /// The token's role may not do that.
    #[error("role {role} may not link an edge; mint a token with `fanfare token mint --role edge`")]
    NotAnEdge {
        /// The role in the token.
        role: Role,
    },
}

/// The most that is told of what a peer sent.
const MAX_TOLD: usize = 160;

impl Error {
    /// A token that cannot be read, and why; what of that is the peer's own stays on the line.
    pub(crate) fn malformed(reason: impl AsRef<str>) -> Self {
        Self::Malformed(told(reason.as_ref()))
    }
}

/// A text of a peer, as much of it as a line can bear.
pub(crate) fn told(text: &str) -> String {
    let clean = |c: char| if c.is_control() { ' ' } else { c };
    let mut told: String = text.chars().take(MAX_TOLD).map(clean).collect();
    if told.len() < text.len() {
        told.push('…');
    }
    told
}
