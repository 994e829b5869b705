//! Ledgers: what one payer has in use, beside its share.

use std::{cell::Cell, fmt};

use moqt::{Micros, RequestCode, message::RequestError};
use prometheus_client::metrics::gauge::Gauge;

use super::{Kind, Pace, Rate, Share, bucket::Bucket};

/// A payer, as a level of the budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    Session,
    Address,
    Network,
    Node,
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Session => "this session",
            Self::Address => "this address",
            Self::Network => "this network",
            Self::Node => "this node",
        })
    }
}

/// A wish beyond a share, refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Excess {
    pub(super) of: &'static str,
    pub(super) label: &'static str,
    pub(super) level: Level,
    /// The share, if it is an amount rather than a pace.
    pub(super) share: Option<u64>,
}

impl fmt::Display for Excess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { of, level, share, .. } = self;
        match share {
            Some(share) => write!(f, "too many {of} for {level}: at most {share}"),
            None => write!(f, "too many {of} for {level} in a short time; try again later"),
        }
    }
}

impl From<Excess> for RequestError {
    fn from(excess: Excess) -> Self {
        Self::new(RequestCode::EXCESSIVE_LOAD, &excess.to_string())
    }
}

/// The account of one payer: how much of each kind is in use.
#[derive(Debug)]
pub(super) struct Ledger {
    pub(super) level: Level,
    limits: [Cell<u64>; Kind::ALL.len()],
    rates: [Cell<Rate>; Pace::ALL.len()],
    used: [Cell<u64>; Kind::ALL.len()],
    paces: [Bucket; Pace::ALL.len()],
    /// The metrics of what is in use, of a node's ledger.
    gauges: Option<Box<[Gauge; Kind::ALL.len()]>>,
}

impl Ledger {
    pub(super) fn new(level: Level, share: Share) -> Self {
        Self {
            level,
            limits: Kind::ALL.map(|kind| Cell::new(share.amount(kind))),
            rates: Pace::ALL.map(|pace| Cell::new(share.rate(pace))),
            used: Default::default(),
            paces: Default::default(),
            gauges: None,
        }
    }

    pub(super) fn with_gauges(mut self, gauges: [Gauge; Kind::ALL.len()]) -> Self {
        self.gauges = Some(Box::new(gauges));
        self
    }

    pub(super) fn set_share(&self, share: Share) {
        for kind in Kind::ALL {
            self.limits[kind as usize].set(share.amount(kind));
        }
        for pace in Pace::ALL {
            self.rates[pace as usize].set(share.rate(pace));
        }
    }

    pub(super) fn used(&self, kind: Kind) -> u64 {
        self.used[kind as usize].get()
    }

    /// Checks that an amount more is within the share.
    pub(super) fn check(&self, kind: Kind, amount: u64) -> Result<(), Excess> {
        let share = self.limits[kind as usize].get();
        if self.used(kind).saturating_add(amount) <= share {
            return Ok(());
        }
        Err(Excess { of: kind.words(), label: kind.label(), level: self.level, share: Some(share) })
    }

    pub(super) fn add(&self, kind: Kind, amount: u64) {
        let used = &self.used[kind as usize];
        used.set(used.get().saturating_add(amount));
        if let Some(gauges) = &self.gauges {
            gauges[kind as usize].inc_by(amount as i64);
        }
    }

    pub(super) fn give_back(&self, kind: Kind, amount: u64) {
        let used = &self.used[kind as usize];
        used.set(used.get().saturating_sub(amount));
        if let Some(gauges) = &self.gauges {
            gauges[kind as usize].dec_by(amount as i64);
        }
    }

    /// Checks that one more may come now.
    pub(super) fn check_pace(&self, now: Micros, pace: Pace) -> Result<(), Excess> {
        if self.paces[pace as usize].has(now, self.rates[pace as usize].get()) {
            return Ok(());
        }
        Err(Excess { of: pace.words(), label: pace.label(), level: self.level, share: None })
    }

    pub(super) fn take_pace(&self, now: Micros, pace: Pace) {
        self.paces[pace as usize].take(now, self.rates[pace as usize].get());
    }

    /// Returns whether it holds nothing that a new one would not.
    pub(super) fn is_idle(&self, now: Micros) -> bool {
        self.used.iter().all(|used| used.get() == 0) && self.paces.iter().all(|pace| pace.is_full(now))
    }
}
