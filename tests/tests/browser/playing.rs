//! The player on every transport, with every catalog and codec.

use anyhow::Result;
use creator::Source;
use fanfare_tests::{Browser, Dialect, Isolation, Site, Stack, TestCardServer};
use serde_json::Value;

use crate::{
    card,
    figures::{Ages, beeps, main_thread},
    number, ready, text,
};

/// The variable that sets the seconds of watching, and as many of listening.
const SECONDS: &str = "FANFARE_SECONDS";
const DEFAULT_SECONDS: u32 = 10;

/// The transport that the player uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Over {
    WebTransport,
    WebSocket,
}

fn look() -> u32 {
    let seconds = std::env::var(SECONDS).ok().and_then(|seconds| seconds.parse().ok());
    seconds.unwrap_or(DEFAULT_SECONDS) * 1_000
}

#[tokio::test]
async fn live_over_webtransport() -> Result<()> {
    live(Over::WebTransport, Isolation::Isolated).await
}

#[tokio::test]
async fn live_over_a_websocket_on_a_page_without_shared_memory() -> Result<()> {
    live(Over::WebSocket, Isolation::Open).await
}

async fn live(over: Over, isolation: Isolation) -> Result<()> {
    let browser = Browser::start().await?;
    let stack = Stack::open(Source::demo(card())?).await?;
    let mut edge = stack.edge();
    if over == Over::WebSocket {
        edge["webtransport"] = Value::Null;
    }
    let site = Site::start(edge, isolation).await?;
    let page = browser.open(&site.url("/test/player.html"), 800, 600).await?;
    ready(&page).await?;
    let first = number(&page, "test.first").await?;
    let joined = number(&page, "test.stats().then((stats) => stats.firstFrame ?? -1)").await?;
    page.eval("test.state('live')").await?;
    let busy = main_thread(&page, 3_000).await?;
    let unmuted = page.eval("test.player.unmute()").await?;
    assert_eq!(unmuted, true, "{:#?}", page.log());
    // Wait until the sound is in step with the picture.
    page.eval("test.until('stats', (stats) => stats.sync !== null && Math.abs(stats.sync) < 20)").await?;
    let ages = Ages::measure(&page, look()).await?;
    let beeps = beeps(&page, look()).await?;
    let stats = page.eval("test.stats()").await?;
    let beep = beeps.get(beeps.len() / 2).copied().unwrap_or(f64::INFINITY);
    println!("{over:?}, {isolation:?}:");
    println!("  first frame {first:.0} ms after loading began, {joined:.0} ms after connecting did");
    println!("  picture {ages}");
    println!(
        "  sound {beep:.0} ms, {:+.0} ms against the picture, {} beeps",
        beep - ages.at(0.5),
        beeps.len()
    );
    println!("  main thread {:.1} % busy; {stats}", busy * 100.0);

    assert_eq!(text(&stats["transport"]), format!("{over:?}"));
    assert_eq!(page.eval("test.errors.length").await?, 0, "{:#?}", page.log());
    assert!(ages.len() >= 50, "only {} pictures could be read", ages.len());
    assert!(ages.at(0.5) < 1_000.0, "{ages}");
    assert!(beeps.len() >= 5, "{beeps:?}");
    assert!((beep - ages.at(0.5)).abs() < 150.0, "a beep {beep:.0} ms late, a picture {ages}");
    Ok(())
}

/// A page with wireless headphones, 200 ms late, that was opened before somebody set the clock by 300 ms.
const SLOW: &str = "/test/player.html?lag=200&skew=300";

#[tokio::test]
async fn sound_is_in_step_through_a_slow_loudspeaker_and_whatever_the_clocks_say() -> Result<()> {
    let browser = Browser::start().await?;
    let stack = Stack::open(Source::demo(card())?).await?;
    let site = Site::start(stack.edge(), Isolation::Isolated).await?;
    let page = browser.open(&site.url(SLOW), 800, 600).await?;
    ready(&page).await?;
    page.eval("test.state('live')").await?;
    assert_eq!(page.eval("test.player.unmute()").await?, true, "{:#?}", page.log());
    page.eval("test.until('stats', (stats) => stats.sync !== null && Math.abs(stats.sync) < 20)").await?;
    let ages = Ages::measure(&page, 5_000).await?;
    let beeps = beeps(&page, 5_000).await?;
    let stats = page.eval("test.stats()").await?;
    println!("{ages}, {beeps:?}, {stats}");
    // The sound cannot come earlier, so the picture waits for it.
    let delay = stats["delay"].as_f64().unwrap_or_default();
    assert!((200.0..400.0).contains(&delay), "{stats}");
    assert!(beeps.len() >= 3, "{beeps:?}");
    let beep = beeps.get(beeps.len() / 2).copied().unwrap_or(f64::INFINITY);
    assert!((beep - ages.at(0.5)).abs() < 80.0, "a beep {beep:.0} ms late, a picture {ages}");
    Ok(())
}

#[tokio::test]
async fn who_publishes_as_moq_dev_does_is_found_and_played() -> Result<()> {
    let browser = Browser::start().await?;
    let server = TestCardServer::open_in(Dialect::Hang, card()).await?;
    let site = Site::start(server.edge(), Isolation::Isolated).await?;
    let page = browser.open(&site.url("/test/player.html"), 800, 600).await?;
    ready(&page).await?;
    page.eval("test.state('live')").await?;
    assert_eq!(page.eval("test.player.unmute()").await?, true, "{:#?}", page.log());
    page.eval("test.until('stats', (stats) => stats.sync !== null && Math.abs(stats.sync) < 20)").await?;
    let ages = Ages::measure(&page, 2_000).await?;
    println!("{ages}");
    assert!(ages.at(0.5) < 1_000.0, "{ages}");
    // The player requests hang's catalog as soon as MSF's is refused, without a wait.
    let first = number(&page, "test.stats().then((stats) => stats.firstFrame)").await?;
    assert!(first < 1_000.0, "{first} ms");
    assert_eq!(page.eval("test.errors.length").await?, 0, "{:#?}", page.log());
    Ok(())
}
