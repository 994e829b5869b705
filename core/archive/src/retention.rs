//! How long the past is kept.

use std::time::Duration;

const DAY: Duration = Duration::from_hours(24);

/// For how long what is archived stays. What rooms are made of again stays for as long as they do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Retention {
    /// Chat lines.
    pub lines: Duration,
    /// Gifts: somebody may have to account for them.
    pub gifts: Duration,
    /// Polls and their votes, from when they were closed.
    pub polls: Duration,
    /// Questions.
    pub questions: Duration,
    /// Visits.
    pub visits: Duration,
    /// What moderators did.
    pub audit: Duration,
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            lines: 90 * DAY,
            gifts: 10 * 365 * DAY,
            polls: 365 * DAY,
            questions: 90 * DAY,
            visits: 30 * DAY,
            audit: 365 * DAY,
        }
    }
}

impl Retention {
    /// Rows that go in one statement: rooms that want to keep something meanwhile hardly wait.
    pub const STEP: u64 = 500;

    /// What deletes a few rows of each table that are from before a moment, `?`, and for how long they are kept. What a
    /// poll has goes before it does.
    pub fn steps(&self) -> [(Duration, &'static str); 8] {
        [
            (self.lines, "DELETE FROM lines WHERE row IN (SELECT row FROM lines WHERE at < ? LIMIT 500)"),
            (self.gifts, "DELETE FROM gifts WHERE row IN (SELECT row FROM gifts WHERE at < ? LIMIT 500)"),
            (
                self.polls,
                "DELETE FROM votes WHERE row IN (SELECT votes.row FROM polls \
                 JOIN votes USING (room, poll) WHERE polls.closed < ? LIMIT 500)",
            ),
            (
                self.polls,
                "DELETE FROM poll_options WHERE row IN (SELECT poll_options.row FROM polls \
                 JOIN poll_options USING (room, poll) WHERE polls.closed < ? LIMIT 500)",
            ),
            (self.polls, "DELETE FROM polls WHERE row IN (SELECT row FROM polls WHERE closed < ? LIMIT 500)"),
            (
                self.questions,
                "DELETE FROM questions WHERE row IN (SELECT row FROM questions WHERE at < ? LIMIT 500)",
            ),
            (self.visits, "DELETE FROM visits WHERE row IN (SELECT row FROM visits WHERE at < ? LIMIT 500)"),
            (self.audit, "DELETE FROM audit WHERE row IN (SELECT row FROM audit WHERE at < ? LIMIT 500)"),
        ]
    }
}
