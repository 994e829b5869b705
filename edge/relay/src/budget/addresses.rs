//! Ledgers of addresses and of the networks that they are in.

use std::{cell::RefCell, collections::BTreeMap, net::IpAddr, rc::Rc};

use moqt::Micros;

use super::{
    Limits, Share,
    ledger::{Ledger, Level},
};

/// Ledgers kept at once. Beyond, addresses that are new share one.
const LEDGERS: usize = 65_536;

/// The crowd that an address's sessions are counted with: those that arrive have places of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Crowd {
    Arriving,
    Fans,
}

/// Bits of an address that are the same for all that a ledger counts together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Prefix {
    V4(u8, u32),
    V6(u8, u128),
    /// Any: there are too many ledgers.
    Any,
}

/// The ledgers of addresses and networks that have something in use, or did a moment ago.
#[derive(Default)]
pub(super) struct Addresses {
    ledgers: RefCell<BTreeMap<(Crowd, Prefix), Rc<Ledger>>>,
    /// The number of ledgers at which idle ones are looked for next.
    sweep_at: std::cell::Cell<usize>,
}

impl Addresses {
    /// Returns the ledgers of an address and of its network.
    pub(super) fn of(&self, now: Micros, crowd: Crowd, address: IpAddr, limits: &Limits) -> [Rc<Ledger>; 2] {
        let (address, network) = match address.to_canonical() {
            IpAddr::V4(address) => {
                let bits = address.to_bits();
                (Prefix::V4(32, bits), Prefix::V4(24, bits & !0xff))
            }
            IpAddr::V6(address) => {
                let bits = address.to_bits();
                (Prefix::V6(64, bits & (u128::MAX << 64)), Prefix::V6(48, bits & (u128::MAX << 80)))
            }
        };
        [
            self.ledger(now, (crowd, address), Level::Address, limits.address),
            self.ledger(now, (crowd, network), Level::Network, limits.network),
        ]
    }

    fn ledger(&self, now: Micros, key: (Crowd, Prefix), level: Level, share: Share) -> Rc<Ledger> {
        let mut ledgers = self.ledgers.borrow_mut();
        if let Some(ledger) = ledgers.get(&key) {
            return Rc::clone(ledger);
        }
        if ledgers.len() >= self.sweep_at.get() {
            ledgers.retain(|_, ledger| Rc::strong_count(ledger) > 1 || !ledger.is_idle(now));
            self.sweep_at.set((2 * ledgers.len()).max(1_024));
        }
        let key = if ledgers.len() < LEDGERS { key } else { (key.0, Prefix::Any) };
        let ledger = ledgers.entry(key).or_insert_with(|| Rc::new(Ledger::new(level, share)));
        Rc::clone(ledger)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::budget::{Kind, Pace};

    fn of(addresses: &Addresses, address: &str) -> [Rc<Ledger>; 2] {
        addresses.of(Micros(0), Crowd::Fans, address.parse().unwrap(), &Limits::default())
    }

    #[test]
    fn addresses_are_counted_by_32_and_24_bits_or_by_64_and_48() {
        let addresses = Addresses::default();
        let same = |a: &str, b: &str| {
            let (a, b) = (of(&addresses, a), of(&addresses, b));
            [Rc::ptr_eq(&a[0], &b[0]), Rc::ptr_eq(&a[1], &b[1])]
        };
        assert_eq!(same("192.0.2.1", "192.0.2.1"), [true, true]);
        assert_eq!(same("192.0.2.1", "::ffff:192.0.2.1"), [true, true]);
        assert_eq!(same("192.0.2.1", "192.0.2.2"), [false, true]);
        assert_eq!(same("192.0.2.1", "192.0.3.1"), [false, false]);
        assert_eq!(same("2001:db8:1:2::3", "2001:db8:1:2:ffff::4"), [true, true]);
        assert_eq!(same("2001:db8:1:2::3", "2001:db8:1:3::3"), [false, true]);
        assert_eq!(same("2001:db8:1:2::3", "2001:db8:2:2::3"), [false, false]);
    }

    #[test]
    fn a_ledger_stays_until_its_buckets_are_full_again() {
        let addresses = Addresses::default();
        let first = of(&addresses, "192.0.2.1");
        first[0].take_pace(Micros(0), Pace::Strangers);
        drop(first);
        for other in 0..5_000_u32 {
            let address = std::net::Ipv4Addr::from_bits(0x0a00_0000 + (other << 8)).into();
            drop(addresses.of(Micros(1), Crowd::Fans, address, &Limits::default()));
        }
        let first = of(&addresses, "192.0.2.1");
        assert!(!first[0].is_idle(Micros(1)), "it is the same one");
        assert!(addresses.ledgers.borrow().len() < 3_000, "idle ones are dropped");
        first[0].add(Kind::Held, 1);
        assert_eq!(of(&addresses, "192.0.2.1")[0].used(Kind::Held), 1);
    }
}
