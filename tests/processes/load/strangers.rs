//! Measures what fans notice of two hundred strangers, for a minute.

use std::time::Duration;

use anyhow::{Result, ensure};

use crate::{
    number,
    strangers::{Carrier, attack},
};

/// The duration of the attack in seconds, unless `FANFARE_SECONDS` sets it.
const SECONDS: u64 = 60;
/// The waves in which the strangers come.
const WAVES: u32 = 3;
/// The longest that a chat message waits for its ack, for 99 of 100 messages, in milliseconds.
const ACK: f64 = 150.0;

async fn measure(carrier: Carrier) -> Result<()> {
    let seconds = number("FANFARE_SECONDS").unwrap_or(SECONDS);
    let mut acks = attack(carrier, Duration::from_secs(seconds), WAVES).await?;
    let most = acks.at(0.99);
    ensure!(most <= ACK, "99 of 100 messages are acked within {most:.0} ms; {ACK:.0} are allowed");
    Ok(())
}

#[tokio::test]
#[ignore = "a benchmark: `cargo xtask bench strangers`"]
async fn load_strangers_over_quic() -> Result<()> {
    measure(Carrier::Quic).await
}

#[tokio::test]
#[ignore = "a benchmark: `cargo xtask bench strangers`"]
async fn load_strangers_over_websockets() -> Result<()> {
    measure(Carrier::WebSocket).await
}
