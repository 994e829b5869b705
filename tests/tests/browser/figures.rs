//! Measures the age of the picture, the offset of the sound, and the load of the main thread.

use std::fmt;

use anyhow::{Context as _, Result};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use fanfare_tests::Page;
use media::testcard::clock;

/// The ages of pictures on the canvas, in milliseconds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ages(Vec<f64>);

impl Ages {
    /// Samples the page's canvas for `length` milliseconds.
    pub(crate) async fn measure(page: &Page, length: u32) -> Result<Self> {
        let expression = format!("test.pictures(test.canvas, {length})");
        let pictures = page.eval(&expression).await?;
        let side = |name: &str| pictures[name].as_u64().map(|side| side as usize).context("no pictures");
        let (width, height) = (side("width")?, side("height")?);
        let mut ages = Vec::new();
        for picture in pictures["taken"].as_array().context("no pictures")? {
            let at = picture[0].as_f64().context("no time")?;
            let luma = BASE64_STANDARD.decode(picture[1].as_str().context("no luma")?)?;
            if let Some(clock) = clock::read(&luma, width, height) {
                ages.push(at - clock as f64);
            }
        }
        ages.sort_by(f64::total_cmp);
        Ok(Self(ages))
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The quantile `part` of the ages.
    pub(crate) fn at(&self, part: f64) -> f64 {
        let last = self.0.len().saturating_sub(1);
        self.0.get((last as f64 * part).round() as usize).copied().unwrap_or(f64::INFINITY)
    }
}

impl fmt::Display for Ages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (p50, p95, max) = (self.at(0.5), self.at(0.95), self.at(1.0));
        write!(f, "p50 {p50:.0} ms, p95 {p95:.0} ms, max {max:.0} ms of {} pictures", self.len())
    }
}

/// The offsets of beeps from their full seconds, in milliseconds, sorted.
pub(crate) async fn beeps(page: &Page, length: u32) -> Result<Vec<f64>> {
    let heard = page.eval(&format!("test.beeps(test.player.audioNode, {length})")).await?;
    let mut ages: Vec<f64> = heard
        .as_array()
        .context("no beeps")?
        .iter()
        .filter_map(|at| at.as_f64().map(|at| at.rem_euclid(1_000.0)))
        .collect();
    ages.sort_by(f64::total_cmp);
    Ok(ages)
}

/// The fraction of `length` milliseconds for which the page's main thread was busy.
pub(crate) async fn main_thread(page: &Page, length: u32) -> Result<f64> {
    page.call("Performance.enable", serde_json::json!({ "timeDomain": "timeTicks" })).await?;
    let figures = async || -> Result<(f64, f64)> {
        let metrics = page.call("Performance.getMetrics", serde_json::json!({})).await?;
        let metric = |name: &str| {
            metrics["metrics"].as_array()?.iter().find(|metric| metric["name"] == name)?["value"].as_f64()
        };
        Ok((
            metric("Timestamp").context("no time")?,
            metric("TaskDuration").context("no durations of tasks")?,
        ))
    };
    let before = figures().await?;
    page.eval(&format!("new Promise((over) => setTimeout(over, {length}))")).await?;
    let after = figures().await?;
    Ok((after.1 - before.1) / (after.0 - before.0))
}
