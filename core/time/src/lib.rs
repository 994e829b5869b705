//! Time without a clock: [`Micros`], a moment or a span, and [`Backoff`], the pauses between tries.
//!
//! Nothing here reads a clock or draws a random number: both come in as arguments.
#![forbid(unsafe_code)]

mod backoff;
pub use backoff::Backoff;

mod micros;
pub use micros::Micros;
