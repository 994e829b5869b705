use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use moq_transport::{
    coding::{KeyValuePairs, TrackNamespace},
    serve::ServeError,
    session::{Published, Publisher, SubscribedNamespace, SubscribedTracks},
};
use tokio::task::JoinSet;

use crate::{
    registry::{LiveKey, Lookup},
    session::Peer,
};

/// Tracks published at once to one `SUBSCRIBE_TRACKS`.
const MAX_TRACKS: usize = 128;
/// Namespaces told to one `SUBSCRIBE_NAMESPACE`.
const MAX_NAMESPACES: usize = 8192;

/// Serves one `SUBSCRIBE_NAMESPACE` (§10.18): what there is, then every change.
pub(crate) async fn namespaces(peer: Arc<Peer>, mut request: SubscribedNamespace) {
    let registry = &peer.shared.registry;
    let mut changes = registry.changes();
    let prefix = request.info.namespace_prefix.clone();
    let visible = || -> HashSet<TrackNamespace> {
        let mut all = registry.namespaces(&prefix);
        all.retain(|namespace| peer.may_watch(namespace).is_ok());
        all.into_iter().take(MAX_NAMESPACES).collect()
    };
    let tell = async {
        request.ok()?;
        let mut known = HashSet::new();
        loop {
            let current = visible();
            for namespace in current.difference(&known) {
                request.namespace(namespace)?;
            }
            for namespace in known.difference(&current) {
                request.namespace_done(namespace)?;
            }
            known = current;
            tokio::select! {
                closed = request.closed() => return closed,
                _ = changes.changed() => {}
            }
        }
    };
    let _: Result<(), ServeError> = tell.await;
}

/// Serves one `SUBSCRIBE_TRACKS` (§10.19): a PUBLISH for every track published below
/// the prefix, now and later, by others than the peer itself.
pub(crate) async fn tracks(peer: Arc<Peer>, mut request: SubscribedTracks, publisher: Publisher) {
    let registry = &peer.shared.registry;
    let mut changes = registry.changes();
    if request.ok().is_err() {
        return;
    }
    let mut serving = JoinSet::new();
    // Tracks being served, and those that may not be because there are too many.
    let mut known: HashMap<LiveKey, Option<tokio::task::Id>> = HashMap::new();
    loop {
        let mut published = registry.published(&request.info.namespace_prefix, peer.key);
        published.retain(|live| peer.may_watch(&live.name.namespace).is_ok());
        known.retain(|live, task| task.is_some() || published.contains(live));
        for live in published {
            if known.contains_key(&live) {
                continue;
            }
            if serving.len() >= MAX_TRACKS {
                let told = request.publish_blocked(&live.name.namespace, &live.name.name);
                if told.is_err() {
                    return;
                }
                known.insert(live, None);
                continue;
            }
            let (peer, publisher, forward) = (Arc::clone(&peer), publisher.clone(), request.info.forward);
            let task = serving.spawn(publish(peer, publisher, live.clone(), forward));
            known.insert(live, Some(task.id()));
        }
        tokio::select! {
            _ = request.closed() => return,
            _ = changes.changed() => {}
            Some(done) = serving.join_next_with_id() => {
                let id = match &done {
                    Ok((id, ())) => *id,
                    Err(err) => err.id(),
                };
                // A track served to its end stays known until it is gone, so that it
                // is not published twice.
                known.values_mut().filter(|task| **task == Some(id)).for_each(|task| *task = None);
            }
        }
    }
}

async fn publish(peer: Arc<Peer>, mut publisher: Publisher, live: LiveKey, forward: bool) {
    let Lookup::Found(attached) = peer.shared.registry.subscribe(&live.name, peer.viewer(), None) else {
        return;
    };
    let mut params = KeyValuePairs::default();
    if !forward {
        params.set_forward(false);
    }
    let published: Result<Published, _> = publisher.publish(attached.feed.reader().clone(), params).await;
    match published {
        Ok(published) => {
            let _ = attached.feed.beside(published.serve()).await;
        }
        Err(err) => tracing::debug!(session = peer.key.0, %err, "PUBLISH was not sent"),
    }
}
