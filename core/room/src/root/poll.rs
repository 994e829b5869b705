//! Polls: one vote per fan identity, whatever the device or edge.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use wire::{
    Choice, EdgeId, FanId, Micros, PollId, PollResult, PollStrangers, PollView, Reason, Who, limits,
    worker::Row,
};

use super::{
    Root,
    people::{Fan, People},
};
use crate::content::clean;
use crate::effects::Effects;
use crate::tally::Counted;

/// Seconds that a poll is open, at most.
pub(super) const LONGEST: u32 = 24 * 60 * 60;
/// Characters of an option, at most.
const OPTION_GRAPHEMES: usize = 80;

/// Voters of a poll, at most, and strangers among them.
const MAX_VOTERS: usize = 150_000;
const MAX_STRANGERS: usize = 100_000;

/// The open poll, or the last.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Polls {
    last: u32,
    poll: Option<Poll>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Poll {
    id: PollId,
    question: String,
    options: Vec<String>,
    closes: Micros,
    choice: Choice,
    open: bool,
    votes: Vec<u32>,
    voters: BTreeMap<FanId, u8>,
}

/// Votes of strangers in the poll.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Strangers {
    /// Their votes by option.
    pub(super) votes: Vec<u32>,
    /// Addresses that one of them has voted from, each with its edge, in an open poll that takes one vote of each.
    addresses: BTreeSet<Address>,
}

/// An edge's number of an address, with the edge.
pub(super) type Address = (EdgeId, u64);

impl Strangers {
    fn new(options: usize) -> Self {
        Self { votes: vec![0; options], addresses: BTreeSet::new() }
    }
}

/// The poll that a moderator asks to open.
pub(super) struct Asking<'a> {
    pub(super) question: &'a str,
    pub(super) options: &'a [&'a str],
    pub(super) seconds: u32,
    pub(super) choice: Choice,
}

impl Polls {
    pub(super) fn vote_of(&self, fan: FanId) -> Option<(PollId, u8)> {
        let poll = self.poll.as_ref()?;
        poll.voters.get(&fan).map(|option| (poll.id, *option))
    }

    pub(super) fn view(&self) -> Option<PollView<'_>> {
        self.poll.as_ref().map(|poll| PollView {
            poll: poll.id,
            question: &poll.question,
            options: poll.options.iter().map(String::as_str).collect(),
            closes: poll.closes,
            choice: poll.choice,
            open: poll.open,
        })
    }

    pub(super) fn result(&self) -> Option<PollResult> {
        let poll = self.poll.as_ref()?;
        Some(PollResult { poll: poll.id, votes: poll.votes.iter().copied().collect(), open: poll.open })
    }

    /// Returns the part of strangers in the result.
    pub(super) fn of_strangers(&self, strangers: &Strangers) -> Option<PollStrangers> {
        let poll = self.poll.as_ref()?.id;
        Some(PollStrangers { poll, votes: strangers.votes.iter().copied().collect() })
    }

    /// Counts the votes of strangers, for a snapshot that lacks them. The addresses that they came from are unknown.
    pub(super) fn count_strangers(&self, people: &People, strangers: &mut Strangers) {
        let Some(poll) = self.poll.as_ref().filter(|poll| poll.votes.len() != strangers.votes.len()) else {
            return;
        };
        *strangers = Strangers::new(poll.votes.len());
        for (_, option) in poll.voters.iter().filter(|(fan, _)| people.is_stranger(**fan)) {
            if let Some(votes) = strangers.votes.get_mut(usize::from(*option)) {
                *votes += 1;
            }
        }
    }

    /// Lets an open poll close at `latest`.
    pub(super) fn set_back(&mut self, latest: Micros) {
        if let Some(poll) = &mut self.poll {
            poll.closes = poll.closes.min(latest);
        }
    }

    /// Removes a fan's identity from their vote; the count stays.
    pub(super) fn forget(&mut self, fan: FanId) {
        if let Some(poll) = &mut self.poll {
            poll.voters.remove(&fan);
        }
    }
}

impl Root {
    pub(super) fn open_poll(&mut self, asking: &Asking<'_>, fx: &mut Effects<'_>) -> Result<u64, Reason> {
        self.close_poll_in_time(fx);
        if self.polls.poll.as_ref().is_some_and(|poll| poll.open) {
            return Err(Reason::Busy { retry_ms: 0 });
        }
        let right = (2..=limits::POLL_OPTIONS).contains(&asking.options.len());
        if !right || !(1..=LONGEST).contains(&asking.seconds) {
            return Err(Reason::OutOfRange);
        }
        let question = clean(asking.question, usize::from(self.limits.text_graphemes))?.into_owned();
        let clean_option = |option: &&str| clean(option, OPTION_GRAPHEMES).map(std::borrow::Cow::into_owned);
        let options: Vec<String> = asking.options.iter().map(clean_option).collect::<Result<_, _>>()?;
        self.polls.last += 1;
        let id = PollId(self.polls.last);
        fx.archive(Row::PollOpened { poll: id, at: self.now, question: &question });
        for (option, text) in (0..).zip(&options) {
            fx.archive(Row::PollOption { poll: id, option, text });
        }
        self.strangers = Strangers::new(options.len());
        self.polls.poll = Some(Poll {
            id,
            question,
            votes: vec![0; options.len()],
            options,
            closes: self.now + Micros::from_secs(asking.seconds.into()),
            choice: asking.choice,
            open: true,
            voters: BTreeMap::new(),
        });
        self.stage.changed();
        Ok(id.0.into())
    }

    pub(super) fn close_poll(&mut self, id: PollId, fx: &mut Effects<'_>) -> Result<(), Reason> {
        let poll = self.polls.poll.as_mut().filter(|poll| poll.id == id).ok_or(Reason::NotFound)?;
        if !poll.open {
            return Err(Reason::PollClosed);
        }
        poll.open = false;
        poll.closes = poll.closes.min(self.now);
        self.strangers.addresses = BTreeSet::new();
        fx.archive(Row::PollClosed { poll: id, at: poll.closes });
        for (option, (votes, strangers)) in (0..).zip(poll.votes.iter().zip(&self.strangers.votes)) {
            fx.archive(Row::PollCounted { poll: id, option, votes: *votes, strangers: *strangers });
        }
        self.stage.changed();
        Ok(())
    }

    /// Closes the poll at its closing time, however late the tick is.
    pub(super) fn close_poll_in_time(&mut self, fx: &mut Effects<'_>) {
        let due =
            self.polls.poll.as_ref().filter(|poll| poll.open && poll.closes <= self.now).map(|poll| poll.id);
        if let Some(id) = due {
            // `close_poll` cannot fail: the poll exists and is open.
            let _ = self.close_poll(id, fx);
        }
    }

    /// Counts a vote of a fan who, as a stranger, may have an address.
    pub(super) fn vote(
        &mut self,
        (at, address): (u32, Option<Address>),
        (id, option): (PollId, u8),
        fx: &mut Effects<'_>,
    ) -> Result<(), Reason> {
        self.close_poll_in_time(fx);
        let Fan { id: fan, anonymous, .. } = self.people.fans[at];
        let poll = self.polls.poll.as_mut().filter(|poll| poll.id == id).ok_or(Reason::NotFound)?;
        if !poll.open {
            return Err(Reason::PollClosed);
        }
        let chosen = usize::from(option);
        if chosen >= poll.votes.len() {
            return Err(Reason::OutOfRange);
        }
        let before = poll.voters.get(&fan);
        let address = match poll.choice.who() {
            Who::Named if anonymous => return Err(Reason::NotAllowed),
            // An edge that knows no address could count one person many times.
            Who::Address if anonymous && before.is_none() => Some(address.ok_or(Reason::NotAllowed)?),
            _ => None,
        };
        if address.is_some_and(|address| self.strangers.addresses.contains(&address)) {
            return Err(Reason::AddressVoted);
        }
        if before.is_none() && poll.voters.len() >= if anonymous { MAX_STRANGERS } else { MAX_VOTERS } {
            return Err(Reason::Busy { retry_ms: 60_000 });
        }
        if let Some(before) = before {
            if poll.choice.is_final() {
                return Err(Reason::AlreadyVoted);
            }
            poll.votes[usize::from(*before)] -= 1;
            if anonymous {
                let votes = &mut self.strangers.votes[usize::from(*before)];
                *votes = votes.saturating_sub(1);
            }
        }
        if anonymous {
            self.strangers.votes[chosen] += 1;
        }
        self.strangers.addresses.extend(address);
        poll.voters.insert(fan, option);
        poll.votes[chosen] += 1;
        fx.archive(Row::Voted { poll: id, fan, option });
        self.rates.count(Counted::Votes, 1);
        Ok(())
    }
}
