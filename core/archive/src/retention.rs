//! Retention of the archive: the age at which rows are deleted.

use std::time::Duration;

const DAY: Duration = Duration::from_hours(24);

/// Ages at which archived rows are deleted. The state that rooms are restored from stays as long as the rooms
/// do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Retention {
    /// Age of chat lines.
    pub lines: Duration,
    /// Age of gifts: the operator may have to account for them.
    pub gifts: Duration,
    /// Age of polls and their votes, from the poll's close, or else its opening.
    pub polls: Duration,
    /// Age of questions.
    pub questions: Duration,
    /// Age of visits.
    pub visits: Duration,
    /// Age of the audit of moderators' acts.
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
    /// Rows deleted by one statement: few, so that rooms that write meanwhile hardly wait.
    pub const STEP: u64 = 500;

    /// Returns statements that each delete some rows older than a moment, `?`, with the age for each. The
    /// votes, results and options of a poll go before the poll.
    pub fn steps(&self) -> [(Duration, &'static str); 9] {
        [
            (self.lines, "DELETE FROM lines WHERE row IN (SELECT row FROM lines WHERE at < ? LIMIT 500)"),
            (self.gifts, "DELETE FROM gifts WHERE row IN (SELECT row FROM gifts WHERE at < ? LIMIT 500)"),
            (
                self.polls,
                "DELETE FROM votes WHERE row IN (SELECT votes.row FROM polls \
                 JOIN votes USING (room, poll) WHERE coalesce(polls.closed, polls.at) < ? LIMIT 500)",
            ),
            (
                self.polls,
                "DELETE FROM poll_options WHERE row IN (SELECT poll_options.row FROM polls \
                 JOIN poll_options USING (room, poll) WHERE coalesce(polls.closed, polls.at) < ? LIMIT 500)",
            ),
            (
                self.polls,
                "DELETE FROM poll_results WHERE row IN (SELECT poll_results.row FROM polls \
                 JOIN poll_results USING (room, poll) WHERE coalesce(polls.closed, polls.at) < ? LIMIT 500)",
            ),
            (
                self.polls,
                "DELETE FROM polls WHERE row IN (SELECT row FROM polls WHERE coalesce(closed, at) < ? LIMIT 500)",
            ),
            (
                self.questions,
                "DELETE FROM questions WHERE row IN (SELECT row FROM questions WHERE at < ? LIMIT 500)",
            ),
            (self.visits, "DELETE FROM visits WHERE row IN (SELECT row FROM visits WHERE at < ? LIMIT 500)"),
            (self.audit, "DELETE FROM audit WHERE row IN (SELECT row FROM audit WHERE at < ? LIMIT 500)"),
        ]
    }
}
