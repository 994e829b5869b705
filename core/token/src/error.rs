//! Errors of tokens and key sets.

#[cfg(feature = "native")]
use std::{io, path::PathBuf, sync::Arc};

use crate::{EdgeNumber, MAX_TOKEN_BYTES, Role};

/// Reason for refusing a token or a key, in one line each.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A key set's file cannot be read.
    #[cfg(feature = "native")]
    #[error("cannot read key set {}: {source}; check the path and its permissions", path.display())]
    Read {
        /// Path of the file.
        path: PathBuf,
        /// The operating system's error.
        source: Arc<io::Error>,
    },
    /// A key set's file cannot be written.
    #[cfg(feature = "native")]
    #[error("cannot write key set {}: {source}; choose a writable data directory", path.display())]
    Write {
        /// Path of the file.
        path: PathBuf,
        /// The operating system's error.
        source: Arc<io::Error>,
    },
    /// The file was read but is no key set.
    #[cfg(feature = "native")]
    #[error("key set {} is not usable: {reason}", path.display())]
    File {
        /// Path of the file.
        path: PathBuf,
        /// The fault in its content.
        reason: String,
    },
    /// A list of revocations cannot be used.
    #[cfg(feature = "native")]
    #[error("list of revocations {} is not usable: {reason}", path.display())]
    List {
        /// Path of the file.
        path: PathBuf,
        /// The fault in its content.
        reason: String,
    },
    /// The operating system supplies no random numbers.
    #[cfg(feature = "native")]
    #[error("the operating system supplies no random numbers for a key or token: {0}")]
    Random(getrandom::Error),
    /// The text is not a usable key set.
    #[error("the key set is not usable: {0}")]
    KeySet(String),
    /// The key set holds no key able to sign.
    #[error("the key set holds no private key; sign with the private file that `token` generated")]
    NoSigningKey,
    /// The claims make a token longer than verifiers accept.
    #[error("the token would have {0} bytes, over {MAX_TOKEN_BYTES}: shorten its room or name")]
    TooLong(usize),
    /// The token is not a JWT that this crate understands.
    #[error("the token is malformed: {0}")]
    Malformed(String),
    /// The token was signed with a key that is not in the set.
    #[error("the token was signed with unknown key {kid:?}; add that key to the origin's JWKS")]
    UnknownKey {
        /// The `kid` in the token's header.
        kid: String,
    },
    /// The token's signature is wrong.
    #[error("the token's signature does not match key {kid:?}")]
    BadSignature {
        /// The `kid` in the token's header.
        kid: String,
    },
    /// The key may not sign such a token.
    #[error("key {kid:?} may not sign {what}; mint the token with a key that may")]
    BeyondScope {
        /// The `kid` of the key.
        kid: String,
        /// The tokens that are beyond its scope.
        what: String,
    },
    /// The token was revoked.
    #[error("the token was revoked ({what}); mint a new one")]
    Revoked {
        /// The token's `jti` if it has one, or else its key.
        what: String,
    },
    /// The token is that of a session on behalf of an edge's client.
    #[error("the token is that of an edge's client, and not the edge's own")]
    OnBehalf,
    /// The token is another edge's.
    #[error("the token is that of {}, not of edge {wanted}", has.map_or("an edge without a number".into(), |has| format!("edge {has}")))]
    OtherEdge {
        /// The number in the token.
        has: Option<EdgeNumber>,
        /// The number that the edge claims.
        wanted: EdgeNumber,
    },
    /// The token has expired.
    #[error("the token expired at {exp} (Unix time); mint a new one")]
    Expired {
        /// The token's `exp` claim.
        exp: u64,
    },
    /// The token is not valid yet.
    #[error("the token begins at {nbf} (Unix time); check this machine's clock")]
    Early {
        /// The token's `nbf` claim.
        nbf: u64,
    },
    /// The token is for another room.
    #[error("the token is for room {has:?}, not {wanted:?}")]
    WrongRoom {
        /// The room in the token.
        has: String,
        /// The requested room.
        wanted: String,
    },
    /// The token is an anonymous fan's and opens no room.
    #[error("the token is an anonymous fan's; room {wanted:?} needs a token minted for it")]
    Anonymous {
        /// The requested room.
        wanted: String,
    },
    /// The token is an operator's and opens no room.
    #[error("an operator's token opens no room; mint one of another role for room {wanted:?}")]
    Operator {
        /// The requested room.
        wanted: String,
    },
    /// The token's role does not allow reading or erasing an archive.
    #[error(
        "role {role} may not export or erase; mint a token with `fanfare token mint --role operator --room '{wanted}'`"
    )]
    NotAnOperator {
        /// The role in the token.
        role: Role,
        /// The room whose archive was requested; `*` for what is archived of a person.
        wanted: String,
    },
    /// The token's role does not allow linking an edge.
    #[error("role {role} may not link an edge; mint a token with `fanfare token mint --role edge`")]
    NotAnEdge {
        /// The role in the token.
        role: Role,
    },
}

/// Characters of a peer's text that an error repeats, at most.
const MAX_EXCERPT: usize = 160;

impl Error {
    /// Returns the error for a malformed token; its reason may quote the peer, so it is shortened to one
    /// line.
    pub(crate) fn malformed(reason: impl AsRef<str>) -> Self {
        Self::Malformed(excerpt(reason.as_ref()))
    }
}

/// Returns the beginning of a peer's text, without control characters.
pub(crate) fn excerpt(text: &str) -> String {
    let clean = |c: char| if c.is_control() { ' ' } else { c };
    let mut excerpt: String = text.chars().take(MAX_EXCERPT).map(clean).collect();
    if excerpt.len() < text.len() {
        excerpt.push('…');
    }
    excerpt
}
