//! The page for frames of other sites: it plays there, nobody is a moderator in it, and the other pages cannot be framed.

use anyhow::{Context as _, Result};
use creator::Source;
use fanfare_tests::{Browser, Frame, Isolation, Page, ROOM, Site, Stack};
use serde_json::json;
use token::Role;

use crate::card;

/// A page of another web origin, which frames a page of the stack's edge.
async fn framed(browser: &Browser, stranger: &Site, url: &str) -> Result<(Page, Frame)> {
    let page = browser.open(&stranger.url("/test/stranger.html"), 900, 600).await?;
    let loaded = format!(
        "new Promise((loaded) => {{
            const frame = document.createElement('iframe');
            frame.src = '{url}';
            frame.width = 800;
            frame.height = 500;
            frame.onload = () => loaded(true);
            const look = () => document.body ? document.body.append(frame) : requestAnimationFrame(look);
            look();
        }})"
    );
    page.eval(&loaded).await?;
    let frame = page.frame().await?;
    Ok((page, frame))
}

/// Waits until an expression is true in a frame.
async fn until(page: &Page, frame: &Frame, wanted: &str) -> Result<()> {
    let look = format!(
        "new Promise((seen) => {{
            const look = () => ({wanted}) ? seen(true) : requestAnimationFrame(look);
            look();
        }})"
    );
    page.eval_in(frame, &look).await.map(drop).with_context(|| format!("{wanted}: {:#?}", page.log()))
}

#[tokio::test]
async fn a_page_of_another_site_frames_the_embed_page_and_it_plays() -> Result<()> {
    let browser = Browser::start().await?;
    let stack = Stack::open(Source::demo(card())?).await?;
    let stranger = Site::start(json!({}), Isolation::Open).await?;
    let (page, frame) = framed(&browser, &stranger, &stack.url(&format!("/embed/{ROOM}"))).await?;
    assert!(!frame.is_refused, "{:#?}", page.log());
    until(&page, &frame, "document.querySelector('.state')?.dataset.state === 'live'").await?;
    until(&page, &frame, "document.querySelector('.side')?.hidden === false").await?;
    for (hidden, why) in [
        ("header", "a site has its own head"),
        (".give", "a site could have gifts given by a trick"),
        (".share", "the address is not that of the page"),
    ] {
        let is_seen = format!("document.querySelector('{hidden}').checkVisibility()");
        assert_eq!(page.eval_in(&frame, &is_seen).await?, false, "{why}");
    }
    assert_eq!(page.eval_in(&frame, "document.querySelector('#tab-questions')").await?, json!(null));

    // A fan writes, and reads it.
    let write = "(() => {
        const form = document.querySelector('.write');
        form.elements.text.value = 'from a frame';
        form.requestSubmit();
    })()";
    page.eval_in(&frame, write).await?;
    let heard = "[...document.querySelectorAll('.log li:not([data-state])')].some((line) => line.textContent.includes('from a frame'))";
    until(&page, &frame, heard).await
}

#[tokio::test]
async fn the_embed_page_takes_no_token_that_was_handed_over() -> Result<()> {
    let browser = Browser::start().await?;
    let stack = Stack::open(Source::demo(card())?).await?;
    let token = stack.token_of(Role::Moderator, "a moderator")?;
    let role = "new Promise((role) => {
        const look = () => globalThis.player?.player?.identity ? role(player.player.identity.role) : requestAnimationFrame(look);
        look();
    })";
    // In the page itself, the token in its address makes a moderator.
    let page = browser.open(&stack.url(&format!("/{ROOM}#token={token}")), 1280, 800).await?;
    assert_eq!(page.eval(role).await?, "moderator");
    // The tab's storage has it now: the embed page reads neither.
    for address in [format!("/embed/{ROOM}"), format!("/embed/{ROOM}#token={token}")] {
        page.call("Page.navigate", json!({ "url": stack.url(&address) })).await?;
        let embedded = "new Promise((shown) => {
            const look = () => document.body?.classList.contains('embedded') ? shown(true) : requestAnimationFrame(look);
            look();
        })";
        page.eval(embedded).await?;
        assert_eq!(page.eval("sessionStorage.getItem('token')").await?, json!(token), "it is still there");
        assert_eq!(page.eval(role).await?, "fan", "{address}");
    }
    Ok(())
}

#[tokio::test]
async fn the_embed_page_has_no_buttons_of_moderators_even_for_one() -> Result<()> {
    let browser = Browser::start().await?;
    let stack = Stack::open(Source::demo(card())?).await?;
    for (path, buttons) in [(format!("/{ROOM}"), 3), (format!("/embed/{ROOM}"), 0)] {
        let page = browser.open(&stack.url(&path), 1280, 800).await?;
        let open = "new Promise((open) => {
            const look = () => document.querySelector('.side')?.hidden === false ? open(true) : requestAnimationFrame(look);
            look();
        })";
        page.eval(open).await?;
        let fan = "00000000000000aa";
        let line = json!({ "id": 1, "at": 0, "fan": fan, "name": "Ada", "text": "a line" });
        let stage = json!({ "title": "", "pinned": line, "poll": null, "gifts": [], "questions": [],
            "modes": { "slowSeconds": 0, "emojiOnly": false, "followersOnly": false, "holdAll": false } });
        let identity =
            json!({ "fan": fan, "role": "moderator", "standing": "clear", "until": null, "vote": null });
        // In one step, so that no event of the real room comes between.
        let count = format!(
            "(() => {{
                const events = Object.entries({{ identity: {identity}, stage: {stage}, waiting: [{line}] }});
                for (const [name, detail] of events) player.dispatchEvent(new CustomEvent(name, {{ detail }}));
                const buttons = [...document.querySelectorAll('.pinned button, .held button')];
                return buttons.filter((button) => button.checkVisibility()).length;
            }})()"
        );
        assert_eq!(page.eval(&count).await?, buttons, "{path}: {:#?}", page.log());
    }
    Ok(())
}

#[tokio::test]
async fn the_other_pages_cannot_be_framed_by_another_site() -> Result<()> {
    let browser = Browser::start().await?;
    let stack = Stack::empty().await?;
    let stranger = Site::start(json!({}), Isolation::Open).await?;
    for path in [format!("/{ROOM}"), "/".to_owned(), format!("/{ROOM}/embed/"), format!("/%65mbed/{ROOM}")] {
        let (page, frame) = framed(&browser, &stranger, &stack.url(&path)).await?;
        assert!(frame.is_refused, "{path}: {:#?}", page.log());
    }
    Ok(())
}
