//! Polls: one vote per fan identity.

use room::{Config, Room};
use wire::worker::{Identity, Row, Seat};
use wire::{Act, Choice, EdgeId, EdgeMessage, List, Moderation, PollId, Reason, SessionId, Vote};

use crate::harness::{At, Harness, Rejected, Taken, identity};

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

fn strangers(harness: &mut Harness) -> Vec<u32> {
    harness.strangers().votes.0
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

#[test]
fn polls_count_one_stranger_of_an_address_at_each_edge() {
    let mut harness = Harness::new();
    harness.owner(open(vec!["yes", "no"], 60, Choice::AddressFinal));
    let (first, second) = (harness.stranger(0, 1, 77), harness.stranger(0, 2, 77));
    assert_eq!(harness.act(first, vote(1, 0)), Taken);
    assert_eq!(harness.act(first, vote(1, 1)), Rejected(Reason::AlreadyVoted));
    assert_eq!(harness.act(second, vote(1, 1)), Rejected(Reason::AddressVoted));
    // Root and leaves know the addresses after a restart, too.
    harness.restore();
    assert_eq!(harness.act(second, vote(1, 1)), Rejected(Reason::AddressVoted));
    let neighbour = harness.stranger(0, 3, 78);
    assert_eq!(harness.act(neighbour, vote(1, 1)), Taken);
    // Another edge has its own numbers: the same one means another address there.
    let elsewhere = harness.stranger(1, 4, 77);
    assert_eq!(harness.act(elsewhere, vote(1, 1)), Taken);
    assert_eq!(votes(&mut harness), (vec![1, 2], true));
    // A fan with a name votes from an address that has voted, and from one that is not known.
    let named = harness.fan(6);
    harness.leaf(named.edge, &[wire::worker::Input::FanAddress { session: named.session, address: 77 }]);
    let other = harness.fan(8);
    assert_eq!(harness.act(named, vote(1, 0)), Taken);
    assert_eq!(harness.act(other, vote(1, 0)), Taken);
    assert_eq!(votes(&mut harness), (vec![3, 2], true));
}

#[test]
fn polls_by_address_count_no_stranger_without_one() {
    let mut harness = Harness::new();
    harness.owner(open(vec!["yes", "no"], 60, Choice::AddressFinal));
    let stranger = harness.join(0, Identity { anonymous: true, ..identity(1) });
    assert_eq!(harness.act(stranger, vote(1, 0)), Rejected(Reason::NotAllowed));
    assert_eq!(votes(&mut harness), (vec![0, 0], true));
}

#[test]
fn polls_by_address_let_a_stranger_change_a_vote_from_elsewhere() {
    let mut harness = Harness::new();
    harness.owner(open(vec!["yes", "no"], 60, Choice::AddressChangeable));
    let (here, neighbour) = (harness.stranger(0, 1, 77), harness.stranger(0, 2, 78));
    assert_eq!(harness.act(here, vote(1, 0)), Taken);
    harness.leave(here);
    let moved = harness.stranger(1, 1, 78);
    assert_eq!(harness.act(moved, vote(1, 1)), Taken);
    assert_eq!(harness.act(neighbour, vote(1, 0)), Taken);
    assert_eq!(votes(&mut harness), (vec![1, 1], true));
}

#[test]
fn polls_forget_addresses_with_their_end() {
    let mut harness = Harness::new();
    let stranger = harness.stranger(0, 1, 77);
    harness.owner(open(vec!["yes", "no"], 600, Choice::AddressFinal));
    let before = harness.root.snapshot().len();
    for id in 1000..1500 {
        let voter = harness.stranger(0, id, u64::MAX - id);
        assert_eq!(harness.act(voter, vote(1, 0)), Taken);
        harness.leave(voter);
    }
    let open_poll = harness.root.snapshot().len();
    harness.owner(Moderation::ClosePoll(PollId(1)));
    let closed = harness.root.snapshot().len();
    assert!(open_poll - before > 500 * 9 && open_poll - closed > 500 * 9, "{before} {open_poll} {closed}");
    assert_eq!(harness.act(stranger, vote(1, 0)), Rejected(Reason::PollClosed));
    harness.owner(open(vec!["yes", "no"], 60, Choice::AddressFinal));
    assert_eq!(harness.act(stranger, vote(2, 0)), Taken);
}

/// The fixtures are of a room with an open poll, in which a fan with a name has voted for the first option and a
/// stranger, at the first edge, for the second.
#[test]
fn polls_of_snapshots_without_strangers_and_addresses_go_on() {
    let mut harness = Harness::new();
    harness.now += 1000;
    let root = include_bytes!("second_layout.snapshot");
    harness.root = Room::restore(Config::new(Seat::Root), root).expect("a snapshot of the second layout");
    let leaf = include_bytes!("second_layout_leaf.snapshot");
    let seat = Seat::Leaf { edge: EdgeId(0), incarnation: 1 };
    harness.leaves[0] = Room::restore(Config::new(seat), leaf).expect("a snapshot of the first layout");
    harness.restore();
    let stranger = At { edge: 0, session: SessionId(0) };
    harness.begun(stranger, 1);
    assert_eq!(strangers(&mut harness), [0, 1]);
    assert_eq!(harness.act(stranger, vote(1, 0)), Taken);
    assert_eq!(votes(&mut harness), (vec![2, 0], true));
    assert_eq!(strangers(&mut harness), [1, 0]);
}

#[test]
fn polls_count_the_votes_of_strangers_apart() {
    let mut harness = Harness::new();
    harness.owner(open(vec!["yes", "no"], 60, Choice::Changeable));
    assert_eq!(strangers(&mut harness), [0, 0]);
    let (named, stranger) = (harness.fan(1), harness.stranger(0, 2, 77));
    let other = harness.join(0, Identity { anonymous: true, ..identity(3) });
    for (voter, option) in [(named, 1), (stranger, 1), (other, 0), (other, 1), (stranger, 0)] {
        assert_eq!(harness.act(voter, vote(1, option)), Taken);
    }
    assert_eq!(votes(&mut harness), (vec![1, 2], true));
    assert_eq!(strangers(&mut harness), [1, 1]);
    harness.restore();
    harness.owner(Moderation::ClosePoll(PollId(1)));
    assert_eq!(strangers(&mut harness), [1, 1]);
    let counted: Vec<_> =
        harness.rows().into_iter().filter(|row| matches!(row, Row::PollCounted { .. })).collect();
    let poll = PollId(1);
    assert_eq!(
        counted,
        [
            Row::PollCounted { poll, option: 0, votes: 1, strangers: 1 },
            Row::PollCounted { poll, option: 1, votes: 2, strangers: 1 },
        ]
    );
    harness.owner(open(vec!["a", "b", "c"], 60, Choice::Final));
    assert_eq!(strangers(&mut harness), [0, 0, 0]);
}
