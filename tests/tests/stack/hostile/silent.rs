//! Members that subscribe to everything and read nothing.

use anyhow::{Result, bail};
use fanfare_tests::{Node, ROOM, Stack, Talker};
use moqt::{Namespace, Params, TrackName};
use outbox::{Failure, Outcome};
use serde_json::json;
use token::Role;
use wire::{Reason, names};

use crate::hostile::{Innocents, evening, intruder::Intruder};

const SILENT: usize = 20;
/// Held chat lines that the silent members do not read. One fan sends them all, as fast as the room allows one fan.
const LINES: usize = 20;

#[tokio::test]
async fn hostile_fans_who_never_read() -> Result<()> {
    evening(async |stack: Stack| {
        let mut innocents = Innocents::enter(&stack).await?;
        // A moderator's lines are not rate-limited.
        let token = stack.token_of(Role::Moderator, "a moderator who reads")?;
        innocents.one = Talker::enter(&stack, Node::FanEdge, Some(token))?;
        innocents.one.joined().await?;
        let room = Namespace::from_path(ROOM)?;
        let shown = Namespace::new([names::ROOM])?.join(&room)?;
        let mut silent = Vec::new();
        for at in 0..SILENT {
            // Moderators receive the most messages.
            let token = stack.token_of(Role::Moderator, &format!("moderator {at}"))?;
            let mut intruder = Intruder::enter(&stack, Some(token)).await?;
            intruder.hello(at as u64).await?;
            for (namespace, track) in
                [(&shown, "chat"), (&shown, "pulse"), (&shown, "stage"), (&room, "video/90p")]
            {
                let name = TrackName::new(namespace.clone(), track)?;
                intruder.client.call(|session, _| session.subscribe(name, Params::default())).await??;
            }
            intruder.client.freeze();
            silent.push(intruder);
        }
        innocents.go_on().await?;
        let (mut held, mut tries) = (0, 0);
        while held < LINES {
            tries += 1;
            let link =
                json!({ "say": { "text": format!("https://example.com/{tries}/{}", "x".repeat(250)) } });
            match innocents.other.order(link).await? {
                Outcome::Held => held += 1,
                // The rejection sets the pace of the next try: it comes with a tick of the edge.
                Outcome::Failed(Failure::Rejected(Reason::TooFast { .. })) => {}
                outcome => bail!("{outcome:?} for line {tries}, after {held} that were held"),
            }
            innocents.go_on().await?;
        }
        Ok(())
    })
    .await
}
