//! A restream between two relays, on real QUIC over loopback.

mod carry;
mod ends;
mod relay;
mod running;
