//! A fan who watches one rendition and notices every object that is missing.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::atomic::{AtomicBool, Ordering::Relaxed},
};

use anyhow::{Context as _, Result, ensure};
use moqt::{Event, Namespace, Params, TrackName, session::RequestId};

use crate::ScriptedSession;

/// A fan with a subscription to the picture.
pub struct Watcher {
    session: ScriptedSession,
    video: RequestId,
}

impl Watcher {
    /// Subscribes to a rendition of a room.
    pub async fn watch(mut session: ScriptedSession, room: &str, rendition: &'static str) -> Result<Self> {
        let name = TrackName::new(Namespace::from_path(room)?, rendition)?;
        let params = Params { rendezvous_timeout: Some(10_000), ..Params::default() };
        let video = session.call(move |session, _| session.subscribe(name, params)).await??;
        session.until(|event| matches!(event, Event::SubscribeOk { .. }).then_some(())).await?;
        Ok(Self { session, video })
    }

    /// Watches until the attack is over: no group is left out, and none is broken off or has a hole. Returns the number of
    /// objects.
    pub async fn misses_nothing(mut self, is_over: &AtomicBool) -> Result<usize> {
        let (mut groups, mut expected, mut seen) = (BTreeSet::new(), BTreeMap::new(), 0);
        while !is_over.load(Relaxed) {
            match self.session.next().await.context("the watching fan was let go")? {
                Event::Subgroup { stream, request, header } if request == self.video => {
                    groups.insert(header.group);
                    // The first group that is seen may have begun before.
                    expected.insert(stream, (groups.len() == 1).then_some(None));
                }
                Event::Object { stream, header } => {
                    let Some(next) = expected.get_mut(&stream) else { continue };
                    let next_id = next.unwrap_or(Some(0)).unwrap_or(header.id);
                    ensure!(header.id == next_id, "object {} in place of {next_id}", header.id);
                    (*next, seen) = (Some(Some(header.id + 1)), seen + 1);
                }
                event @ (Event::StreamReset { .. } | Event::Done { .. } | Event::Closed { .. }) => {
                    anyhow::bail!("the picture broke off after {seen} objects: {event:?}")
                }
                _ => {}
            }
        }
        let span = groups.last().zip(groups.first()).map_or(0, |(last, first)| last - first + 1);
        // The last two may come in either order.
        ensure!(span <= groups.len() as u64 + 1, "of {span} groups, {} were seen", groups.len());
        Ok(seen)
    }
}
