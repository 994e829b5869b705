//! Binds the addresses of an origin.

use std::{
    io,
    net::{SocketAddr, TcpListener, UdpSocket},
};

use crate::Error;

/// The most tries to find a port that is free for both UDP and TCP.
const PORT_TRIES: usize = 16;

/// Binds the UDP and the TCP address; with port 0, one port that is free for both.
pub(crate) fn listen(addr: SocketAddr, http: Option<SocketAddr>) -> Result<(UdpSocket, TcpListener), Error> {
    let mut tries = if addr.port() == 0 && http.is_none() { PORT_TRIES } else { 1 };
    loop {
        tries -= 1;
        let udp = UdpSocket::bind(addr).map_err(failed("udp", addr))?;
        let same = udp.local_addr().map_err(failed("udp", addr))?;
        match listen_tcp(http.unwrap_or(same)) {
            Err(Error::Listen { source, .. }) if source.kind() == io::ErrorKind::AddrInUse && tries > 0 => {}
            tcp => return Ok((udp, tcp?)),
        }
    }
}

/// Binds a TCP address.
pub(crate) fn listen_tcp(addr: SocketAddr) -> Result<TcpListener, Error> {
    let tcp = TcpListener::bind(addr).map_err(failed("tcp", addr))?;
    tcp.set_nonblocking(true).map_err(failed("tcp", addr))?;
    Ok(tcp)
}

fn failed(protocol: &'static str, addr: SocketAddr) -> impl FnOnce(io::Error) -> Error {
    move |source| {
        let hint = match source.kind() {
            io::ErrorKind::AddrInUse => "stop what uses the port, or choose another",
            io::ErrorKind::PermissionDenied => "choose a port above 1023",
            _ => "choose an address of this machine",
        };
        Error::Listen { protocol, addr, source, hint }
    }
}
