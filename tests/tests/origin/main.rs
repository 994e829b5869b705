//! The origin as its peers use it: real QUIC over loopback, with `moq-transport` as the client.

mod creator;
mod drain;
mod fetch;
mod keep;
mod relay;
mod test_origin;
mod token;
