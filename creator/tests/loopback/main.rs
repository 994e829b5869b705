//! Broadcasts over real QUIC on the loopback, as a server receives them.

mod bad;
mod demo;
mod files;
mod join;
mod offer;
mod reconnect;
mod refuse;
mod server;
