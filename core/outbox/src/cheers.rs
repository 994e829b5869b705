//! Cheers collected into counts: all cheers of one kind within a moment leave as one message.

use moqt::Micros;
use wire::limits;

use super::{PATIENCE, Ticket};

/// Time for which cheers of one kind are collected before they are sent.
const TICK: Micros = Micros::from_millis(80);

/// Cheers that are not sent yet, oldest first, with one entry per kind.
#[derive(Debug, Default)]
pub(super) struct Cheers(Vec<Pending>);

/// Collected cheers of one kind, with the tickets that their message will settle.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) kind: u8,
    pub(super) count: u16,
    pub(super) tickets: Vec<Ticket>,
    since: Micros,
}

impl Cheers {
    /// Returns whether `count` more cheers of this kind still go into one message.
    pub(super) fn fits(&self, kind: u8, count: u16) -> bool {
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

    /// Returns the time at which the oldest entry is to be sent.
    pub(super) fn due(&self) -> Option<Micros> {
        self.0.first().map(|pending| pending.since + TICK)
    }

    pub(super) fn take_due(&mut self, now: Micros) -> Option<Pending> {
        self.due().filter(|due| *due <= now).map(|_| self.0.remove(0))
    }

    /// Returns the time at which the oldest entry is given up.
    pub(super) fn given_up(&self) -> Option<Micros> {
        self.0.first().map(|pending| pending.since + PATIENCE)
    }

    pub(super) fn take_given_up(&mut self, now: Micros) -> Option<Pending> {
        self.given_up().filter(|end| *end <= now).map(|_| self.0.remove(0))
    }
}
