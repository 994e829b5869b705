//! Moderation: rights to silence fans, and the fate of their lines.

use wire::worker::{Identity, Input, Row, Seen};
use wire::{
    Act, EdgeMessage, FanId, List, Moderation, Modes, OnMatch, Pattern, Reason, Review, Role, Standing,
    Subject, TrackItem,
};

use crate::harness::{At, Harness, Held, Rejected, Taken, identity};

const ONE: Subject = Subject::Fan(FanId(1));

fn reviews(harness: &Harness, at: At) -> Vec<Review<'_>> {
    let review = |word| match word {
        EdgeMessage::Review(review) => Some(review),
        _ => None,
    };
    harness.received(at).into_iter().filter_map(review).collect()
}

#[test]
fn moderation_timeout() {
    let mut harness = Harness::new();
    let (fan, moderator) = (harness.fan(1), harness.moderator(2));
    let line = harness.line(fan, "something bad");
    assert_eq!(
        harness.moderate(moderator, Moderation::Timeout { subject: Subject::Author(line), seconds: 20 }),
        Taken
    );
    assert!(harness.items().contains(&TrackItem::Purged(FanId(1))));
    let told = |word: &EdgeMessage<'_>| {
        matches!(word, EdgeMessage::Standing { standing: Standing::TimedOut { .. }, .. })
    };
    assert!(harness.received(fan).iter().any(told));
    assert!(matches!(harness.say(fan, "what?"), Rejected(Reason::TimedOut { retry_ms: 19_000..=20_000 })));
    assert!(matches!(harness.act(fan, Act::Cheer { kind: 0, count: 1 }), Rejected(Reason::TimedOut { .. })));
    harness.wait(20_000);
    assert_eq!(harness.say(fan, "sorry"), Taken);
    let timeout = |seconds| Moderation::Timeout { subject: ONE, seconds };
    assert_eq!(harness.moderate(moderator, timeout(0)), Rejected(Reason::OutOfRange));
    assert_eq!(harness.moderate(moderator, timeout(u32::MAX)), Rejected(Reason::OutOfRange));
}

#[test]
fn moderation_ban_follows_the_fan() {
    let mut harness = Harness::new();
    let (fan, moderator) = (harness.fan(1), harness.moderator(2));
    assert_eq!(harness.moderate(moderator, Moderation::Ban(ONE)), Taken);
    assert_eq!(harness.say(fan, "hello"), Rejected(Reason::Banned));
    harness.leave(fan);
    for edge in 0..2 {
        let again = harness.join(edge, identity(1));
        let banned =
            |word: &EdgeMessage<'_>| matches!(word, EdgeMessage::Welcome { standing: Standing::Banned, .. });
        assert!(harness.received(again).iter().any(banned));
        assert_eq!(harness.say(again, "hello"), Rejected(Reason::Banned));
    }
    assert_eq!(harness.moderate(moderator, Moderation::Pardon(ONE)), Taken);
    let again = harness.join(0, identity(1));
    assert_eq!(harness.say(again, "hello"), Taken);
}

/// Bans hold even if an edge has not received them.
#[test]
fn moderation_ban_holds_at_the_root() {
    let mut harness = Harness::new();
    let (fan, moderator) = (harness.fan(1), harness.moderator(2));
    let number = harness.begin(fan, Act::Cheer { kind: 0, count: 1 });
    harness.begin(moderator, Act::Moderate(Moderation::Ban(ONE)));
    // The moderator's edge sends first.
    harness.leaf(0, &[Input::Tick]);
    harness.tick();
    assert_eq!(harness.outcome(fan, number), Rejected(Reason::Banned));
}

#[test]
fn moderation_shadow_mute() {
    let mut harness = Harness::new();
    let (fan, moderator) = (harness.fan(1), harness.moderator(2));
    assert_eq!(harness.moderate(moderator, Moderation::ShadowMute(ONE)), Taken);
    let line = harness.line(fan, "does anybody hear me?");
    assert_eq!(harness.act(fan, Act::Ask { text: "Nobody?" }), Taken);
    assert!(harness.texts().is_empty() && harness.stage().questions.is_empty());
    let seen = |row: &Row<'_>| matches!(row, Row::Said { id, seen: Seen::Author, .. } if *id == line);
    assert!(harness.rows().iter().any(seen));
    let told = |word: &EdgeMessage<'_>| matches!(word, EdgeMessage::Standing { .. });
    assert!(!harness.received(fan).iter().any(told), "the fan is told");
}

#[test]
fn moderation_blocked_words() {
    let mut harness = Harness::new();
    let (fan, moderator) = (harness.fan(1), harness.moderator(2));
    let patterns = List(vec![
        Pattern { text: "casino*", action: OnMatch::Reject },
        Pattern { text: "free tickets", action: OnMatch::Hold },
    ]);
    assert_eq!(harness.moderate(moderator, Moderation::SetPatterns(patterns)), Taken);
    assert_eq!(harness.say(fan, "best CASINOS here"), Rejected(Reason::Blocked));
    assert_eq!(harness.act(fan, Act::Ask { text: "casino?" }), Rejected(Reason::Blocked));
    assert_eq!(harness.say(fan, "free... tickets!"), Held);
    assert_eq!(harness.say(moderator, "do not write casino"), Taken);
    let none = Moderation::SetPatterns(List(vec![Pattern { text: "*", action: OnMatch::Reject }]));
    assert_eq!(harness.moderate(moderator, none), Rejected(Reason::Empty));
    assert_eq!(harness.say(fan, "casino"), Rejected(Reason::Blocked), "the patterns are those of before");
}

#[test]
fn moderation_held_for_review() {
    let mut harness = Harness::new();
    let (fan, moderator) = (harness.fan(1), harness.moderator(2));
    harness.owner(Moderation::SetModes(Modes { hold_all: true, ..Modes::default() }));
    assert_eq!((harness.say(fan, "good"), harness.say(fan, "bad")), (Held, Held));
    assert!(harness.texts().is_empty());
    let held: Vec<_> = reviews(&harness, moderator)
        .into_iter()
        .map(|review| match review {
            Review::Held { chat, text, fan: FanId(1), .. } => (chat, text.to_owned()),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!((held[0].1.as_str(), held[1].1.as_str()), ("good", "bad"));
    // A moderator who joins later sees held lines, too.
    let late = harness.moderator(4);
    assert_eq!(reviews(&harness, late).len(), 2);
    assert!(reviews(&harness, fan).is_empty(), "for moderators only");
    assert_eq!(harness.moderate(fan, Moderation::Approve(held[0].0)), Rejected(Reason::NotAllowed));
    assert_eq!(harness.moderate(moderator, Moderation::Approve(held[0].0)), Taken);
    assert_eq!(harness.moderate(late, Moderation::Approve(held[0].0)), Rejected(Reason::NotFound));
    assert_eq!(harness.moderate(late, Moderation::Refuse(held[1].0)), Taken);
    assert_eq!(harness.texts(), ["good"]);
    assert_eq!(reviews(&harness, late)[2..], [held[0].0, held[1].0].map(|chat| Review::Done { chat }));
    assert_eq!(harness.pulse().says, 1);
}

#[test]
fn moderation_of_roles() {
    let mut harness = Harness::new();
    let (fan, moderator) = (harness.fan(1), harness.moderator(2));
    let creator = harness.join(0, Identity { role: Role::Creator, ..identity(3) });
    let other = harness.moderator(4);
    let two = Subject::Fan(FanId(2));
    assert_eq!(harness.say(moderator, "here"), Taken);
    assert_eq!(harness.say(creator, "here"), Taken);
    assert_eq!(
        harness.moderate(other, Moderation::Ban(two)),
        Rejected(Reason::NotAllowed),
        "a moderator of another"
    );
    assert_eq!(
        harness.moderate(moderator, Moderation::Ban(Subject::Fan(FanId(3)))),
        Rejected(Reason::NotAllowed)
    );
    let promote = |role| Moderation::SetRole { subject: ONE, role };
    assert_eq!(harness.moderate(moderator, promote(Role::Moderator)), Rejected(Reason::NotAllowed));
    assert_eq!(harness.moderate(creator, promote(Role::Creator)), Rejected(Reason::OutOfRange));
    assert_eq!(harness.moderate(creator, promote(Role::Moderator)), Taken);
    assert_eq!(harness.moderate(fan, Moderation::Ban(Subject::Fan(FanId(9)))), Taken);
    assert_eq!(harness.moderate(creator, Moderation::SetRole { subject: two, role: Role::Fan }), Taken);
    assert_eq!(harness.moderate(moderator, Moderation::Unpin), Rejected(Reason::NotAllowed));
    harness.leave(moderator);
    let again = harness.moderator(2);
    let fan_again = |word: &EdgeMessage<'_>| matches!(word, EdgeMessage::Welcome { role: Role::Fan, .. });
    assert!(harness.received(again).iter().any(fan_again), "whatever their token says");
}

#[test]
fn moderation_is_in_the_audit() {
    let mut harness = Harness::new();
    let (fan, moderator) = (harness.fan(1), harness.moderator(2));
    let line = harness.line(fan, "hm");
    assert_eq!(harness.moderate(moderator, Moderation::Pin(line)), Taken);
    assert_eq!(harness.moderate(fan, Moderation::Unpin), Rejected(Reason::NotAllowed));
    assert_eq!(harness.moderate(moderator, Moderation::Timeout { subject: ONE, seconds: 5 }), Taken);
    harness.owner(Moderation::SetTitle("Day one"));
    assert_eq!(harness.stage().title, "Day one");
    let audit: Vec<_> = harness
        .rows()
        .into_iter()
        .filter_map(|row| match row {
            Row::Audit { by, act, fan, number, .. } => {
                Some((by.map(|id| id.0), act, fan.map(|id| id.0), number))
            }
            _ => None,
        })
        .collect();
    let expected =
        [(Some(2), "pin", None, line.0), (Some(2), "timeout", Some(1), 5), (None, "set-title", None, 0)];
    assert_eq!(audit, expected);
}

#[test]
fn moderation_forgets_a_person() {
    let mut harness = Harness::new();
    let (fan, other) = (harness.fan(1), harness.fan(2));
    harness.line(fan, "my line");
    harness.line(other, "another");
    assert_eq!(harness.act(fan, Act::Ask { text: "Mine?" }), Taken);
    assert_eq!(harness.act(fan, Act::Cheer { kind: 0, count: 9 }), Taken);
    harness.root(&[Input::Forget { fan: FanId(1) }]);
    assert!(harness.rows().contains(&Row::Forgotten { fan: FanId(1) }));
    assert!(harness.stage().questions.is_empty());
    let pulse = harness.pulse();
    assert_eq!((pulse.cheers.0.clone(), pulse.top_cheerers.len()), (vec![9], 0), "counts stay, names do not");
    harness.wait(16_000);
    assert_eq!(harness.history(), ["another"]);
    let trace = harness.root.snapshot();
    assert!(!trace.windows(7).any(|bytes| bytes == b"my line"), "the line is kept");
    // The fan's page receives the news that its stream is forgotten.
    harness.begin(fan, Act::Cheer { kind: 0, count: 1 });
    harness.tick();
    assert!(harness.received(fan).contains(&EdgeMessage::Restart));
}

/// A fan who only watched has a visit, too; after forgetting, it contains only later time.
#[test]
fn moderation_forgets_how_long_somebody_has_watched() {
    let mut harness = Harness::new();
    let fan = harness.fan(1);
    harness.wait(61_000);
    harness.root(&[Input::Forget { fan: FanId(1) }]);
    harness.leave(fan);
    let stayed = |row: &Row<'_>| match row {
        Row::Visited { visit, .. } => Some(visit.total_ms),
        _ => None,
    };
    let stayed: u64 = harness.rows().iter().filter_map(stayed).sum();
    assert!(stayed < 5_000, "{stayed} ms");
}

/// A fan may leave at the moment at which they are forgotten.
#[test]
fn moderation_forgets_the_visit_that_is_not_over() {
    let mut harness = Harness::new();
    let (fan, other) = (harness.fan(1), harness.fan(2));
    harness.line(fan, "my line");
    harness.line(other, "another");
    harness.root(&[Input::Forget { fan: FanId(1) }]);
    harness.leave(fan);
    harness.leave(other);
    harness.wait(1000);
    let visits = harness.rows();
    let of =
        |id| visits.iter().filter(move |row| matches!(row, Row::Visited { fan: FanId(of), .. } if *of == id));
    assert_eq!((of(1).count(), of(2).count()), (0, 1));
}
