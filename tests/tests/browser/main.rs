//! A live show in headless Chromium.
//!
//! The test card has its time burned in and beeps at full seconds, and creator, edge and browser have the same clock:
//! so the canvas and the sound show their own age. Figures are printed; the bounds that are asserted leave room for
//! busy machines.

mod cloudflare;
mod cmaf;
mod determinism;
mod embed;
mod fallback;
mod figures;
mod playing;
mod quality;
mod room;
mod room_page;
mod sparing;
mod stack;
mod trouble;
mod watch_page;

use anyhow::{Context as _, Result};
use fanfare_tests::{Browser, Isolation, Page, Site, TestCardServer};
use media::testcard::{Config, Rendition};
use serde_json::Value;

/// A test card server, a site for its pages and a browser.
struct Fixture {
    server: TestCardServer,
    site: Site,
    browser: Browser,
}

impl Fixture {
    async fn new(isolation: Isolation) -> Result<Self> {
        let browser = Browser::start().await?;
        let server = TestCardServer::open(card()).await?;
        let site = Site::start(server.edge(), isolation).await?;
        Ok(Self { server, site, browser })
    }

    async fn play(&self, query: &str) -> Result<Page> {
        let page = self.browser.open(&self.site.url(&format!("/test/player.html{query}")), 800, 600).await?;
        ready(&page).await?;
        Ok(page)
    }
}

/// Two small renditions: encoder, decoder and browser share the machine.
fn card() -> Config {
    let renditions = vec![
        Rendition { width: 640, height: 360, bitrate: 800_000 },
        Rendition { width: 320, height: 180, bitrate: 250_000 },
    ];
    Config { renditions, title: "TEST".into(), ..Config::default() }
}

/// Waits until the page's own script has run.
async fn ready(page: &Page) -> Result<()> {
    const LOADED: &str = "new Promise((resolve) => {
        const look = () => globalThis.test ? resolve(true) : requestAnimationFrame(look);
        look();
    })";
    page.eval(LOADED).await.map(drop)
}

async fn number(page: &Page, expression: &str) -> Result<f64> {
    let value = page.eval(expression).await?;
    value.as_f64().with_context(|| format!("{expression} gave {value}; the page said {:#?}", page.log()))
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
