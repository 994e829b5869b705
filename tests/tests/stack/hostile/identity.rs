//! Clients that claim an identity which is not theirs.

use anyhow::{Context as _, Result, ensure};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use fan::Update;
use fanfare_tests::{Node, ROOM, Stack, Talker};
use outbox::{Failure, Outcome};
use serde_json::json;
use token::{Algorithm, Claims, Keys, Role};
use wire::Reason;

use crate::hostile::{Innocents, evening};

const LIFE: std::time::Duration = std::time::Duration::from_hours(1);

/// Checks that a client with that token is an ordinary fan, without the right to moderate.
async fn is_nobody(stack: &Stack, token: String) -> Result<()> {
    let mut forger = Talker::enter(stack, Node::FanEdge, Some(token))?;
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
    evening(async |stack: Stack| {
        let mut innocents = Innocents::enter(&stack).await?;
        let real = stack.token()?;
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
            is_nobody(&stack, token).await?;
            innocents.go_on().await?;
        }
        Ok(())
    })
    .await
}

/// A token's rights end with the room that it is for.
#[tokio::test]
async fn hostile_moderator_of_another_room() -> Result<()> {
    evening(async |stack: Stack| {
        let mut innocents = Innocents::enter(&stack).await?;
        for role in [Role::Moderator, Role::Creator, Role::Edge] {
            for room in ["another", "another/room", &format!("{ROOM}s")] {
                is_nobody(&stack, stack.sign(&Claims::new(room, role, "somebody", LIFE))?).await?;
            }
        }
        is_nobody(&stack, stack.token_of(Role::Fan, "somebody")?).await?;
        innocents.go_on().await
    })
    .await
}
