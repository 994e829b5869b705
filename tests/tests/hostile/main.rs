//! Who comes to do harm, and harms nobody.

#[path = "../../../edge/wasm-host/tests/host/guest.rs"]
#[allow(dead_code, reason = "the host's own tests have more flaws")]
mod guest;
mod identity;
mod intruder;
mod names;
mod packets;
mod publisher;
mod silent;
mod worker;

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use creator::Source;
use fanfare_tests::{Door, House, ROOM, Talker};
use media::testcard::{Config, Rendition};
use outbox::Outcome;
use serde_json::json;
use tokio::task::LocalSet;
use wire::TrackItem;

const PATIENCE: Duration = Duration::from_mins(1);
/// What a line takes to get from one fan to the other, whatever others do.
const SOON: Duration = Duration::from_secs(3);

/// A house with a show, in which that happens.
async fn evening<T>(run: impl AsyncFnOnce(House) -> Result<T>) -> Result<T> {
    let all = async { run(House::open(show()?).await?).await };
    tokio::time::timeout(PATIENCE, LocalSet::new().run_until(all)).await.context("too slow")?
}

fn show() -> Result<Source> {
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
    async fn enter(house: &House) -> Result<Self> {
        Self::enter_room(house, ROOM).await
    }

    async fn enter_room(house: &House, room: &str) -> Result<Self> {
        let mut one = Talker::enter_room(house, Door::Fans, room, None)?;
        let mut other = Talker::enter_room(house, Door::Fans, room, None)?;
        one.joined().await?;
        other.joined().await?;
        Ok(Self { one, other, said: 0 })
    }

    /// What one says is taken and shown to the other, as ever.
    async fn go_on(&mut self) -> Result<()> {
        self.said += 1;
        let text = format!("line {} of somebody else", self.said);
        let said = async {
            let said = self.one.order(json!({ "say": { "text": &text } })).await?;
            ensure!(matches!(said, Outcome::Taken { .. }), "{said:?}");
            self.other.until(|item| matches!(item, TrackItem::Said(line) if line.text == text)).await
        };
        tokio::time::timeout(SOON, said).await.context("others have to wait")?
    }
}
