//! The connections that a node holds at a time, and who has them.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// The most connections at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Connections of the node. Of the files that it may open, some are kept in hand: see [`raise_file_limit`](crate::raise_file_limit).
    pub node: usize,
    /// Connections of a network: an IPv4 /24 or an IPv6 /48, which is about what one organisation or one renter of machines has.
    pub network: usize,
    /// Connections of an address: an IPv4 /32 or an IPv6 /64. A class of forty behind one address, whose browsers open six
    /// connections each while a page loads, has room in it.
    pub address: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { node: 16_384, network: 1_024, address: 256 }
    }
}

/// The limit that a connection would exceed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// [`Limits::node`].
    #[error("this node has no more connections")]
    Node,
    /// [`Limits::network`].
    #[error("the network has too many connections")]
    Network,
    /// [`Limits::address`].
    #[error("the address has too many connections")]
    Address,
}

/// The places for connections. Clones count the same connections.
#[derive(Clone, Debug)]
pub struct Places {
    limits: Limits,
    taken: Arc<Mutex<Taken>>,
}

/// The places that are taken.
#[derive(Debug, Default)]
struct Taken {
    all: usize,
    refused: u64,
    addresses: HashMap<IpAddr, usize>,
    networks: HashMap<IpAddr, usize>,
}

/// A place that is taken until this is dropped.
#[derive(Debug)]
pub struct Place {
    places: Places,
    /// The address that is charged; none for the connections of a proxy, which are those of its clients.
    addr: Option<IpAddr>,
}

impl Places {
    /// Creates places that are all free.
    pub fn new(limits: Limits) -> Self {
        Self { limits, taken: Arc::default() }
    }

    /// Takes a place for a connection from this address.
    pub fn take(&self, addr: IpAddr) -> Result<Place, Refused> {
        let mut taken = self.lock();
        let held = |held: &HashMap<IpAddr, usize>, of| held.get(&of).copied().unwrap_or(0);
        if held(&taken.addresses, address(addr)) >= self.limits.address {
            return Err(taken.refuse(Refused::Address));
        }
        if held(&taken.networks, network(addr)) >= self.limits.network {
            return Err(taken.refuse(Refused::Network));
        }
        self.enter(&mut taken)?;
        *taken.addresses.entry(address(addr)).or_default() += 1;
        *taken.networks.entry(network(addr)).or_default() += 1;
        Ok(Place { places: self.clone(), addr: Some(addr) })
    }

    /// Takes a place for a connection of a proxy. It may have as many as the node: they are its clients'.
    pub fn take_for_proxy(&self) -> Result<Place, Refused> {
        self.enter(&mut self.lock())?;
        Ok(Place { places: self.clone(), addr: None })
    }

    fn enter(&self, taken: &mut Taken) -> Result<(), Refused> {
        if taken.all >= self.limits.node {
            return Err(taken.refuse(Refused::Node));
        }
        taken.all += 1;
        Ok(())
    }

    /// Returns the number of connections.
    pub fn taken(&self) -> usize {
        self.lock().all
    }

    /// Returns the number of connections that were refused.
    pub fn refused(&self) -> u64 {
        self.lock().refused
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Taken {
    fn refuse(&mut self, refused: Refused) -> Refused {
        self.refused += 1;
        refused
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.lock();
        taken.all -= 1;
        if let Some(addr) = self.addr {
            give_back(&mut taken.addresses, address(addr));
            give_back(&mut taken.networks, network(addr));
        }
    }
}

fn give_back(held: &mut HashMap<IpAddr, usize>, of: IpAddr) {
    if let Some(count) = held.get_mut(&of) {
        *count -= 1;
        if *count == 0 {
            held.remove(&of);
        }
    }
}

/// Returns what counts as one address: a whole IPv4 address, or the /64 that one IPv6 subscriber has.
fn address(addr: IpAddr) -> IpAddr {
    match addr.to_canonical() {
        IpAddr::V4(addr) => addr.into(),
        IpAddr::V6(addr) => prefix(addr, 64),
    }
}

/// Returns the network of an address: its IPv4 /24 or IPv6 /48.
fn network(addr: IpAddr) -> IpAddr {
    match addr.to_canonical() {
        IpAddr::V4(addr) => std::net::Ipv4Addr::from_bits(addr.to_bits() & 0xFFFF_FF00).into(),
        IpAddr::V6(addr) => prefix(addr, 48),
    }
}

fn prefix(addr: Ipv6Addr, bits: u32) -> IpAddr {
    Ipv6Addr::from_bits(addr.to_bits() & (u128::MAX << (128 - bits))).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn an_address_a_network_and_the_node_have_limits_of_their_own() {
        let places = Places::new(Limits { node: 5, network: 3, address: 2 });
        let held = [places.take(ip("192.0.2.1")), places.take(ip("192.0.2.1"))];
        assert_eq!(places.take(ip("192.0.2.1")).err(), Some(Refused::Address));
        assert_eq!(places.take(ip("::ffff:192.0.2.1")).err(), Some(Refused::Address));
        let neighbour = places.take(ip("192.0.2.2")).expect("free");
        assert_eq!(places.take(ip("192.0.2.3")).err(), Some(Refused::Network));
        let others = [places.take(ip("2001:db8::1")), places.take(ip("2001:db8::2"))];
        assert!(others.iter().all(Result::is_ok));
        assert_eq!(places.take(ip("198.51.100.1")).err(), Some(Refused::Node));
        assert_eq!((places.taken(), places.refused()), (5, 4));
        drop((held, neighbour, others));
        assert_eq!(places.taken(), 0);
        let taken = places.lock();
        assert!(taken.addresses.is_empty() && taken.networks.is_empty(), "nothing is remembered of who left");
    }

    #[test]
    fn a_whole_prefix_of_ipv6_counts_as_one_address() {
        let places = Places::new(Limits { node: 9, network: 9, address: 1 });
        let _held = places.take(ip("2001:db8::1")).expect("free");
        assert_eq!(places.take(ip("2001:db8::ffff")).err(), Some(Refused::Address));
        assert!(places.take(ip("2001:db8:0:1::1")).is_ok());
    }
}
