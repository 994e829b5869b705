//! The mark of a stream, and the outcomes of messages before it, in two bytes each.

use serde::{Deserialize, Serialize};
use wire::{ChatId, Reason, limits};

/// Outcome of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Outcome {
    Taken,
    /// Taken as this chat line. Reported once; after that the same as taken.
    Said(ChatId),
    Held,
    Rejected(Reason),
}

/// The highest settled number of a stream, and the outcomes, other than plainly taken, of numbers that a client
/// may still ask for.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(from = "Kept", into = "Kept")]
pub(super) struct Outcomes {
    mark: u64,
    /// A number's last six bits, the reason's kind in five, and a power of two in five: none of two numbers
    /// within [`limits::UNACKED`] has the same six bits.
    codes: Vec<u16>,
}

/// Layout in snapshots.
#[derive(Serialize, Deserialize)]
struct Kept(u64, Vec<(u64, Outcome)>);

/// The kind that stands for a held message: no reason has it.
const HELD: u8 = 31;
/// The kind of [`Reason::TooLong`], whose maximum is rounded down.
const TOO_LONG: u8 = 2;

fn bits(number: u64) -> u16 {
    (number % limits::UNACKED) as u16
}

/// Returns the kind of a reason and its amount, rounded to a power of two, as ten bits. A wait is rounded up, so
/// that a client that observes it is not too early.
fn pack(outcome: Outcome) -> Option<u16> {
    let Outcome::Rejected(reason) = outcome else {
        return matches!(outcome, Outcome::Held).then_some(HELD.into());
    };
    // Postcard writes a reason as its kind and, for some kinds, the amount.
    let mut bytes = [0; 8];
    postcard::to_slice(&reason, &mut bytes).ok()?;
    let (kind, amount): (u8, u32) = postcard::from_bytes(&bytes).ok()?;
    let power = match amount {
        0 => 0,
        _ if kind == TOO_LONG => amount.ilog2() + 1,
        _ => (amount.min(1 << 30)).next_power_of_two().ilog2() + 1,
    };
    Some(u16::from(kind) | (power as u16) << 5)
}

fn unpack(code: u16) -> Outcome {
    let (kind, power) = ((code & 31) as u8, u32::from(code >> 5 & 31));
    let amount = if power == 0 { 0 } else { 1u32 << (power - 1) };
    let mut bytes = [0; 8];
    let _ = postcard::to_slice(&(kind, amount), &mut bytes);
    match postcard::from_bytes(&bytes) {
        Ok(reason) if kind != HELD => Outcome::Rejected(reason),
        _ => Outcome::Held,
    }
}

impl Outcomes {
    /// Returns the highest number up to which all are settled.
    pub(super) fn mark(&self) -> u64 {
        self.mark
    }

    /// Returns the number of outcomes that are kept.
    pub(super) fn len(&self) -> usize {
        self.codes.len()
    }

    /// Settles the number after the mark.
    pub(super) fn settle(&mut self, outcome: Outcome) {
        self.mark += 1;
        let bits = bits(self.mark);
        self.codes.retain(|code| code >> 10 != bits);
        if let Some(code) = pack(outcome) {
            self.codes.push(bits << 10 | code);
        }
    }

    /// Settles all numbers up to `mark`, which the client has given up. What it may still ask for stays: an edge
    /// counts a number as settled before its fan has the answer.
    pub(super) fn give_up(&mut self, mark: u64) {
        let (before, newest) = (self.mark, self.mark.max(mark));
        self.codes.retain(|code| newest - number(before, *code) < limits::UNACKED);
        self.mark = newest;
    }

    /// Returns the outcome of a number up to the mark.
    pub(super) fn of(&self, at: u64) -> Outcome {
        let is_kept = self.mark - at < limits::UNACKED;
        let found = self.codes.iter().find(|code| is_kept && **code >> 10 == bits(at));
        found.map_or(Outcome::Taken, |code| unpack(*code))
    }

    /// Forgets all outcomes: each message counts as taken.
    pub(super) fn clear(&mut self) {
        self.codes = Vec::new();
    }
}

/// Returns the number, up to the mark, that a code is of.
fn number(mark: u64, code: u16) -> u64 {
    mark.saturating_sub(mark.wrapping_sub(u64::from(code >> 10)) % limits::UNACKED)
}

impl From<Outcomes> for Kept {
    fn from(outcomes: Outcomes) -> Self {
        let Outcomes { mark, codes } = outcomes;
        Self(mark, codes.iter().map(|code| (number(mark, *code), unpack(*code))).collect())
    }
}

impl From<Kept> for Outcomes {
    fn from(Kept(mark, kept): Kept) -> Self {
        let recent = kept.iter().filter(|(at, _)| *at <= mark && mark - at < limits::UNACKED);
        let codes = recent.filter_map(|(at, outcome)| Some(bits(*at) << 10 | pack(*outcome)?)).collect();
        Self { mark, codes }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_in_two_bytes_are_those_that_were_settled() {
        let mut outcomes = Outcomes::default();
        for number in 1..=500u64 {
            outcomes.settle(match number % 4 {
                0 => Outcome::Held,
                1 => Outcome::Rejected(Reason::TooFast { retry_ms: number as u32 }),
                2 => Outcome::Rejected(Reason::TooLong { max: 300 }),
                _ => Outcome::Taken,
            });
        }
        assert_eq!(outcomes.of(500), Outcome::Held);
        assert_eq!(outcomes.of(497), Outcome::Rejected(Reason::TooFast { retry_ms: 512 }));
        assert_eq!(outcomes.of(498), Outcome::Rejected(Reason::TooLong { max: 256 }));
        assert_eq!(outcomes.of(499), Outcome::Taken);
        assert_eq!(outcomes.of(400), Outcome::Taken, "longer ago than a client may ask");
        assert_eq!(outcomes.len(), 48);
        let bytes = postcard::to_allocvec(&outcomes).expect("bytes");
        let again: Outcomes = postcard::from_bytes(&bytes).expect("outcomes");
        assert_eq!((again.mark, &again.codes), (500, &outcomes.codes));
        outcomes.give_up(400);
        assert_eq!((outcomes.mark(), outcomes.len()), (500, 48));
        outcomes.give_up(560);
        assert_eq!((outcomes.mark(), outcomes.len()), (560, 3));
        assert_eq!(outcomes.of(500), Outcome::Held);
        outcomes.give_up(600);
        assert_eq!((outcomes.mark(), outcomes.len()), (600, 0));
    }

    #[test]
    fn every_reason_keeps_its_kind() {
        for (kind, amount) in (0..20u8).zip([0u32, 7].into_iter().cycle()) {
            let mut bytes = [0; 8];
            postcard::to_slice(&(kind, amount), &mut bytes).expect("bytes");
            let reason: Reason = postcard::from_bytes(&bytes).expect("a reason");
            let code = pack(Outcome::Rejected(reason)).expect("a code");
            let Outcome::Rejected(again) = unpack(code) else { panic!("{reason:?}") };
            assert_eq!(std::mem::discriminant(&again), std::mem::discriminant(&reason));
        }
    }
}
