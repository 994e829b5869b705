//! Those who ask for everything and read nothing.

use anyhow::{Result, ensure};
use fanfare_tests::{House, ROOM};
use moqt::{Namespace, Params, TrackName};
use serde_json::json;
use token::Role;
use outbox::Outcome;
use wire::names;

use crate::{Innocents, evening, intruder::Intruder};

const SILENT: usize = 20;
/// Lines that they are not going to read: at the pace of one fan.
const LINES: usize = 20;

#[tokio::test]
async fn hostile_fans_who_never_read() -> Result<()> {
    evening(async |house: House| {
        let mut innocents = Innocents::enter(&house).await?;
        let room = Namespace::from_path(ROOM)?;
        let shown = Namespace::new([names::ROOM])?.join(&room)?;
        let mut silent = Vec::new();
        for at in 0..SILENT {
            // To moderators most is said.
            let token = house.token_of(Role::Moderator, &format!("moderator {at}"))?;
            let mut intruder = Intruder::enter(&house, Some(token)).await?;
            intruder.hello(at as u64).await?;
            for (namespace, track) in
                [(&shown, "chat"), (&shown, "pulse"), (&shown, "stage"), (&room, "video/90p")]
            {
                let name = TrackName::new(namespace.clone(), track)?;
                intruder.guest.call(|session, _| session.subscribe(name, Params::default())).await??;
            }
            intruder.guest.freeze();
            silent.push(intruder);
        }
        innocents.go_on().await?;
        for at in 0..LINES {
            let held = json!({ "say": { "text": format!("https://example.com/{at}/{}", "x".repeat(250)) } });
            let outcome = innocents.other.order(held).await?;
            ensure!(matches!(outcome, Outcome::Held | Outcome::Failed(_)), "{outcome:?}");
            innocents.go_on().await?;
            tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        }
        Ok(())
    })
    .await
}
