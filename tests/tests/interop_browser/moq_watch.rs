//! `@moq/watch` of moq-dev, in Chromium, at an edge of ours.
//!
//! The published version speaks no draft 18 that other implementations understand; `tests/peers/bundle.mjs` gives the
//! reasons, and mends two lines, so that the rest of it can be tested.
//!
//! It subscribes from after a track's newest object and fetches nothing earlier, as the draft allows. So it sees a
//! catalog only when one is published, and it starts before the show here. A creator that publishes a file has a second
//! catalog as soon as the bit rates are known.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use creator::{Input, Repeat, Source};
use fanfare_tests::{Browser, Isolation, LoopedMedia, Node, Page, Peer, ROOM, Site, Stack, moq_watch};
use media::{
    Packaging,
    testcard::{Config, Rendition},
};
use serde_json::Value;

/// Waits until the page's own script has run.
const READY: &str = "new Promise((ready) => {
    const look = () => globalThis.watch ? ready(true) : requestAnimationFrame(look);
    look();
})";

/// The parameters of a SUBSCRIBE: four of them, FORWARD (0x10) 1, SUBSCRIBER_PRIORITY (0x20) 155 in two bytes, a filter of
/// one byte, GROUP_ORDER 2. By the draft the priority is one byte, and what follows it here is no known parameter.
const PRIORITY_IN_TWO_BYTES: &str = "04 1001 10809b 010102 0102";

#[tokio::test]
async fn as_published_its_subscribe_is_no_draft_18() -> Result<()> {
    let browser = Browser::start().await?;
    let stack = Stack::open(card()?).await?;
    let page = open(&browser, &stack, "watch", "msf").await?;
    let written = PRIORITY_IN_TWO_BYTES.replace(' ', "");
    wait(&page, &format!("watch.until(() => watch.sent.some((bytes) => bytes.includes('{written}')), 20)"))
        .await?;
    // It has found the room, by draft 18. It then breaks the draft, and the edge closes the session, as the draft
    // demands.
    wait(&page, "watch.until(() => watch.player.connection.status.peek() !== 'connected', 20)").await?;
    let log = page.log().join("\n");
    for line in
        ["negotiated ALPN: moqt-18", &format!("announced: broadcast={ROOM} active=true"), "remote error: 3"]
    {
        ensure!(log.contains(line), "no {line:?} in {log}");
    }
    Ok(())
}

#[tokio::test]
async fn mended_it_plays_what_our_creator_publishes_as_cmaf() -> Result<()> {
    let browser = Browser::start().await?;
    let mut stack = Stack::empty().await?;
    let page = open(&browser, &stack, "watch-mended", "msf").await?;
    stack.begin_show(file(Packaging::Cmaf).await?).await?;
    // The file's times start over every two seconds, and the player skips some frames then.
    plays(&page, 10).await
}

/// LOC has an object's time in its properties. In an MSF catalog, `@moq/watch` takes LOC for a container of its own,
/// which has the time before the frame.
#[tokio::test]
async fn mended_it_takes_loc_for_another_container() -> Result<()> {
    let browser = Browser::start().await?;
    let mut stack = Stack::empty().await?;
    let page = open(&browser, &stack, "watch-mended", "msf").await?;
    stack.begin_show(file(Packaging::Frames).await?).await?;
    let video = wait(&page, "watch.until(() => watch.state().catalog?.video?.renditions, 20)").await?;
    let renditions = video.as_object().with_context(|| video.to_string())?;
    ensure!(!renditions.is_empty(), "no renditions");
    ensure!(renditions.values().all(|rendition| rendition["container"]["kind"] == "legacy"), "{video}");
    Ok(())
}

/// The show has a catalog of moq-dev's own.
#[tokio::test]
#[ignore = "takes moq-cli, which `cargo xtask interop` builds"]
async fn mended_it_plays_what_moq_cli_publishes() -> Result<()> {
    let browser = Browser::start().await?;
    let stack = Stack::empty().await?;
    let mut media = LoopedMedia::new()?;
    let mut publisher = Peer::moq(&stack, Node::CreatorEdge, "https", &["import", "fmp4"])?;
    publisher.write(media.header()).await?;
    let page = open(&browser, &stack, "watch-mended", "hang").await?;
    tokio::select! {
        played = plays(&page, 30) => played,
        ended = media.play_on(&mut publisher) => match ended? {},
    }
}

/// Waits until the page has shown `least` different pictures.
async fn plays(page: &Page, least: u32) -> Result<()> {
    let pictures = wait(page, &format!("watch.pictures({least}, 20)")).await?;
    let video = page.eval("watch.state().video").await?;
    println!("{pictures} pictures; {video}");
    ensure!(page.eval("watch.version()").await? == "moq-transport-18", "another version than draft 18");
    ensure!(video["frameCount"].as_u64() >= Some(least.into()), "{video}");
    Ok(())
}

async fn open(browser: &Browser, stack: &Stack, bundle: &str, catalog: &str) -> Result<Page> {
    moq_watch()?;
    let site = Site::start(stack.edge(), Isolation::Isolated).await?;
    let url = site.url(&format!("/test/moq-watch.html?bundle={bundle}&room={ROOM}&catalog={catalog}"));
    let page = browser.open(&url, 800, 600).await?;
    wait(&page, READY).await?;
    Ok(page)
}

async fn wait(page: &Page, expression: &str) -> Result<Value> {
    page.eval(expression).await.with_context(|| page.log().join("\n"))
}

async fn file(packaging: Packaging) -> Result<Source> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../media/tests/fixtures/live.chunks.mp4");
    Ok(Source::open(vec![Input::File(file)], packaging, Repeat::Forever).await?)
}

fn card() -> Result<Source> {
    let renditions = vec![Rendition { width: 320, height: 180, bitrate: 250_000 }];
    Ok(Source::demo(Config { renditions, title: "TEST".into(), ..Config::default() })?)
}
