//! Clients that publish the tracks of another creator.

use anyhow::{Result, ensure};
use bytes::Bytes;
use creator::Source;
use fanfare_tests::{Node, ROOM, ScriptedSession, Stack, send_group};
use media::testcard::{Config, Rendition};
use moqt::{Event, Namespace, Params, Properties, TrackName};
use tokio::task::LocalSet;

const FORGED: &[u8] = b"forged";
/// The show's only rendition.
const VIDEO: &str = "video/90p";
/// Groups that a watching fan must receive during the attack.
const GROUPS: usize = 3;

#[tokio::test]
async fn hostile_publisher_without_a_token_takes_no_track_from_anybody() -> Result<()> {
    LocalSet::new().run_until(intruder()).await
}

async fn intruder() -> Result<()> {
    let renditions = vec![Rendition { width: 160, height: 90, bitrate: 60_000 }];
    let card = Config { renditions, title: "TEST".into(), ..Config::default() };
    let stack = Stack::open(Source::demo(card)?).await?;
    let mut fan = ScriptedSession::enter(&stack, Node::FanEdge, None).await?;
    fan.call(|session, _| session.subscribe(track(VIDEO), Params::default())).await??;
    let first = fan.until(group).await?;

    let mut intruder = ScriptedSession::enter(&stack, Node::FanEdge, None).await?;
    intruder.call(|session, _| session.publish_namespace(namespace(), Params::default())).await??;
    for name in [VIDEO, "catalog"] {
        intruder.call(move |session, now| forge(session, now, name)).await??;
    }
    // Another fan enters before the intruder is turned away.
    let mut late = ScriptedSession::enter(&stack, Node::FanEdge, None).await?;
    for name in [VIDEO, "catalog"] {
        late.call(move |session, _| session.subscribe(track(name), Params::default())).await??;
    }
    let refused = |event| match event {
        Event::RequestError { .. } | Event::Cancelled { .. } | Event::Closed { .. } => Some(()),
        _ => None,
    };
    intruder.until(refused).await?;

    let mut last = first;
    for watching in [&mut fan, &mut late] {
        for _ in 0..GROUPS {
            let next = watching.until(true_group).await?;
            last = last.max(next);
        }
    }
    ensure!(last > first, "the show goes on: group {last} after {first}");
    Ok(())
}

fn namespace() -> Namespace {
    Namespace::from_path(ROOM).expect("a namespace")
}

fn track(name: &'static str) -> TrackName {
    TrackName::new(namespace(), name).expect("a name")
}

fn group(event: Event) -> Option<u64> {
    match event {
        Event::Subgroup { header, .. } => Some(header.group),
        _ => None,
    }
}

/// The number of the next group. Fails on a forged payload before it.
fn true_group(event: Event) -> Option<u64> {
    if let Event::Payload { data, .. } = &event {
        assert_ne!(data, FORGED);
    }
    assert!(!matches!(event, Event::Done { .. } | Event::Closed { .. }), "{event:?}");
    group(event)
}

/// Publishes a track of the room, and sends a group of it without waiting for leave.
fn forge(session: &mut moqt::Session, now: moqt::Micros, name: &'static str) -> Result<(), moqt::Misuse> {
    let request = session.publish(track(name), Params::default(), Properties::NONE)?;
    send_group(session, now, request, 1 << 40, vec![Bytes::from_static(FORGED)])
}
