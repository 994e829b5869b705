//! The whole stack in a browser: from a creator at one edge, through the origin, to a fan at another, and its failures
//! on the way.

use std::time::Duration;

use anyhow::Result;
use creator::Source;
use fanfare_tests::{Browser, Exit, Isolation, LossyUdp, Node, Page, ROOM, Site, Stack};
use serde_json::json;

use crate::{card, figures::Ages, number, ready, text, trouble::frames_later, watch_page::until};

/// A stack that publishes the test card, and a page that plays it.
struct Evening {
    stack: Stack,
    page: Page,
    _site: Site,
    _browser: Browser,
}

impl Evening {
    async fn new() -> Result<Self> {
        let browser = Browser::start().await?;
        let stack = Stack::open(Source::demo(card())?).await?;
        let site = Site::start(stack.edge(), Isolation::Isolated).await?;
        let page = browser.open(&site.url("/test/player.html"), 800, 600).await?;
        ready(&page).await?;
        page.eval("test.state('live')").await?;
        Ok(Self { stack, page, _site: site, _browser: browser })
    }

    async fn reconnected(&self) -> Result<bool> {
        Ok(self.page.eval("test.states.some((state) => state.startsWith('reconnecting'))").await? == true)
    }

    async fn is_live(&self) -> Result<()> {
        self.page.eval(&frames_later(60)).await?;
        let ages = Ages::measure(&self.page, 2_000).await?;
        assert!(ages.at(0.5) < 1_000.0, "{ages}");
        assert_eq!(self.page.eval("test.errors.length").await?, 0, "{:#?}", self.page.log());
        Ok(())
    }
}

#[tokio::test]
async fn a_fan_at_another_edge_sees_the_show_and_its_end() -> Result<()> {
    let browser = Browser::start().await?;
    let stack = Stack::open(Source::demo(card())?).await?;
    let page = browser.open(&stack.url(&format!("/{ROOM}")), 1280, 800).await?;
    page.eval(&until("live")).await?;
    page.eval(
        "new Promise((seen) => player.addEventListener('stats', ({ detail }) => detail.frames >= 90 && seen(true)))",
    )
    .await?;
    assert_eq!(text(&page.eval("player.player.stats.transport").await?), "WebTransport");
    assert_eq!(page.eval("player.player.stats.errors").await?, 0);
    let latency = number(&page, "player.player.stats.latency").await?;
    println!("{latency:.0} ms from the creator's clock to the canvas");
    assert!(latency < 1_000.0, "{latency}");
    stack.end_show();
    page.eval(&until("ended")).await?;
    assert!(page.log().is_empty(), "{:#?}", page.log());
    Ok(())
}

#[tokio::test]
async fn a_fan_who_is_early_sees_the_show_when_it_begins() -> Result<()> {
    let browser = Browser::start().await?;
    let mut stack = Stack::empty().await?;
    let site = Site::start(stack.edge(), Isolation::Isolated).await?;
    let page = browser.open(&site.url("/test/player.html"), 800, 600).await?;
    ready(&page).await?;
    page.eval("test.state('offline')").await?;
    stack.begin_show(Source::demo(card())?).await?;
    page.eval("test.state('live')").await?;
    page.eval(&frames_later(30)).await?;
    Ok(())
}

#[tokio::test]
async fn fans_keep_their_session_while_the_origin_is_killed_and_comes_back() -> Result<()> {
    let mut evening = Evening::new().await?;
    evening.stack.restart(Node::Origin, Exit::Killed).await?;
    // Creator and edges find the origin again by themselves.
    evening.is_live().await?;
    assert!(!evening.reconnected().await?, "the fan's session went on");
    Ok(())
}

#[tokio::test]
async fn fans_come_back_to_an_edge_that_is_stopped_and_started() -> Result<()> {
    come_back(Exit::Stopped).await
}

#[tokio::test]
async fn fans_come_back_to_an_edge_that_is_killed_and_started() -> Result<()> {
    come_back(Exit::Killed).await
}

async fn come_back(exit: Exit) -> Result<()> {
    let mut evening = Evening::new().await?;
    evening.stack.restart(Node::FanEdge, exit).await?;
    evening
        .page
        .eval(
            "new Promise((again) => {
                const look = () => test.states.some((state) => state.startsWith('reconnecting'))
                    && test.player.state === 'live' ? again(true) : requestAnimationFrame(look);
                look();
            })",
        )
        .await?;
    evening.is_live().await
}

#[tokio::test]
async fn a_creator_comes_back_to_an_edge_that_was_killed() -> Result<()> {
    let mut evening = Evening::new().await?;
    evening.stack.restart(Node::CreatorEdge, Exit::Killed).await?;
    evening.is_live().await?;
    assert!(!evening.reconnected().await?, "the fan's session went on");
    Ok(())
}

/// The path has a round trip of 100 ms, and loses one packet in twenty each way.
#[tokio::test]
async fn a_fan_on_a_lossy_path_sees_the_show_in_time() -> Result<()> {
    let browser = Browser::start().await?;
    let stack = Stack::open(Source::demo(card())?).await?;
    let lossy = LossyUdp::open(stack.addr(), Duration::from_millis(50), 5).await?;
    let mut edge = stack.edge();
    edge["webtransport"] = json!(format!("https://127.0.0.1:{}/", lossy.addr().port()));
    edge["websocket"] = serde_json::Value::Null;
    let site = Site::start(edge, Isolation::Isolated).await?;
    let page = browser.open(&site.url("/test/player.html?latency=400"), 800, 600).await?;
    ready(&page).await?;
    page.eval("test.state('live')").await?;
    let before = number(&page, "test.stats().then(({ frames }) => frames)").await?;
    let ages = Ages::measure(&page, 10_000).await?;
    let stats = page.eval("test.stats()").await?;
    println!("{ages}; {stats}");
    let shown = stats["frames"].as_f64().unwrap_or_default() - before;
    assert_eq!(text(&stats["transport"]), "WebTransport");
    assert!(shown >= 200.0, "{shown} of 300 frames: {stats}");
    assert!(ages.at(0.5) < 1_000.0, "{ages}");
    assert_eq!(page.eval("test.errors.length").await?, 0, "{:#?}", page.log());
    assert_eq!(page.eval("test.states.some((state) => state.startsWith('reconnecting'))").await?, false);
    Ok(())
}
