//! Fans of two edges in one room, each node of the stack real.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use creator::Source;
use fan::Update;
use fanfare_tests::{Exit, Node, ScriptedSession, Stack, Talker, room_component};
use media::testcard::{Config, Rendition};
use moqt::{Event, Namespace, Params};
use outbox::Outcome;
use serde_json::json;
use token::{Claims, Role};
use tokio::task::LocalSet;
use wire::TrackItem;

const PATIENCE: Duration = Duration::from_secs(40);
const LIFE: Duration = Duration::from_hours(1);

async fn evening<T>(run: impl AsyncFnOnce(Stack) -> Result<T>) -> Result<T> {
    let all = async {
        let renditions = vec![Rendition { width: 160, height: 90, bitrate: 60_000 }];
        let card = Config { renditions, title: "TEST".into(), ..Config::default() };
        run(Stack::open(Source::demo(card)?).await?).await
    };
    tokio::time::timeout(PATIENCE, LocalSet::new().run_until(all)).await.context("too slow")?
}

#[tokio::test]
async fn what_one_says_all_hear_and_cheers_are_counted() -> Result<()> {
    evening(async |stack| {
        let mut one = Talker::enter(&stack, Node::FanEdge, None)?;
        let mut other = Talker::enter(&stack, Node::CreatorEdge, None)?;
        other.joined().await?;
        let said = one.order(json!({ "say": { "text": "hello" } })).await?;
        ensure!(matches!(said, Outcome::Taken { .. }), "{said:?}");
        for talker in [&mut one, &mut other] {
            talker.until(|item| matches!(item, TrackItem::Said(line) if line.text == "hello")).await?;
        }
        let cheered = other.order(json!({ "cheer": { "kind": 1, "count": 3 } })).await?;
        ensure!(matches!(cheered, Outcome::Taken { .. }), "{cheered:?}");
        let counted = |item: &TrackItem<'_>| {
            matches!(item, TrackItem::Pulse(pulse) if pulse.cheers.0 == [0, 3] && pulse.viewers == 2)
        };
        one.until(counted).await?;
        // A late fan sees the earlier lines.
        let mut late = Talker::enter(&stack, Node::FanEdge, None)?;
        late.until(|item| matches!(item, TrackItem::Said(line) if line.text == "hello")).await
    })
    .await
}

/// A creator's token is for a room and every room below it.
#[tokio::test]
async fn a_show_in_a_part_of_a_room_has_a_room_of_its_own() -> Result<()> {
    evening(async |stack| {
        let token = stack.sign(&Claims::new("festival", Role::Creator, "ada", LIFE))?;
        let mut creator = ScriptedSession::enter(&stack, Node::CreatorEdge, Some(token.clone())).await?;
        let show = Namespace::from_path("festival/main stage")?;
        creator.call(move |session, _| session.publish_namespace(show, Params::default())).await??;
        creator.until(|event| matches!(event, Event::RequestOk { .. }).then_some(())).await?;
        let mut fan = Talker::enter_room(&stack, Node::FanEdge, "festival/main stage", Some(token))?;
        let pinned = fan.order(json!({ "moderate": "unpin" })).await?;
        ensure!(matches!(pinned, Outcome::Taken { .. }), "{pinned:?}");

        let mut lost = Talker::enter_room(&stack, Node::FanEdge, "festival/other stage", None)?;
        let why = loop {
            if let Update::Left { why } = lost.next().await? {
                break why;
            }
        };
        ensure!(why == "there is no such room", "{why}");
        Ok(())
    })
    .await
}

/// The room has a character in its name that logs escape: a token works for any name.
#[tokio::test]
async fn a_token_for_the_room_gives_its_rights_there() -> Result<()> {
    evening(async |stack| {
        let unpin = json!({ "moderate": "unpin" });
        let title = json!({ "moderate": { "setTitle": "mine" } });
        for (role, known, may) in [
            (Role::Fan, wire::Role::Fan, [false, false]),
            (Role::Moderator, wire::Role::Moderator, [true, false]),
            (Role::Creator, wire::Role::Creator, [true, true]),
        ] {
            let mut one = Talker::enter(&stack, Node::FanEdge, Some(stack.token_of(role, "somebody")?))?;
            let identity = loop {
                if let Update::Identity(identity) = one.next().await? {
                    break identity;
                }
            };
            ensure!(identity.role == known, "{identity:?}");
            for (act, may) in [&unpin, &title].into_iter().zip(may) {
                let outcome = one.order(act.clone()).await?;
                ensure!(matches!(outcome, Outcome::Taken { .. }) == may, "{role}, {act}: {outcome:?}");
            }
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn exactly_once_whatever_is_killed() -> Result<()> {
    evening(async |mut stack| {
        let mut one = Talker::enter(&stack, Node::FanEdge, None)?;
        let mut other = Talker::enter(&stack, Node::CreatorEdge, None)?;
        one.joined().await?;
        other.joined().await?;
        let mut given = 0;
        for node in [Node::Origin, Node::FanEdge, Node::Origin, Node::CreatorEdge] {
            for talker in [&one, &other] {
                talker.send(given, json!({ "cheer": { "kind": 0, "count": 1 } }))?;
                given += 1;
            }
            stack.restart(node, Exit::Killed).await?;
        }
        for talker in [&mut one, &mut other] {
            for _ in 0..given / 2 {
                let (ticket, outcome) = talker.settled().await?;
                ensure!(matches!(outcome, Outcome::Taken { .. }), "{ticket}: {outcome:?}");
            }
        }
        let given = u64::from(given);
        one.until(|item| matches!(item, TrackItem::Pulse(pulse) if pulse.cheers.0 == [given])).await
    })
    .await
}

#[tokio::test]
async fn a_person_is_exported_and_forgotten_while_the_origin_runs() -> Result<()> {
    evening(async |stack| {
        let mut one = Talker::enter(&stack, Node::FanEdge, None)?;
        one.order(json!({ "say": { "text": "remember me" } })).await?;
        let fan = one.fan.context("the fan has no identity yet")?;
        let path = format!("/api/fans/{fan}");
        let kept = stack.ask_admin(Node::Origin, "GET", &path).await?;
        ensure!(kept.contains("200 OK") && kept.contains("remember me"), "{kept}");
        let forgotten = stack.ask_admin(Node::Origin, "DELETE", &path).await?;
        ensure!(forgotten.contains("204 No Content"), "{forgotten}");
        let kept = stack.ask_admin(Node::Origin, "GET", &path).await?;
        ensure!(kept.contains("200 OK") && !kept.contains("remember me"), "{kept}");
        // The room goes on for this fan, too.
        let said = one.order(json!({ "say": { "text": "who am I?" } })).await?;
        ensure!(matches!(said, Outcome::Taken { .. } | Outcome::Failed(_)), "{said:?}");
        let mut other = Talker::enter(&stack, Node::CreatorEdge, None)?;
        let other = other.order(json!({ "say": { "text": "hello" } }));
        ensure!(matches!(other.await?, Outcome::Taken { .. }), "the room goes on");
        let wrong = stack.ask_admin(Node::Origin, "GET", "/api/fans/nobody").await?;
        ensure!(wrong.contains("400 Bad Request") && wrong.contains("nobody"), "{wrong}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn exactly_once_through_another_version_of_the_worker() -> Result<()> {
    evening(async |mut stack| {
        let mut one = Talker::enter(&stack, Node::FanEdge, None)?;
        let mut other = Talker::enter(&stack, Node::CreatorEdge, None)?;
        one.joined().await?;
        other.joined().await?;
        let before = one.order(json!({ "say": { "text": "before" } })).await?;
        ensure!(matches!(before, Outcome::Taken { .. }), "{before:?}");
        let component = std::fs::read(room_component()?)?;
        let mut given = 0;
        for version in 0..2 {
            // The same component with a note in a custom section is another version.
            stack.set_worker(&[&component[..], &[0, 2, 1, version]].concat())?;
            for node in [Node::Origin, Node::FanEdge, Node::CreatorEdge] {
                for talker in [&one, &other] {
                    talker.send(given, json!({ "cheer": { "kind": 0, "count": 1 } }))?;
                    given += 1;
                }
                let exit = if version == 0 { Exit::Stopped } else { Exit::Killed };
                stack.restart(node, exit).await?;
            }
        }
        for talker in [&mut one, &mut other] {
            for _ in 0..given / 2 {
                let (ticket, outcome) = talker.settled().await?;
                ensure!(matches!(outcome, Outcome::Taken { .. }), "{ticket}: {outcome:?}");
            }
        }
        let after = other.order(json!({ "say": { "text": "after" } })).await?;
        ensure!(matches!(after, Outcome::Taken { .. }), "{after:?}");
        let given = u64::from(given);
        let whole = |item: &TrackItem<'_>| {
            matches!(item, TrackItem::Pulse(pulse) if pulse.cheers.0 == [given] && pulse.says == 2 && pulse.viewers == 2)
        };
        one.until(whole).await?;
        let mut late = Talker::enter(&stack, Node::FanEdge, None)?;
        late.until(|item| matches!(item, TrackItem::Said(line) if line.text == "before")).await
    })
    .await
}
