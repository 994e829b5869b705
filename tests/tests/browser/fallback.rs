//! The player falls back to a WebSocket by itself if WebTransport does not get through.

use std::net::UdpSocket;

use anyhow::Result;
use creator::Source;
use fanfare_tests::{Browser, Isolation, Site, Stack};
use serde_json::{Value, json};

use crate::{card, number, ready, text};

/// The most from the start of the player to its first frame, in milliseconds, where UDP is swallowed: WebTransport's
/// head start and a fair time to connect and play.
const SOON: f64 = 2_400.0;

/// Plays the stack's show with an edge description that `mislead` makes wrong about WebTransport. Returns the time to
/// the first frame, in milliseconds.
async fn play(mislead: impl FnOnce(&mut Value)) -> Result<f64> {
    let browser = Browser::start().await?;
    let stack = Stack::open(Source::demo(card())?).await?;
    let mut edge = stack.edge();
    mislead(&mut edge);
    let site = Site::start(edge, Isolation::Isolated).await?;
    let page = browser.open(&site.url("/test/player.html"), 800, 600).await?;
    ready(&page).await?;
    page.eval("test.state('live')").await?;
    page.eval("test.until('stats', (stats) => stats.frames >= 60)").await?;
    let stats = page.eval("test.stats()").await?;
    assert_eq!(text(&stats["transport"]), "WebSocket");
    assert_eq!(page.eval("test.errors.length").await?, 0, "{:#?}", page.log());
    let states = page.eval("test.states").await?;
    assert!(!text(&states).contains("reconnecting"), "in one attempt: {states}");
    let first = number(&page, "test.stats().then((stats) => stats.firstFrame)").await?;
    println!("{first:.0} ms to the first frame");
    Ok(first)
}

#[tokio::test]
async fn udp_that_is_swallowed_is_gone_around() -> Result<()> {
    // The socket takes packets and never answers.
    let silent = UdpSocket::bind(("127.0.0.1", 0))?;
    let port = silent.local_addr()?.port();
    let first = play(|edge| edge["webtransport"] = json!(format!("https://127.0.0.1:{port}/"))).await?;
    assert!(first < SOON, "{first} ms");
    Ok(())
}

#[tokio::test]
async fn a_certificate_that_is_not_the_one_promised_is_not_taken() -> Result<()> {
    let first = play(|edge| edge["fingerprints"] = json!(["00".repeat(32)])).await?;
    assert!(first < SOON, "{first} ms");
    Ok(())
}
