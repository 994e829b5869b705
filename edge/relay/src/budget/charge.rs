//! Charges: amounts in use, given back when they are dropped.

use std::{cell::Cell, rc::Rc};

use super::{Excess, Kind, payer::Account};

/// An amount that a payer has in use. Dropping it gives the amount back.
pub(crate) struct Charge {
    account: Rc<Account>,
    kind: Kind,
    amount: Cell<u64>,
}

impl Charge {
    pub(super) fn new(account: Rc<Account>, kind: Kind, amount: u64) -> Self {
        Self { account, kind, amount: Cell::new(amount) }
    }

    /// Adds to the amount, if the payer's share allows it.
    pub(crate) fn grow(&self, amount: u64) -> Result<(), Excess> {
        self.account.take(self.kind, amount)?;
        self.amount.set(self.amount.get() + amount);
        Ok(())
    }

    /// Makes it this amount, if the payer's share allows it.
    pub(crate) fn set(&self, amount: u64) -> Result<(), Excess> {
        let before = self.amount.get();
        if amount > before {
            return self.grow(amount - before);
        }
        self.shrink(before - amount);
        Ok(())
    }

    /// Gives a part of the amount back.
    pub(crate) fn shrink(&self, amount: u64) {
        let amount = amount.min(self.amount.get());
        self.account.give_back(self.kind, amount);
        self.amount.set(self.amount.get() - amount);
    }

    /// Gives all of the amount back.
    pub(crate) fn clear(&self) {
        self.shrink(self.amount.get());
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.clear();
    }
}
