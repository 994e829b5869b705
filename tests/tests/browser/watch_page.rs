//! The watch page, and the element on a page of another site.

use std::path::Path;

use anyhow::Result;
use fanfare_tests::{Isolation, ROOM, Site};
use serde_json::json;

use crate::Fixture;

/// The variable that names the folder for screenshots of the pages; without it there are none.
pub(crate) const SCREENSHOTS: &str = "FANFARE_SCREENSHOTS";

/// Waits until all finite animations have ended and the page is painted.
pub(crate) const PAINTED: &str = "new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn)))
    .then(() => document.getAnimations().filter((moves) => moves.effect.getComputedTiming().endTime !== Infinity))
    .then((moving) => Promise.allSettled(moving.map((moves) => moves.finished)))
    .then(() => new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(() => drawn(true)))))";

/// Waits until the player on a page is in a state and, if that is `live`, shows a frame.
pub(crate) fn until(state: &str) -> String {
    format!(
        "new Promise((resolve) => {{
            const look = () => {{
                const player = document.querySelector('fanfare-player');
                player?.state === '{state}' ? resolve(true) : requestAnimationFrame(look);
            }};
            look();
        }})"
    )
}

#[tokio::test]
async fn it_plays_at_every_size_and_in_both_themes() -> Result<()> {
    let fixture = Fixture::new(Isolation::Isolated).await?;
    let folder = std::env::var_os(SCREENSHOTS);
    let page = fixture.browser.open(&fixture.site.url(&format!("/{ROOM}")), 1280, 800).await?;
    page.eval(&until("live")).await?;
    let overlaid = "document.querySelector('fanfare-player').shadowRoot.querySelector('.notice').hidden";
    assert_eq!(page.eval(overlaid).await?, true, "nothing covers a live picture");
    for (name, width, height) in [("desktop", 1280, 800), ("phone", 390, 844), ("landscape", 844, 390)] {
        page.resize(width, height).await?;
        let overflow = "document.documentElement.scrollWidth - document.documentElement.clientWidth";
        assert_eq!(page.eval(overflow).await?, 0, "{name} scrolls sideways");
        for theme in ["dark", "light"] {
            page.prefer(theme).await?;
            page.eval(PAINTED).await?;
            if let Some(folder) = &folder {
                page.screenshot(&Path::new(folder).join(format!("{name}-{theme}.png"))).await?;
            }
        }
    }
    page.resize(1280, 800).await?;
    page.prefer("dark").await?;
    // Keys as from the keyboard.
    for key in ["s", "m"] {
        let press = format!(
            "document.body.dispatchEvent(new KeyboardEvent('keydown', {{ key: '{key}', bubbles: true }}))"
        );
        page.eval(&press).await?;
    }
    page.eval("document.querySelector('fanfare-player').shadowRoot.querySelector('.settings').click()")
        .await?;
    page.eval(
        "new Promise((counted) => player.addEventListener('stats', () => counted(true), { once: true }))",
    )
    .await?;
    if let Some(folder) = &folder {
        page.screenshot(&Path::new(folder).join("desktop-menus.png")).await?;
        page.resize(390, 844).await?;
        page.eval(PAINTED).await?;
        page.screenshot(&Path::new(folder).join("phone-menus.png")).await?;
        page.resize(1280, 800).await?;
    }
    page.eval("player.player.pause()").await?;
    assert_eq!(page.eval(overlaid).await?, false, "it says that it is paused");
    if let Some(folder) = &folder {
        page.screenshot(&Path::new(folder).join("paused.png")).await?;
    }
    let going_on = "new Promise((shown) => { player.addEventListener('firstframe', () => shown(true)); player.player.resume(); })";
    assert_eq!(page.eval(going_on).await?, true);
    assert!(page.log().is_empty(), "{:#?}", page.log());
    Ok(())
}

#[tokio::test]
async fn an_empty_room_says_so_and_no_room_asks() -> Result<()> {
    let fixture = Fixture::new(Isolation::Isolated).await?;
    let folder = std::env::var_os(SCREENSHOTS);
    let page = fixture.browser.open(&fixture.site.url("/"), 390, 844).await?;
    let asks = "new Promise((asked) => {
        const look = () => document.querySelector('.enter-room')?.hidden === false ? asked(true) : requestAnimationFrame(look);
        look();
    })";
    assert_eq!(page.eval(asks).await?, true);
    if let Some(folder) = &folder {
        page.screenshot(&Path::new(folder).join("room-prompt.png")).await?;
    }
    let nobody = Site::start(json!({ "websocket": "ws://127.0.0.1:9/" }), Isolation::Isolated).await?;
    let page = fixture.browser.open(&nobody.url("/somebody"), 1280, 800).await?;
    page.eval(&until("reconnecting")).await?;
    if let Some(folder) = &folder {
        page.prefer("light").await?;
        page.eval(PAINTED).await?;
        page.screenshot(&Path::new(folder).join("reconnecting.png")).await?;
    }
    Ok(())
}

/// A page of another web origin, without isolation, with nothing of ours but the element.
#[tokio::test]
async fn the_element_plays_on_a_page_of_a_stranger() -> Result<()> {
    let fixture = Fixture::new(Isolation::Isolated).await?;
    let stranger = Site::start(json!({}), Isolation::Open).await?;
    let ours = fixture.site.url("");
    let page = fixture.browser.open(&stranger.url("/test/stranger.html"), 800, 600).await?;
    let embed = format!(
        "import('{ours}/client/index.js').then(() => {{
            document.body.innerHTML = '<fanfare-player room=\"{ROOM}\" src=\"{ours}\" controls></fanfare-player>';
        }})"
    );
    page.eval(&embed).await?;
    page.eval(&until("live")).await?;
    let heard = "document.querySelector('fanfare-player').player.unmute()";
    assert_eq!(page.eval(heard).await?, true);
    let in_step =
        "new Promise((resolve) => document.querySelector('fanfare-player').addEventListener('stats',
        ({ detail }) => detail.sync !== null && Math.abs(detail.sync) < 40 && resolve(true)))";
    assert_eq!(page.eval(in_step).await?, true);
    assert_eq!(page.eval("crossOriginIsolated").await?, false);
    Ok(())
}
