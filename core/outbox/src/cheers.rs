//! Cheers are sent as counts: many in a moment are one message.

use moqt::Micros;
use wire::limits;

use super::{PATIENCE, Ticket};

/// For how long cheers are collected.
const TICK: Micros = Micros::from_millis(80);

/// Cheers that are not sent, the oldest first; of each kind once.
#[derive(Debug, Default)]
pub(super) struct Cheers(Vec<Pending>);

/// Cheers of one kind.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) kind: u8,
    pub(super) count: u16,
    pub(super) tickets: Vec<Ticket>,
    since: Micros,
}

impl Cheers {
    /// Whether so many more still go into one message.
    pub(super) fn has_room(&self, kind: u8, count: u16) -> bool {
        let of_kind = |pending: &&Pending| pending.kind == kind;
        self.0.iter().find(of_kind).is_none_or(|pending| pending.count + count <= limits::CHEERS)
    }

    pub(super) fn add(&mut self, now: Micros, ticket: Ticket, kind: u8, count: u16) {
        match self.0.iter_mut().find(|pending| pending.kind == kind) {
            Some(pending) => {
                pending.count += count;
                pending.tickets.push(ticket);
            }
            None => self.0.push(Pending { kind, count, tickets: vec![ticket], since: now }),
        }
    }

    pub(super) fn take(&mut self, kind: u8) -> Option<Pending> {
        let at = self.0.iter().position(|pending| pending.kind == kind)?;
        Some(self.0.remove(at))
    }

    /// When the first of them is to be sent.
    pub(super) fn due(&self) -> Option<Micros> {
        self.0.first().map(|pending| pending.since + TICK)
    }

    pub(super) fn take_due(&mut self, now: Micros) -> Option<Pending> {
        self.due().filter(|due| *due <= now).map(|_| self.0.remove(0))
    }

    /// When the first of them has waited too long.
    pub(super) fn given_up(&self) -> Option<Micros> {
        self.0.first().map(|pending| pending.since + PATIENCE)
    }

    pub(super) fn take_given_up(&mut self, now: Micros) -> Option<Pending> {
        self.given_up().filter(|end| *end <= now).map(|_| self.0.remove(0))
    }
}
