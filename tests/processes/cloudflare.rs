//! Runs two hundred fans in a Durable Object and the shards that it grows into, in real workerd: whatever ends, every
//! act that was acked is counted once.
//!
//! `FANFARE_SECONDS` sets for how long the platform is ended. `FANFARE_SEED` repeats a run: what fans do, and what ends
//! when.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use anyhow::{Context as _, Result, bail, ensure};
use fanfare_tests::{Deployed, Isolate, Target};
use quic::Trust;
use room::rehearsal::SplitMix64;
use token::{Algorithm, Claims, Keys, Role};
use tokio::{task::LocalSet, time::Instant};

use crate::{
    LIFE, ROOM,
    chaos::{came_back, gather, play, seen_by_all, settle},
    count::{self, Kept},
    crowd::{Access, pause},
    load::quantiles,
    number,
    strangers::{Fans, begin, end},
};

const FANS: usize = 200;
/// The most WebSockets in one object: few enough that the room has five.
const SOCKETS: usize = 45;
/// The duration of the disasters in seconds, unless `FANFARE_SECONDS` sets it.
const SECONDS: u64 = 20;
/// Strangers who attack a room, and for how long in seconds, unless `FANFARE_SECONDS` sets it.
const STRANGERS: usize = 40;
const STRANGE_SECONDS: u64 = 10;
/// A room that they do not attack.
const OTHER_ROOM: &str = "elsewhere";
/// The time between two disasters, and the time for which the platform is down, from and to, in milliseconds.
const PEACE: (u64, u64) = (1000, 5000);
const OUTAGE: (u64, u64) = (1, 1500);

#[tokio::test]
async fn chaos_on_cloudflare_what_was_acked_is_counted_once() -> Result<()> {
    let seed = match number("FANFARE_SEED") {
        Some(seed) => seed,
        None => u64::from(u32::from_be_bytes(token::random()?)),
    };
    let seconds = number("FANFARE_SECONDS").unwrap_or(SECONDS);
    println!("FANFARE_SEED={seed} FANFARE_SECONDS={seconds}");
    LocalSet::new().run_until(chaos(SplitMix64(seed), Duration::from_secs(seconds))).await
}

async fn chaos(mut roll: SplitMix64, long: Duration) -> Result<()> {
    let keys = Keys::generate(Algorithm::EdDSA)?;
    let mut deployed = Deployed::with(keys.clone());
    (deployed.sockets, deployed.panics) = (Some(SOCKETS), true);
    let mut isolate = Isolate::start(deployed).await?;
    let access = Access { edges: vec![isolate.url()?], keys };
    let mut crowd = gather(&access, FANS, &mut roll).await?;
    let objects = isolate.objects()?;
    ensure!(objects > FANS / SOCKETS, "{objects} objects for {FANS} fans, {SOCKETS} in each");
    let until = Instant::now() + long;
    let playing = play(&crowd, &mut roll, until);
    let (kills, panics) = tokio::select! {
        disasters = disasters(&mut isolate, &mut roll, until) => disasters?,
        left = crowd.until(|_| false) => bail!("{left:?}"),
    };
    settle(&mut crowd, playing).await?;
    let token = access.keys.mint(&Claims::new(ROOM, Role::Operator, "an operator", LIFE))?;
    let kept = Kept::parse(&isolate.get(&format!("/api/archive?room={ROOM}"), &token).await?)?;
    seen_by_all(&mut crowd, &kept).await?;
    let counted = count::all_is_counted(&crowd, &kept)?;
    println!("{objects} objects, {kills} kills, {panics} panics, {} came back: {counted}", came_back(&crowd));
    Ok(())
}

#[tokio::test]
async fn hostile_strangers_of_a_room_are_not_noticed_in_another() -> Result<()> {
    let seconds = number("FANFARE_SECONDS").unwrap_or(STRANGE_SECONDS);
    LocalSet::new().run_until(strangers(Duration::from_secs(seconds))).await
}

async fn strangers(long: Duration) -> Result<()> {
    let keys = Keys::generate(Algorithm::EdDSA)?;
    let isolate = Isolate::start(Deployed::with(keys.clone())).await?;
    let tcp = SocketAddr::from((Ipv4Addr::LOCALHOST, isolate.url()?.port().context("a port")?));
    let mut url = isolate.url()?;
    url.query_pairs_mut().append_pair("room", ROOM);
    let token = keys.mint(&Claims::new(ROOM, Role::Creator, "a creator", LIFE))?;
    let target = Target::new(url, Trust::Anyone.client_config()?, tcp, ROOM, &token)?;
    let moderator = keys.mint(&Claims::new(OTHER_ROOM, Role::Moderator, "mo", LIFE))?;
    let mut fans = Fans::enter_at([isolate.url()?, isolate.url()?], OTHER_ROOM, moderator).await?;

    let is_over = Arc::new(AtomicBool::new(false));
    let strangers = begin(vec![target; STRANGERS], Arc::clone(&is_over));
    let talked = fans.talk(Instant::now() + long).await;
    is_over.store(true, Relaxed);
    end(strangers).await?;
    let mut acks = talked?;
    println!("in the other room, from saying to the ack {}", quantiles(&mut acks));
    let health = isolate.ask("GET", "/healthz", None).await?;
    ensure!(health.starts_with("HTTP/1.1 200"), "{health}");
    Ok(())
}

/// Kills the platform and starts it again, or makes the module panic, until `until`. Returns the number of kills and of
/// panics.
async fn disasters(isolate: &mut Isolate, roll: &mut SplitMix64, until: Instant) -> Result<(u32, u32)> {
    let (mut kills, mut panics) = (0, 0);
    loop {
        // The seeded plan sets the time until the next disaster.
        tokio::time::sleep(pause(roll, PEACE)).await;
        if Instant::now() >= until {
            return Ok((kills, panics));
        }
        if roll.below(2) == 0 {
            panics += 1;
            isolate.say_panic(ROOM).await?;
        } else {
            kills += 1;
            isolate.kill().await?;
            tokio::time::sleep(pause(roll, OUTAGE)).await;
            isolate.restart().await?;
        }
    }
}
