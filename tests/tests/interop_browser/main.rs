//! Players of other people against our edge, and our player against their publishers, in headless Chromium.
//!
//! Tests that are ignored need `moq`, which takes minutes to build: `cargo xtask interop` builds it and runs them, too.

mod moq_watch;
mod our_player;
