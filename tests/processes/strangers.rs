//! Two hundred strangers do all that they can to an edge and its origin, from eight addresses: fans of that edge and of
//! another notice nothing, and the edge's memory comes back.
//!
//! `FANFARE_SECONDS` sets for how long; `FANFARE_ATTACK=Fetches` has all of them do that alone.

use std::{
    net::Ipv4Addr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread::JoinHandle,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use fanfare_tests::{ATTACKS, Attack, ScriptedSession, Talker, Target, Watcher, go_last, persist};
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use outbox::Outcome;
use quic::Trust;
use serde_json::json;
use token::{Claims, Role};
use tokio::{
    task::LocalSet,
    time::{Instant, MissedTickBehavior, interval},
};
use url::Url;
use wire::TrackItem;

use crate::{
    LIFE, ROOM, begin_show,
    load::{Times, quantiles},
    number,
    parts::{Part, Parts, get, memory_of},
};

const STRANGERS: usize = 200;
/// Of so many strangers, one attacks the origin.
const ORIGIN_EVERY: usize = 5;
/// The addresses that the strangers come from, each of a network of its own.
const ADDRESSES: u8 = 8;
/// The duration of the attack in seconds, unless `FANFARE_SECONDS` sets it. The benchmark's is longer.
const SECONDS: u64 = 6;
/// The most by which the memory of the edge may grow.
const GROWTH: u64 = 64 << 20;
/// The most memory that a wave of strangers may leave beyond what those before it left. The first two fill what the
/// allocator has for all that follow.
const KEPT: u64 = 8 << 20;
const FILLING: usize = 2;
/// The pace of chat messages, and that of looks at the edge.
const TALK_EVERY: Duration = Duration::from_millis(100);
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// The longest until the edge has let go of strangers that left.
const PATIENCE: Duration = Duration::from_mins(1);

/// The transport of the strangers' sessions.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Carrier {
    Quic,
    WebSocket,
}

#[tokio::test]
async fn hostile_strangers_over_quic_are_not_noticed() -> Result<()> {
    let seconds = number("FANFARE_SECONDS").unwrap_or(SECONDS);
    attack(Carrier::Quic, Duration::from_secs(seconds), 1).await.map(drop)
}

#[tokio::test]
async fn hostile_strangers_over_websockets_are_not_noticed() -> Result<()> {
    let seconds = number("FANFARE_SECONDS").unwrap_or(SECONDS);
    attack(Carrier::WebSocket, Duration::from_secs(seconds), 1).await.map(drop)
}

/// Runs a show under attack, in so many waves. Returns the times from saying to the ack.
pub(crate) async fn attack(carrier: Carrier, long: Duration, waves: u32) -> Result<Times> {
    LocalSet::new().run_until(run(carrier, long, waves)).await
}

async fn run(carrier: Carrier, long: Duration, waves: u32) -> Result<Times> {
    let dir = tempfile::tempdir()?;
    let mut parts = Parts::open(dir.path(), 2).await?;
    let _show = begin_show(&parts)?;
    let mut fans = Fans::enter(&parts).await?;
    fans.talk(Instant::now() + Duration::from_secs(2)).await?;
    let [origin, edge] = [&parts.all[0], &parts.all[1]].map(|part| target(part, &parts, carrier));
    let (origin, edge) = (origin?, edge?);
    let is_of_origin = |number: usize| (number / ATTACKS.len()).is_multiple_of(ORIGIN_EVERY);
    let target_of = |number| if is_of_origin(number) { origin.clone() } else { edge.clone() };
    let targets: Vec<_> = (0..STRANGERS).map(target_of).collect();

    let before = 1024 * memory_of(parts.all[1].pid()?)?;
    let (mut acks, mut objects, mut memory) = (Times::default(), 0, Vec::new());
    for _ in 0..waves {
        let wave = wave(&parts.all[1], &mut fans, targets.clone(), long / waves).await?;
        acks.0.extend(wave.acks.0);
        objects += wave.objects;
        memory.push(wave.memory);
    }
    println!("{carrier:?}: from saying to the ack {}", quantiles(&mut acks));
    println!("{carrier:?}: {objects} objects of the picture, none missing");
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    let each = memory.iter().map(|wave| wave.map(|bytes| format!("{:.1}", mib(bytes)))).collect::<Vec<_>>();
    println!("{carrier:?}: MiB of memory of the edge {:.1}; most and after each wave {each:?}", mib(before));
    let most = memory.iter().map(|[most, _]| *most).max().unwrap_or_default();
    ensure!(most <= before + GROWTH, "the edge's memory grew by {:.1} MiB", mib(most - before));
    if let [.., [_, before], [_, after]] = memory[..]
        && memory.len() > FILLING
    {
        let kept = after.saturating_sub(before);
        ensure!(kept <= KEPT, "each wave leaves {:.1} MiB more", mib(kept));
    }
    parts.are_well()?;
    Ok(acks)
}

/// The outcome of one wave.
struct Wave {
    acks: Times,
    /// Objects of the picture that the fan has seen.
    objects: usize,
    /// The most memory of the edge, and that after all strangers have left.
    memory: [u64; 2],
}

/// Lets strangers loose for a while, and waits until the edge has let go of all of them.
async fn wave(edge: &Part, fans: &mut Fans, targets: Vec<Target>, long: Duration) -> Result<Wave> {
    let (is_over, watcher) = (Arc::new(AtomicBool::new(false)), watcher(edge).await?);
    let strangers = begin(targets, Arc::clone(&is_over));
    let until = Instant::now() + long;
    let living = async {
        let lived = tokio::try_join!(fans.talk(until), look(edge, until));
        is_over.store(true, Relaxed);
        lived
    };
    let (lived, watched) = tokio::join!(living, watcher.misses_nothing(&is_over));
    end(strangers).await?;
    let ((acks, most), objects) = (lived?, watched?);
    ensure!(objects > 0, "nothing was seen");
    alone_again(edge).await?;
    Ok(Wave { acks, objects, memory: [most, 1024 * memory_of(edge.pid()?)?] })
}

/// Two fans who talk, perhaps at two edges.
pub(crate) struct Fans {
    one: Talker,
    other: Talker,
    said: u32,
}

impl Fans {
    async fn enter(parts: &Parts) -> Result<Self> {
        let token = parts.keys.mint(&Claims::new(ROOM, Role::Moderator, "mo", LIFE))?;
        let [one, other] = [&parts.all[1], &parts.all[2]].map(Part::url);
        Self::enter_at([one?, other?], ROOM, token).await
    }

    /// Enters a room at two addresses, the first fan as a moderator, who has no limit of messages.
    pub(crate) async fn enter_at(at: [Url; 2], room: &str, moderator: String) -> Result<Self> {
        let [one, other] = at;
        let mut one = Talker::enter_at(one, room, Some(moderator))?;
        let mut other = Talker::enter_at(other, room, None)?;
        one.joined().await?;
        other.joined().await?;
        Ok(Self { one, other, said: 0 })
    }

    /// Talks, each message after the one before was acked and seen at the other edge.
    pub(crate) async fn talk(&mut self, until: Instant) -> Result<Times> {
        let mut acks = Times::default();
        let mut pace = interval(TALK_EVERY);
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while Instant::now() < until {
            pace.tick().await;
            self.said += 1;
            let text = format!("message {} of a fan", self.said);
            let begun = Instant::now();
            let said = self.one.order(json!({ "say": { "text": &text } })).await?;
            ensure!(matches!(said, Outcome::Taken { .. }), "{said:?}");
            acks.0.push(begun.elapsed());
            self.other.until(|item| matches!(item, TrackItem::Said(line) if line.text == text)).await?;
        }
        Ok(acks)
    }
}

async fn watcher(edge: &Part) -> Result<Watcher> {
    let tls = Trust::Anyone.client_config()?;
    let session = ScriptedSession::dial(&edge.url()?, tls, Ipv4Addr::LOCALHOST, &[], None).await?;
    Watcher::watch(session, ROOM, "video/90p").await
}

fn target(part: &Part, parts: &Parts, carrier: Carrier) -> Result<Target> {
    let url = match carrier {
        Carrier::Quic => part.url()?,
        Carrier::WebSocket => Url::parse(&format!("ws://127.0.0.1:{}/moq", part.addr.port()))?,
    };
    let token = parts.keys.mint(&Claims::new(ROOM, Role::Creator, "a creator", LIFE))?;
    Target::new(url, Trust::Anyone.client_config()?, part.addr, ROOM, &token)
}

/// Lets strangers loose, each on its target, on a thread of their own.
pub(crate) fn begin(targets: Vec<Target>, is_over: Arc<AtomicBool>) -> JoinHandle<Result<()>> {
    std::thread::spawn(move || {
        go_last()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let only = std::env::var("FANFARE_ATTACK").ok();
        let is_wanted = |attack: &Attack| only.as_ref().is_none_or(|only| *only == format!("{attack:?}"));
        let attacks = ATTACKS.into_iter().filter(is_wanted).cycle();
        let all = async {
            let mut strangers = FuturesUnordered::new();
            for (number, (attack, target)) in attacks.zip(&targets).enumerate() {
                let address = Ipv4Addr::new(127, 0, 1 + (number % usize::from(ADDRESSES)) as u8, 1);
                strangers.push(persist(target, attack, address, &is_over));
            }
            while strangers.next().await.is_some() {}
        };
        LocalSet::new().block_on(&runtime, all);
        Ok(())
    })
}

/// Waits until all strangers have left.
pub(crate) async fn end(strangers: JoinHandle<Result<()>>) -> Result<()> {
    tokio::task::spawn_blocking(move || strangers.join()).await?.ok().context("the strangers panicked")?
}

/// Looks at the edge under attack: it is alive and has its upstream. Returns the most memory that it had.
async fn look(edge: &Part, until: Instant) -> Result<u64> {
    let (admin, mut most, mut every) = (edge.admin().await?, 0, interval(LOOK_EVERY));
    while Instant::now() < until {
        every.tick().await;
        get(edge.addr, "/healthz").await.context("/healthz")?;
        let metrics = get(admin, "/metrics").await?;
        ensure!(metrics.contains("fanfare_edge_upstream 1\n"), "the upstream is gone");
        most = most.max(1024 * memory_of(edge.pid()?)?);
    }
    Ok(most)
}

/// Waits until the fans of the test are the only ones, and nothing is in use for others.
async fn alone_again(edge: &Part) -> Result<()> {
    let is_alone = |metrics: &str| {
        let of_fans = metrics.lines().filter(|line| line.starts_with("fanfare_edge_budget_used{"));
        let of_fans =
            of_fans.filter(|line| line.contains("role=\"fan\"") || line.contains("role=\"arriving\""));
        let used =
            |line: &str| line.rsplit(' ').next().and_then(|used| used.parse::<u64>().ok()).unwrap_or(0);
        let held = of_fans.map(|line| (line.contains("kind=\"sessions\""), used(line)));
        held.filter(|(is_sessions, _)| *is_sessions).map(|(_, used)| used).sum::<u64>() <= 1
    };
    let gone = async {
        let (admin, mut every) = (edge.admin().await?, interval(LOOK_EVERY));
        loop {
            every.tick().await;
            if is_alone(&get(admin, "/metrics").await?) {
                return Ok(());
            }
        }
    };
    tokio::time::timeout(PATIENCE, gone).await.context("strangers are left")?
}
