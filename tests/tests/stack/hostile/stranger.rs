//! Strangers do all that they can at once, from eight addresses, while a fan watches and two talk.

use std::{
    net::Ipv4Addr,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use fanfare_tests::{ATTACKS, Node, ROOM, ScriptedSession, Stack, Target, Watcher, persist};
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use quic::Trust;
use token::Role;
use url::Url;

use crate::hostile::{Innocents, evening};

/// The seconds of the attack; `FANFARE_SECONDS` has another number.
const SECONDS: u64 = 10;
/// The addresses that the strangers come from.
const ADDRESSES: u8 = 8;
/// Strangers of each kind: their work is done by the very thread of the fans.
const EACH: u8 = 2;

fn target(stack: &Stack) -> Result<Target> {
    let trust = Trust::Fingerprints(vec![stack.fingerprint().parse().map_err(anyhow::Error::msg)?]);
    let tcp = stack.addr_of(Node::FanEdge);
    let url = Url::parse(&format!("moqt://127.0.0.1:{}/", tcp.port()))?;
    Target::new(url, trust.client_config()?, tcp, ROOM, &stack.token()?)
}

#[tokio::test]
async fn hostile_strangers_do_all_that_they_can_and_a_fan_misses_nothing() -> Result<()> {
    evening(async |stack: Stack| {
        // A moderator has no limit of lines.
        let token = stack.token_of(Role::Moderator, "mo")?;
        let mut innocents = Innocents::enter_as(&stack, ROOM, Some(token)).await?;
        let watcher = ScriptedSession::enter(&stack, Node::FanEdge, None).await?;
        let watcher = Watcher::watch(watcher, ROOM, "video/90p").await?;
        let target = target(&stack)?;
        let seconds = std::env::var("FANFARE_SECONDS").ok().and_then(|text| text.parse().ok());
        let end = Instant::now() + Duration::from_secs(seconds.unwrap_or(SECONDS));
        let is_over = AtomicBool::new(false);
        let mut strangers = FuturesUnordered::new();
        let all = ATTACKS.into_iter().cycle().take(ATTACKS.len() * usize::from(EACH));
        for (number, attack) in (0..).zip(all) {
            let address = Ipv4Addr::new(127, 0, 0, 2 + number % ADDRESSES);
            strangers.push(persist(&target, attack, address, &is_over));
        }
        let attacking = async { while strangers.next().await.is_some() {} };
        let living = async {
            let mut waits = Vec::new();
            while Instant::now() < end {
                let asked = Instant::now();
                innocents.talk().await?;
                waits.push(asked.elapsed());
            }
            waits.sort();
            let at = |share: f64| waits[((waits.len() - 1) as f64 * share) as usize];
            println!("{} lines; from saying to showing p50 {:?}, p99 {:?}", waits.len(), at(0.5), at(0.99));
            anyhow::Ok(())
        };
        let living = async {
            let lived = living.await;
            is_over.store(true, Relaxed);
            lived
        };
        let (lived, watched, ()) = tokio::join!(living, watcher.misses_nothing(&is_over), attacking);
        lived?;
        let frames = watched?;
        ensure!(frames > 0, "nothing was seen");
        ensure!(stack.figure("upstream").await? == 1, "the upstream is gone");
        let health = stack.ask(Node::FanEdge, "GET", "/healthz").await?;
        ensure!(health.starts_with("HTTP/1.0 200"), "{health}");
        Ok(())
    })
    .await
}
