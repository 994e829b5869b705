//! `moq-test-client` of moq-rs: the duties of a relay, case by case.

use anyhow::{Result, ensure};
use fanfare_tests::{Node, Peer, Stack};

/// The number of its cases.
const CASES: usize = 18;

#[tokio::test]
async fn the_origin_passes_every_case() -> Result<()> {
    passes(&Stack::empty().await?, Node::Origin).await
}

#[tokio::test]
async fn an_edge_with_an_origin_behind_it_passes_every_case() -> Result<()> {
    passes(&Stack::empty().await?, Node::CreatorEdge).await
}

/// Runs all cases over WebTransport and then over raw QUIC, on the same stack: the first run must leave nothing behind.
async fn passes(stack: &Stack, node: Node) -> Result<()> {
    let mut failed = Vec::new();
    for scheme in ["https", "moqt"] {
        let url = format!("{scheme}://localhost:{}/?jwt={}", stack.addr_of(node).port(), stack.token()?);
        let mut client = Peer::start("moq-test-client", ["--tls-disable-verify", "--relay", &url])?;
        let (_, tap) = client.end().await?;
        let passed = tap.lines().filter(|line| line.starts_with("ok ")).count();
        println!("{node:?} over {scheme}: {passed} of {CASES}");
        if passed < CASES {
            let wrong = |line: &&str| line.starts_with("not ok") || line.contains("message:");
            let wrong: Vec<_> = tap.lines().filter(wrong).map(str::trim).collect();
            failed.push(format!("{scheme}, {passed} of {CASES}: {wrong:#?}"));
        }
    }
    ensure!(failed.is_empty(), "{}", failed.join("\n"));
    Ok(())
}
