//! The proxies whose word about their clients is believed.

use std::{net::IpAddr, str::FromStr};

/// A network that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a network: give an address, or one with the length of its prefix, such as 10.0.0.0/8")]
pub struct NotANetwork(String);

/// An IPv4 or IPv6 network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Network {
    base: IpAddr,
    bits: u8,
}

impl FromStr for Network {
    type Err = NotANetwork;

    fn from_str(text: &str) -> Result<Self, NotANetwork> {
        let wrong = || NotANetwork(text.to_owned());
        let (addr, bits) = match text.split_once('/') {
            Some((addr, bits)) => (addr, Some(bits.parse::<u8>().map_err(|_| wrong())?)),
            None => (text, None),
        };
        let base: IpAddr = addr.parse().map_err(|_| wrong())?;
        let longest = if base.is_ipv4() { 32 } else { 128 };
        let bits = bits.unwrap_or(longest);
        if bits > longest {
            return Err(wrong());
        }
        Ok(Self { base, bits })
    }
}

impl Network {
    fn contains(self, addr: IpAddr) -> bool {
        match (self.base, addr) {
            (IpAddr::V4(base), IpAddr::V4(addr)) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(self.bits)).unwrap_or(0);
                base.to_bits() & mask == addr.to_bits() & mask
            }
            (IpAddr::V6(base), IpAddr::V6(addr)) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(self.bits)).unwrap_or(0);
                base.to_bits() & mask == addr.to_bits() & mask
            }
            _ => false,
        }
    }
}

/// Proxies in front of a node, by their networks. What they say in `X-Forwarded-For` and `X-Forwarded-Proto` is believed;
/// of anybody else these headers are ignored.
#[derive(Clone, Debug, Default)]
pub struct Proxies(Vec<Network>);

impl Proxies {
    /// Reads networks such as `10.0.0.0/8` or `2001:db8::1`.
    pub fn new<T: AsRef<str>>(networks: impl IntoIterator<Item = T>) -> Result<Self, NotANetwork> {
        networks.into_iter().map(|network| network.as_ref().parse()).collect::<Result<_, _>>().map(Self)
    }

    /// Returns whether the address is that of a proxy.
    pub fn contains(&self, addr: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(addr.to_canonical()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_holds_the_addresses_of_its_prefix() {
        let proxies = Proxies::new(["10.1.0.0/16", "192.0.2.7", "2001:db8::/32", "0.0.0.0/0"]);
        let proxies = proxies.expect("networks");
        assert!(proxies.contains("9.9.9.9".parse().expect("an address")), "0.0.0.0/0 is everybody");
        let proxies = Proxies::new(["10.1.0.0/16", "192.0.2.7", "2001:db8::/32"]).expect("networks");
        for (addr, held) in [
            ("10.1.255.1", true),
            ("::ffff:10.1.255.1", true),
            ("10.2.0.1", false),
            ("192.0.2.7", true),
            ("192.0.2.8", false),
            ("2001:db8:1::1", true),
            ("2001:db9::1", false),
        ] {
            assert_eq!(proxies.contains(addr.parse().expect("an address")), held, "{addr}");
        }
    }

    #[test]
    fn what_is_no_network_is_named() {
        for wrong in ["", "proxy", "10.0.0.0/33", "::/129", "10.0.0.0/x"] {
            let error = Proxies::new([wrong]).expect_err("no network").to_string();
            assert!(error.contains(&format!("{wrong:?}")), "{error}");
        }
    }
}
