//! The show on Cloudflare: from an origin, through a Durable Object in real workerd, to a browser.

use anyhow::{Context as _, Result};
use creator::Source;
use fanfare_tests::{Browser, Isolate, Isolation, ROOM, Site, Stack};
use serde_json::json;

use crate::{card, figures::Ages, number, ready, text, watch_page::until};

#[tokio::test]
async fn live_from_a_durable_object() -> Result<()> {
    let browser = Browser::start().await?;
    let stack = Stack::open(Source::demo(card())?).await?;
    let isolate = Isolate::beside(&stack).await?;
    let edge = json!({ "webtransport": null, "websocket": isolate.url()?.as_str(), "fingerprints": [] });
    let site = Site::start(edge, Isolation::Open).await?;
    let page = browser.open(&site.url("/test/player.html"), 800, 600).await?;
    ready(&page).await?;
    let first = number(&page, "test.first").await?;
    page.eval("test.state('live')").await?;
    assert_eq!(page.eval("test.player.unmute()").await?, true, "{:#?}", page.log());
    page.eval("test.until('stats', (stats) => stats.sync !== null && Math.abs(stats.sync) < 20)").await?;
    let ages = Ages::measure(&page, 5_000).await?;
    let stats = page.eval("test.stats()").await?;
    println!("first frame {first:.0} ms after loading began, picture {ages}; {stats}");
    assert_eq!(text(&stats["transport"]), "WebSocket");
    assert_eq!(page.eval("test.errors.length").await?, 0, "{:#?}", page.log());
    assert!(ages.len() >= 25 && ages.at(0.5) < 1_000.0, "{ages}");
    Ok(())
}

#[tokio::test]
async fn the_watch_page_that_is_deployed_plays_and_two_talk() -> Result<()> {
    let browser = Browser::start().await?;
    let stack = Stack::open(Source::demo(card())?).await?;
    let isolate = Isolate::beside(&stack).await?;
    let port = isolate.url()?.port().context("no port")?;
    let mut pages = Vec::new();
    // Two hosts are two web origins: each fan has a storage of their own.
    for host in ["localhost", "127.0.0.1"] {
        let page = browser.open(&format!("http://{host}:{port}/{ROOM}"), 1280, 800).await?;
        page.eval(&until("live")).await?;
        assert_eq!(page.eval("crossOriginIsolated").await?, true, "it may share memory with its Workers");
        pages.push(page);
    }
    for (page, words) in [(0, "from the front row"), (1, "from the back")] {
        let say = format!(
            "(() => {{
                const form = document.querySelector('.write');
                form.elements.text.value = '{words}';
                form.requestSubmit();
            }})()"
        );
        pages[page].eval(&say).await?;
        // The second page covers the first: it gets no animation frames to wait for.
        let heard = format!(
            "new Promise((heard) => {{
                const log = document.querySelector('.log');
                const look = () => log.textContent.includes('{words}') && heard(true);
                new MutationObserver(look).observe(log, {{ childList: true, subtree: true, characterData: true }});
                look();
            }})"
        );
        assert_eq!(pages[1 - page].eval(&heard).await?, true);
    }
    for page in &pages {
        assert!(page.log().is_empty(), "{:#?}", page.log());
    }
    Ok(())
}
