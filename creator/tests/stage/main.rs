//! Broadcasts over real QUIC on the loopback: what a server that takes them gets.

mod bad;
mod demo;
mod files;
mod join;
mod offer;
mod reconnect;
mod refuse;
mod server;
