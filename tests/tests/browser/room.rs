//! Two fans in one room see each other's acts.

use anyhow::{Context as _, Result};
use creator::Source;
use fanfare_tests::{Browser, Isolate, Isolation, Page, Site, Stack};
use serde_json::{Value, json};

use crate::{card, number, ready, text};

/// The most from an act of one fan until the other sees it, in milliseconds.
const SOON: f64 = 300.0;
const EVIL: &str = "<img src=x onerror=caught=1><b>";

/// The path from a page to its room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    WebTransport,
    WebSocket,
    /// A WebSocket to a Durable Object, in workerd.
    Cloudflare,
}

/// A stack with a show, and two fans with a browser profile each.
struct Evening {
    stack: Stack,
    _isolate: Option<Isolate>,
    /// The edge's addresses, as pages get them.
    edge: Value,
    sites: [Site; 2],
    fans: [Page; 2],
    browser: Browser,
}

impl Evening {
    /// Opens both fans' pages, with one path to choose from.
    async fn new(way: Way) -> Result<Self> {
        let browser = Browser::start().await?;
        let stack = Stack::open(Source::demo(card())?).await?;
        let mut edge = stack.edge();
        let mut isolate = None;
        match way {
            Way::WebTransport => edge["websocket"] = Value::Null,
            Way::WebSocket => edge["webtransport"] = Value::Null,
            Way::Cloudflare => {
                let isolate = isolate.insert(Isolate::beside(&stack).await?);
                edge["webtransport"] = Value::Null;
                edge["websocket"] = isolate.url()?.as_str().into();
            }
        }
        // Two sites are two web origins: each fan has a storage of their own.
        let sites = [
            Site::start(edge.clone(), Isolation::Isolated).await?,
            Site::start(edge.clone(), Isolation::Isolated).await?,
        ];
        let fans = [enter(&browser, &sites[0], "").await?, enter(&browser, &sites[1], "").await?];
        assert_ne!(who(&fans[0]).await?, who(&fans[1]).await?, "two fans");
        Ok(Self { stack, _isolate: isolate, edge, sites, fans, browser })
    }

    /// Opens a page of its own for the creator, with a token.
    async fn creator(&self) -> Result<(Site, Page)> {
        let site = Site::start(self.edge.clone(), Isolation::Isolated).await?;
        let page = enter(&self.browser, &site, &format!("?token={}", self.stack.token()?)).await?;
        Ok((site, page))
    }
}

/// Opens the bare player, and waits until it has the fan's identity.
async fn enter(browser: &Browser, site: &Site, query: &str) -> Result<Page> {
    let page = browser.open(&site.url(&format!("/test/player.html{query}")), 800, 600).await?;
    ready(&page).await?;
    known(&page).await?;
    Ok(page)
}

async fn known(page: &Page) -> Result<()> {
    let known = "test.player.identity ? true : test.until('identity', () => true).then(() => true)";
    assert_eq!(page.eval(known).await?, true);
    Ok(())
}

async fn who(page: &Page) -> Result<String> {
    Ok(text(&page.eval("test.player.identity.fan").await?))
}

/// Has `one` act and waits until `other` sees the result. Returns the time between, in milliseconds, by their common
/// clock.
async fn seen(one: &Page, does: &str, other: &Page, event: &str, wanted: &str) -> Result<f64> {
    let watch = format!(
        "globalThis.seen = test.until('{event}', {wanted}).then(() => performance.timeOrigin + performance.now()), true"
    );
    other.eval(&watch).await?;
    let begun = format!(
        "(async () => {{ const begun = performance.timeOrigin + performance.now(); await {does}; return begun; }})()"
    );
    let begun = number(one, &begun).await?;
    Ok(number(other, "globalThis.seen").await? - begun)
}

/// Checks the median: one moment in which the machine is busy must not count.
fn soon(what: &str, way: Way, mut took: Vec<f64>) {
    println!("{what} over {way:?}: {took:.0?} ms");
    took.sort_by(f64::total_cmp);
    assert!(took[took.len() / 2] < SOON, "{what} over {way:?} took {took:.0?} ms");
}

#[tokio::test]
async fn what_one_says_cheers_and_votes_the_other_sees_at_once() -> Result<()> {
    for way in [Way::WebTransport, Way::WebSocket, Way::Cloudflare] {
        let evening = Evening::new(way).await?;
        let [ada, ben] = &evening.fans;
        let transport = if way == Way::WebTransport { "WebTransport" } else { "WebSocket" };
        assert_eq!(text(&ada.eval("test.stats().then(({ transport }) => transport)").await?), transport);
        let (_site, creator) = evening.creator().await?;
        let ask = "test.player.moderate({ openPoll: { question: 'Encore?', options: ['yes', 'no'], seconds: 600, changeable: true } })";
        seen(&creator, ask, ada, "stage", "({ poll }) => poll?.open").await?;
        ada.eval("test.player.rename('Ada')").await?;
        let mut took = [Vec::new(), Vec::new(), Vec::new()];
        for nth in 0..3 {
            let said = format!("hello {nth}");
            let line = format!(
                "({{ lines }}) => lines.some(({{ text, name }}) => text === '{said}' && name === 'Ada')"
            );
            took[0].push(seen(ada, &format!("test.player.say('{said}')"), ben, "chat", &line).await?);
            let cheered = format!("({{ cheers }}) => cheers[2] === {}", 7 * (nth + 1));
            took[1].push(seen(ada, "test.player.cheer(2, 7)", ben, "pulse", &cheered).await?);
            let vote = format!("test.player.vote(test.player.stage.poll.poll, {})", nth % 2);
            let voted = format!("({{ poll }}) => poll?.votes[{}] === 1", nth % 2);
            took[2].push(seen(ada, &vote, ben, "pulse", &voted).await?);
        }
        for (what, took) in ["a line", "a cheer", "a vote"].into_iter().zip(took) {
            soon(what, way, took);
        }
        assert!(ada.log().is_empty() && ben.log().is_empty(), "{:#?} {:#?}", ada.log(), ben.log());
    }
    Ok(())
}

#[tokio::test]
async fn who_loads_the_page_again_is_the_same_fan_with_the_same_vote() -> Result<()> {
    let evening = Evening::new(Way::WebTransport).await?;
    let (_site, creator) = evening.creator().await?;
    let [ada, _] = &evening.fans;
    let ask =
        "test.player.moderate({ openPoll: { question: 'Encore?', options: ['yes', 'no'], seconds: 600 } })";
    seen(&creator, ask, ada, "stage", "({ poll }) => poll?.open").await?;
    ada.eval("test.player.vote(test.player.stage.poll.poll, 0)").await?;
    let before = who(ada).await?;
    let again = enter(&evening.browser, &evening.sites[0], "").await?;
    assert_eq!(who(&again).await?, before);
    assert_eq!(again.eval("test.player.identity.vote.option").await?, 0);
    let second = "test.player.vote(test.player.identity.vote.poll, 1).catch(({ code }) => code)";
    assert_eq!(text(&again.eval(second).await?), "already-voted");
    Ok(())
}

#[tokio::test]
async fn a_banned_fan_stays_banned() -> Result<()> {
    let evening = Evening::new(Way::WebTransport).await?;
    let (_site, creator) = evening.creator().await?;
    let [ada, ben] = &evening.fans;
    let fan = who(ada).await?;
    let ban = format!("test.player.moderate({{ ban: {{ fan: '{fan}' }} }})");
    let took = seen(&creator, &ban, ada, "identity", "({ standing }) => standing === 'banned'").await?;
    soon("a ban", Way::WebTransport, vec![took]);
    let say = "test.player.say('let me in').then(() => 'said', ({ code }) => code)";
    assert_eq!(text(&ada.eval(say).await?), "banned");
    let again = enter(&evening.browser, &evening.sites[0], "").await?;
    assert_eq!(who(&again).await?, fan);
    assert_eq!(text(&again.eval("test.player.identity.standing").await?), "banned");
    assert_eq!(text(&again.eval(say).await?), "banned");
    assert_eq!(ben.eval("test.player.lines.length").await?, 0);
    Ok(())
}

#[tokio::test]
async fn script_in_a_name_or_a_line_is_text() -> Result<()> {
    let evening = Evening::new(Way::WebTransport).await?;
    let page =
        evening.browser.open(&evening.stack.url(&format!("/{}", fanfare_tests::ROOM)), 1280, 800).await?;
    page.eval("new Promise((open) => { const look = () => document.querySelector('.side')?.hidden === false ? open(true) : requestAnimationFrame(look); look(); })")
        .await?;
    let [ada, _] = &evening.fans;
    let evil = json!(EVIL);
    ada.eval(&format!("test.player.rename({evil})")).await?;
    ada.eval(&format!("test.player.say({evil}, {{ danmaku: {{}} }})")).await?;
    let shown = "new Promise((shown) => { const look = () => document.querySelector('.log .text') ? shown(true) : requestAnimationFrame(look); look(); })";
    page.eval(shown).await?;
    let line = page.eval("document.querySelector('.log .text').textContent").await?;
    let name = page.eval("document.querySelector('.log .who').textContent").await?;
    assert_eq!((text(&line), text(&name)), (EVIL.to_owned(), EVIL.to_owned()));
    assert_eq!(page.eval("document.querySelectorAll('.log img, .log b, .danmaku img').length").await?, 0);
    assert_eq!(page.eval("globalThis.caught ?? 0").await?, 0);
    Ok(())
}

/// An act sent without a connection arrives once there is one, and is counted once.
#[tokio::test]
async fn what_is_said_while_the_edge_is_away_is_there_once() -> Result<()> {
    let mut evening = Evening::new(Way::WebTransport).await?;
    let away = "globalThis.away = test.player.say('are you there?'), true";
    evening.stack.restart(fanfare_tests::Node::FanEdge, fanfare_tests::Exit::Killed).await?;
    let [ada, ben] = &evening.fans;
    ada.eval(away).await?;
    let settled = ada.eval("globalThis.away").await?;
    assert!(settled["id"].is_u64(), "{settled}");
    let lines = "test.player.lines.filter(({ text }) => text === 'are you there?').length";
    let there = format!("{lines} ? true : test.until('chat', () => {lines}).then(() => true)");
    assert_eq!(ben.eval(&there).await?, true);
    ben.eval(&crate::trouble::frames_later(30)).await.context("it plays on")?;
    assert_eq!(ben.eval(lines).await?, 1);
    Ok(())
}
