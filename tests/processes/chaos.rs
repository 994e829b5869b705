//! An origin, three edges and three hundred fans; whatever of the house is killed, what was acked is counted once.
//!
//! `FANFARE_SECONDS` is for how long things are killed, `FANFARE_SEED` repeats what fans do and when what is killed.

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
    crowd::{Crowd, Deed, GIFTS, OPTIONS, Place, is_taken, pause},
    number,
    parts::Parts,
};

const EDGES: usize = 3;
const FANS: usize = 200;
/// Who come without a token, and just when the first is killed.
const STRANGERS: usize = 100;
/// For how long things are killed, in seconds, unless one says otherwise.
const SECONDS: u64 = 25;
/// All are there within that, and all is settled: a fan notices after ten seconds that an edge was killed.
const PATIENCE: Duration = Duration::from_mins(1);
/// Between the end of one disaster and the next, and for how long what was killed is not there: in milliseconds.
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
    let place = parts.place()?;
    let mut crowd = gather(&place, FANS, &mut roll).await?;
    for _ in 0..STRANGERS {
        crowd.enter(&place, None, &mut roll)?;
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

/// The room's owner, who prepares what can be given and voted for, and so many fans: all are there.
pub(crate) async fn gather(place: &Place, fans: usize, roll: &mut SplitMix64) -> Result<Crowd> {
    let mut crowd = Crowd::new()?;
    let owner = crowd.enter(place, Some(Role::Creator), roll)?;
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
        crowd.enter(place, Some(Role::Fan), roll)?;
    }
    let all_here = crowd.until(|crowd| crowd.fans.iter().all(|fan| fan.record.borrow().joined > 0));
    tokio::time::timeout(PATIENCE, all_here).await.context("not all fans came in")??;
    Ok(crowd)
}

/// All of them act by their scripts, until then.
pub(crate) fn play(crowd: &Crowd, roll: &mut SplitMix64, until: Instant) -> JoinSet<Result<()>> {
    let mut playing = JoinSet::new();
    for (at, fan) in crowd.fans.iter().enumerate() {
        playing.spawn_local(fan.clone().play(SplitMix64(roll.number()), at, until));
    }
    playing
}

/// All they did is settled.
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

/// Everybody sees what is the last, and nothing that must not be.
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

/// How often somebody was there again.
pub(crate) fn came_back(crowd: &Crowd) -> u32 {
    let joined: u32 = crowd.fans.iter().map(|fan| fan.record.borrow().joined).sum();
    joined - crowd.fans.len() as u32
}

/// Whether everybody is there, has seen the last line, and the numbers are those of the end.
fn is_shown(crowd: &Crowd, end: Micros, last: u64) -> bool {
    let pulse = crowd.seen.pulse.borrow();
    pulse.at > end
        && pulse.viewers as usize == crowd.fans.len()
        && crowd.fans.iter().all(|fan| fan.record.borrow().lines.last() == Some(&last))
}

/// Kills one part or two, and starts them again, over and over. How often.
async fn disasters(parts: &mut Parts, roll: &mut SplitMix64, until: Instant) -> Result<u32> {
    let mut disasters = 0;
    loop {
        // The plan paces the failures: this long until the next.
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
        // And this long is the outage.
        tokio::time::sleep(pause(roll, OUTAGE)).await;
        for at in down {
            parts.all[at].start().await?;
        }
    }
}
