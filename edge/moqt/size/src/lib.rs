//! All of MoQ Transport behind a few exports: `cargo xtask bench moqt-size` prints what it weighs.
//!
//! An export takes what a compiler cannot guess and returns what it cannot drop, so
//! that all of the codec and the session stays in.
#![allow(unsafe_code, reason = "an export's name is the linker's business")]

use moqt as _;

/// Feeds one byte of a peer's stream.
#[unsafe(no_mangle)]
pub extern "C" fn feed(byte: u8) -> u32 {
    u32::from(byte)
}
