//! Numbers for the addresses of fans, so that a room can tell addresses apart and none leaves the node.

use std::net::IpAddr;

use sha2::{Digest as _, Sha256};

/// The numbers of addresses, made with a key that no other node has and that ends with the process.
pub(crate) struct AddressNumbers {
    /// None without a source of randomness: then addresses have no numbers.
    key: Option<[u8; 16]>,
}

impl AddressNumbers {
    pub(crate) fn new(key: Option<[u8; 16]>) -> Self {
        Self { key }
    }

    /// Returns the number of an address: of all of an IPv4 address, and of the first 64 bits of an IPv6 address, since
    /// one connection has the rest to choose from.
    pub(crate) fn number(&self, address: IpAddr) -> Option<u64> {
        let bits = match address.to_canonical() {
            IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
            IpAddr::V6(address) => address.to_bits() & (u128::MAX << 64),
        };
        let digest = Sha256::new().chain_update(self.key?).chain_update(bits.to_be_bytes()).finalize();
        digest.first_chunk().map(|first| u64::from_be_bytes(*first))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_one_number_at_one_node_alone() {
        let (node, other) = (AddressNumbers::new(Some([1; 16])), AddressNumbers::new(Some([2; 16])));
        let of = |node: &AddressNumbers, address: &str| node.number(address.parse().unwrap()).unwrap();
        assert_eq!(of(&node, "192.0.2.1"), of(&node, "::ffff:192.0.2.1"));
        assert_ne!(of(&node, "192.0.2.1"), of(&node, "192.0.2.2"));
        assert_eq!(of(&node, "2001:db8:0:1::1"), of(&node, "2001:db8:0:1:ffff::2"));
        assert_ne!(of(&node, "2001:db8:0:1::1"), of(&node, "2001:db8:0:2::1"));
        assert_ne!(of(&node, "192.0.2.1"), of(&other, "192.0.2.1"));
        assert_eq!(AddressNumbers::new(None).number("192.0.2.1".parse().unwrap()), None);
    }
}
