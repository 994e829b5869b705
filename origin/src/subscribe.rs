use std::{sync::Arc, time::Duration};

use moq_transport::{
    message::RequestErrorCode,
    serve::{FullTrackName, ServeError},
    session::{Subscribed, TrackStatusRequested},
};
use tokio::time::Instant;

use crate::{
    registry::{Attached, Lookup, Ready},
    root,
    session::{Peer, REQUEST_EXCESSIVE_LOAD},
};

/// The longest a SUBSCRIBE is held for a publisher to come (`RENDEZVOUS_TIMEOUT`, §10.2).
const MAX_RENDEZVOUS: Duration = Duration::from_secs(30);
/// How long a room's root may take to publish its tracks.
const MAX_OPENING: Duration = Duration::from_secs(5);
/// How long a track's last publication may take to be cleared away.
const MAX_CLOSING: Duration = Duration::from_secs(5);
/// How long a creator has to say whether it has a track.
const MAX_ANSWER: Duration = Duration::from_secs(10);

/// Finds a track, waiting for it at most until `deadline` if it is to come.
async fn find(
    peer: &Peer,
    name: &FullTrackName,
    rendezvous: Option<Instant>,
    new_group: Option<u64>,
) -> Result<Attached, ServeError> {
    let registry = &peer.shared.registry;
    let mut changes = registry.changes();
    let patience = Instant::now() + MAX_CLOSING;
    let mut held = None;
    loop {
        changes.mark_unchanged();
        let until = match registry.subscribe(name, peer.viewer(), new_group) {
            Lookup::Found(attached) => match answered(attached).await {
                Ok(attached) => return Ok(attached),
                // The creator vanished before it answered: as if it had not been there.
                Err(ServeError::Cancel | ServeError::Done) if rendezvous.is_some() => rendezvous,
                Err(err) => return Err(err),
            },
            Lookup::Closing => Some(patience),
            Lookup::Absent { held_until } => rendezvous.max(held_until.map(Instant::from_std)),
            Lookup::Refused(err) => return Err(err),
        };
        let Some(until) = until.filter(|until| *until > Instant::now()) else {
            return Err(if rendezvous.is_some() || held.is_some() {
                ServeError::Timeout
            } else {
                ServeError::NotFound
            });
        };
        if held.is_none() {
            held =
                Some(peer.shared.held.try_acquire().map_err(|_| ServeError::Closed(REQUEST_EXCESSIVE_LOAD))?);
        }
        let _ = tokio::time::timeout_at(until, changes.changed()).await;
    }
}

/// Waits for the creator's answer: `SUBSCRIBE_OK` may only be sent after it (§9.4).
async fn answered(mut attached: Attached) -> Result<Attached, ServeError> {
    let answer = attached.ready.wait_for(|ready| !matches!(ready, Ready::Pending));
    let answer = match tokio::time::timeout(MAX_ANSWER, answer).await {
        Ok(Ok(ready)) => ready.clone(),
        Ok(Err(_)) => return Err(ServeError::Cancel),
        Err(_) => return Err(ServeError::Timeout),
    };
    match answer {
        Ready::Failed(err) => Err(err),
        Ready::Up | Ready::Pending => Ok(attached),
    }
}

/// Serves one SUBSCRIBE (§10.7) until either side ends it.
pub(crate) async fn subscribe(peer: Arc<Peer>, subscribed: Subscribed) {
    let info = &subscribed.info;
    if let Err(err) = peer.may_watch(&info.track_namespace) {
        let _ = subscribed.close(ServeError::Closed(err.request_code()));
        return;
    }
    let name = FullTrackName { namespace: info.track_namespace.clone(), name: info.track_name.clone() };
    let wait = info.params.rendezvous_timeout().ok().flatten().filter(|wait| *wait > 0);
    let rendezvous = wait.map(|wait| Instant::now() + Duration::from_millis(wait).min(MAX_RENDEZVOUS));
    let new_group = info.params.new_group_request().ok().flatten();
    let mut rendezvous = rendezvous;
    if let (Some(room), Some(roots)) = (root::room_of(&name.namespace), &peer.shared.roots)
        && roots.want(&room).await
    {
        rendezvous = rendezvous.max(Some(Instant::now() + MAX_OPENING));
    }
    let found = tokio::select! {
        found = find(&peer, &name, rendezvous, new_group) => found,
        _ = subscribed.closed() => return,
    };
    match found {
        Ok(attached) => {
            if let Err(err) = attached.feed.serve(subscribed, attached.first).await {
                tracing::debug!(session = peer.key.0, %err, "a subscription ended");
            }
        }
        Err(err) => {
            let _ = subscribed.close(err);
        }
    }
}

/// Answers one `TRACK_STATUS` (§10.14), asking the creator if it is not known here.
pub(crate) async fn track_status(peer: Arc<Peer>, mut request: TrackStatusRequested) {
    let asked = &request.request_msg;
    if let Err(err) = peer.may_watch(&asked.track_namespace) {
        let _ = request.respond_error(err.request_code(), &err.to_string());
        return;
    }
    let name = FullTrackName { namespace: asked.track_namespace.clone(), name: asked.track_name.clone() };
    let _ = match find(&peer, &name, None, None).await {
        Ok(attached) => request.respond_ok(attached.feed.reader()),
        Err(err) => request.respond_error(RequestErrorCode::DoesNotExist as u64, &err.to_string()),
    };
}
