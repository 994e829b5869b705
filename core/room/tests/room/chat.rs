//! Chat lines: allowed texts, pace, and the order that everyone reads.

use wire::worker::{Identity, Input, Row, Seen};
use wire::{Act, ChatId, FanId, Links, List, Moderation, Modes, Reason, Role, Say, TrackItem};

use crate::harness::{Harness, Held, Outcome, Rejected, Taken, identity};

fn too_fast(outcome: Outcome) -> bool {
    matches!(outcome, Rejected(Reason::TooFast { retry_ms: 1.. }))
}

#[test]
fn chat_is_one_order_for_all() {
    let mut harness = Harness::new();
    let (a, b) = (harness.fan(1), harness.fan(2));
    assert_ne!(a.edge, b.edge);
    for n in 0..4 {
        assert_eq!(harness.say(a, &format!("a{n}")), Taken);
        assert_eq!(harness.say(b, &format!("b{n}")), Taken);
    }
    assert_eq!(harness.texts(), ["a0", "b0", "a1", "b1", "a2", "b2", "a3", "b3"]);
    let lines = harness.lines();
    assert!(lines.windows(2).all(|pair| pair[0].id < pair[1].id && pair[0].at <= pair[1].at));
    assert_eq!((lines[0].fan, lines[0].name, lines[0].role), (FanId(1), "somebody", Role::Fan));
}

#[test]
fn chat_text_is_checked() {
    let mut harness = Harness::new();
    let fan = harness.fan(1);
    assert_eq!(harness.say(fan, " \u{200b} "), Rejected(Reason::Empty));
    assert_eq!(harness.say(fan, "a\u{0}b"), Rejected(Reason::Characters));
    assert_eq!(harness.say(fan, &"x".repeat(301)), Rejected(Reason::TooLong { max: 300 }));
    assert_eq!(harness.say(fan, "<script>\u{202e}alert(1)</script>"), Taken);
    assert_eq!(harness.texts(), ["<script>alert(1)</script>"], "text is text, and runs its way");
}

#[test]
fn chat_rate_of_a_fan() {
    let mut harness = Harness::new();
    let (fan, other) = (harness.fan(1), harness.fan(2));
    let outcomes: Vec<_> = (0..8).map(|n| harness.say(fan, &format!("line {n}"))).collect();
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == Taken).count(), 5);
    assert!(outcomes[5..].iter().all(|outcome| too_fast(*outcome)), "{outcomes:?}");
    assert_eq!(harness.say(other, "hello"), Taken, "another fan has not said anything");
    harness.wait(1000);
    assert_eq!(harness.say(fan, "again"), Taken);
}

#[test]
fn chat_rate_of_the_room() {
    let mut harness = Harness::with(|config| config.limits.room_says.burst = 3);
    let fans: Vec<_> = (0..6).map(|id| harness.fan(id)).collect();
    let numbers: Vec<_> = fans
        .iter()
        .map(|fan| (*fan, harness.begin(*fan, Act::Say(Say { text: "all at once", ..Say::default() }))))
        .collect();
    harness.tick();
    let outcomes = numbers.iter().map(|(fan, number)| harness.outcome(*fan, *number));
    let busy = outcomes.filter(|outcome| matches!(outcome, Rejected(Reason::Busy { retry_ms: 1.. }))).count();
    assert_eq!((busy, harness.texts().len()), (3, 3));
}

#[test]
fn chat_repetition() {
    let mut harness = Harness::new();
    let (fan, other) = (harness.fan(1), harness.fan(2));
    assert_eq!(harness.say(fan, "first!"), Taken);
    assert_eq!(harness.say(fan, " first! "), Rejected(Reason::Repeated));
    assert_eq!(harness.say(other, "first!"), Taken);
    harness.wait(30_000);
    assert_eq!(harness.say(fan, "first!"), Taken);
}

#[test]
fn chat_slow_mode() {
    let mut harness = Harness::new();
    let (fan, moderator) = (harness.fan(1), harness.moderator(2));
    assert_eq!(
        harness.moderate(moderator, Moderation::SetModes(Modes { slow_seconds: 10, ..Modes::default() })),
        Taken
    );
    assert_eq!(harness.stage().modes.slow_seconds, 10);
    assert_eq!(harness.say(fan, "one"), Taken);
    assert!(matches!(harness.say(fan, "two"), Rejected(Reason::SlowMode { retry_ms: 9000..=10_000 })));
    // Slow mode applies across edges.
    let elsewhere = harness.join(0, identity(1));
    assert!(matches!(harness.say(elsewhere, "two"), Rejected(Reason::SlowMode { retry_ms: 8000..=10_000 })));
    assert_eq!((harness.say(moderator, "one"), harness.say(moderator, "two")), (Taken, Taken));
    harness.wait(10_000);
    assert_eq!(harness.say(fan, "two"), Taken);
}

#[test]
fn chat_followers_and_emoji_only() {
    let mut harness = Harness::new();
    let follower = harness.join(0, Identity { follower: true, ..identity(1) });
    let stranger = harness.fan(2);
    harness.owner(Moderation::SetModes(Modes { followers_only: true, ..Modes::default() }));
    assert_eq!(harness.say(stranger, "hello"), Rejected(Reason::FollowersOnly));
    assert_eq!(harness.act(stranger, Act::Ask { text: "why?" }), Rejected(Reason::FollowersOnly));
    assert_eq!(harness.say(follower, "hello"), Taken);
    harness.owner(Moderation::SetModes(Modes { emoji_only: true, ..Modes::default() }));
    assert_eq!(harness.say(stranger, "hello"), Rejected(Reason::EmojiOnly));
    assert_eq!(harness.say(stranger, "🎉 👍🏽"), Taken);
}

#[test]
fn chat_links() {
    let mut harness = Harness::new();
    let fan = harness.fan(1);
    let modes = |links| Moderation::SetModes(Modes { links, ..Modes::default() });
    assert_eq!(harness.say(fan, "see example.com"), Held, "how a room is until somebody says otherwise");
    harness.owner(modes(Links::Reject));
    assert_eq!(harness.say(fan, "see www.example"), Rejected(Reason::Links));
    harness.owner(modes(Links::Allow));
    assert_eq!(harness.say(fan, "see https://example.com"), Taken);
}

#[test]
fn chat_reply_and_mention() {
    let mut harness = Harness::new();
    let (a, b) = (harness.fan(1), harness.fan(2));
    let first = harness.line(a, "who is here?");
    let mentions = List(vec![FanId(1)]);
    assert_eq!(
        harness.act(b, Act::Say(Say { text: "I am", reply: Some(first), mentions, danmaku: None })),
        Taken
    );
    let lost = Say { text: "to nothing", reply: Some(ChatId(99)), ..Say::default() };
    assert_eq!(harness.act(b, Act::Say(lost)), Taken);
    let lines = harness.lines();
    assert_eq!((lines[1].reply, &lines[1].mentions[..]), (Some(first), &[FanId(1)][..]));
    assert_eq!(lines[2].reply, None, "there is no such line");
    let crowd = Say { text: "all of you", mentions: List(vec![FanId(1); 9]), ..Say::default() };
    assert_eq!(harness.act(b, Act::Say(crowd)), Rejected(Reason::OutOfRange));
}

#[test]
fn chat_delete_and_pin() {
    let mut harness = Harness::new();
    let (fan, other, moderator) = (harness.fan(1), harness.fan(2), harness.moderator(3));
    let (line, kept) = (harness.line(fan, "oops"), harness.line(fan, "fine"));
    assert_eq!(harness.moderate(other, Moderation::Delete(line)), Rejected(Reason::NotAllowed));
    assert_eq!(harness.moderate(other, Moderation::Pin(line)), Rejected(Reason::NotAllowed));
    assert_eq!(harness.moderate(moderator, Moderation::Pin(line)), Taken);
    assert_eq!(harness.stage().pinned.expect("the pinned line").text, "oops");
    assert_eq!(harness.moderate(fan, Moderation::Delete(line)), Taken, "it is their own");
    assert_eq!(harness.stage().pinned, None, "what is taken back is not in sight");
    assert!(harness.items().contains(&TrackItem::Deleted(line)));
    assert!(harness.rows().contains(&Row::Seen { id: line, seen: Seen::Nobody }));
    assert_eq!(harness.moderate(moderator, Moderation::Pin(line)), Rejected(Reason::NotFound));
    assert_eq!(harness.moderate(moderator, Moderation::Delete(ChatId(999))), Rejected(Reason::NotFound));
    assert_eq!(harness.moderate(moderator, Moderation::Pin(kept)), Taken);
    assert_eq!(harness.moderate(moderator, Moderation::Unpin), Taken);
    assert_eq!(harness.stage().pinned, None);
}

#[test]
fn chat_history_on_join() {
    let mut harness = Harness::with(|config| config.limits.says.burst = 1000);
    let fan = harness.fan(1);
    for n in 0..60 {
        harness.line(fan, &format!("line {n}"));
    }
    let gone = harness.line(fan, "gone");
    assert_eq!(harness.moderate(fan, Moderation::Delete(gone)), Taken);
    harness.wait(16_000);
    let expected: Vec<_> = (10..60).map(|n| format!("line {n}")).collect();
    assert_eq!(harness.history(), expected);
}

#[test]
fn chat_names() {
    let mut harness = Harness::new();
    let stranger = harness.join(0, Identity { anonymous: true, name: "", ..identity(1) });
    let known = harness.fan(2);
    assert_eq!(harness.act(stranger, Act::Rename { name: "  fan\u{202e} 7 " }), Taken);
    assert_eq!(harness.act(known, Act::Rename { name: "another" }), Rejected(Reason::NotAllowed));
    assert_eq!(harness.act(stranger, Act::Rename { name: "\n" }), Rejected(Reason::Empty));
    assert_eq!(
        harness.act(stranger, Act::Rename { name: &"x".repeat(33) }),
        Rejected(Reason::TooLong { max: 32 })
    );
    harness.line(stranger, "hello");
    harness.leave(stranger);
    let again = harness.join(1, Identity { anonymous: true, name: "", ..identity(1) });
    harness.line(again, "again");
    assert!(harness.lines().iter().all(|line| line.name == "fan 7"), "a name survives a reload");
}

/// Relays keep two groups of the chat: two more groups, and none that is kept has what was taken back.
#[test]
fn chat_that_was_taken_back_is_in_no_group_that_is_kept() {
    let mut harness = Harness::new();
    let (fan, moderator) = (harness.fan(1), harness.moderator(2));
    harness.wait(2000);
    let id = harness.line(fan, "words to forget");
    harness.line(moderator, "words to keep");
    harness.groups.clear();
    assert_eq!(harness.moderate(moderator, Moderation::Delete(id)), Taken);
    harness.wait(2000);
    assert!(harness.groups.len() >= 2, "{} groups", harness.groups.len());
    for group in &harness.groups[harness.groups.len() - 2..] {
        let has = |words: &str| group.windows(words.len()).any(|at| at == words.as_bytes());
        assert!(has("words to keep") && !has("words to forget"));
    }
    let deleted = harness.items().into_iter().filter(|item| *item == TrackItem::Deleted(id)).count();
    assert_eq!(deleted, 3, "at once, and in each of the new groups");
    // The same holds for a line of a fan who is erased, and for one that was never in a group.
    harness.line(fan, "words to forget, too");
    harness.root(&[Input::Forget { fan: FanId(1) }]);
    harness.wait(2500);
    let last = &harness.groups[harness.groups.len() - 2..];
    assert!(!last.concat().windows(15).any(|at| at == b"words to forget"));
    let count = harness.groups.len();
    harness.wait(10_000);
    assert_eq!(harness.groups.len(), count, "and then it is quiet again");
}
