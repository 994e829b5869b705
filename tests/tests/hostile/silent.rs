//! Those who ask for everything and read nothing.

use anyhow::{Result, bail};
use fanfare_tests::{Door, House, ROOM, Talker};
use moqt::{Namespace, Params, TrackName};
use outbox::{Failure, Outcome};
use serde_json::json;
use token::Role;
use wire::{Reason, names};

use crate::{Innocents, evening, intruder::Intruder};

const SILENT: usize = 20;
/// Held lines that they are not going to read. One fan says them all, as fast as the room lets one fan speak.
const LINES: usize = 20;

#[tokio::test]
async fn hostile_fans_who_never_read() -> Result<()> {
    evening(async |house: House| {
        let mut innocents = Innocents::enter(&house).await?;
        // A moderator has no pace of one fan to keep to.
        let token = house.token_of(Role::Moderator, "a moderator who reads")?;
        innocents.one = Talker::enter(&house, Door::Fans, Some(token))?;
        innocents.one.joined().await?;
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
        let (mut held, mut tries) = (0, 0);
        while held < LINES {
            tries += 1;
            let link =
                json!({ "say": { "text": format!("https://example.com/{tries}/{}", "x".repeat(250)) } });
            match innocents.other.order(link).await? {
                Outcome::Held => held += 1,
                // The answer is what paces the next try: it comes with a tick of the edge.
                Outcome::Failed(Failure::Rejected(Reason::TooFast { .. })) => {}
                outcome => bail!("{outcome:?} for line {tries}, after {held} that were held"),
            }
            innocents.go_on().await?;
        }
        Ok(())
    })
    .await
}
