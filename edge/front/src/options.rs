//! The operator's choices for the TCP side of a node.

use std::net::SocketAddr;

use crate::{places::Limits, proxies::Proxies};

/// The operator's choices for the TCP side of a node.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The address of the admin side, which a node has apart from what the public sees; by default it has none.
    pub admin: Option<SocketAddr>,
    /// The proxies before the public port.
    pub proxies: Proxies,
    /// The most connections to the public port.
    pub connections: Limits,
}
