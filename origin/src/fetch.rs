use std::{sync::Arc, time::Duration};

use moq_transport::{
    coding::{KeyValuePairs, Location},
    data::{FetchRecord, FetchRecordObject},
    message::{GroupOrder, RequestErrorCode as Code, StandaloneFetch, TrackExtensions},
    serve::FullTrackName,
    session::{Fetch, FetchOkInfo, FetchRequested, FetchWriter, SessionError},
};

use crate::{
    feed::CATCH_UP,
    metrics::FetchSource,
    registry::Fetchable,
    session::Peer,
    store::{Object, Range, payload},
};

/// The time a FETCH may take from its first byte to its last.
const FETCH_TIMEOUT: Duration = Duration::from_secs(30);
/// The time a creator has to answer a FETCH of what is not kept here.
const UPSTREAM_TIMEOUT: Duration = Duration::from_secs(2);
/// Serves one FETCH (§10.12), standalone or joining: from the groups kept, or from
/// the creator if it asks for older ones.
pub(crate) async fn fetch(peer: Arc<Peer>, request: FetchRequested) {
    match tokio::time::timeout(FETCH_TIMEOUT, serve(&peer, request)).await {
        Ok(Ok(from)) => peer.shared.metrics.fetch(from),
        Ok(Err(err)) => tracing::debug!(session = peer.key.0, %err, "a FETCH was not served"),
        Err(_) => tracing::debug!(session = peer.key.0, "a FETCH took too long"),
    }
}

async fn serve(peer: &Peer, request: FetchRequested) -> Result<FetchSource, SessionError> {
    let resolved = tokio::select! {
        resolved = request.resolve() => resolved?,
        _ = request.closed() => return Ok(FetchSource::Refused),
    };
    let Some(asked) = resolved else {
        return Ok(FetchSource::Refused);
    };
    if let Err(err) = peer.may_watch(&asked.track_namespace) {
        request.reject(Code::Unauthorized, &err.to_string())?;
        return Ok(FetchSource::Refused);
    }
    let name = FullTrackName { namespace: asked.track_namespace.clone(), name: asked.track_name.clone() };
    let found = peer.shared.registry.fetchable(&name);
    if let Some(feed) = &found.feed {
        feed.fetched();
    }
    let kept = kept(&asked, &found).await;
    let whole = kept
        .as_ref()
        .is_some_and(|kept| kept.range.oldest.is_some_and(|oldest| oldest <= asked.start_location.group_id));
    if !whole && let Some(upstream) = upstream(&asked, &request, &found).await {
        request.proxy(upstream, FETCH_TIMEOUT).await?;
        return Ok(FetchSource::Upstream);
    }
    match kept {
        None => request.reject(Code::DoesNotExist, "no such track")?,
        Some(kept) if kept.range.groups.is_empty() => {
            let reason = match kept.range.oldest {
                Some(oldest) => {
                    format!("nothing of that range is kept; the oldest group is {oldest}")
                }
                None => "nothing of that track is kept".into(),
            };
            request.reject(Code::InvalidRange, &reason)?;
        }
        Some(kept) => {
            answer(request, &asked, kept, &found).await?;
            return Ok(FetchSource::Kept);
        }
    }
    Ok(FetchSource::Refused)
}

struct Kept {
    range: Range,
    /// The last location asked for that can be answered.
    end: Location,
}

/// What is kept of a range, up to the newest object there is now.
async fn kept(asked: &StandaloneFetch, found: &Fetchable) -> Option<Kept> {
    let store = found.store.as_ref()?;
    let announced = found.feed.as_ref().and_then(|feed| feed.reader().largest_location());
    if let Some(announced) = announced {
        let _ = tokio::time::timeout(CATCH_UP, store.reached(announced.group_id)).await;
    }
    let largest = announced.max(store.largest()).unwrap_or(Location::new(0, 0));
    let end = inclusive(asked.end_location).min(largest);
    if asked.start_location > end {
        let range = Range { groups: Vec::new(), oldest: store.oldest() };
        return Some(Kept { range, end });
    }
    let range = store.range(asked.start_location, end).await;
    Some(Kept { range, end })
}

/// Opens the same FETCH at the creator, if it takes any.
async fn upstream(asked: &StandaloneFetch, request: &FetchRequested, found: &Fetchable) -> Option<Fetch> {
    let mut creator = found.upstream.clone()?;
    let mut params = KeyValuePairs::default();
    if let Some(order) = request.group_order() {
        params.set_group_order(order);
    }
    let open = async {
        let fetch = creator.fetch(asked.clone(), params).await.ok()?;
        fetch.ok().await.is_ok().then_some(fetch)
    };
    tokio::time::timeout(UPSTREAM_TIMEOUT, open).await.ok().flatten()
}

async fn answer(
    request: FetchRequested,
    asked: &StandaloneFetch,
    mut kept: Kept,
    found: &Fetchable,
) -> Result<(), SessionError> {
    let descending = request.group_order() == Some(GroupOrder::Descending);
    let track_extensions = match &found.feed {
        Some(feed) => feed.reader().track_extensions()?,
        None => TrackExtensions::default(),
    };
    let mut writer = request
        .respond(FetchOkInfo {
            end_of_track: false,
            end_location: exclusive(kept.end),
            params: KeyValuePairs::default(),
            track_extensions,
        })
        .await?;
    if descending {
        kept.range.groups.reverse();
    } else if let Some(oldest) = kept.range.oldest
        && oldest > asked.start_location.group_id
    {
        // What was before is not known here any more (§11.4.4).
        let end = Location::new(oldest - 1, u64::MAX);
        writer.write_record(&FetchRecord::Unknown { end }).await?;
    }
    for (group, objects) in kept.range.groups {
        for object in objects {
            write(&mut writer, group, object).await?;
        }
    }
    writer.finish().await
}

async fn write(writer: &mut FetchWriter, group: u64, object: Object) -> Result<(), SessionError> {
    let (record, chunks) = match object {
        Object::Stream(mut object) => {
            let Ok(chunks) = payload(&mut object).await else {
                // The creator broke it off.
                let end = Location::new(group, object.object_id);
                return writer.write_record(&FetchRecord::Unknown { end }).await;
            };
            let record = FetchRecordObject {
                group_id: group,
                subgroup_id: Some(object.subgroup_id),
                object_id: object.object_id,
                publisher_priority: object.priority,
                extension_headers: object.extension_headers.clone(),
                payload_length: object.size as u64,
            };
            (record, chunks)
        }
        Object::Datagram(datagram) => {
            let record = FetchRecordObject {
                group_id: group,
                subgroup_id: None,
                object_id: datagram.object_id,
                publisher_priority: datagram.priority,
                extension_headers: datagram.extension_headers,
                payload_length: datagram.payload.len() as u64,
            };
            (record, vec![datagram.payload])
        }
    };
    writer.write_record(&FetchRecord::Object(record)).await?;
    for chunk in chunks {
        writer.write_payload(&chunk).await?;
    }
    Ok(())
}

/// The last location before an End Location, in which object 0 means the whole group
/// (§10.12.1).
fn inclusive(end: Location) -> Location {
    match end.object_id.checked_sub(1) {
        Some(object) => Location::new(end.group_id, object),
        None => Location::new(end.group_id, u64::MAX),
    }
}

fn exclusive(last: Location) -> Location {
    Location::new(last.group_id, last.object_id.checked_add(1).unwrap_or(0))
}
