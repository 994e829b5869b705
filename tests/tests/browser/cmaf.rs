//! Fragmented MP4 as `fanfare publish --cmaf` sends it.

use std::path::Path;

use anyhow::Result;
use creator::{Input, Repeat, Source};
use fanfare_tests::{Browser, Isolation, Site, Stack};
use media::Packaging;

use crate::{number, ready, text};

/// A video that grows lighter for two seconds, 25 frames a second, and starts over; see the fixtures' README.
const RAMP: &str = "fixtures/ramp.frag.mp4";
/// The step in brightness between two frames, and the fall at the end of a ramp.
const STEP: f64 = 255.0 / 219.0 * 4.0;
const RAMP_HEIGHT: f64 = 49.0 * STEP;

#[tokio::test]
async fn fragments_with_b_frames_are_played_in_the_order_of_showing() -> Result<()> {
    let browser = Browser::start().await?;
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(RAMP);
    let source = Source::open(vec![Input::File(file)], Packaging::Cmaf, Repeat::Forever).await?;
    let stack = Stack::open(source).await?;
    let site = Site::start(stack.edge(), Isolation::Isolated).await?;
    let page = browser.open(&site.url("/test/player.html"), 800, 600).await?;
    ready(&page).await?;
    page.eval("test.state('live')").await?;
    assert_eq!(page.eval("test.player.unmute()").await?, true, "{:#?}", page.log());
    page.eval("test.until('stats', (stats) => stats.sync !== null && Math.abs(stats.sync) < 40)").await?;

    // Longer than the file, which the creator repeats.
    let before = number(&page, "test.stats().then((stats) => stats.frames)").await?;
    let levels = page.eval("test.levels(test.canvas, 8000)").await?;
    let stats = page.eval("test.stats()").await?;
    println!("{stats}");
    let levels: Vec<f64> =
        levels.as_array().into_iter().flatten().filter_map(serde_json::Value::as_f64).collect();
    let falls: Vec<f64> =
        levels.windows(2).map(|pair| pair[0] - pair[1]).filter(|fall| *fall > 0.0).collect();
    let ends = falls.iter().filter(|fall| **fall > RAMP_HEIGHT / 2.0).count();
    assert!((3..=5).contains(&ends), "{ends} ramps end in eight seconds");
    assert_eq!(falls.len(), ends, "nothing but the end of a ramp is darker than what was before: {levels:?}");
    let shown = stats["frames"].as_f64().unwrap_or_default() - before;
    assert!(shown > 150.0, "{shown} of 200 frames");
    assert_eq!(page.eval("test.errors").await?, serde_json::json!([]), "{:#?}", page.log());
    assert!(text(&stats["codec"]).starts_with("avc1."), "{stats}");
    // The latency is by the creator's clock, though the file has times of its own.
    let latency = stats["latency"].as_f64().unwrap_or(f64::INFINITY);
    assert!((100.0..1_500.0).contains(&latency), "{latency} ms");
    Ok(())
}
