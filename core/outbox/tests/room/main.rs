//! Outboxes against real rooms: an acked act is counted exactly once.

mod net;

use moqt::Micros;
use outbox::{Fact, Failure, Outbox, Outcome, Output};
use proptest::prelude::*;
use wire::{Act, EdgeMessage, FanMessage, Frame, Frames, Hello, Reason, Say, limits};

use net::{Deed, Faults, Net};

fn taken(net: &Net) -> usize {
    net.fates().filter(|(_, _, outcome)| matches!(outcome, Outcome::Taken { .. })).count()
}

/// Every act is counted once, and no client had to give up.
fn all_is_known(net: &Net) {
    net.check();
    let given_up = Outcome::Failed(Failure::Unknown);
    for (_, deed, outcome) in net.fates() {
        assert_ne!(outcome, given_up, "{deed:?}");
    }
}

#[test]
fn exactly_once_in_peace() {
    let net = Net::run(7, Faults::default());
    net.check();
    for (fan, deed, outcome) in net.fates() {
        let fine = match outcome {
            Outcome::Taken { line } => line.is_some() == matches!(deed, Deed::Say(_)),
            Outcome::Failed(Failure::Rejected(reason)) => {
                matches!(reason, Reason::AlreadyVoted | Reason::TooFast { .. })
            }
            _ => false,
        };
        assert!(fine, "{deed:?} of {fan:?} was {outcome:?}");
    }
    assert!(taken(&net) > 100, "{} of 160", taken(&net));
}

/// A second vote is refused, its fan does not hear of it for minutes, and sends it again.
#[test]
fn what_was_refused_is_not_taken_minutes_later() {
    let faults =
        Faults { fan_moves: 4, link_breaks: 2, root_crashes: 2, away: 1_500_000, ..Faults::default() };
    Net::run(1_499_481_438_346_340_910, faults).check();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn exactly_once_while_fans_move(seed: u64, fan_moves in 0..40_u64) {
        all_is_known(&Net::run(seed, Faults { fan_moves, away: 800, ..Faults::default() }));
    }

    #[test]
    fn exactly_once_while_edges_crash(seed: u64, edge_crashes in 0..8_u64, link_breaks in 0..8_u64) {
        all_is_known(&Net::run(seed, Faults { edge_crashes, link_breaks, away: 3_000, ..Faults::default() }));
    }

    #[test]
    fn exactly_once_through_all_of_it(
        seed: u64,
        fan_moves in 0..20_u64,
        link_breaks in 0..6_u64,
        edge_crashes in 0..5_u64,
        root_crashes in 0..3_u64,
    ) {
        all_is_known(&Net::run(seed, Faults { fan_moves, link_breaks, edge_crashes, root_crashes, away: 4_000, ..Faults::default() }));
    }

    /// The root is away for longer than edges keep deltas: they are full, and ask fans to wait. Every act is settled
    /// before a client gives up.
    #[test]
    fn exactly_once_while_edges_are_full(seed: u64, link_breaks in 1..3_u64, fan_moves in 0..10_u64) {
        let (away, busy) = (250_000, 500_000);
        all_is_known(&Net::run(seed, Faults { fan_moves, link_breaks, away, busy, ..Faults::default() }));
    }

    /// The root is away for longer than a client sends an act again.
    #[test]
    fn exactly_once_or_given_up(seed: u64, fan_moves in 0..10_u64, link_breaks in 0..3_u64, root_crashes in 0..3_u64) {
        let away = 1_500_000;
        Net::run(seed, Faults { fan_moves, link_breaks, root_crashes, away, ..Faults::default() }).check();
    }
}

/// Drains the outbox and names the messages in the packets that it sends.
fn sent(outbox: &mut Outbox) -> Vec<String> {
    let mut messages = Vec::new();
    while let Some(output) = outbox.poll() {
        let Output::Send(packet) = output else { continue };
        for message in Frames::<FanMessage<'_>>::new(&packet).expect("a packet") {
            let Ok(Frame::Known(message)) = message else { panic!("{message:?}") };
            messages.push(match message {
                FanMessage::Hello(Hello { next, .. }) => format!("hello {next}"),
                FanMessage::Act { number, act: Act::Cheer { kind, count } } => {
                    format!("{number}: cheer {kind} × {count}")
                }
                FanMessage::Act { number, act: Act::Say(Say { text, .. }) } => format!("{number}: {text}"),
                other => format!("{other:?}"),
            });
        }
    }
    messages
}

fn hear(outbox: &mut Outbox, at: Micros, message: &EdgeMessage<'_>) {
    outbox.receive(at, &wire::packet(message)).expect("a packet");
}

fn settled(outbox: &mut Outbox) -> Vec<(u32, Outcome)> {
    let outputs = std::iter::from_fn(|| outbox.poll());
    let settled = |output| match output {
        Output::Fact(Fact::Settled { ticket, outcome }) => Some((ticket, outcome)),
        _ => None,
    };
    outputs.filter_map(settled).collect()
}

const START: Micros = Micros(1_000_000_000);
const SAY: Act<'static> =
    Act::Say(Say { text: "hello", reply: None, mentions: wire::List(Vec::new()), danmaku: None });

/// A fan whose edge is killed before they have a token comes back with another identity, so none of their acts may have
/// been counted.
#[test]
fn exactly_once_for_an_anonymous_fan() {
    let mut outbox = Outbox::anonymous(1);
    outbox.joined(START);
    outbox.act(START, 1, SAY);
    assert_eq!(sent(&mut outbox), ["hello 1"]);
    outbox.left();
    outbox.joined(START);
    assert_eq!(sent(&mut outbox), ["hello 1"], "the edge has issued no token");
    outbox.tick(START + Micros::from_millis(60_000));
    assert_eq!(sent(&mut outbox), [] as [&str; 0]);
    hear(&mut outbox, START, &EdgeMessage::Token { token: "theirs" });
    assert_eq!(
        outbox.poll(),
        Some(Output::Fact(Fact::Token("theirs".to_owned()))),
        "kept before anything is sent"
    );
    assert_eq!(sent(&mut outbox), ["1: hello"]);
    outbox.act(START, 2, SAY);
    assert_eq!(sent(&mut outbox), ["2: hello"]);
    outbox.left();
    outbox.joined(START);
    assert_eq!(sent(&mut outbox), ["hello 1", "1: hello", "2: hello"]);
}

#[test]
fn cheers_of_a_moment_are_one_message() {
    let mut outbox = Outbox::new(1);
    outbox.joined(START);
    assert_eq!(sent(&mut outbox), ["hello 1"]);
    for ticket in 0..30 {
        outbox.act(START, ticket, Act::Cheer { kind: 2, count: 2 });
    }
    outbox.act(START, 30, Act::Cheer { kind: 0, count: 1 });
    assert_eq!(sent(&mut outbox), [] as [&str; 0]);
    outbox.act(START, 31, Act::Cheer { kind: 2, count: 50 });
    assert_eq!(sent(&mut outbox), ["1: cheer 2 × 60"], "110 are too many for one");
    let due = outbox.timeout().expect("something is due");
    assert!((50..=100).contains(&(due - START).as_millis()));
    outbox.tick(due);
    assert_eq!(sent(&mut outbox), ["2: cheer 0 × 1", "3: cheer 2 × 50"]);
    hear(&mut outbox, due, &EdgeMessage::Rejected { number: 2, reason: Reason::Banned });
    hear(&mut outbox, due, &EdgeMessage::Acked { through: 3 });
    let outcomes = settled(&mut outbox);
    assert_eq!(outcomes.len(), 32);
    let banned = Outcome::Failed(Failure::Rejected(Reason::Banned));
    assert!(outcomes.iter().all(|(ticket, outcome)| (*ticket == 30) == (*outcome == banned)), "{outcomes:?}");
}

#[test]
fn no_more_is_on_its_way_than_may_be() {
    let mut outbox = Outbox::new(1);
    let window = limits::UNACKED as u32;
    for ticket in 0..=window {
        outbox.act(START, ticket, SAY);
    }
    assert_eq!(settled(&mut outbox), [(window, Outcome::Failed(Failure::Full))]);
    outbox.joined(START);
    assert_eq!(
        sent(&mut outbox).len(),
        1 + limits::UNACKED as usize,
        "it is sent once there is a connection"
    );
    hear(&mut outbox, START, &EdgeMessage::Acked { through: 1 });
    assert_eq!(settled(&mut outbox), [(0, Outcome::Taken { line: None })]);
    outbox.act(START, 100, SAY);
    assert_eq!(sent(&mut outbox), ["65: hello"]);
}

#[test]
fn a_message_that_is_too_large_is_refused_here() {
    let mut outbox = Outbox::new(1);
    let text = "x".repeat(limits::FAN_PACKET);
    outbox.act(START, 5, Act::Ask { text: &text });
    assert_eq!(settled(&mut outbox), [(5, Outcome::Failed(Failure::TooLarge))]);
    outbox.act(START, 6, SAY);
    outbox.joined(START);
    assert_eq!(sent(&mut outbox), ["hello 1", "1: hello"], "its number is not used up");
}

#[test]
fn an_edge_gets_what_it_asks_for_again_at_its_time() {
    let mut outbox = Outbox::new(1);
    outbox.joined(START);
    (0..3).for_each(|ticket| outbox.act(START, ticket, SAY));
    sent(&mut outbox);
    hear(&mut outbox, START, &EdgeMessage::Resend { from: 2, after_ms: 1_000 });
    outbox.act(START, 3, SAY);
    assert_eq!(sent(&mut outbox), [] as [&str; 0], "nothing overtakes");
    let due = outbox.timeout().expect("it is due");
    assert_eq!(due, START + Micros::from_millis(1_000));
    outbox.tick(due);
    assert_eq!(sent(&mut outbox), ["2: hello", "3: hello", "4: hello"]);
    let due = outbox.timeout().expect("an edge that is still full asks but once");
    outbox.tick(due);
    assert_eq!(sent(&mut outbox).len(), 4);
}

/// A resend that the edge has timed is not due before: a page would be woken over and over.
#[test]
fn nothing_is_due_before_what_an_edge_asks_for() {
    let mut outbox = Outbox::new(1);
    outbox.joined(START);
    outbox.act(START, 0, SAY);
    sent(&mut outbox);
    let late = START + Micros::from_millis(3_500);
    hear(&mut outbox, late, &EdgeMessage::Resend { from: 1, after_ms: 1_000 });
    let due = late + Micros::from_millis(1_000);
    assert_eq!(outbox.timeout(), Some(due), "not when an answer is missed");
    outbox.tick(due);
    assert_eq!(sent(&mut outbox), ["1: hello"]);
    assert_eq!(outbox.timeout(), Some(due + Micros::from_millis(4_000)));
}

#[test]
fn a_connection_begins_with_what_is_not_acked() {
    let mut outbox = Outbox::new(1);
    outbox.joined(START);
    (0..3).for_each(|ticket| outbox.act(START, ticket, SAY));
    hear(&mut outbox, START, &EdgeMessage::Acked { through: 2 });
    outbox.left();
    outbox.act(START, 3, SAY);
    outbox.joined(START);
    assert_eq!(sent(&mut outbox), ["hello 3", "3: hello", "4: hello"]);
}

#[test]
fn an_unanswered_act_is_unknown_after_ten_minutes() {
    let mut outbox = Outbox::new(1);
    outbox.joined(START);
    outbox.act(START, 0, SAY);
    sent(&mut outbox);
    outbox.left();
    outbox.act(START, 1, SAY);
    outbox.act(START, 2, Act::Cheer { kind: 0, count: 1 });
    let end = START + Micros::from_millis(limits::RESEND_SECONDS * 1_000);
    outbox.tick(Micros(end.0 - 1));
    assert_eq!(settled(&mut outbox), []);
    assert_eq!(outbox.timeout(), Some(end));
    outbox.tick(end);
    let failed = |failure| Outcome::Failed(failure);
    let expected =
        [(0, failed(Failure::Unknown)), (1, failed(Failure::NotSent)), (2, failed(Failure::NotSent))];
    assert_eq!(settled(&mut outbox), expected);
    outbox.joined(end);
    assert_eq!(sent(&mut outbox), ["hello 3"], "what was given up does not come any more");
    assert_eq!(outbox.timeout(), None);
}

#[test]
fn giving_up_on_a_live_connection_begins_another() {
    let mut outbox = Outbox::new(1);
    outbox.joined(START);
    outbox.act(START, 0, SAY);
    outbox.tick(START + Micros::from_millis(limits::RESEND_SECONDS * 1_000));
    let outputs: Vec<Output> = std::iter::from_fn(|| outbox.poll()).collect();
    assert!(outputs.contains(&Output::StartOver), "{outputs:?}");
    assert!(!outbox.is_joined());
}

#[test]
fn a_stream_that_is_forgotten_is_followed_by_another() {
    let mut net = Net::new(3, Faults { away: 100, ..Faults::default() });
    net.pass(500);
    net.act(0, Deed::Say("before".into()));
    net.play(5_000);
    net.forget_all();
    net.act(0, Deed::Say("lost on the way".into()));
    net.pass(10_000);
    net.act(0, Deed::Say("after".into()));
    net.play(20_000);
    let fates: Vec<_> = net.fates().map(|(_, deed, outcome)| (deed.clone(), outcome)).collect();
    let (last, outcome) = fates.last().expect("three deeds");
    assert_eq!(last, &Deed::Say("after".into()));
    assert!(matches!(outcome, Outcome::Taken { line: Some(_) }), "{fates:?}");
    assert_eq!(net.said.iter().filter(|said| *said == "after").count(), 1);
    for (_, deed, outcome) in net.fates() {
        let Deed::Say(text) = deed else { panic!("{deed:?}") };
        let count = net.said.iter().filter(|said| *said == text).count();
        let fine = match outcome {
            Outcome::Taken { .. } => count == 1,
            Outcome::Failed(Failure::Unknown) => count <= 1,
            _ => false,
        };
        assert!(fine, "{text:?} was {outcome:?}, and is there {count} times");
    }
}
