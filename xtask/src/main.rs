//! `cargo xtask`: everything one does with this repository besides plain cargo.

fn main() {}
