//! A room has the same effects in a browser as natively.

use anyhow::Result;
use fanfare_tests::{Browser, Isolation, Site};
use serde_json::json;

use crate::text;

const TICKS: u32 = 400;

#[tokio::test]
async fn determinism_of_a_room_in_chromium() -> Result<()> {
    let browser = Browser::start().await?;
    let site = Site::start(json!({}), Isolation::Open).await?;
    let page = browser.open(&site.url("/test/stranger.html"), 800, 600).await?;
    // `cargo xtask test` builds the rehearsal.
    let load = "import('/rehearsal/fanfare-rehearsal.js').then(async (built) => {
        await built.default();
        globalThis.rehearse = built.rehearse;
        return true;
    })";
    assert_eq!(page.eval(load).await?, true);
    let mut before = String::new();
    for seed in 0..8 {
        let native = fanfare_rehearsal::rehearse(seed, TICKS);
        assert_ne!(native, before, "another seed is another rehearsal");
        let browser = text(&page.eval(&format!("rehearse({seed}, {TICKS})")).await?);
        assert_eq!(browser, native, "seed {seed}");
        println!("seed {seed}: {native}");
        before = native;
    }
    Ok(())
}
