//! The simplest possible room, and its fans.

use std::{cell::RefCell, rc::Rc, time::Duration};

use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use fanfare_tests::Isolate;
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio_tungstenite::{connect_async, tungstenite::Message};

use crate::{
    Crowd, ROOM, SPEAKERS,
    crowd::Ear,
    ours::{line, number_of, object},
};

/// Starts chat whose lines go out with the others of a tick, or each by itself.
pub(crate) async fn chat(fans: usize, tick: Option<Duration>) -> Result<Crowd> {
    gather(Isolate::plain(tick).await?, fans, SPEAKERS, |speaker, number| {
        Message::text(json!({ "name": format!("speaker {speaker}"), "text": line(number) }).to_string())
    })
    .await
}

/// Starts media, which the first fan publishes.
pub(crate) async fn media(fans: usize, bytes: usize) -> Result<Crowd> {
    gather(Isolate::plain(None).await?, fans, 1, move |_, number| Message::binary(object(number, bytes)))
        .await
}

async fn gather(
    isolate: Isolate,
    fans: usize,
    speakers: usize,
    message: impl Fn(usize, u64) -> Message + 'static,
) -> Result<Crowd> {
    let mut url = isolate.url()?;
    url.query_pairs_mut().append_pair("room", ROOM);
    let (speak, said): (Vec<_>, Vec<_>) = (0..fans).map(|_| mpsc::unbounded_channel()).unzip();
    let said: Rc<RefCell<Vec<_>>> = Rc::new(RefCell::new(said.into_iter().map(Some).collect()));
    let enter = move |fan: usize, ear: Ear| {
        let said = said.borrow_mut()[fan].take();
        take_part(url.to_string(), said, ear)
    };
    Crowd::gather(isolate, fans, enter, move |number| {
        let speaker = number as usize % speakers;
        speak[speaker].send(message(speaker, number)).ok().context("a speaker is gone")
    })
    .await
}

async fn take_part(url: String, said: Option<mpsc::UnboundedReceiver<Message>>, mut ear: Ear) -> Result<()> {
    let (socket, _) = connect_async(url).await?;
    let (mut goes, mut comes) = socket.split();
    let mut said = said.context("a fan comes twice")?;
    ear.came();
    loop {
        tokio::select! {
            message = said.recv() => goes.send(message.context("the sender of messages is gone")?).await?,
            message = comes.next() => match message.context("a fan was sent away")?? {
                Message::Text(lines) => {
                    for line in serde_json::from_str::<Vec<Value>>(&lines)? {
                        ear.heard(number_of(line["text"].as_str().context("no text")?)?);
                    }
                }
                Message::Binary(object) => ear.heard(u64::from_be_bytes(first(&object)?)),
                other => bail!("{other:?}"),
            },
        }
    }
}

/// The first eight bytes of an object: its number.
fn first(object: &Bytes) -> Result<[u8; 8]> {
    object.first_chunk().copied().context("an object without a number")
}
