//! The node's budget: its limits, and the ledgers of its roles.

use std::{net::IpAddr, rc::Rc};

use moqt::Micros;

use super::{
    Excess, Limits, Payer, Role, Share,
    addresses::{Addresses, Crowd},
    ledger::{Ledger, Level},
};
use crate::Figures;

/// The budget of a node.
pub(crate) struct Budget {
    limits: Limits,
    /// The node's ledgers, by role.
    roles: [Rc<Ledger>; Role::ALL.len()],
    addresses: Addresses,
    figures: Figures,
}

impl Budget {
    /// Creates the budget of a node that nobody uses.
    pub(crate) fn new(limits: &Limits, figures: Figures) -> Rc<Self> {
        let roles = Role::ALL.map(|role| {
            let share = match role {
                Role::Arriving => limits.arriving,
                Role::Fan => limits.fans,
                Role::Creator => limits.creators,
                Role::Edge => limits.edges,
                Role::Upstream => limits.upstream,
            };
            Rc::new(Ledger::new(Level::Node, share).with_gauges(figures.budget(role)))
        });
        Rc::new(Self { limits: *limits, roles, addresses: Addresses::default(), figures })
    }

    /// Opens the account of a session, if there is a place for it.
    pub(crate) fn open(
        self: &Rc<Self>,
        now: Micros,
        address: Option<IpAddr>,
        role: Role,
    ) -> Result<Payer, Excess> {
        Payer::new(self, now, address, role)
    }

    /// Opens the account of the node's own session with its upstream, for which there is always a place.
    pub(crate) fn open_own(self: &Rc<Self>, now: Micros) -> Payer {
        Payer::unchecked(self, now, Role::Upstream)
    }

    /// Returns the share of one session.
    pub(super) fn share(&self, role: Role) -> Share {
        match role {
            Role::Arriving | Role::Fan => self.limits.fan,
            Role::Creator => self.limits.creator,
            Role::Edge => self.limits.edge,
            Role::Upstream => Share::UNLIMITED,
        }
    }

    /// Returns the ledgers above a session's own.
    pub(super) fn above(&self, now: Micros, role: Role, address: Option<IpAddr>) -> Vec<Rc<Ledger>> {
        let crowd = if role == Role::Arriving { Crowd::Arriving } else { Crowd::Fans };
        let address = address.filter(|_| role.pays_by_address());
        let addresses = address.map(|address| self.addresses.of(now, crowd, address, &self.limits));
        addresses.into_iter().flatten().chain([Rc::clone(&self.roles[role as usize])]).collect()
    }

    pub(super) fn refused(&self, excess: &Excess) {
        self.figures.over_budget(excess.label);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::budget::{Kind, Pace, Rate};

    fn budget(limits: &Limits) -> Rc<Budget> {
        Budget::new(limits, Figures::new("test"))
    }

    fn fan(budget: &Rc<Budget>, address: &str) -> Result<Payer, Excess> {
        budget.open(Micros(0), Some(address.parse().unwrap()), Role::Fan)
    }

    #[test]
    fn what_is_dropped_is_given_back_at_every_level() {
        let budget = budget(&Limits::default());
        let payer = fan(&budget, "127.0.0.1").unwrap();
        let charges: Vec<_> = (0..32).map(|_| payer.charge(Kind::Held).unwrap()).collect();
        assert_eq!(
            payer.charge(Kind::Held).err().unwrap().to_string(),
            "too many subscriptions that wait for a publisher for this session: at most 32"
        );
        let ledgers = budget.above(Micros(0), Role::Fan, Some("127.0.0.1".parse().unwrap()));
        assert!(ledgers.iter().all(|ledger| ledger.used(Kind::Held) == 32));
        drop(charges);
        drop(payer);
        assert!(ledgers.iter().all(|ledger| ledger.used(Kind::Held) == 0));
        assert!(ledgers.iter().all(|ledger| ledger.used(Kind::Sessions) == 0));
    }

    #[test]
    fn a_crowd_at_one_address_leaves_places_for_others_and_for_creators() {
        let address = Share { held: 20, ..Share::ADDRESS };
        let budget = budget(&Limits { address, ..Limits::default() });
        let crowd: Vec<_> = (0..8).map(|_| fan(&budget, "127.0.0.1").unwrap()).collect();
        let held: Vec<_> = crowd.iter().cycle().take(32).map(|payer| payer.charge(Kind::Held)).collect();
        assert_eq!(held.iter().filter(|held| held.is_ok()).count(), 20);
        assert!(crowd[0].charge(Kind::Held).is_err());
        assert!(fan(&budget, "127.0.1.1").unwrap().charge(Kind::Held).is_ok());
        crowd[0].become_role(Micros(0), Role::Creator).unwrap();
        assert!(crowd[0].charge(Kind::Held).is_ok(), "a creator at the same address");
    }

    #[test]
    fn a_session_takes_what_it_has_in_use_to_its_new_role() {
        let budget = budget(&Limits::default());
        let payer = fan(&budget, "127.0.0.1").unwrap();
        let charge = payer.charge(Kind::Publications).unwrap();
        payer.become_role(Micros(0), Role::Creator).unwrap();
        let used = |role: Role, kind| budget.roles[role as usize].used(kind);
        assert_eq!([used(Role::Fan, Kind::Publications), used(Role::Creator, Kind::Publications)], [0, 1]);
        assert_eq!([used(Role::Fan, Kind::Sessions), used(Role::Creator, Kind::Sessions)], [0, 1]);
        drop(charge);
        drop(payer);
        assert_eq!(used(Role::Creator, Kind::Publications), 0);
        assert_eq!(used(Role::Creator, Kind::Sessions), 0);
    }

    #[test]
    fn places_are_kept_apart_for_edges_creators_and_fans() {
        let fans = Share { sessions: 2, ..Share::FANS_OF_NODE };
        let budget = budget(&Limits { fans, ..Limits::default() });
        let _fans = [fan(&budget, "127.0.0.1").unwrap(), fan(&budget, "127.0.1.1").unwrap()];
        assert!(fan(&budget, "127.0.2.1").is_err());
        let arriving = budget.open(Micros(0), Some("127.0.0.1".parse().unwrap()), Role::Arriving).unwrap();
        assert!(arriving.become_role(Micros(0), Role::Fan).is_err());
        assert!(arriving.become_role(Micros(0), Role::Edge).is_ok());
        assert!(budget.open(Micros(0), None, Role::Creator).is_ok());
    }

    #[test]
    fn a_growing_charge_stops_at_the_share_and_shrinks() {
        let budget = budget(&Limits::default());
        let payer = fan(&budget, "127.0.0.1").unwrap();
        let bytes = payer.empty(Kind::OpenBytes);
        assert!(bytes.grow(Share::FAN.open_bytes).is_ok());
        assert!(bytes.grow(1).is_err());
        bytes.shrink(10);
        assert!(bytes.grow(10).is_ok());
        bytes.clear();
        assert!(bytes.grow(Share::FAN.open_bytes).is_ok());
    }

    #[test]
    fn an_address_gets_so_many_strangers_an_hour_whatever_sessions_it_opens() {
        let address = Share { stranger_rate: Rate::per_hour(10, 10), ..Share::ADDRESS };
        let budget = budget(&Limits { address, ..Limits::default() });
        let mint = |_: &u32| {
            let payer = fan(&budget, "127.0.0.1").unwrap();
            payer.pace(Micros(0), Pace::Strangers).is_ok()
        };
        assert_eq!((0..100).filter(mint).count(), 10);
    }
}
