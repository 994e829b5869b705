//! The session with the destination.

use std::{sync::Arc, time::Duration};

use moq_transport::{
    message::RequestErrorCode,
    serve::ServeError,
    session::{PublishNamespace, Publisher},
};
use tokio::{task::JoinSet, time::timeout};

use crate::{
    carry,
    connect::{Connected, Failure, lost},
    hub::{Hub, decline},
};

/// The time that the withdrawal of the room is given to reach the relay before the session is closed.
const WITHDRAWAL_FLUSH: Duration = Duration::from_millis(250);

/// Announces the room while the source has it, and answers requests for its tracks, until the session is over.
pub(crate) async fn serve(hub: Arc<Hub>, connected: Connected) -> Failure {
    let Connected { session, publisher, subscriber, connection } = connected;
    publisher.accept_fetch();
    let mut requests = JoinSet::new();
    let mut running = Box::pin(session.run());
    let failure = tokio::select! {
        ended = &mut running => connection.failure(ended),
        failure = announce(&hub, publisher.clone(), &mut requests) => failure,
        () = decline(publisher, subscriber) => lost("the session ended"),
        () = hub.stopped() => {
            // The room and the tracks are withdrawn by now, and the session must run for that to be sent.
            requests.abort_all();
            let _ = timeout(WITHDRAWAL_FLUSH, &mut running).await;
            lost("stopped")
        }
    };
    hub.set_announced(false);
    drop(requests);
    connection.close().await;
    failure
}

/// Announces the room whenever the source has it.
async fn announce(hub: &Arc<Hub>, mut publisher: Publisher, requests: &mut JoinSet<()>) -> Failure {
    loop {
        hub.room_is(true).await;
        let namespace = match publisher.publish_namespace_start(hub.to.clone()).await {
            Ok(namespace) => namespace,
            Err(error) => return lost(error),
        };
        match namespace.ok().await {
            Ok(()) => hub.set_announced(true),
            Err(ServeError::Closed(code)) => return Failure::refused("the room", code),
            Err(error) => return lost(error),
        }
        tokio::select! {
            () = answer(hub, &namespace, &mut publisher, requests) => {
                return lost("the relay has cancelled the room");
            }
            () = hub.room_is(false) => hub.set_announced(false),
        }
    }
}

/// Answers requests for tracks until the relay cancels the room.
async fn answer(
    hub: &Arc<Hub>,
    namespace: &PublishNamespace,
    publisher: &mut Publisher,
    requests: &mut JoinSet<()>,
) {
    loop {
        tokio::select! {
            subscribed = namespace.subscribed() => match subscribed {
                Ok(Some(subscribed)) => drop(requests.spawn(carry::subscription(Arc::clone(hub), subscribed))),
                Ok(None) | Err(_) => return,
            },
            status = namespace.track_status_requested() => match status {
                Ok(Some(mut status)) => {
                    let reason = "subscribe to the track for its status";
                    let _ = status.respond_error(RequestErrorCode::NotSupported as u64, reason);
                }
                Ok(None) | Err(_) => return,
            },
            Some(request) = publisher.fetch_requested() => {
                requests.spawn(carry::fetch(Arc::clone(hub), request));
            }
            Some(_) = requests.join_next() => {}
        }
    }
}
