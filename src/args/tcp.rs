//! The TCP side of a node: flags that the origin and the edge share.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use clap::Args as ClapArgs;
use front::{Limits, Options, Proxies, raise_file_limit};

use crate::Failure;

/// The flags for the TCP side.
#[derive(Debug, ClapArgs)]
pub(crate) struct TcpArgs {
    /// Address of the admin side: /metrics, and the archive of an origin's rooms [default: 127.0.0.1, with the port
    /// 10 above that of --listen]
    #[arg(long, value_name = "ADDRESS:PORT")]
    admin: Option<SocketAddr>,

    /// A proxy before the TCP port: its address, or its network as in 10.0.0.0/8. What it says in X-Forwarded-For and
    /// X-Forwarded-Proto is believed, and it may use plain HTTP; may be given more than once
    #[arg(long, value_name = "NETWORK")]
    proxy: Vec<String>,
}

impl TcpArgs {
    /// Returns the options of a node that listens on this address. Raises the number of files that it may open.
    pub(crate) fn options(&self, listen: SocketAddr, limits: Limits) -> Result<Options, Failure> {
        let proxies =
            Proxies::new(&self.proxy).map_err(|error| Failure::usage(format!("--proxy: {error}")))?;
        let admin = self.admin.unwrap_or_else(|| beside(listen));
        Ok(Options { admin: Some(admin), proxies, connections: connections(limits) })
    }
}

/// Returns the default address of the admin side.
fn beside(listen: SocketAddr) -> SocketAddr {
    let port = match listen.port() {
        0 => 0,
        port => port.checked_add(10).unwrap_or(0),
    };
    SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port)
}

/// Returns the most connections: half of the files that the process may open; the others are for all else that it does.
pub(crate) fn connections(mut limits: Limits) -> Limits {
    limits.node = limits.node.min(usize::try_from(raise_file_limit() / 2).unwrap_or(usize::MAX));
    limits
}
