//! Questions to the creator, and their votes.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use wire::{FanId, List, QuestionId, QuestionView, QuestionVotes, Reason, limits, worker::Row};

use super::{Root, people::Fan};
use crate::effects::Effects;
use crate::tally::Counted;

/// Unanswered questions of a room, at most.
const MAX_QUESTIONS: usize = 100;
/// Unanswered questions of one fan, at most.
const MAX_OF_A_FAN: usize = 3;
/// Upvotes of all questions together, at most. Of these and the questions, strangers have half.
const MAX_UPVOTES: usize = 100_000;
/// Questions shown, those with most votes.
const SHOWN: usize = 20;

/// Unanswered questions of a room.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Questions {
    last: u32,
    open: Vec<Question>,
    upvotes: usize,
}

#[derive(Debug, Serialize, Deserialize)]
struct Question {
    id: QuestionId,
    fan: FanId,
    name: String,
    text: String,
    /// Fans who have the question, its author included. A forgotten fan is removed, but their vote stays
    /// counted.
    voters: BTreeSet<FanId>,
    votes: u32,
}

impl Questions {
    /// Returns the questions, most votes first, and the oldest first among equals.
    fn ranked(&self) -> Vec<&Question> {
        let mut all: Vec<&Question> = self.open.iter().collect();
        all.sort_by_key(|question| (std::cmp::Reverse(question.votes), question.id));
        all.truncate(SHOWN);
        all
    }

    pub(super) fn views(&self) -> List<QuestionView<'_>> {
        let shown = self.ranked().into_iter();
        shown
            .map(|asked| QuestionView {
                question: asked.id,
                fan: asked.fan,
                name: &asked.name,
                text: &asked.text,
            })
            .collect()
    }

    pub(super) fn votes(&self) -> List<QuestionVotes> {
        let votes = |question: &Question| QuestionVotes { question: question.id, votes: question.votes };
        self.ranked().into_iter().map(votes).collect()
    }

    /// Returns the shown questions in order: the stage changes when this does.
    fn order(&self) -> Vec<QuestionId> {
        self.ranked().iter().map(|question| question.id).collect()
    }

    /// Removes a fan's questions, and their name from the votes for others.
    pub(super) fn forget(&mut self, fan: FanId) {
        self.open.retain(|question| question.fan != fan);
        for question in &mut self.open {
            question.voters.remove(&fan);
        }
        self.upvotes = self.open.iter().map(|question| question.voters.len()).sum();
    }
}

impl Root {
    pub(super) fn ask(&mut self, at: u32, text: &str, fx: &mut Effects<'_>) -> Result<(), Reason> {
        if text.is_empty() || text.len() > limits::TEXT {
            return Err(Reason::OutOfRange);
        }
        let fan = &self.people.fans[at];
        let own = self.questions.open.iter().filter(|question| question.fan == fan.id).count();
        let open = &self.questions.open;
        let strangers = || open.iter().filter(|question| self.people.is_stranger(question.fan)).count();
        let is_full = open.len() >= MAX_QUESTIONS || fan.anonymous && strangers() >= MAX_QUESTIONS / 2;
        if is_full || own >= MAX_OF_A_FAN {
            return Err(Reason::Busy { retry_ms: 60_000 });
        }
        // A shadow-muted fan's question is shown to no one else.
        if fan.shadow {
            return Ok(());
        }
        self.questions.last += 1;
        let question = QuestionId(self.questions.last);
        fx.archive(Row::Asked { question, at: self.now, fan: fan.id, name: &fan.name, text });
        self.questions.open.push(Question {
            id: question,
            fan: fan.id,
            name: fan.name.clone().into(),
            text: text.to_owned(),
            voters: BTreeSet::from([fan.id]),
            votes: 1,
        });
        self.questions.upvotes += 1;
        self.rates.count(Counted::Votes, 1);
        self.stage.changed();
        Ok(())
    }

    pub(super) fn upvote(&mut self, at: u32, id: QuestionId) -> Result<(), Reason> {
        let Fan { id: fan, anonymous, .. } = self.people.fans[at];
        let order = self.questions.order();
        let full = self.questions.upvotes >= if anonymous { MAX_UPVOTES / 2 } else { MAX_UPVOTES };
        let question =
            self.questions.open.iter_mut().find(|question| question.id == id).ok_or(Reason::NotFound)?;
        if question.voters.contains(&fan) {
            return Err(Reason::AlreadyCounted);
        }
        if full {
            return Err(Reason::Busy { retry_ms: 60_000 });
        }
        question.voters.insert(fan);
        question.votes += 1;
        self.questions.upvotes += 1;
        self.rates.count(Counted::Votes, 1);
        if order != self.questions.order() {
            self.stage.changed();
        }
        Ok(())
    }

    /// Ends a question as answered or dismissed.
    pub(super) fn end_question(
        &mut self,
        id: QuestionId,
        answered: bool,
        fx: &mut Effects<'_>,
    ) -> Result<(), Reason> {
        let at = self.questions.open.iter().position(|question| question.id == id).ok_or(Reason::NotFound)?;
        let question = self.questions.open.remove(at);
        self.questions.upvotes -= question.voters.len();
        fx.archive(Row::QuestionDone { question: id, at: self.now, answered, votes: question.votes });
        self.stage.changed();
        Ok(())
    }
}
