//! Questions: asked, upvoted, answered.

use wire::worker::Row;
use wire::{Act, Moderation, QuestionId, Reason};

use crate::harness::{Harness, Rejected, Taken};

fn ask(text: &str) -> Act<'_> {
    Act::Ask { text }
}

fn upvote(question: u32) -> Act<'static> {
    Act::Upvote { question: QuestionId(question) }
}

#[test]
fn questions_by_votes() {
    let mut harness = Harness::new();
    let fans: Vec<_> = (0..4).map(|id| harness.fan(id)).collect();
    assert_eq!(harness.act(fans[0], ask("When?")), Taken);
    assert_eq!(harness.act(fans[1], ask("Where?")), Taken);
    assert_eq!(harness.act(fans[2], upvote(2)), Taken);
    assert_eq!(harness.act(fans[2], upvote(2)), Rejected(Reason::AlreadyCounted));
    assert_eq!(harness.act(fans[1], upvote(2)), Rejected(Reason::AlreadyCounted), "the asker has asked");
    assert_eq!(harness.act(fans[3], upvote(9)), Rejected(Reason::NotFound));
    let shown: Vec<_> = harness.stage().questions.iter().map(|question| question.text.to_owned()).collect();
    assert_eq!(shown, ["Where?", "When?"]);
    let votes: Vec<_> =
        harness.pulse().questions.iter().map(|votes| (votes.question.0, votes.votes)).collect();
    assert_eq!(votes, [(2, 2), (1, 1)]);
}

#[test]
fn questions_answered_and_dismissed() {
    let mut harness = Harness::new();
    let (fan, moderator) = (harness.fan(1), harness.moderator(2));
    for text in ["When?", "Where?", "Why?"] {
        assert_eq!(harness.act(fan, ask(text)), Taken);
    }
    assert_eq!(
        harness.act(fan, ask("What?")),
        Rejected(Reason::Busy { retry_ms: 60_000 }),
        "three at a time"
    );
    assert_eq!(harness.moderate(fan, Moderation::Answer(QuestionId(1))), Rejected(Reason::NotAllowed));
    assert_eq!(harness.moderate(moderator, Moderation::Answer(QuestionId(1))), Taken);
    assert_eq!(harness.moderate(moderator, Moderation::Dismiss(QuestionId(2))), Taken);
    assert_eq!(harness.moderate(moderator, Moderation::Dismiss(QuestionId(2))), Rejected(Reason::NotFound));
    assert_eq!(harness.stage().questions.iter().map(|question| question.text).collect::<Vec<_>>(), ["Why?"]);
    let done: Vec<_> = harness
        .rows()
        .into_iter()
        .filter_map(|row| match row {
            Row::QuestionDone { question, answered, .. } => Some((question.0, answered)),
            _ => None,
        })
        .collect();
    assert_eq!(done, [(1, true), (2, false)]);
    harness.wait(2000);
    assert_eq!(harness.act(fan, ask("What?")), Taken, "there is room again");
}
