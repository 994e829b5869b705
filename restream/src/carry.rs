//! One request of the destination, answered from the source.

use std::{sync::Arc, time::Duration};

use moq_transport::{
    coding::KeyValuePairs,
    message::{RequestErrorCode, StandaloneFetch},
    serve::{ServeError, Track},
    session::{FetchRequested, SessionError, Subscribed, Subscriber},
};
use tokio::time::timeout;

use crate::{catalog::Kind, catalog_track, hub::Hub};

/// The time that a request for a track waits for a catalog that names the track.
const NAMING_TIMEOUT: Duration = Duration::from_secs(10);
/// The time that a FETCH may take, from the request to the last byte.
const FETCH_TIMEOUT: Duration = Duration::from_secs(30);

/// Serves one SUBSCRIBE of the destination until either end ends it.
pub(crate) async fn subscription(hub: Arc<Hub>, subscribed: Subscribed) {
    let name = subscribed.info.track_name.clone();
    let served = match Kind::of(name.as_bytes()) {
        Some(kind) => {
            let _counted = hub.count_track();
            catalog_track::serve(&hub, kind, subscribed).await
        }
        None => track(&hub, subscribed).await,
    };
    if let Err(error) = served {
        tracing::debug!(%name, %error, "a subscription has ended");
    }
}

/// Serves a track with the streams of the source: their subgroups, objects, properties and ends are the same.
async fn track(hub: &Hub, subscribed: Subscribed) -> Result<(), SessionError> {
    let name = subscribed.info.track_name.clone();
    if !is_carried(hub, name.as_bytes(), subscribed.closed()).await {
        return Ok(subscribed.close(ServeError::NotFound)?);
    }
    let source = tokio::select! {
        source = session(hub) => source,
        _ = subscribed.closed() => None,
    };
    let Some(mut source) = source else { return Ok(()) };
    let (writer, reader) = Track::new(hub.from.clone(), name).produce();
    let subscribe = match source.subscribe_start(writer).await {
        Ok(subscribe) => subscribe,
        Err(error) => return Ok(subscribed.close(error)?),
    };
    let answer = tokio::select! {
        answer = subscribe.ok() => answer,
        _ = subscribed.closed() => Err(ServeError::Cancel),
    };
    let served = match answer {
        Ok(()) => {
            let _counted = hub.count_track();
            // Whatever comes from the source is part of this subscription, even what has come already.
            subscribed.serve_with_largest_location(reader, None).await
        }
        Err(error) => subscribed.close(error).map_err(SessionError::from),
    };
    // The source lets go of the track before the destination can ask for it again.
    subscribe.unsubscribe().await;
    served
}

/// Answers one FETCH of the destination with that of the source.
pub(crate) async fn fetch(hub: Arc<Hub>, request: FetchRequested) {
    let range = match timeout(NAMING_TIMEOUT, request.resolve()).await {
        Ok(Ok(Some(range))) => range,
        // `resolve` has refused the request.
        Ok(Ok(None) | Err(_)) => return,
        Err(_) => {
            return drop(request.reject(RequestErrorCode::Timeout, "the subscription is not established"));
        }
    };
    let carried =
        range.track_namespace == hub.to && hub.carries(&hub.catalogs.borrow(), range.track_name.as_bytes());
    let source = hub.source.borrow().clone();
    let (true, Some(mut source)) = (carried, source) else {
        return drop(request.reject(RequestErrorCode::DoesNotExist, "there is no such track"));
    };
    let range = StandaloneFetch { track_namespace: hub.from.clone(), ..range };
    let mut params = KeyValuePairs::default();
    if let Some(order) = request.group_order() {
        params.set_group_order(order);
    }
    let proxied = match source.fetch(range, params).await {
        Ok(upstream) => request.proxy(upstream, FETCH_TIMEOUT).await,
        Err(error) => {
            tracing::debug!(%error, "a FETCH cannot be sent");
            return drop(request.reject(RequestErrorCode::InternalError, "the source cannot be asked"));
        }
    };
    if let Err(error) = proxied {
        tracing::debug!(%error, "a FETCH has failed");
    }
}

/// Waits for the session with the source.
async fn session(hub: &Hub) -> Option<Subscriber> {
    hub.source.subscribe().wait_for(Option::is_some).await.ok()?.clone()
}

/// Waits until a track is known to be carried, if it will be in time and before the request is `closed`.
async fn is_carried<T>(hub: &Hub, name: &[u8], closed: impl Future<Output = T>) -> bool {
    let mut catalogs = hub.catalogs.subscribe();
    let named = catalogs.wait_for(|catalogs| hub.carries(catalogs, name));
    tokio::select! {
        named = timeout(NAMING_TIMEOUT, named) => matches!(named, Ok(Ok(_))),
        _ = closed => false,
    }
}
