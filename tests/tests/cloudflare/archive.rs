//! The archive of people's data, and its end.

use anyhow::{Context as _, Result, ensure};
use fanfare_tests::Talker;
use outbox::Outcome;
use serde_json::{Value, json};
use token::{Claims, Role};

use crate::{LIFE, ROOM, evening, owner};

#[tokio::test]
async fn a_person_is_exported_and_forgotten_whether_the_room_is_awake_or_not() -> Result<()> {
    evening(
        |_| {},
        async |mut isolate, keys| {
            let bob = keys.mint(&Claims::new(ROOM, Role::Fan, "bob", LIFE))?;
            let operator = keys.mint(&Claims::new("*", Role::Operator, "operator", LIFE))?;
            let of_room = keys.mint(&Claims::new(ROOM, Role::Operator, "operator of a room", LIFE))?;
            let creator = keys.mint(&Claims::new("*", Role::Creator, "creator", LIFE))?;
            for asleep in [false, true] {
                let mut talker = Talker::enter_at(isolate.url()?, ROOM, Some(bob.clone()))?;
                talker.joined().await?;
                let said = talker.order(json!({ "say": { "text": "remember me" } })).await?;
                ensure!(matches!(said, Outcome::Taken { .. }), "{said:?}");
                let fan = talker.fan.context("the fan has no identity yet")?;
                drop(talker);
                if asleep {
                    isolate.kill().await?;
                    isolate.restart().await?;
                }
                let path = format!("/api/fans/{fan}");
                let export: Value = serde_json::from_str(&isolate.get(&path, &operator).await?)?;
                ensure!(export["lines"][0]["text"] == "remember me", "{export}");
                let room = isolate.get(&format!("/api/archive?room={ROOM}"), &of_room).await?;
                ensure!(room.contains("remember me"), "{room}");

                let refused = [
                    (None, "401"),
                    (Some(bob.as_str()), "403"),
                    (Some(creator.as_str()), "403"),
                    (Some("x.y.z"), "401"),
                ];
                for (token, wanted) in refused {
                    for (method, path) in
                        [("GET", &path), ("DELETE", &path), ("GET", &format!("/api/archive?room={ROOM}"))]
                    {
                        let answer = isolate.ask(method, path, token).await?;
                        ensure!(
                            answer.starts_with(&format!("HTTP/1.1 {wanted}")),
                            "{method} {path}: {answer}"
                        );
                    }
                }

                let answer = isolate.ask("DELETE", &path, Some(&operator)).await?;
                ensure!(answer.starts_with("HTTP/1.1 204"), "{answer}");
                let export: Value = serde_json::from_str(&isolate.get(&path, &operator).await?)?;
                ensure!(export["lines"] == json!([]), "{export}");
                let mut late = Talker::enter_at(isolate.url()?, ROOM, Some(owner(&keys)?))?;
                late.joined().await?;
                let said = late.order(json!({ "say": { "text": "who was here?" } })).await?;
                ensure!(matches!(said, Outcome::Taken { .. }), "{said:?}");
                let room = isolate.get(&format!("/api/archive?room={ROOM}"), &of_room).await?;
                ensure!(!room.contains("remember me") && room.contains("who was here?"), "{room}");
            }
            Ok(())
        },
    )
    .await
}
