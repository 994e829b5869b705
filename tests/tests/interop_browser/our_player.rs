//! Our player, on our watch page, plays what programs of others publish.

use anyhow::{Context as _, Result};
use fanfare_tests::{Browser, LoopedMedia, Node, Peer, ROOM, Stack};

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
    let stack = Stack::empty().await?;
    let publisher = Peer::moq_pub(&stack, Node::CreatorEdge, "https").await?;
    plays(&browser, &stack, publisher).await
}

/// A catalog of moq-dev's own, CMAF.
#[tokio::test]
#[ignore = "takes moq-cli, which `cargo xtask interop` builds"]
async fn it_plays_what_moq_cli_publishes() -> Result<()> {
    let browser = Browser::start().await?;
    let stack = Stack::empty().await?;
    let publisher = Peer::moq(&stack, Node::CreatorEdge, "https", &["import", "fmp4"])?;
    plays(&browser, &stack, publisher).await
}

async fn plays(browser: &Browser, stack: &Stack, mut publisher: Peer) -> Result<()> {
    let mut media = LoopedMedia::new()?;
    publisher.write(media.header()).await?;
    let watch = async {
        let page = browser.open(&stack.url(&format!("/{ROOM}")), 1280, 800).await?;
        let stats = page.eval(FRAMES).await.with_context(|| page.log().join("\n"))?;
        println!("{stats}");
        assert_eq!(stats["errors"], 0, "{stats}");
        assert_eq!(stats["transport"], "WebTransport", "{stats}");
        Ok(())
    };
    tokio::select! {
        watched = watch => watched,
        ended = media.play_on(&mut publisher) => match ended? {},
    }
}
