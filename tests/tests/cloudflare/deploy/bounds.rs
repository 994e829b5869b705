//! A room at all its bounds fits the memory of an isolate.

use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use fanfare_tests::Isolate;
use serde_json::Value;

/// Memory of an isolate, which Cloudflare documents: JavaScript's and Wasm's together.
const ISOLATE: u64 = 128 << 20;
/// The part of it that a room at its bounds leaves to everything else: connections, media and JavaScript's own. What is
/// measured has some of that in it already: filling the room takes memory that Wasm does not give back.
const SPARE: u64 = 24 << 20;

/// The room's code and bounds are those of the deployed Worker, and the platform is workerd. The Worker's own
/// connections and media are not there.
#[tokio::test]
async fn a_room_at_all_its_bounds_fits_an_isolate() -> Result<()> {
    let isolate = Isolate::rehearsing().await?;
    for step in ["fill", "snapshot", "restore", "compare"] {
        let began = Instant::now();
        let answer = isolate.ask("GET", &format!("/?step={step}"), None).await?;
        let took = began.elapsed();
        let (_, body) = answer.split_once("\r\n\r\n").context("no answer")?;
        let facts: Value = serde_json::from_str(body).with_context(|| answer.clone())?;
        let bytes = |name: &str| facts[name].as_u64().with_context(|| answer.clone());
        let (memory, snapshot) = (bytes("memory")?, bytes("snapshot")?);
        let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
        println!("{step}: {took:?}, Wasm {:.1} MiB, snapshot {:.1} MiB", mib(memory), mib(snapshot));
        ensure!(facts["same"] == true, "the restored room has another snapshot");
        ensure!(memory + snapshot + SPARE <= ISOLATE, "{:.1} MiB", mib(memory + snapshot));
        ensure!(step == "fill" || snapshot > 1 << 20, "the room is not full");
    }
    Ok(())
}
