//! Tokens: identity and rights of a participant in a room.
//!
//! A token is a JWT (RFC 7519) signed with `EdDSA` (Ed25519) or ES256, carrying the claims of [`Claims`]. The
//! keys are JWK Sets (RFC 7517): a private one that mints, and a public one that is enough to verify.
//!
//! Nothing here reads a clock or a random number, and all of it is Rust: it runs in a Wasm worker as on a
//! node. The feature `native` adds the node's files, clock and randomness.
#![forbid(unsafe_code)]

mod claims;
pub use claims::{Claims, EVERY_ROOM, LEEWAY, Role};

mod error;
pub use error::Error;

mod identity;
pub use identity::{ANONYMOUS_LIFE, Holder, RENEWED_BEFORE, fan_id, holder, role_in, unproven_id};

mod jwk;
pub use jwk::Algorithm;

mod jws;
pub use jws::MAX_TOKEN_BYTES;

mod keys;
pub use keys::{KeyInfo, Keys, MAX_KEYS, Verified};

mod name;
pub use name::clean_name;

mod revocation;
pub use revocation::{MAX_REVOCATIONS, Revocation, Revocations};

mod scope;
pub use scope::{EdgeNumber, Kind, Scope};

#[cfg(feature = "native")]
mod folder;
#[cfg(feature = "native")]
pub use folder::{KeyFiles, REVOKED_FILE, load_revocations};

#[cfg(feature = "native")]
mod native;
#[cfg(feature = "native")]
pub use native::{exposed, now, private_folder, random, write_secret};
