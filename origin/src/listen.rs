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
    let failed = |protocol, addr| {
        move |source: io::Error| {
            let hint = match source.kind() {
                io::ErrorKind::AddrInUse => "stop what uses the port, or choose another",
                io::ErrorKind::PermissionDenied => "choose a port above 1023",
                _ => "choose an address of this machine",
            };
            Error::Listen { protocol, addr, source, hint }
        }
    };
    let mut tries = if addr.port() == 0 && http.is_none() { PORT_TRIES } else { 1 };
    loop {
        tries -= 1;
        let udp = UdpSocket::bind(addr).map_err(failed("udp", addr))?;
        let same = udp.local_addr().map_err(failed("udp", addr))?;
        let http = http.unwrap_or(same);
        match TcpListener::bind(http) {
            Ok(tcp) => {
                tcp.set_nonblocking(true).map_err(failed("tcp", http))?;
                return Ok((udp, tcp));
            }
            Err(err) if err.kind() == io::ErrorKind::AddrInUse && tries > 0 => {}
            Err(err) => return Err(failed("tcp", http)(err)),
        }
    }
}
