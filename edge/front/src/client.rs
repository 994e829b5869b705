//! The peer of a request.

use std::{net::IpAddr, sync::Arc};

use axum::http::{HeaderMap, HeaderName, header};

use crate::{places::Place, proxies::Proxies};

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// The peer of a request: a request's extension.
#[derive(Clone, Debug)]
pub struct Client {
    /// The client's address; behind a named proxy, the one that the proxy says.
    pub addr: IpAddr,
    /// Set if the client's own connection is TLS. Behind a named proxy, the proxy says it.
    pub is_secure: bool,
    seat: Seat,
}

/// The place of a connection. What outlives the request on the connection, such as a WebSocket, keeps it.
#[derive(Clone, Debug)]
pub struct Seat(#[expect(dead_code, reason = "held, not read")] Arc<Place>);

impl Client {
    /// Returns the place of the connection.
    pub fn seat(&self) -> Seat {
        self.seat.clone()
    }
}

/// A connection, before a request says more.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    pub(crate) addr: IpAddr,
    pub(crate) is_tls: bool,
    pub(crate) place: Arc<Place>,
}

impl Peer {
    /// Returns the client of a request with these headers.
    pub(crate) fn client(&self, headers: &HeaderMap, proxies: &Proxies) -> Client {
        let seat = Seat(Arc::clone(&self.place));
        if !proxies.contains(self.addr) {
            return Client { addr: self.addr, is_secure: self.is_tls, seat };
        }
        // Each proxy adds the address of its own peer at the end.
        let addr = headers
            .get_all(FORWARDED_FOR)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .filter_map(|addr| addr.trim().parse::<IpAddr>().ok())
            .rfind(|addr| !proxies.contains(*addr))
            .unwrap_or(self.addr);
        let said = headers.get(FORWARDED_PROTO).and_then(|value| value.to_str().ok());
        let is_secure = said.map_or(self.is_tls, |said| said.trim().eq_ignore_ascii_case("https"));
        Client { addr, is_secure, seat }
    }

    /// Returns whether plain HTTP is fine: on the machine itself, and from a proxy that is named.
    pub(crate) fn may_be_plain(&self, proxies: &Proxies) -> bool {
        self.is_tls || self.addr.to_canonical().is_loopback() || proxies.contains(self.addr)
    }
}

/// Returns the host that the request is for.
pub(crate) fn host(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::HOST).and_then(|host| host.to_str().ok())
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;
    use crate::places::{Limits, Places};

    fn client(from: &str, headers: &[(HeaderName, &'static str)]) -> Client {
        let addr = from.parse().expect("an address");
        let place = Places::new(Limits::default()).take(addr).expect("free");
        let peer = Peer { addr, is_tls: false, place: Arc::new(place) };
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(name.clone(), HeaderValue::from_static(value));
        }
        peer.client(&map, &Proxies::new(["10.0.0.0/8"]).expect("a network"))
    }

    fn is(client: &Client, addr: &str, is_secure: bool) {
        assert_eq!((client.addr.to_string().as_str(), client.is_secure), (addr, is_secure));
    }

    #[test]
    fn a_named_proxy_is_believed_and_a_stranger_is_not() {
        let said = [(FORWARDED_FOR, "203.0.113.9"), (FORWARDED_PROTO, "https")];
        is(&client("10.0.0.1", &said), "203.0.113.9", true);
        is(&client("192.0.2.1", &said), "192.0.2.1", false);
    }

    #[test]
    fn the_last_address_that_is_no_proxy_is_the_clients() {
        let said = [(FORWARDED_FOR, "198.51.100.1, 203.0.113.9"), (FORWARDED_FOR, "10.3.3.3")];
        is(&client("10.0.0.1", &said), "203.0.113.9", false);
        is(&client("10.0.0.1", &[(FORWARDED_FOR, "nonsense")]), "10.0.0.1", false);
    }
}
