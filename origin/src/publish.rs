use std::{sync::Arc, time::Duration};

use moq_transport::{
    coding::KeyValuePairs,
    serve::ServeError,
    session::{PublishReceived, PublishedNamespace, SessionError, Subscribe, Subscriber},
};
use tokio::sync::{mpsc, watch};

use crate::{
    Error,
    registry::{LiveKey, Pull, Ready, Source},
    room::Withdrawal,
    session::Peer,
    store::GroupTooLarge,
};

/// How long what is on its way may still come after a track was ended.
const DRAIN_TRACK: Duration = Duration::from_secs(5);

fn withdrawal(peer: &Peer) -> Withdrawal {
    if peer.is_connected() { Withdrawal::Said } else { Withdrawal::Broken }
}

fn refused(peer: &Peer, namespace: &str, err: &Error) {
    peer.shared.metrics.refused_publish();
    tracing::info!(session = peer.key.0, namespace, %err, "publishing refused");
}

fn cut_off(peer: &Peer, track: &str, too_large: &GroupTooLarge) {
    let group = too_large.group;
    let max = crate::MAX_GROUP_BYTES >> 20;
    peer.close(&format!("group {group} of track {track:?} is over {max} MiB; end groups sooner"));
}

/// Serves one `PUBLISH_NAMESPACE` (§10.15) until the creator takes it back.
pub(crate) async fn namespace(
    peer: Arc<Peer>,
    mut published: PublishedNamespace,
    subscriber: Subscriber,
    pulls: mpsc::Sender<Pull>,
) {
    let namespace = published.namespace.clone();
    let source = Source { session: peer.key, subscriber, pulls };
    let registry = &peer.shared.registry;
    let publication = peer
        .may_publish(&namespace)
        .and_then(|(room, creator)| registry.publish_namespace(&room, &creator, &namespace, source));
    match publication {
        Ok(publication) => {
            if published.ok().is_ok() {
                let _ = published.closed().await;
            }
            publication.withdraw(withdrawal(&peer));
        }
        Err(err) => {
            refused(&peer, &namespace.to_utf8_path(), &err);
            let _ = published.reject(err.request_code(), &err.to_string());
        }
    }
}

/// Serves one PUBLISH (§10.10) until the creator ends the track.
pub(crate) async fn track(peer: Arc<Peer>, mut published: PublishReceived) {
    let namespace = published.namespace().clone();
    let claimed = peer.may_publish(&namespace).and_then(|(room, creator)| {
        let reader = published.take_reader().map_err(SessionError::from)?;
        peer.shared.registry.publish_track(&room, &creator, reader)
    });
    let (publication, feed) = match claimed {
        Ok(claimed) => claimed,
        Err(err) => {
            refused(&peer, &namespace.to_utf8_path(), &err);
            published.close(ServeError::Closed(err.request_code()));
            // The REQUEST_ERROR for PUBLISH has no room for a reason of ours, so that
            // one who may not publish here learns it from the session's end.
            if !matches!(err, Error::Duplicate(_)) {
                peer.close(&err.to_string());
            }
            return;
        }
    };
    if published.accept(true).is_err() {
        return;
    }
    let ended = async {
        let _ = published.closed().await;
        tokio::time::sleep(DRAIN_TRACK).await;
    };
    tokio::select! {
        filled = feed.fill() => {
            if let Err(too_large) = filled {
                cut_off(&peer, &published.name().to_string(), &too_large);
            }
            let _ = published.closed().await;
        }
        () = ended => {}
    }
    publication.withdraw(withdrawal(&peer));
}

/// Subscribes to a track at its creator, for as long as somebody wants it.
pub(crate) async fn pull(peer: Arc<Peer>, subscriber: Subscriber, pull: Pull) {
    let Pull { live, writer, feed, ready, interest, new_group } = pull;
    let registry = &peer.shared.registry;
    let mut wanted = Wanted { peer: &peer, live: &live, interest };
    let mut params = KeyValuePairs::default();
    if let Some(group) = new_group {
        params.set_new_group_request(group);
    }
    let open = async {
        let mut subscriber = subscriber;
        let subscribe = subscriber.subscribe_start_with_params(writer, params).await?;
        match subscribe.ok().await {
            Ok(()) => Ok(subscribe),
            Err(err) => {
                subscribe.unsubscribe().await;
                Err(err)
            }
        }
    };
    let opened: Result<Subscribe, ServeError> = tokio::select! {
        opened = open => opened,
        () = wanted.no_more() => Err(ServeError::Cancel),
    };
    let subscribe = match opened {
        Ok(subscribe) => subscribe,
        Err(err) => {
            ready.send_replace(Ready::Failed(err));
            registry.remove_live(&live);
            return;
        }
    };
    ready.send_replace(Ready::Up);
    let ended = async {
        let _ = subscribe.closed().await;
        tokio::time::sleep(DRAIN_TRACK).await;
    };
    tokio::select! {
        filled = feed.fill() => {
            if let Err(too_large) = filled {
                cut_off(&peer, &live.name.name.to_string(), &too_large);
            }
        }
        () = ended => {}
        () = wanted.no_more() => {}
    }
    // The name is free again only when the creator has let go of it (§5.1).
    subscribe.unsubscribe().await;
    registry.remove_live(&live);
}

struct Wanted<'a> {
    peer: &'a Peer,
    live: &'a LiveKey,
    interest: watch::Receiver<usize>,
}

impl Wanted<'_> {
    /// Resolves when nobody has been subscribed for the time of the linger.
    async fn no_more(&mut self) {
        loop {
            if self.interest.wait_for(|count| *count == 0).await.is_err() {
                return;
            }
            tokio::select! {
                () = tokio::time::sleep(self.peer.shared.config.linger) => {
                    if self.peer.shared.registry.release(self.live) {
                        return;
                    }
                }
                changed = self.interest.wait_for(|count| *count > 0) => {
                    if changed.is_err() {
                        return;
                    }
                }
            }
        }
    }
}
