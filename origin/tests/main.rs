//! The origin as its peers see it: real QUIC over loopback, `moq-transport` as client.

mod creator;
mod drain;
mod fetch;
mod keep;
mod relay;
mod stage;
mod token;
