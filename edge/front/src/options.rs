//! What a node's operator chooses for its TCP side.

use std::net::SocketAddr;

use crate::{places::Limits, proxies::Proxies};

/// What a node's operator chooses for its TCP side.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The address of the admin side, which a node has apart from what the public sees; by default it has none.
    pub admin: Option<SocketAddr>,
    /// The proxies before the public port.
    pub proxies: Proxies,
    /// The most connections to the public port.
    pub connections: Limits,
}
