//! Who somebody claims to be.

use anyhow::{Context as _, Result, ensure};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use fan::Update;
use fanfare_tests::{Door, House, ROOM, Talker};
use outbox::{Failure, Outcome};
use serde_json::json;
use token::{Algorithm, Claims, Keys, Role};
use wire::Reason;

use crate::{Innocents, evening};

const LIFE: std::time::Duration = std::time::Duration::from_hours(1);

/// With that token they are a fan like any other, and may moderate nobody.
async fn is_nobody(house: &House, token: String) -> Result<()> {
    let mut forger = Talker::enter(house, Door::Fans, Some(token))?;
    let identity = loop {
        if let Update::Identity(identity) = forger.next().await? {
            break identity;
        }
    };
    ensure!(identity.role == wire::Role::Fan, "{identity:?}");
    for act in [json!("unpin"), json!({ "setTitle": "mine" }), json!({ "ban": { "author": 1 } })] {
        let outcome = forger.order(json!({ "moderate": act })).await?;
        ensure!(outcome == Outcome::Failed(Failure::Rejected(Reason::NotAllowed)), "{act}: {outcome:?}");
    }
    Ok(())
}

#[tokio::test]
async fn hostile_identities_that_are_forged() -> Result<()> {
    evening(async |house: House| {
        let mut innocents = Innocents::enter(&house).await?;
        let real = house.token()?;
        let (unsigned, _) = real.rsplit_once('.').context("a token")?;
        let payload = unsigned.split('.').nth(1).context("a token")?;
        let none = BASE64.encode(json!({ "alg": "none", "typ": "JWT" }).to_string());
        let strangers = Keys::generate(Algorithm::EdDSA)?;
        let creator = Claims::new(ROOM, Role::Creator, "a creator", LIFE);
        for token in [
            format!("{unsigned}.{}", BASE64.encode([1; 64])),
            format!("{none}.{payload}."),
            format!("{none}.{payload}.{}", BASE64.encode([0; 64])),
            strangers.mint(&creator)?,
            "not a token".to_owned(),
        ] {
            is_nobody(&house, token).await?;
            innocents.go_on().await?;
        }
        Ok(())
    })
    .await
}

/// Rights end with the room that they are for.
#[tokio::test]
async fn hostile_moderator_of_another_room() -> Result<()> {
    evening(async |house: House| {
        let mut innocents = Innocents::enter(&house).await?;
        for role in [Role::Moderator, Role::Creator, Role::Edge] {
            for room in ["another", "another/room", &format!("{ROOM}s")] {
                is_nobody(&house, house.sign(&Claims::new(room, role, "somebody", LIFE))?).await?;
            }
        }
        is_nobody(&house, house.token_of(Role::Fan, "somebody")?).await?;
        innocents.go_on().await
    })
    .await
}
