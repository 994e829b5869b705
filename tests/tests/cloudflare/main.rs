//! Rooms on Cloudflare: the Worker in real workerd, with fans over WebSockets.

mod archive;
mod deploy;
mod hostile;
mod lag;

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context as _, Result, ensure};
use fanfare_tests::{Deployed, Isolate, Talker};
use outbox::Outcome;
use serde_json::json;
use token::{Algorithm, Claims, Keys, Role};
use tokio::task::LocalSet;
use wire::TrackItem;

const PATIENCE: Duration = Duration::from_mins(1);
const LIFE: Duration = Duration::from_hours(1);
const ROOM: &str = "friday-night";

/// Runs a test with a Worker, whose deployment `change` may alter, and with a room that a creator has opened.
async fn evening<T>(
    change: impl FnOnce(&mut Deployed),
    run: impl AsyncFnOnce(Isolate, Keys) -> Result<T>,
) -> Result<T> {
    let all = async {
        let mut deployed = Deployed::with(Keys::generate(Algorithm::EdDSA)?);
        change(&mut deployed);
        let keys = deployed.keys.clone();
        let isolate = Isolate::start(deployed).await?;
        Talker::enter_at(isolate.url()?, ROOM, Some(owner(&keys)?))?.joined().await?;
        run(isolate, keys).await
    };
    tokio::time::timeout(PATIENCE, LocalSet::new().run_until(all)).await.context("too slow")?
}

fn owner(keys: &Keys) -> Result<String> {
    Ok(keys.mint(&Claims::new(ROOM, Role::Creator, "ada", LIFE))?)
}

/// Has each talker say `lines` lines, and waits until all have seen all of them. Returns the order, which all saw.
async fn all_hear_all(talkers: &mut [Talker], lines: usize) -> Result<Vec<String>> {
    for (at, talker) in talkers.iter_mut().enumerate() {
        for line in 0..lines {
            let said = talker.order(json!({ "say": { "text": format!("{at} says {line}") } })).await?;
            ensure!(matches!(said, Outcome::Taken { .. }), "{said:?}");
        }
    }
    let all = talkers.len() * lines;
    let mut orders: Vec<Vec<String>> = Vec::new();
    for talker in talkers {
        let mut seen: BTreeMap<u64, String> = BTreeMap::new();
        talker
            .until(|item| {
                if let TrackItem::Said(line) = item {
                    seen.insert(line.id.0, line.text.to_owned());
                }
                seen.len() == all
            })
            .await?;
        orders.push(seen.into_values().collect());
    }
    let order = orders.pop().unwrap_or_default();
    ensure!(orders.iter().all(|other| *other == order), "not the same to all: {orders:?} {order:?}");
    Ok(order)
}

#[tokio::test]
async fn what_one_says_all_hear_and_cheers_are_counted() -> Result<()> {
    evening(|_| {}, async |isolate, _| {
        let mut one = Talker::enter_at(isolate.url()?, ROOM, None)?;
        let mut other = Talker::enter_at(isolate.url()?, ROOM, None)?;
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
        let mut late = Talker::enter_at(isolate.url()?, ROOM, None)?;
        late.until(|item| matches!(item, TrackItem::Said(line) if line.text == "hello")).await
    })
    .await
}

#[tokio::test]
async fn exactly_once_though_the_platform_is_killed() -> Result<()> {
    evening(
        |_| {},
        async |mut isolate, keys| {
            let mut one = Talker::enter_at(isolate.url()?, ROOM, Some(owner(&keys)?))?;
            one.joined().await?;
            for round in 0..3 {
                for say in 0..5 {
                    one.send(round * 5 + say, json!({ "say": { "text": format!("{round} {say}") } }))?;
                }
                isolate.kill().await?;
                isolate.restart().await?;
            }
            let mut settled = 0;
            while settled < 15 {
                if let fan::Update::Settled { outcome, .. } = one.next().await? {
                    ensure!(matches!(outcome, Outcome::Taken { .. }), "{outcome:?}");
                    settled += 1;
                }
            }
            let mut late = Talker::enter_at(isolate.url()?, ROOM, None)?;
            let mut lines = Vec::new();
            late.until(|item| {
                if let TrackItem::Said(line) = item {
                    lines.push(line.text.to_owned());
                }
                lines.len() == 15
            })
            .await?;
            let wanted: Vec<_> = (0..15).map(|line| format!("{} {}", line / 5, line % 5)).collect();
            ensure!(lines == wanted, "{lines:?}");
            Ok(())
        },
    )
    .await
}

#[tokio::test]
async fn a_room_that_nobody_is_in_sleeps_and_is_what_it_was_when_somebody_comes() -> Result<()> {
    evening(
        |_| {},
        async |isolate, _| {
            let mut talker = Talker::enter_at(isolate.url()?, ROOM, None)?;
            let said = talker.order(json!({ "say": { "text": "good night" } })).await?;
            ensure!(matches!(said, Outcome::Taken { .. }), "{said:?}");
            ensure!(isolate.get("/api/rooms", "").await?.contains(ROOM), "it is not open");
            drop(talker);
            let mut every = tokio::time::interval(Duration::from_millis(500));
            while isolate.get("/api/rooms", "").await? != "[]" {
                every.tick().await;
            }
            let mut late = Talker::enter_at(isolate.url()?, ROOM, None)?;
            late.until(|item| matches!(item, TrackItem::Said(line) if line.text == "good night")).await?;
            let said = late.order(json!({ "say": { "text": "good morning" } })).await?;
            ensure!(matches!(said, Outcome::Taken { line: Some(line) } if line.0 > 1), "{said:?}");
            Ok(())
        },
    )
    .await
}

#[tokio::test]
async fn keys_may_be_at_an_address() -> Result<()> {
    let theirs = Keys::generate(Algorithm::ES256)?;
    let public = theirs.public_json();
    let served = axum::Router::new().route("/keys", axum::routing::get(async move || public));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let at = url::Url::parse(&format!("http://{}/keys", listener.local_addr()?))?;
    tokio::spawn(async move { axum::serve(listener, served).await });
    evening(
        |deployed| deployed.jwks = Some(at),
        async |isolate, _| {
            let token = theirs.mint(&Claims::new("theirs", Role::Creator, "grace", LIFE))?;
            let mut talker = Talker::enter_at(isolate.url()?, "theirs", Some(token))?;
            talker.joined().await?;
            let titled = talker.order(json!({ "moderate": { "setTitle": "a title" } })).await?;
            ensure!(matches!(titled, Outcome::Taken { .. }), "{titled:?}");
            Ok(())
        },
    )
    .await
}

#[tokio::test]
async fn a_room_grows_into_more_objects() -> Result<()> {
    evening(
        |deployed| deployed.sockets = Some(2),
        async |isolate, _| {
            // Two fans in the object of the root, two in each shard after it.
            let mut talkers = Vec::new();
            for _ in 0..7 {
                let mut talker = Talker::enter_at(isolate.url()?, ROOM, None)?;
                talker.joined().await?;
                talkers.push(talker);
            }
            talkers[0].until(|item| matches!(item, TrackItem::Pulse(pulse) if pulse.viewers == 7)).await?;
            ensure!(isolate.objects()? >= 4, "{} objects for 7 fans, two in each", isolate.objects()?);
            all_hear_all(&mut talkers, 3).await.map(drop)
        },
    )
    .await
}

#[tokio::test]
async fn however_many_objects_are_full_a_new_fan_gets_in() -> Result<()> {
    evening(
        |deployed| deployed.sockets = Some(1),
        async |isolate, _| {
            let mut there = Vec::new();
            for nth in 0..20 {
                let socket = isolate.open(ROOM, None).await;
                there.push(socket.with_context(|| format!("after {nth} have come"))?);
            }
            ensure!(isolate.objects()? >= there.len(), "{} objects for {}", isolate.objects()?, there.len());
            Ok(())
        },
    )
    .await
}

#[tokio::test]
async fn a_panic_ends_the_memory_and_nothing_else() -> Result<()> {
    evening(
        |deployed| deployed.panics = true,
        async |isolate, _| {
            let mut talkers = [
                Talker::enter_at(isolate.url()?, ROOM, None)?,
                Talker::enter_at(isolate.url()?, ROOM, None)?,
            ];
            all_hear_all(&mut talkers, 2).await?;
            isolate.say_panic(ROOM).await?;
            let said = talkers[0].order(json!({ "say": { "text": "still here" } })).await?;
            ensure!(matches!(said, Outcome::Taken { .. }), "{said:?}");
            for talker in &mut talkers {
                talker
                    .until(|item| matches!(item, TrackItem::Said(line) if line.text == "still here"))
                    .await?;
            }
            let mut late = Talker::enter_at(isolate.url()?, ROOM, None)?;
            let mut lines = Vec::new();
            late.until(|item| {
                if let TrackItem::Said(line) = item {
                    lines.push(line.text.to_owned());
                }
                lines.len() == 5
            })
            .await?;
            ensure!(lines == ["0 says 0", "0 says 1", "1 says 0", "1 says 1", "still here"], "{lines:?}");
            Ok(())
        },
    )
    .await
}
