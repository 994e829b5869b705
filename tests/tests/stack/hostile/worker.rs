//! A worker that fails in one room.

use anyhow::{Result, ensure};
use fanfare_tests::{Exit, Node, ROOM, ScriptedSession, Stack, Talker};
use moqt::{DoneCode, Event, Namespace, Params};
use outbox::Outcome;
use serde_json::json;

use crate::hostile::{
    Innocents, evening,
    guest::{Flaw, flawed},
    intruder::{Intruder, say},
};

/// The input on which the worker fails: eight bytes.
const POISON: &str = "poisoned";
const ANOTHER: &str = "another";

/// The fans of the room join anew, and may go on; those of another room notice nothing.
#[tokio::test]
async fn hostile_worker_in_one_room() -> Result<()> {
    evening(async |mut stack: Stack| {
        stack.set_worker(&flawed(Flaw::Poisoned(*POISON.as_bytes().as_array().expect("eight bytes"))))?;
        stack.restart(Node::FanEdge, Exit::Stopped).await?;
        let mut creator = ScriptedSession::enter(&stack, Node::Origin, Some(stack.token()?)).await?;
        let another = Namespace::from_path(ANOTHER)?;
        creator.call(|session, _| session.publish_namespace(another, Params::default())).await??;
        creator.until(|event| matches!(event, Event::RequestOk { .. }).then_some(())).await?;
        let mut innocents = Innocents::enter_room(&stack, ANOTHER).await?;
        let mut fan = Talker::enter(&stack, Node::FanEdge, None)?;
        fan.joined().await?;
        for nth in 0..3 {
            let mut intruder = Intruder::enter(&stack, None).await?;
            intruder.hello(nth).await?;
            intruder.send(wire::packet(&say(1, POISON))).await?;
            let (code, why) = intruder.membership_end().await?;
            ensure!(code == DoneCode::INTERNAL_ERROR && why.contains("worker failed"), "{code:?}: {why}");
            innocents.go_on().await?;
            let said = fan.order(json!({ "say": { "text": format!("still {ROOM}, {nth}") } })).await?;
            ensure!(matches!(said, Outcome::Taken { .. }), "{said:?}");
        }
        Ok(())
    })
    .await
}
