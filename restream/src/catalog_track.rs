//! Reads the catalogs of a room at the source, and serves them to the destination.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use futures_util::{StreamExt as _, stream::FuturesUnordered};
use moq_transport::{
    coding::{KeyValuePairs, Location},
    data::{FetchRecord, ObjectStatus},
    message::{FetchType, RequestErrorCode},
    serve::{
        ServeError, Subgroup, SubgroupReader, SubgroupWriter, SubgroupsWriter, Track, TrackReader,
        TrackReaderMode,
    },
    session::{SessionError, Subscribe, Subscribed, Subscriber},
};
use moqt::msf;
use tokio::time::{sleep, timeout};

use crate::{
    catalog::{Arrival, Edition, Group, Kind, Object},
    connect::Failure,
    hub::Hub,
    pauses::Pauses,
};

/// The time that the source has to send the part of a catalog that was there before.
const HISTORY_TIMEOUT: Duration = Duration::from_secs(5);
/// The piece in which a fetched catalog is read.
const CHUNK: usize = 64 << 10;

/// Reads a catalog of the room at the source, for as long as the session lasts. Returns if the source refuses for good.
pub(crate) async fn follow(hub: Arc<Hub>, mut subscriber: Subscriber, kind: Kind) -> Failure {
    let mut pauses = Pauses::default();
    loop {
        let (writer, reader) = Track::new(hub.from.clone(), kind.track()).produce();
        if let Ok(subscribe) = subscriber.subscribe_start(writer).await {
            let is_over = match subscribe.ok().await {
                Ok(()) => {
                    if read(&hub, kind, &mut subscriber, &subscribe, reader).await == Came::Something {
                        pauses = Pauses::default();
                    }
                    subscribe.publish_done().is_some()
                }
                Err(ServeError::Closed(code)) if code == RequestErrorCode::Unauthorized as u64 => {
                    return Failure::refused("the room", code);
                }
                Err(_) => subscribe.peer_rejected(),
            };
            subscribe.unsubscribe().await;
            // Otherwise the session is over, which says nothing of the room.
            if is_over {
                tracing::debug!(?kind, "the source has no such catalog, or has ended it");
                hub.catalogs.send_modify(|catalogs| catalogs.editions[kind as usize] = Edition::Absent);
            }
        }
        sleep(pauses.next()).await;
    }
}

/// The outcome of a subscription to a catalog.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Came {
    Nothing,
    Something,
}

/// Reads a catalog until the source ends it.
async fn read(
    hub: &Hub,
    kind: Kind,
    subscriber: &mut Subscriber,
    subscribe: &Subscribe,
    reader: TrackReader,
) -> Came {
    let largest = subscribe.subscribe_ok().and_then(|ok| ok.params.largest_object().ok().flatten());
    let live = async {
        let Ok(TrackReaderMode::Subgroups(mut subgroups)) = reader.mode().await else { return Came::Nothing };
        let mut reading = FuturesUnordered::new();
        loop {
            tokio::select! {
                next = subgroups.next() => match next {
                    Ok(Some(subgroup)) => reading.push(read_subgroup(hub, kind, subscribe.id, subgroup, largest)),
                    Ok(None) | Err(_) => break,
                },
                Some(()) = reading.next() => {}
            }
        }
        while reading.next().await.is_some() {}
        Came::Something
    };
    let history = async {
        if let Some(largest) = largest {
            match timeout(HISTORY_TIMEOUT, read_history(hub, kind, subscriber, subscribe.id)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::debug!(?kind, ?largest, %error, "no history of a catalog"),
                Err(_) => tracing::debug!(?kind, ?largest, "no history of a catalog in time"),
            }
            hub.catalogs.send_modify(|catalogs| catalogs.complete(kind, subscribe.id));
        }
    };
    tokio::join!(live, history).0
}

async fn read_subgroup(
    hub: &Hub,
    kind: Kind,
    subscription: u64,
    mut subgroup: SubgroupReader,
    largest: Option<Location>,
) {
    let group = subgroup.group_id;
    let whole = largest.is_none_or(|largest| group > largest.group_id);
    while let Ok(Some(mut object)) = subgroup.next().await {
        if object.size > msf::MAX_LEN {
            tracing::warn!(group, bytes = object.size, "a catalog is too large and is left out");
            continue;
        }
        let Ok(payload) = object.read_all().await else { return };
        let at =
            Arrival { subscription, group, subgroup: subgroup.subgroup_id, object: object.object_id, whole };
        let object = Object {
            priority: subgroup.priority,
            status: object.status,
            properties: object.extension_headers.clone(),
            payload,
        };
        hub.catalogs.send_modify(|catalogs| catalogs.add(kind, at, object));
    }
}

/// Reads what was in the newest group of a catalog before the subscription.
async fn read_history(
    hub: &Hub,
    kind: Kind,
    subscriber: &mut Subscriber,
    subscription: u64,
) -> Result<(), SessionError> {
    let params = KeyValuePairs::default();
    let mut fetch = subscriber.joining_fetch(FetchType::RelativeJoining, subscription, 0, params).await?;
    fetch.ok().await?;
    while let Some(record) = fetch.next().await? {
        let FetchRecord::Object(record) = record else { continue };
        let mut payload = Vec::new();
        while let Some(chunk) = fetch.read_payload_chunk(CHUNK).await? {
            if payload.len() + chunk.len() > msf::MAX_LEN {
                return Err(SessionError::WrongSize);
            }
            payload.extend_from_slice(&chunk);
        }
        let at = Arrival {
            subscription,
            group: record.group_id,
            subgroup: record.subgroup_id.unwrap_or_default(),
            object: record.object_id,
            whole: false,
        };
        let object = Object {
            priority: record.publisher_priority,
            status: ObjectStatus::NormalObject,
            properties: record.extension_headers,
            payload: payload.into(),
        };
        hub.catalogs.send_modify(|catalogs| catalogs.add(kind, at, object));
    }
    Ok(())
}

/// Serves a catalog to the destination: its newest group from the first object on, and all that come.
pub(crate) async fn serve(hub: &Hub, kind: Kind, subscribed: Subscribed) -> Result<(), SessionError> {
    let (writer, reader) = Track::new(hub.to.clone(), kind.track()).produce();
    let mut written = Written { to: writer.subgroups()?, group: None, subgroups: BTreeMap::new() };
    let serving = subscribed.serve_with_largest_location(reader, None);
    let writing = async move {
        let mut catalogs = hub.catalogs.subscribe();
        loop {
            let edition = catalogs.borrow_and_update().editions[kind as usize].clone();
            let ended = match edition {
                Edition::Present(group) if group.whole => written.write(&group).is_err(),
                Edition::Absent => true,
                Edition::Present(_) | Edition::Unknown => false,
            };
            if ended || catalogs.changed().await.is_err() {
                return;
            }
        }
    };
    // `writing` owns the writer: dropping it ends the track, and that ends `serving`.
    tokio::join!(serving, writing).0
}

/// The part of a catalog that has been written to the destination.
struct Written {
    to: SubgroupsWriter,
    group: Option<u64>,
    subgroups: BTreeMap<u64, SubgroupWriter>,
}

impl Written {
    /// Writes what is new in a group. Fails if the track cannot go on: its groups have begun anew, or its reader is gone.
    fn write(&mut self, group: &Group) -> Result<(), ServeError> {
        match self.group {
            Some(before) if group.id < before => return Err(ServeError::Done),
            Some(before) if group.id == before => {}
            _ => self.subgroups.clear(),
        }
        self.group = Some(group.id);
        for ((subgroup_id, id), object) in &group.objects {
            if !self.subgroups.contains_key(subgroup_id) {
                let subgroup =
                    Subgroup { group_id: group.id, subgroup_id: *subgroup_id, priority: object.priority };
                self.subgroups.insert(*subgroup_id, self.to.create(subgroup)?);
            }
            let Some(subgroup) = self.subgroups.get_mut(subgroup_id) else { continue };
            let properties = Some(object.properties.clone());
            match subgroup.create_with_id_and_status(*id, object.payload.len(), object.status, properties) {
                Ok(mut to) => to.write(object.payload.clone())?,
                // This object was written before.
                Err(ServeError::Duplicate) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
