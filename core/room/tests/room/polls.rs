//! Polls: one vote per fan identity.

use wire::worker::Row;
use wire::{Act, Choice, EdgeMessage, List, Moderation, PollId, Reason, Vote};

use crate::harness::{Harness, Rejected, Taken, identity};

fn open(options: Vec<&str>, seconds: u32, choice: Choice) -> Moderation<'_> {
    Moderation::OpenPoll { question: "Encore?", options: List(options), seconds, choice }
}

fn vote(poll: u32, option: u8) -> Act<'static> {
    Act::Vote { poll: PollId(poll), option }
}

fn votes(harness: &mut Harness) -> (Vec<u32>, bool) {
    let poll = harness.pulse().poll.expect("a poll");
    (poll.votes.0, poll.open)
}

#[test]
fn polls_one_vote_for_good() {
    let mut harness = Harness::new();
    let (a, b) = (harness.fan(1), harness.fan(2));
    harness.owner(open(vec!["yes", "no"], 60, Choice::Final));
    let shown = harness.stage().poll.expect("a poll");
    assert_eq!((shown.question, shown.options.0.clone(), shown.open), ("Encore?", vec!["yes", "no"], true));
    assert_eq!(harness.act(a, vote(1, 0)), Taken);
    assert_eq!(harness.act(a, vote(1, 1)), Rejected(Reason::AlreadyVoted));
    // A vote from another tab, at another edge, after a reload, does not count either.
    let tab = harness.join(0, identity(1));
    assert_eq!(harness.act(tab, vote(1, 1)), Rejected(Reason::AlreadyVoted));
    let voted = Some(Vote { poll: PollId(1), option: 0 });
    assert!(
        harness
            .received(tab)
            .iter()
            .any(|word| matches!(word, EdgeMessage::Welcome { vote, .. } if *vote == voted))
    );
    assert_eq!(harness.act(b, vote(1, 1)), Taken);
    assert_eq!(harness.act(b, vote(1, 2)), Rejected(Reason::OutOfRange));
    assert_eq!(harness.act(b, vote(2, 0)), Rejected(Reason::NotFound));
    assert_eq!(votes(&mut harness), (vec![1, 1], true));
}

#[test]
fn polls_changeable() {
    let mut harness = Harness::new();
    let fan = harness.fan(1);
    harness.owner(open(vec!["yes", "no", "maybe"], 60, Choice::Changeable));
    for option in [0, 2, 2, 1] {
        assert_eq!(harness.act(fan, vote(1, option)), Taken);
    }
    assert_eq!(votes(&mut harness), (vec![0, 1, 0], true));
}

#[test]
fn polls_close_on_time() {
    let mut harness = Harness::new();
    let (fan, moderator) = (harness.fan(1), harness.moderator(2));
    let opened = harness.moment();
    assert_eq!(harness.moderate(moderator, open(vec!["yes", "no"], 2, Choice::Final)), Taken);
    assert_eq!(
        harness.moderate(moderator, open(vec!["a", "b"], 2, Choice::Final)),
        Rejected(Reason::Busy { retry_ms: 0 })
    );
    harness.wait(1500);
    assert_eq!(harness.act(fan, vote(1, 0)), Taken);
    harness.wait(1000);
    assert_eq!(harness.act(fan, vote(1, 0)), Rejected(Reason::PollClosed));
    assert_eq!(votes(&mut harness), (vec![1, 0], false));
    let closed = harness.rows().into_iter().find_map(|row| match row {
        Row::PollClosed { at, .. } => Some((at - opened).as_millis()),
        _ => None,
    });
    assert!(closed.is_some_and(|ms| (2000..2100).contains(&ms)), "{closed:?}");
    assert_eq!(harness.moderate(moderator, open(vec!["a", "b"], 60, Choice::Final)), Taken);
    assert_eq!(harness.moderate(moderator, Moderation::ClosePoll(PollId(2))), Taken);
    assert_eq!(harness.moderate(moderator, Moderation::ClosePoll(PollId(2))), Rejected(Reason::PollClosed));
}

#[test]
fn polls_that_are_none() {
    let mut harness = Harness::new();
    let (fan, moderator) = (harness.fan(1), harness.moderator(2));
    assert_eq!(harness.moderate(fan, open(vec!["a", "b"], 9, Choice::Final)), Rejected(Reason::NotAllowed));
    for (options, seconds) in
        [(vec!["a"], 9), (vec!["a"; 11], 9), (vec!["a", "b"], 0), (vec!["a", "b"], u32::MAX)]
    {
        let outcome = harness.moderate(moderator, open(options, seconds, Choice::Final));
        assert_eq!(outcome, Rejected(Reason::OutOfRange));
    }
    assert_eq!(harness.moderate(moderator, open(vec!["a", " "], 9, Choice::Final)), Rejected(Reason::Empty));
    assert_eq!(harness.stage().poll, None);
}
