//! The player chooses the rendition by the bandwidth of its path.

use anyhow::Result;
use creator::Source;
use fanfare_tests::{Browser, Isolation, Site, Stack, Throttle};
use media::testcard::{Config, Rendition};
use serde_json::{Value, json};

use crate::{number, ready};

/// Resolves once a page's player plays the rendition of that height smoothly.
fn smooth(height: u32) -> String {
    format!(
        "test.until('stats', ({{ rendition, height, fps }}) =>
            rendition === 'video/{height}p' && height === {height} && fps > 25)"
    )
}

#[tokio::test]
async fn a_narrow_path_gets_the_small_picture_and_a_wide_one_the_large_one_again() -> Result<()> {
    let browser = Browser::start().await?;
    let renditions = vec![
        Rendition { width: 640, height: 360, bitrate: 800_000 },
        Rendition { width: 160, height: 90, bitrate: 60_000 },
    ];
    let card = Config { renditions, title: "TEST".into(), ..Config::default() };
    let stack = Stack::open(Source::demo(card)?).await?;
    let throttle = Throttle::open(stack.addr()).await?;
    // A WebSocket only: the throttle is for TCP.
    let websocket = format!("ws://127.0.0.1:{}/moq", throttle.addr().port());
    let edge = json!({ "webtransport": Value::Null, "websocket": websocket });
    let site = Site::start(edge, Isolation::Isolated).await?;
    let page = browser.open(&site.url("/test/player.html"), 800, 600).await?;
    ready(&page).await?;
    let large = number(&page, &format!("{}.then(({{ bitrate }}) => bitrate)", smooth(360))).await?;

    throttle.narrow((large * 0.6) as u64);
    let small = number(&page, &format!("{}.then(({{ bitrate }}) => bitrate)", smooth(90))).await?;
    println!("{large:.0} bits a second at first, {small:.0} on a narrow path");
    assert!(small < large * 0.6, "{small} of {large}");
    throttle.widen();
    page.eval(&format!("{}.then(() => true)", smooth(360))).await?;
    assert_eq!(page.eval("test.errors.length").await?, 0, "{:#?}", page.log());
    Ok(())
}
