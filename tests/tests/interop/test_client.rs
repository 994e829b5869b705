//! `moq-test-client` of moq-rs: what a relay must do, case by case.

use anyhow::{Result, ensure};
use fanfare_tests::{Door, House, Peer};

/// How many cases it has.
const CASES: usize = 18;

#[tokio::test]
async fn the_origin_passes_every_case() -> Result<()> {
    passes(&House::empty().await?, Door::Origin).await
}

#[tokio::test]
async fn an_edge_with_an_origin_behind_it_passes_every_case() -> Result<()> {
    passes(&House::empty().await?, Door::Creators).await
}

/// All cases over WebTransport, and again, in the same house, over raw QUIC: what went before leaves nothing behind.
async fn passes(house: &House, door: Door) -> Result<()> {
    let mut failed = Vec::new();
    for scheme in ["https", "moqt"] {
        let url = format!("{scheme}://localhost:{}/?jwt={}", house.door(door).port(), house.token()?);
        let mut client = Peer::start("moq-test-client", ["--tls-disable-verify", "--relay", &url])?;
        let (_, tap) = client.end().await?;
        let passed = tap.lines().filter(|line| line.starts_with("ok ")).count();
        println!("{door:?} over {scheme}: {passed} of {CASES}");
        if passed < CASES {
            let wrong = |line: &&str| line.starts_with("not ok") || line.contains("message:");
            let wrong: Vec<_> = tap.lines().filter(wrong).map(str::trim).collect();
            failed.push(format!("{scheme}, {passed} of {CASES}: {wrong:#?}"));
        }
    }
    ensure!(failed.is_empty(), "{}", failed.join("\n"));
    Ok(())
}
