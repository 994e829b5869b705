//! How fast a room is in a Durable Object, in real workerd, beside the least that one can be, written by hand in
//! JavaScript: for `cargo xtask bench cloudflare`.
//!
//! A message is a line, or an object of media, that has come to one fan. What is compared is how long workerd keeps a
//! processor busy for each; what the fans take, who are all in this process, is not in it.

mod crowd;
mod ours;
mod plain;
mod table;

use std::time::Duration;

use anyhow::Result;
use tokio::task::LocalSet;

use crowd::{Crowd, Load};
use table::Table;

/// What the room is called.
const ROOM: &str = "friday-night";
/// For how long each load is measured, unless `FANFARE_SECONDS` says otherwise, and how long it runs before.
const SECONDS: u64 = 8;
const WARM: Duration = Duration::from_secs(3);
/// How often each room is opened, one after the other, unless `FANFARE_ROUNDS` says otherwise.
const ROUNDS: u64 = 3;
/// Fans of a room, unless `FANFARE_FANS` says otherwise: one who watches takes more than one who reads.
const READERS: u64 = 200;
const WATCHERS: u64 = 100;
/// As many as an object lets in for certain.
const MOST: usize = 300;
/// Who speaks: moderators, who are held to the room's own pace only.
const SPEAKERS: usize = 10;
/// As often as our own root has its lines go out.
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
    // A room of ours takes no more than 200 lines a second.
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
