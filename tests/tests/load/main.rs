//! The speed of a room in a Durable Object, in real workerd, beside the simplest possible room, written by hand in
//! JavaScript: for `cargo xtask bench cloudflare`.
//!
//! A message is a chat line, or an object of media, delivered to one fan. The figure compared is workerd's CPU time per
//! message. The cost of the fans is left out: they are all in this process.

mod crowd;
mod ours;
mod plain;
mod table;

use std::time::Duration;

use anyhow::Result;
use tokio::task::LocalSet;

use crowd::{Crowd, Load};
use table::Table;

/// The room's name.
const ROOM: &str = "friday-night";
/// The seconds of each measurement, unless `FANFARE_SECONDS` sets them, and the time that a load runs before it.
const SECONDS: u64 = 8;
const WARM: Duration = Duration::from_secs(3);
/// The times that each room is opened, one after the other, unless `FANFARE_ROUNDS` sets them.
const ROUNDS: u64 = 3;
/// The fans of a room, unless `FANFARE_FANS` sets them: watching costs more than reading chat.
const READERS: u64 = 200;
const WATCHERS: u64 = 100;
/// The fans that one object admits for certain.
const MOST: usize = 300;
/// The senders of chat lines: moderators, who only have the room's own rate limit.
const SPEAKERS: usize = 10;
/// The interval at which our own root sends chat lines.
const TICK: Duration = Duration::from_millis(45);

fn number(variable: &str, usual: u64) -> u64 {
    let number = std::env::var(variable).ok().and_then(|number| number.parse().ok());
    number.filter(|number| *number > 0).unwrap_or(usual)
}

fn fans(usual: u64) -> usize {
    (number("FANFARE_FANS", usual) as usize).clamp(SPEAKERS, MOST)
}

#[tokio::test]
#[ignore = "a benchmark: `cargo xtask bench cloudflare`"]
async fn load_chat_in_a_durable_object() -> Result<()> {
    LocalSet::new().run_until(chat()).await
}

async fn chat() -> Result<()> {
    // Our room takes at most 200 lines per second.
    let loads = [0, 20, 100, 200].map(Load::Paced);
    let fans = fans(READERS);
    let mut table = Table::new(&["ours", "plain, each tick", "plain, each line"], &loads);
    for _ in 0..number("FANFARE_ROUNDS", ROUNDS) {
        table.add(0, ours::chat(fans).await?).await?;
        table.add(1, plain::chat(fans, Some(TICK)).await?).await?;
        table.add(2, plain::chat(fans, None).await?).await?;
    }
    table.print(&format!("{fans} fans, {SPEAKERS} of whom say lines"));
    Ok(())
}

#[tokio::test]
#[ignore = "a benchmark: `cargo xtask bench cloudflare`"]
async fn load_media_in_a_durable_object() -> Result<()> {
    LocalSet::new().run_until(media()).await
}

async fn media() -> Result<()> {
    let fans = fans(WATCHERS);
    for bytes in [300, 8 << 10] {
        let loads = [Load::Paced(30), Load::Flood];
        let mut table = Table::new(&["ours", "plain"], &loads);
        for _ in 0..number("FANFARE_ROUNDS", ROUNDS) {
            table.add(0, ours::media(fans, bytes).await?).await?;
            table.add(1, plain::media(fans, bytes).await?).await?;
        }
        table.print(&format!("{fans} fans, to whom objects of {bytes} bytes come"));
    }
    Ok(())
}
