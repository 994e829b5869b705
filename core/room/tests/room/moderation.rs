//! Who may silence whom, and what becomes of what they said.

use wire::worker::{Identity, Input, Row, Seen};
use wire::{
    Act, EdgeMessage, FanId, List, Moderation, Modes, OnMatch, Pattern, Reason, Review, Role, Standing,
    Subject, TrackItem,
};

use crate::house::{At, Held, House, Rejected, Taken, identity};

const ONE: Subject = Subject::Fan(FanId(1));

fn reviews(house: &House, at: At) -> Vec<Review<'_>> {
    let review = |word| match word {
        EdgeMessage::Review(review) => Some(review),
        _ => None,
    };
    house.heard(at).into_iter().filter_map(review).collect()
}

#[test]
fn moderation_timeout() {
    let mut house = House::new();
    let (fan, moderator) = (house.fan(1), house.moderator(2));
    let line = house.line(fan, "something bad");
    assert_eq!(
        house.moderate(moderator, Moderation::Timeout { subject: Subject::Author(line), seconds: 20 }),
        Taken
    );
    assert!(house.items().contains(&TrackItem::Purged(FanId(1))));
    let told = |word: &EdgeMessage<'_>| {
        matches!(word, EdgeMessage::Standing { standing: Standing::TimedOut { .. }, .. })
    };
    assert!(house.heard(fan).iter().any(told));
    assert!(matches!(house.say(fan, "what?"), Rejected(Reason::TimedOut { retry_ms: 19_000..=20_000 })));
    assert!(matches!(house.act(fan, Act::Cheer { kind: 0, count: 1 }), Rejected(Reason::TimedOut { .. })));
    house.wait(20_000);
    assert_eq!(house.say(fan, "sorry"), Taken);
    let timeout = |seconds| Moderation::Timeout { subject: ONE, seconds };
    assert_eq!(house.moderate(moderator, timeout(0)), Rejected(Reason::OutOfRange));
    assert_eq!(house.moderate(moderator, timeout(u32::MAX)), Rejected(Reason::OutOfRange));
}

#[test]
fn moderation_ban_follows_the_fan() {
    let mut house = House::new();
    let (fan, moderator) = (house.fan(1), house.moderator(2));
    assert_eq!(house.moderate(moderator, Moderation::Ban(ONE)), Taken);
    assert_eq!(house.say(fan, "hello"), Rejected(Reason::Banned));
    house.leave(fan);
    for edge in 0..2 {
        let again = house.join(edge, identity(1));
        let banned =
            |word: &EdgeMessage<'_>| matches!(word, EdgeMessage::Welcome { standing: Standing::Banned, .. });
        assert!(house.heard(again).iter().any(banned));
        assert_eq!(house.say(again, "hello"), Rejected(Reason::Banned));
    }
    assert_eq!(house.moderate(moderator, Moderation::Pardon(ONE)), Taken);
    let again = house.join(0, identity(1));
    assert_eq!(house.say(again, "hello"), Taken);
}

/// Even if an edge has not heard of it.
#[test]
fn moderation_ban_holds_at_the_root() {
    let mut house = House::new();
    let (fan, moderator) = (house.fan(1), house.moderator(2));
    let number = house.begin(fan, Act::Cheer { kind: 0, count: 1 });
    house.begin(moderator, Act::Moderate(Moderation::Ban(ONE)));
    // The moderator's edge speaks first.
    house.leaf(0, &[Input::Tick]);
    house.tick();
    assert_eq!(house.outcome(fan, number), Rejected(Reason::Banned));
}

#[test]
fn moderation_shadow_mute() {
    let mut house = House::new();
    let (fan, moderator) = (house.fan(1), house.moderator(2));
    assert_eq!(house.moderate(moderator, Moderation::ShadowMute(ONE)), Taken);
    let line = house.line(fan, "does anybody hear me?");
    assert_eq!(house.act(fan, Act::Ask { text: "Nobody?" }), Taken);
    assert!(house.texts().is_empty() && house.stage().questions.is_empty());
    let seen = |row: &Row<'_>| matches!(row, Row::Said { id, seen: Seen::Author, .. } if *id == line);
    assert!(house.rows().iter().any(seen));
    let told = |word: &EdgeMessage<'_>| matches!(word, EdgeMessage::Standing { .. });
    assert!(!house.heard(fan).iter().any(told), "the fan is told");
}

#[test]
fn moderation_blocked_words() {
    let mut house = House::new();
    let (fan, moderator) = (house.fan(1), house.moderator(2));
    let patterns = List(vec![
        Pattern { text: "casino*", action: OnMatch::Reject },
        Pattern { text: "free tickets", action: OnMatch::Hold },
    ]);
    assert_eq!(house.moderate(moderator, Moderation::SetPatterns(patterns)), Taken);
    assert_eq!(house.say(fan, "best CASINOS here"), Rejected(Reason::Blocked));
    assert_eq!(house.act(fan, Act::Ask { text: "casino?" }), Rejected(Reason::Blocked));
    assert_eq!(house.say(fan, "free... tickets!"), Held);
    assert_eq!(house.say(moderator, "do not write casino"), Taken);
    let none = Moderation::SetPatterns(List(vec![Pattern { text: "*", action: OnMatch::Reject }]));
    assert_eq!(house.moderate(moderator, none), Rejected(Reason::Empty));
    assert_eq!(house.say(fan, "casino"), Rejected(Reason::Blocked), "the patterns are those of before");
}

#[test]
fn moderation_held_for_review() {
    let mut house = House::new();
    let (fan, moderator) = (house.fan(1), house.moderator(2));
    house.owner(Moderation::SetModes(Modes { hold_all: true, ..Modes::default() }));
    assert_eq!((house.say(fan, "good"), house.say(fan, "bad")), (Held, Held));
    assert!(house.texts().is_empty());
    let held: Vec<_> = reviews(&house, moderator)
        .into_iter()
        .map(|review| match review {
            Review::Held { chat, text, fan: FanId(1), .. } => (chat, text.to_owned()),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!((held[0].1.as_str(), held[1].1.as_str()), ("good", "bad"));
    // A moderator who comes later sees them, too.
    let late = house.moderator(4);
    assert_eq!(reviews(&house, late).len(), 2);
    assert!(reviews(&house, fan).is_empty(), "for moderators only");
    assert_eq!(house.moderate(fan, Moderation::Approve(held[0].0)), Rejected(Reason::NotAllowed));
    assert_eq!(house.moderate(moderator, Moderation::Approve(held[0].0)), Taken);
    assert_eq!(house.moderate(late, Moderation::Approve(held[0].0)), Rejected(Reason::NotFound));
    assert_eq!(house.moderate(late, Moderation::Refuse(held[1].0)), Taken);
    assert_eq!(house.texts(), ["good"]);
    assert_eq!(reviews(&house, late)[2..], [held[0].0, held[1].0].map(|chat| Review::Done { chat }));
    assert_eq!(house.pulse().says, 1);
}

#[test]
fn moderation_of_roles() {
    let mut house = House::new();
    let (fan, moderator) = (house.fan(1), house.moderator(2));
    let creator = house.join(0, Identity { role: Role::Creator, ..identity(3) });
    let other = house.moderator(4);
    let two = Subject::Fan(FanId(2));
    assert_eq!(house.say(moderator, "here"), Taken);
    assert_eq!(house.say(creator, "here"), Taken);
    assert_eq!(
        house.moderate(other, Moderation::Ban(two)),
        Rejected(Reason::NotAllowed),
        "a moderator of another"
    );
    assert_eq!(
        house.moderate(moderator, Moderation::Ban(Subject::Fan(FanId(3)))),
        Rejected(Reason::NotAllowed)
    );
    let promote = |role| Moderation::SetRole { subject: ONE, role };
    assert_eq!(house.moderate(moderator, promote(Role::Moderator)), Rejected(Reason::NotAllowed));
    assert_eq!(house.moderate(creator, promote(Role::Creator)), Rejected(Reason::OutOfRange));
    assert_eq!(house.moderate(creator, promote(Role::Moderator)), Taken);
    assert_eq!(house.moderate(fan, Moderation::Ban(Subject::Fan(FanId(9)))), Taken);
    assert_eq!(house.moderate(creator, Moderation::SetRole { subject: two, role: Role::Fan }), Taken);
    assert_eq!(house.moderate(moderator, Moderation::Unpin), Rejected(Reason::NotAllowed));
    house.leave(moderator);
    let again = house.moderator(2);
    let fan_again = |word: &EdgeMessage<'_>| matches!(word, EdgeMessage::Welcome { role: Role::Fan, .. });
    assert!(house.heard(again).iter().any(fan_again), "whatever their token says");
}

#[test]
fn moderation_is_in_the_audit() {
    let mut house = House::new();
    let (fan, moderator) = (house.fan(1), house.moderator(2));
    let line = house.line(fan, "hm");
    assert_eq!(house.moderate(moderator, Moderation::Pin(line)), Taken);
    assert_eq!(house.moderate(fan, Moderation::Unpin), Rejected(Reason::NotAllowed));
    assert_eq!(house.moderate(moderator, Moderation::Timeout { subject: ONE, seconds: 5 }), Taken);
    house.owner(Moderation::SetTitle("Day one"));
    assert_eq!(house.stage().title, "Day one");
    let audit: Vec<_> = house
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
    let mut house = House::new();
    let (fan, other) = (house.fan(1), house.fan(2));
    house.line(fan, "my line");
    house.line(other, "another");
    assert_eq!(house.act(fan, Act::Ask { text: "Mine?" }), Taken);
    assert_eq!(house.act(fan, Act::Cheer { kind: 0, count: 9 }), Taken);
    house.root(&[Input::Forget { fan: FanId(1) }]);
    assert!(house.rows().contains(&Row::Forgotten { fan: FanId(1) }));
    assert!(house.stage().questions.is_empty());
    let pulse = house.pulse();
    assert_eq!((pulse.cheers.0.clone(), pulse.top_cheerers.len()), (vec![9], 0), "counts stay, names do not");
    house.wait(16_000);
    assert_eq!(house.history(), ["another"]);
    let trace = house.root.snapshot();
    assert!(!trace.windows(7).any(|bytes| bytes == b"my line"), "the line is kept");
    // The fan's page is told that its numbers mean nothing any more.
    house.begin(fan, Act::Cheer { kind: 0, count: 1 });
    house.tick();
    assert!(house.heard(fan).contains(&EdgeMessage::Restart));
}

/// Who only watched has a visit, too: what is told of it afterwards is what came after.
#[test]
fn moderation_forgets_how_long_somebody_has_watched() {
    let mut house = House::new();
    let fan = house.fan(1);
    house.wait(61_000);
    house.root(&[Input::Forget { fan: FanId(1) }]);
    house.leave(fan);
    let stayed = |row: &Row<'_>| match row {
        Row::Visited { visit, .. } => Some(visit.total_ms),
        _ => None,
    };
    let stayed: u64 = house.rows().iter().filter_map(stayed).sum();
    assert!(stayed < 5_000, "{stayed} ms");
}

/// Somebody may leave in the moment in which they are forgotten.
#[test]
fn moderation_forgets_the_visit_that_is_not_over() {
    let mut house = House::new();
    let (fan, other) = (house.fan(1), house.fan(2));
    house.line(fan, "my line");
    house.line(other, "another");
    house.root(&[Input::Forget { fan: FanId(1) }]);
    house.leave(fan);
    house.leave(other);
    house.wait(1000);
    let visits = house.rows();
    let of =
        |id| visits.iter().filter(move |row| matches!(row, Row::Visited { fan: FanId(of), .. } if *of == id));
    assert_eq!((of(1).count(), of(2).count()), (0, 1));
}
