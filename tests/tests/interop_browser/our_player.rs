//! Our player, on our watch page, plays what programs of others publish.

use anyhow::{Context as _, Result};
use fanfare_tests::{Browser, Door, House, Peer, ROOM, Tape};

/// Waits until so many frames have been shown.
const FRAMES: &str = "new Promise((shown, failed) => {
    const end = setTimeout(() => failed(new Error(JSON.stringify(globalThis.player?.player?.stats ?? null))), 25_000);
    const look = () => {
        if ((globalThis.player?.player?.stats?.frames ?? 0) < 45) return requestAnimationFrame(look);
        clearTimeout(end);
        shown(player.player.stats);
    };
    look();
})";

/// A catalog that is older than MSF, CMAF, and an initialisation segment on a track of its own.
#[tokio::test]
async fn it_plays_what_moq_pub_publishes() -> Result<()> {
    let browser = Browser::start().await?;
    let house = House::empty().await?;
    let publisher = Peer::moq_pub(&house, Door::Creators, "https").await?;
    plays(&browser, &house, publisher).await
}

/// A catalog of moq-dev's own, CMAF.
#[tokio::test]
#[ignore = "takes moq-cli, which `cargo xtask interop` builds"]
async fn it_plays_what_moq_cli_publishes() -> Result<()> {
    let browser = Browser::start().await?;
    let house = House::empty().await?;
    let publisher = Peer::moq(&house, Door::Creators, "https", &["import", "fmp4"])?;
    plays(&browser, &house, publisher).await
}

async fn plays(browser: &Browser, house: &House, mut publisher: Peer) -> Result<()> {
    let mut tape = Tape::new()?;
    publisher.write(tape.header()).await?;
    let watch = async {
        let page = browser.open(&house.url(&format!("/{ROOM}")), 1280, 800).await?;
        let stats = page.eval(FRAMES).await.with_context(|| page.log().join("\n"))?;
        println!("{stats}");
        assert_eq!(stats["errors"], 0, "{stats}");
        assert_eq!(stats["transport"], "WebTransport", "{stats}");
        Ok(())
    };
    tokio::select! {
        watched = watch => watched,
        ended = tape.play_on(&mut publisher) => match ended? {},
    }
}
