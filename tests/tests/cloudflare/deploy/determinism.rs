//! A room has the same effects in workerd as natively.

use anyhow::{Context as _, Result};
use fanfare_tests::Isolate;

const TICKS: u32 = 400;

#[tokio::test]
async fn determinism_of_a_room_in_workerd() -> Result<()> {
    // `cargo xtask test` builds the rehearsal.
    let isolate = Isolate::rehearsing().await?;
    let mut before = String::new();
    for seed in 0..8 {
        let native = fanfare_rehearsal::rehearse(seed, TICKS);
        assert_ne!(native, before, "another seed is another rehearsal");
        let answer = isolate.ask("GET", &format!("/?seed={seed}&ticks={TICKS}"), None).await?;
        let (_, body) = answer.split_once("\r\n\r\n").context("no answer")?;
        assert_eq!(body, native, "seed {seed}");
        println!("seed {seed}: {native}");
        before = native;
    }
    Ok(())
}
