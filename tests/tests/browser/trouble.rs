//! Failures that the player recovers from.

use anyhow::Result;
use fanfare_tests::Isolation;

use crate::{Fixture, figures::Ages};

/// Waits until the player has shown `frames` more frames.
pub(crate) fn frames_later(frames: u32) -> String {
    format!(
        "test.stats().then(({{ frames }}) => test.until('stats', (stats) => stats.frames > frames + {frames}))
            .then(({{ frames }}) => frames)"
    )
}

#[tokio::test]
async fn a_group_that_is_broken_off_is_followed_by_the_next() -> Result<()> {
    let fixture = Fixture::new(Isolation::Isolated).await?;
    let page = fixture.play("").await?;
    page.eval("test.state('live')").await?;
    for _ in 0..3 {
        fixture.server.break_off();
        page.eval(&frames_later(30)).await?;
    }
    assert_eq!(page.eval("test.errors.length").await?, 0, "{:#?}", page.log());
    assert_eq!(
        page.eval("test.states.some((state) => state.startsWith('reconnecting'))").await?,
        false,
        "the session went on"
    );
    let ages = Ages::measure(&page, 1_500).await?;
    assert!(ages.at(0.5) < 1_000.0, "{ages}");
    Ok(())
}

#[tokio::test]
async fn a_server_that_restarts_is_joined_again() -> Result<()> {
    let fixture = Fixture::new(Isolation::Isolated).await?;
    let page = fixture.play("").await?;
    page.eval("test.state('live')").await?;
    fixture.server.restart();
    let again = "new Promise((again, failed) => {
        const seen = () => JSON.stringify({ states: test.states, errors: test.errors, stats: test.player.stats });
        const end = setTimeout(() => failed(new Error(seen())), 20_000);
        const look = () => {
            const reconnects = test.states.some((state) => state.startsWith('reconnecting'));
            if (!reconnects || test.player.state !== 'live') return requestAnimationFrame(look);
            clearTimeout(end);
            again(true);
        };
        look();
    })";
    assert_eq!(page.eval(again).await?, true);
    page.eval(&frames_later(20)).await?;
    Ok(())
}

#[tokio::test]
async fn a_show_that_ends_says_so() -> Result<()> {
    let fixture = Fixture::new(Isolation::Isolated).await?;
    let page = fixture.play("").await?;
    page.eval("test.state('live')").await?;
    fixture.server.end();
    page.eval("test.state('ended')").await?;
    Ok(())
}

#[tokio::test]
async fn other_renditions_and_delays_are_taken_without_a_break() -> Result<()> {
    let fixture = Fixture::new(Isolation::Isolated).await?;
    let page = fixture.play("").await?;
    page.eval("test.state('live')").await?;
    for (name, height) in [("video/180p", 180), ("video/360p", 360)] {
        let resized = format!(
            "test.player.selectRendition('{name}');
            test.until('resize', (size) => size.height === {height}).then(() => true)"
        );
        assert_eq!(page.eval(&resized).await?, true, "{name}");
    }
    page.eval("test.player.latency = 400; test.until('stats', (stats) => stats.latency > 350)").await?;
    page.eval("test.player.latency = 100; test.until('stats', (stats) => stats.latency < 200)").await?;
    assert_eq!(page.eval("test.errors.length").await?, 0, "{:#?}", page.log());
    Ok(())
}

#[tokio::test]
async fn a_picture_that_was_hidden_comes_back_live() -> Result<()> {
    let fixture = Fixture::new(Isolation::Isolated).await?;
    let page = fixture.play("").await?;
    page.eval("test.state('live')").await?;
    // The length of the scenario: the stream goes on for that long without a picture.
    let back = "new Promise((shown) => {
        test.player.pause();
        setTimeout(() => {
            test.player.addEventListener('firstframe', () => shown(true), { once: true });
            test.player.resume();
        }, 2500);
    })";
    assert_eq!(page.eval(back).await?, true);
    page.eval(&frames_later(20)).await?;
    let ages = Ages::measure(&page, 1_000).await?;
    assert!(ages.at(0.5) < 1_000.0, "{ages}");
    Ok(())
}

/// Hides the page as another tab in front of it does: the browser reports it, and stops painting.
#[tokio::test]
async fn a_page_that_was_hidden_gives_up_the_picture_and_comes_back_live() -> Result<()> {
    let fixture = Fixture::new(Isolation::Isolated).await?;
    let page = fixture.play("").await?;
    page.eval("test.state('live')").await?;
    let given_up = "globalThis.givenUp = test.until('renditionchange', (rendition) => rendition === null)
        .then(() => document.visibilityState); true";
    page.eval(given_up).await?;
    let other = fixture.browser.open(&fixture.site.url("/test/stranger.html"), 800, 600).await?;
    other.call("Page.bringToFront", serde_json::json!({})).await?;
    assert_eq!(page.eval("givenUp").await?, "hidden");
    page.eval(
        "globalThis.back = test.until('firstframe', () => true).then(() => document.visibilityState); true",
    )
    .await?;
    page.call("Page.bringToFront", serde_json::json!({})).await?;
    assert_eq!(page.eval("back").await?, "visible");
    page.eval(&frames_later(20)).await?;
    let ages = Ages::measure(&page, 1_000).await?;
    assert!(ages.at(0.5) < 1_000.0, "{ages}");
    Ok(())
}
