//! A creator that keeps nothing, and publishes late what all the rest needs.

use std::collections::HashMap;

use anyhow::{Context as _, Result};
use bytes::Bytes;
use fanfare_tests::{Browser, Isolation, LoopedMedia, Node, ROOM, ScriptedSession, Site, Stack, send_group};
use moqt::{
    Event, FetchOk, Location, Micros, Misuse, Namespace, Params, Properties, RequestCode, Session,
    data::FetchObject, message::RequestError, session::RequestId,
};
use tokio::task::LocalSet;

use crate::ready;

/// The catalog as moq-pub writes it: the initialisation segment is in `0.mp4`, the picture in `1.m4s`.
const CATALOG: &[u8] = include_bytes!("../../../client-wasm/tests/catalogs/moq-pub.json");

/// The creator refuses fetches of what it published before. The new object comes after that refusal: the player has to
/// wait for it, and request it again.
#[tokio::test]
async fn what_was_refused_is_asked_for_again() -> Result<()> {
    let browser = Browser::start().await?;
    LocalSet::new().run_until(watch(&browser)).await
}

async fn watch(browser: &Browser) -> Result<()> {
    let stack = Stack::empty().await?;
    let mut creator = ScriptedSession::enter(&stack, Node::CreatorEdge, Some(stack.token()?)).await?;
    let room = Namespace::from_path(ROOM)?;
    creator.call(|session, _| session.publish_namespace(room, Params::default())).await??;
    creator.until(|event| matches!(event, Event::RequestOk { .. }).then_some(())).await?;
    let site = Site::start(stack.edge(), Isolation::Isolated).await?;
    let watching = async {
        let page = browser.open(&site.url("/test/player.html"), 800, 600).await?;
        ready(&page).await?;
        page.eval("test.state('live')").await.with_context(|| page.log().join("\n"))
    };
    tokio::select! {
        live = watching => live.map(drop),
        ended = publish(&mut creator) => ended.context("the creator's session"),
    }
}

/// Publishes until the session is over.
async fn publish(creator: &mut ScriptedSession) -> Result<()> {
    let media = LoopedMedia::new()?;
    let mut subscribed = HashMap::new();
    let mut fetched: HashMap<String, u32> = HashMap::new();
    loop {
        match creator.next().await.context("it is over")? {
            Event::Subscribe { request, track, .. } => {
                let name = String::from_utf8(track.name().to_vec())?;
                if !matches!(name.as_str(), ".catalog" | "0.mp4" | "1.m4s") {
                    let none = RequestError::new(RequestCode::DOES_NOT_EXIST, "no such track");
                    creator.call(move |session, _| session.reject(request, none)).await??;
                    continue;
                }
                let accept = move |session: &mut Session, _| {
                    session.accept_subscribe(request, Params::default(), Properties::NONE)
                };
                creator.call(accept).await??;
                if name == "1.m4s" {
                    let frames = media.of(1);
                    creator.call(move |session, now| send_group(session, now, request, 0, frames)).await??;
                }
                subscribed.insert(name, request);
            }
            Event::Fetch { request, track, .. } => {
                let name = String::from_utf8(track.name().to_vec())?;
                let times = fetched.entry(name.clone()).or_default();
                *times += 1;
                if *times == 2 && name == "0.mp4" {
                    let segment = media.header().clone();
                    creator.call(move |session, now| answer(session, now, request, segment)).await??;
                    continue;
                }
                let kept = RequestError::new(RequestCode::NOT_SUPPORTED, "nothing is kept");
                creator.call(move |session, _| session.reject(request, kept)).await??;
                if *times == 2 && name == ".catalog" {
                    let request = *subscribed.get(&name).context("fetched, and not subscribed to")?;
                    let catalog = vec![Bytes::from_static(CATALOG)];
                    creator.call(move |session, now| send_group(session, now, request, 0, catalog)).await??;
                }
            }
            _ => {}
        }
    }
}

/// Answers a fetch with the first object.
fn answer(session: &mut Session, now: Micros, request: RequestId, object: Bytes) -> Result<(), Misuse> {
    session.accept_fetch(request, FetchOk { end: Location::new(0, 1), ..FetchOk::default() })?;
    let stream = session.open_fetch(request)?;
    let header = FetchObject {
        location: Location::new(0, 0),
        subgroup: Some(0),
        priority: 128,
        properties: Properties::NONE,
        payload_len: object.len() as u64,
    };
    session.fetch_object(stream, &header)?;
    session.payload(stream, object)?;
    session.finish(now, stream)
}
