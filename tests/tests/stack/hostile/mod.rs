//! Hostile clients of an edge: they are stopped, and other fans go on.

#[path = "../../../../edge/wasm-host/tests/host/guest.rs"]
#[allow(dead_code, reason = "the host's own tests have more flaws")]
mod guest;
mod identity;
mod intruder;
mod names;
mod packets;
mod publisher;
mod silent;
mod stranger;
mod worker;

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use creator::Source;
use fanfare_tests::{Node, ROOM, Stack, Talker};
use media::testcard::{Config, Rendition};
use outbox::Outcome;
use serde_json::json;
use tokio::task::LocalSet;
use wire::TrackItem;

const PATIENCE: Duration = Duration::from_mins(1);
/// The longest that a chat line takes from one fan to the other, under any attack.
const SOON: Duration = Duration::from_secs(3);

/// Runs a test with a stack that has a show.
async fn evening<T>(run: impl AsyncFnOnce(Stack) -> Result<T>) -> Result<T> {
    let all = async { run(Stack::open(show()?).await?).await };
    tokio::time::timeout(PATIENCE, LocalSet::new().run_until(all)).await.context("too slow")?
}

pub(crate) fn show() -> Result<Source> {
    let renditions = vec![Rendition { width: 160, height: 90, bitrate: 60_000 }];
    Ok(Source::demo(Config { renditions, title: "TEST".into(), ..Config::default() })?)
}

/// Two fans of one edge, who mean no harm.
struct Innocents {
    one: Talker,
    other: Talker,
    said: u32,
}

impl Innocents {
    async fn enter(stack: &Stack) -> Result<Self> {
        Self::enter_room(stack, ROOM).await
    }

    async fn enter_room(stack: &Stack, room: &str) -> Result<Self> {
        Self::enter_as(stack, room, None).await
    }

    async fn enter_as(stack: &Stack, room: &str, token: Option<String>) -> Result<Self> {
        let mut one = Talker::enter_room(stack, Node::FanEdge, room, token)?;
        let mut other = Talker::enter_room(stack, Node::FanEdge, room, None)?;
        one.joined().await?;
        other.joined().await?;
        Ok(Self { one, other, said: 0 })
    }

    /// Checks that a chat line of one fan is still acked and reaches the other, soon.
    async fn go_on(&mut self) -> Result<()> {
        tokio::time::timeout(SOON, self.talk()).await.context("others have to wait")?
    }

    /// Waits until a chat line of one fan is acked and has reached the other.
    async fn talk(&mut self) -> Result<()> {
        self.said += 1;
        let text = format!("line {} of somebody else", self.said);
        let said = self.one.order(json!({ "say": { "text": &text } })).await?;
        ensure!(matches!(said, Outcome::Taken { .. }), "{said:?}");
        self.other.until(|item| matches!(item, TrackItem::Said(line) if line.text == text)).await
    }
}
