//! The session with the source.

use std::sync::Arc;

use tokio::task::JoinSet;

use crate::{
    catalog::Kind,
    catalog_track,
    connect::{Connected, Failure, lost},
    hub::{Hub, decline},
};

/// Reads the catalogs, and has tracks subscribed to by who needs them, until the session is over.
pub(crate) async fn serve(hub: Arc<Hub>, connected: Connected) -> Failure {
    let Connected { session, publisher, subscriber, connection } = connected;
    let mut catalogs = JoinSet::new();
    for kind in Kind::ALL {
        catalogs.spawn(catalog_track::follow(Arc::clone(&hub), subscriber.clone(), kind));
    }
    hub.source.send_replace(Some(subscriber.clone()));
    let failure = tokio::select! {
        ended = Box::pin(session.run()) => connection.failure(ended),
        Some(refused) = catalogs.join_next() => refused.unwrap_or_else(lost),
        () = decline(publisher, subscriber) => lost("the session ended"),
        () = hub.stopped() => lost("stopped"),
    };
    hub.source.send_replace(None);
    drop(catalogs);
    connection.close().await;
    failure
}
