//! Kills an origin and three edges at random under three hundred fans: every act that was acked is counted once.
//!
//! `FANFARE_SECONDS` sets for how long processes are killed. `FANFARE_SEED` repeats a run: what fans do, and which
//! process is killed when.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, bail, ensure};
use room::rehearsal::SplitMix64;
use serde_json::json;
use token::Role;
use tokio::{
    task::{JoinSet, LocalSet},
    time::Instant,
};
use wire::Micros;

use crate::{
    begin_show,
    count::{self, Kept},
    crowd::{Access, Crowd, Deed, GIFTS, OPTIONS, is_taken, pause},
    number,
    parts::Parts,
};

const EDGES: usize = 3;
const FANS: usize = 200;
/// Fans without a token; they arrive just when the first process is killed.
const STRANGERS: usize = 100;
/// The duration of the killing in seconds, unless `FANFARE_SECONDS` sets it.
const SECONDS: u64 = 25;
/// The longest until all fans are in, or all acts are settled: a fan notices a killed edge only after ten seconds.
const PATIENCE: Duration = Duration::from_mins(1);
/// The time between two disasters, and the time for which a killed process is down, from and to, in milliseconds.
const PEACE: (u64, u64) = (1000, 5000);
const OUTAGE: (u64, u64) = (1, 2500);

#[tokio::test]
async fn chaos_what_was_acked_is_counted_once_whatever_is_killed() -> Result<()> {
    let seed = match number("FANFARE_SEED") {
        Some(seed) => seed,
        None => u64::from(u32::from_be_bytes(token::random()?)),
    };
    let seconds = number("FANFARE_SECONDS").unwrap_or(SECONDS);
    println!("FANFARE_SEED={seed} FANFARE_SECONDS={seconds}");
    LocalSet::new().run_until(chaos(SplitMix64(seed), Duration::from_secs(seconds))).await
}

async fn chaos(mut roll: SplitMix64, long: Duration) -> Result<()> {
    let dir = tempfile::tempdir()?;
    let mut parts = Parts::open(dir.path(), EDGES).await?;
    let _show = begin_show(&parts)?;
    let access = parts.access()?;
    let mut crowd = gather(&access, FANS, &mut roll).await?;
    for _ in 0..STRANGERS {
        crowd.enter(&access, None, &mut roll)?;
    }
    let until = Instant::now() + long;
    let playing = play(&crowd, &mut roll, until);
    let disasters = tokio::select! {
        disasters = disasters(&mut parts, &mut roll, until) => disasters?,
        left = crowd.until(|_| false) => bail!("{left:?}"),
    };
    settle(&mut crowd, playing).await?;
    let kept = Kept::read(&dir.path().join("origin")).await?;
    seen_by_all(&mut crowd, &kept).await?;
    let counted = count::all_is_counted(&crowd, &kept)?;
    parts.are_well()?;
    println!("{disasters} disasters, {} came back: {counted}", came_back(&crowd));
    Ok(())
}

/// Enters the room's owner, who prepares gifts and a poll, and `fans` fans. Returns when all of them have joined.
pub(crate) async fn gather(access: &Access, fans: usize, roll: &mut SplitMix64) -> Result<Crowd> {
    let mut crowd = Crowd::new()?;
    let owner = crowd.enter(access, Some(Role::Creator), roll)?;
    let gifts: Vec<_> = (1..=GIFTS)
        .map(|id| json!({ "id": id, "name": format!("gift {id}"), "icon": "*", "value": id }))
        .collect();
    let options: Vec<_> = (0..OPTIONS).map(|option| format!("option {option}")).collect();
    owner.act(Deed::Prepare(json!({ "setGifts": gifts })))?;
    let poll = json!({ "question": "which?", "options": options, "seconds": 7200, "changeable": true });
    owner.act(Deed::Prepare(json!({ "openPoll": poll })))?;
    let prepared = crowd.until(|crowd| crowd.seen.open.get() == 0);
    tokio::time::timeout(PATIENCE, prepared).await.context("nothing is prepared")??;
    let is_prepared = owner.record.borrow().deeds.iter().all(|(_, outcome)| is_taken(*outcome));
    ensure!(is_prepared, "{:?}", owner.record.borrow().deeds);
    for _ in 0..fans {
        crowd.enter(access, Some(Role::Fan), roll)?;
    }
    let all_here = crowd.until(|crowd| crowd.fans.iter().all(|fan| fan.record.borrow().joined > 0));
    tokio::time::timeout(PATIENCE, all_here).await.context("not all fans came in")??;
    Ok(crowd)
}

/// Lets every fan act by its script, until `until`.
pub(crate) fn play(crowd: &Crowd, roll: &mut SplitMix64, until: Instant) -> JoinSet<Result<()>> {
    let mut playing = JoinSet::new();
    for (at, fan) in crowd.fans.iter().enumerate() {
        playing.spawn_local(fan.clone().play(SplitMix64(roll.number()), at, until));
    }
    playing
}

/// Waits until all acts are settled.
pub(crate) async fn settle(crowd: &mut Crowd, mut playing: JoinSet<Result<()>>) -> Result<()> {
    while let Some(played) = playing.join_next().await {
        played??;
    }
    let settled = tokio::time::timeout(PATIENCE, crowd.until(|crowd| crowd.seen.open.get() == 0)).await;
    if settled.is_err() {
        println!("{} messages are not settled", crowd.seen.open.get());
    }
    settled.context("not all is settled")?
}

/// Waits until every fan sees the last chat line. Fails if any fan saw a fault.
pub(crate) async fn seen_by_all(crowd: &mut Crowd, kept: &Kept) -> Result<()> {
    let now = Micros(SystemTime::now().duration_since(UNIX_EPOCH)?.as_micros() as u64);
    let last = kept.lines.keys().last().copied().context("no line is kept")?;
    let looked = tokio::time::timeout(PATIENCE, crowd.until(|crowd| is_shown(crowd, now, last))).await;
    if looked.is_err() {
        let late = crowd.fans.iter().filter(|fan| fan.record.borrow().lines.last() != Some(&last)).count();
        println!("{:?}; {late} fans have not seen line {last}", crowd.seen.pulse.borrow());
    }
    looked.context("not all see what is the last")??;
    ensure!(crowd.seen.faults.borrow().is_empty(), "{:?}", crowd.seen.faults.borrow());
    Ok(())
}

/// The number of times that a fan has joined again.
pub(crate) fn came_back(crowd: &Crowd) -> u32 {
    let joined: u32 = crowd.fans.iter().map(|fan| fan.record.borrow().joined).sum();
    joined - crowd.fans.len() as u32
}

/// Returns whether every fan is here and has seen the last line, and the pulse is newer than `end`.
fn is_shown(crowd: &Crowd, end: Micros, last: u64) -> bool {
    let pulse = crowd.seen.pulse.borrow();
    pulse.at > end
        && pulse.viewers as usize == crowd.fans.len()
        && crowd.fans.iter().all(|fan| fan.record.borrow().lines.last() == Some(&last))
}

/// Kills one process or two and starts them again, until `until`. Returns the number of disasters.
async fn disasters(parts: &mut Parts, roll: &mut SplitMix64, until: Instant) -> Result<u32> {
    let mut disasters = 0;
    loop {
        // The seeded plan sets the time until the next disaster.
        tokio::time::sleep(pause(roll, PEACE)).await;
        if Instant::now() >= until {
            return Ok(disasters);
        }
        disasters += 1;
        parts.are_well()?;
        let first = roll.below(parts.all.len() as u64) as usize;
        let second = roll.below(4 * parts.all.len() as u64) as usize;
        let mut down = vec![first];
        down.extend(Some(second).filter(|second| *second < parts.all.len() && *second != first));
        for at in &down {
            println!("{} is killed", parts.all[*at].name);
            parts.all[*at].kill().await?;
        }
        // The seeded plan sets the length of the outage.
        tokio::time::sleep(pause(roll, OUTAGE)).await;
        for at in down {
            parts.all[at].start().await?;
        }
    }
}
