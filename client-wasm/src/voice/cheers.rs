//! Cheers are sent as counts: many in a moment are one message.

use std::collections::BTreeMap;

use moqt::Micros;
use wire::limits;

use super::{PATIENCE, Ticket};

/// For how long cheers are collected.
const TICK: Micros = Micros::from_millis(80);

/// Cheers that are not sent, by kind.
#[derive(Debug, Default)]
pub(super) struct Cheers(BTreeMap<u8, Pending>);

/// Cheers of one kind.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) count: u16,
    pub(super) tickets: Vec<Ticket>,
    since: Micros,
}

impl Cheers {
    /// Whether so many more still go into one message.
    pub(super) fn has_room(&self, kind: u8, count: u16) -> bool {
        self.0.get(&kind).is_none_or(|pending| pending.count + count <= limits::CHEERS)
    }

    pub(super) fn add(&mut self, now: Micros, ticket: Ticket, kind: u8, count: u16) {
        let none = || Pending { count: 0, tickets: Vec::new(), since: now };
        let pending = self.0.entry(kind).or_insert_with(none);
        pending.count += count;
        pending.tickets.push(ticket);
    }

    pub(super) fn take(&mut self, kind: u8) -> Option<Pending> {
        self.0.remove(&kind)
    }

    /// When the first of them is to be sent.
    pub(super) fn due(&self) -> Option<Micros> {
        self.oldest().map(|(_, since)| since + TICK)
    }

    pub(super) fn take_due(&mut self, now: Micros) -> Option<(u8, Pending)> {
        let (kind, since) = self.oldest()?;
        if since + TICK > now {
            return None;
        }
        Some((kind, self.0.remove(&kind)?))
    }

    /// When the first of them has waited too long.
    pub(super) fn given_up(&self) -> Option<Micros> {
        self.oldest().map(|(_, since)| since + PATIENCE)
    }

    pub(super) fn take_given_up(&mut self, now: Micros) -> Option<Pending> {
        let (kind, since) = self.oldest()?;
        if since + PATIENCE > now { None } else { self.0.remove(&kind) }
    }

    fn oldest(&self) -> Option<(u8, Micros)> {
        self.0.iter().map(|(kind, pending)| (*kind, pending.since)).min_by_key(|(_, since)| *since)
    }
}
