//! From a creator at one edge, through the origin, to a fan at another.

use anyhow::Result;
use creator::Source;
use fanfare_tests::{Browser, House, ROOM};

use crate::{card, number, text, watch_page::until};

#[tokio::test]
async fn a_fan_at_another_edge_sees_the_show_and_its_end() -> Result<()> {
    let Some(browser) = Browser::start().await? else { return Ok(()) };
    let house = House::open(Source::demo(card())?).await?;
    let page = browser.open(&house.url(&format!("/{ROOM}")), 1280, 800).await?;
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
    house.end_show();
    page.eval(&until("ended")).await?;
    assert!(page.log().is_empty(), "{:#?}", page.log());
    Ok(())
}
