//! A soak: fans come and go, half of them without a word, and what the processes use stays what it was.
//!
//! An origin, two edges and a creator run as processes. For as long as the soak takes, fans join and leave over QUIC and
//! WebSocket; some talk, others watch. Memory besides the media that is kept for fans who rewind is flat if the median of
//! the last third of the samples is not above that of the first third by more than a stated tolerance. When all fans have
//! left, nothing of theirs is in use any more.

mod sample;
mod visitor;

use std::{path::Path, time::Duration};

use anyhow::{Context as _, Result, ensure};
use token::{Claims, Role};
use tokio::{
    process::{Child, Command},
    task::LocalSet,
    time::{Instant, MissedTickBehavior},
};

use crate::{
    LIFE, ROOM, number,
    parts::{FANFARE, Parts},
};

use sample::{Course, Node};
use visitor::{Crowd, Visit};

const EDGES: usize = 2;
/// Fans that join in a second, and as many leave.
const JOINS_PER_SECOND: u32 = 20;
/// The interval between two samples of all processes.
const SAMPLE_EVERY: Duration = Duration::from_secs(2);
/// The longest until the show is seen, and until everything of the fans is gone: of a client that fell silent, a node
/// keeps the session until QUIC's timeout.
const PATIENCE: Duration = Duration::from_mins(2);
/// The duration that `cargo xtask bench soak` sets, in minutes, unless `FANFARE_MINUTES` is set.
const MINUTES: u64 = 30;

#[tokio::test]
async fn soak_for_a_minute_leaves_nothing_behind() -> Result<()> {
    LocalSet::new().run_until(soak(Duration::from_mins(1))).await
}

#[tokio::test]
#[ignore = "as long as one likes: `cargo xtask bench soak`"]
async fn soak_for_long() -> Result<()> {
    let minutes = number("FANFARE_MINUTES").unwrap_or(MINUTES);
    LocalSet::new().run_until(soak(Duration::from_mins(minutes))).await
}

/// Starts the creator's process, with the test card.
fn creator(parts: &Parts) -> Result<Child> {
    let token = parts.keys.mint(&Claims::new(ROOM, Role::Creator, "a creator", LIFE))?;
    let url = parts.all[0].url()?;
    Ok(Command::new(FANFARE)
        .args(["publish", "--demo", "--insecure", "--room", ROOM, url.as_str()])
        .env("FANFARE_TOKEN", token)
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .kill_on_drop(true)
        .spawn()?)
}

async fn soak(long: Duration) -> Result<()> {
    let dir = tempfile::tempdir()?;
    let mut parts = Parts::open(dir.path(), EDGES).await?;
    let creator = creator(&parts)?;
    let mut nodes = Vec::new();
    for part in &parts.all {
        nodes.push(Node::new(part).await?);
    }
    let program = Path::new(FANFARE).file_name().context("a program")?.to_string_lossy().into_owned();
    let creator_pid = creator.id().with_context(|| format!("{program} publish does not run"))?;
    nodes.push(Node::without_figures("creator", creator_pid));
    let mut crowd = Crowd::new(&parts)?;
    crowd.first_frame().await?;

    let mut course = Course::new(nodes);
    tokio::time::timeout(PATIENCE, course.begin())
        .await
        .context("what showed that there is a show stays")??;
    let until = Instant::now() + long;
    let mut joins = tokio::time::interval(Duration::from_secs(1) / JOINS_PER_SECOND);
    joins.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut samples = tokio::time::interval(SAMPLE_EVERY);
    samples.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for nth in 0.. {
        // The pace of the load, and of the samples.
        tokio::select! {
            _ = joins.tick() => crowd.join(Visit::of(nth)).await?,
            _ = samples.tick() => course.sample().await?,
        }
        if Instant::now() >= until {
            break;
        }
    }
    let counts = crowd.leave().await;
    let emptied = tokio::time::timeout(PATIENCE, course.emptied()).await;
    let emptied = emptied.unwrap_or_else(|_| course.left().map(drop));
    println!("{counts}\n{course}");
    emptied?;
    course.is_flat()?;
    counts.are_plausible(long)?;
    parts.are_well()?;
    ensure!(creator.id().is_some(), "the creator has ended");
    Ok(())
}
