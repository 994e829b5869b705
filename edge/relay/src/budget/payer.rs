//! Payers: sessions, with the ledgers above each.

use std::{
    cell::{Cell, RefCell},
    net::IpAddr,
    rc::Rc,
};

use moqt::Micros;

use super::{
    Budget, Charge, Excess, Kind, Pace, Role,
    ledger::{Ledger, Level},
};

/// A session's ledger and those above it. All its charges are in each of them.
pub(crate) struct Account {
    own: Ledger,
    above: RefCell<Vec<Rc<Ledger>>>,
    budget: Rc<Budget>,
}

impl Account {
    /// Takes an amount at all levels, or at none.
    pub(super) fn take(&self, kind: Kind, amount: u64) -> Result<(), Excess> {
        let above = self.above.borrow();
        let ledgers = || above.iter().map(|ledger| &**ledger).chain([&self.own]);
        for ledger in ledgers() {
            ledger.check(kind, amount).inspect_err(|excess| self.budget.refused(excess))?;
        }
        for ledger in ledgers() {
            ledger.add(kind, amount);
        }
        Ok(())
    }

    pub(super) fn give_back(&self, kind: Kind, amount: u64) {
        self.own.give_back(kind, amount);
        for ledger in self.above.borrow().iter() {
            ledger.give_back(kind, amount);
        }
    }
}

/// A session that pays for what it has in use. It takes the place of its role in the node.
pub(crate) struct Payer {
    account: Rc<Account>,
    address: Option<IpAddr>,
    role: Cell<Role>,
    /// The session's own place.
    session: RefCell<Option<Charge>>,
}

impl Payer {
    pub(super) fn new(
        budget: &Rc<Budget>,
        now: Micros,
        address: Option<IpAddr>,
        role: Role,
    ) -> Result<Self, Excess> {
        let payer = Self { address, ..Self::without_address(budget, role, budget.above(now, role, address)) };
        payer.pace(now, Pace::Sessions)?;
        *payer.session.borrow_mut() = Some(payer.charge(Kind::Sessions)?);
        Ok(payer)
    }

    pub(super) fn unchecked(budget: &Rc<Budget>, now: Micros, role: Role) -> Self {
        let payer = Self::without_address(budget, role, budget.above(now, role, None));
        *payer.session.borrow_mut() = payer.charge(Kind::Sessions).ok();
        payer
    }

    fn without_address(budget: &Rc<Budget>, role: Role, above: Vec<Rc<Ledger>>) -> Self {
        let own = Ledger::new(Level::Session, budget.share(role));
        let account = Rc::new(Account { own, above: RefCell::new(above), budget: Rc::clone(budget) });
        Self { account, address: None, role: Cell::new(role), session: RefCell::default() }
    }

    /// Returns its role.
    pub(crate) fn role(&self) -> Role {
        self.role.get()
    }

    /// Returns the address of the client, if it is known.
    pub(crate) fn address(&self) -> Option<IpAddr> {
        self.address
    }

    /// Moves the session with all that it has in use to the place of another role, if there is one free.
    pub(crate) fn become_role(&self, now: Micros, role: Role) -> Result<(), Excess> {
        let budget = &self.account.budget;
        let above = budget.above(now, role, self.address);
        for ledger in &above {
            ledger.check(Kind::Sessions, 1).inspect_err(|excess| budget.refused(excess))?;
        }
        let before = self.account.above.replace(above);
        for kind in Kind::ALL {
            let used = self.account.own.used(kind);
            for ledger in &before {
                ledger.give_back(kind, used);
            }
            for ledger in self.account.above.borrow().iter() {
                ledger.add(kind, used);
            }
        }
        self.account.own.set_share(budget.share(role));
        self.role.set(role);
        Ok(())
    }

    /// Charges one of a kind.
    pub(crate) fn charge(&self, kind: Kind) -> Result<Charge, Excess> {
        self.account.take(kind, 1)?;
        Ok(Charge::new(Rc::clone(&self.account), kind, 1))
    }

    /// Begins a charge that grows.
    pub(crate) fn empty(&self, kind: Kind) -> Charge {
        Charge::new(Rc::clone(&self.account), kind, 0)
    }

    /// Counts one more of what has a pace.
    pub(crate) fn pace(&self, now: Micros, pace: Pace) -> Result<(), Excess> {
        let above = self.account.above.borrow();
        let ledgers = || above.iter().map(|ledger| &**ledger).chain([&self.account.own]);
        for ledger in ledgers() {
            ledger.check_pace(now, pace).inspect_err(|excess| self.account.budget.refused(excess))?;
        }
        for ledger in ledgers() {
            ledger.take_pace(now, pace);
        }
        Ok(())
    }
}
