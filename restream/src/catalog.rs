//! The catalogs of a room: which tracks there are.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use futures_util::{StreamExt as _, stream::FuturesUnordered};
use moq_transport::{
    coding::{KeyValuePairs, Location},
    data::{ExtensionHeaders, FetchRecord, ObjectStatus},
    message::{FetchType, RequestErrorCode},
    serve::{
        ServeError, Subgroup, SubgroupReader, SubgroupWriter, SubgroupsWriter, Track, TrackReader,
        TrackReaderMode,
    },
    session::{SessionError, Subscribe, Subscribed, Subscriber},
};
use moqt::msf;
use serde::Deserialize;
use tokio::time::{sleep, timeout};

use crate::{connect::Failure, hub::Hub, pauses::Pauses};

/// The time that the source has to send the part of a catalog that was there before.
const HISTORY_TIMEOUT: Duration = Duration::from_secs(5);
/// Bytes of one group of a catalog that are kept, at most.
const MAX_GROUP_BYTES: usize = 4 * msf::MAX_LEN;
/// The piece in which a fetched catalog is read.
const CHUNK: usize = 64 << 10;

/// The formats of catalogs, each with a track of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The MOQT Streaming Format.
    Msf,
    /// The format of moq-dev's programs.
    Hang,
    /// The common catalog format, which came before MSF.
    Common,
}

impl Kind {
    pub(crate) const ALL: [Self; 3] = [Self::Msf, Self::Hang, Self::Common];

    fn track(self) -> &'static str {
        match self {
            Self::Msf => msf::TRACK,
            Self::Hang => msf::TRACK_HANG,
            Self::Common => msf::TRACK_COMMON,
        }
    }

    /// The format that has this track.
    pub(crate) fn of(track: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.track().as_bytes() == track)
    }
}

/// The catalogs of the room, as the source has them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Catalogs {
    editions: [Edition; Kind::ALL.len()],
    /// All tracks that were named since the beginning.
    names: BTreeSet<Vec<u8>>,
}

#[derive(Clone, Debug, Default)]
enum Edition {
    /// The source has not answered yet.
    #[default]
    Unknown,
    /// The source has no such track, or has it no more.
    Absent,
    Present(Arc<Group>),
}

/// The newest group of a catalog.
#[derive(Clone, Debug)]
struct Group {
    /// The subscription that it came by.
    subscription: u64,
    id: u64,
    /// By their subgroups and ids.
    objects: BTreeMap<(u64, u64), Object>,
    /// Set once all objects have come that were published before the subscription.
    whole: bool,
}

#[derive(Clone, Debug)]
struct Object {
    priority: u8,
    status: ObjectStatus,
    properties: ExtensionHeaders,
    payload: Bytes,
}

impl Catalogs {
    /// Tells if a catalog names this track.
    pub(crate) fn names(&self, track: &[u8]) -> bool {
        self.names.contains(track)
    }

    /// Tells if the room has a catalog.
    pub(crate) fn is_present(&self) -> bool {
        self.editions.iter().any(|edition| matches!(edition, Edition::Present(_)))
    }

    /// Tells if the source has answered that the room has none of the three.
    pub(crate) fn is_absent(&self) -> bool {
        self.editions.iter().all(|edition| matches!(edition, Edition::Absent))
    }

    fn add(&mut self, kind: Kind, at: Arrival, object: Object) {
        let edition = &mut self.editions[kind as usize];
        let fresh =
            Group { subscription: at.subscription, id: at.group, objects: BTreeMap::new(), whole: at.whole };
        let group = match edition {
            Edition::Present(group) if group.subscription == at.subscription && group.id > at.group => return,
            Edition::Present(group) if group.subscription == at.subscription && group.id == at.group => {
                Arc::make_mut(group)
            }
            edition => {
                *edition = Edition::Present(Arc::new(fresh));
                let Edition::Present(group) = edition else { return };
                Arc::make_mut(group)
            }
        };
        let kept: usize = group.objects.values().map(|object| object.payload.len()).sum();
        if kept + object.payload.len() > MAX_GROUP_BYTES {
            tracing::warn!(group = at.group, "a group of a catalog is too large and is cut off");
            return;
        }
        match names(&object.payload) {
            Ok(names) => self.names.extend(names),
            Err(error) if object.status == ObjectStatus::NormalObject => {
                tracing::warn!(%error, "a catalog cannot be read");
            }
            Err(_) => {}
        }
        group.objects.entry((at.subgroup, at.object)).or_insert(object);
    }

    /// All has come that was there before that subscription.
    fn complete(&mut self, kind: Kind, subscription: u64) {
        if let Edition::Present(group) = &mut self.editions[kind as usize]
            && group.subscription == subscription
        {
            Arc::make_mut(group).whole = true;
        }
    }
}

/// The position of an object of a catalog.
#[derive(Clone, Copy)]
struct Arrival {
    subscription: u64,
    group: u64,
    subgroup: u64,
    object: u64,
    /// Set if no earlier object of the group can be missing.
    whole: bool,
}

/// A change to an MSF catalog, as far as it names tracks.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Delta {
    #[serde(default)]
    add_tracks: Vec<Named>,
    #[serde(default)]
    clone_tracks: Vec<Named>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Named {
    name: String,
    init_track: Option<String>,
}

/// The tracks that a catalog of any kind names, and those of their initialisation segments.
fn names(json: &[u8]) -> Result<Vec<Vec<u8>>, msf::Error> {
    let named: Vec<Named> = match msf::Catalog::parse_any(json) {
        Ok(catalog) => catalog
            .tracks
            .into_iter()
            .map(|track| Named { name: track.name, init_track: track.init_track })
            .collect(),
        Err(msf::Error::Delta) => {
            let Delta { add_tracks, clone_tracks } = serde_json::from_slice(json)?;
            add_tracks.into_iter().chain(clone_tracks).take(msf::MAX_TRACKS).collect()
        }
        Err(error) => return Err(error),
    };
    let names = named.into_iter().flat_map(|track| [Some(track.name), track.init_track]);
    Ok(names.flatten().map(String::into_bytes).collect())
}

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

#[cfg(test)]
mod tests {
    use super::*;

    fn object(payload: &'static str) -> Object {
        Object {
            priority: 0,
            status: ObjectStatus::NormalObject,
            properties: ExtensionHeaders::default(),
            payload: Bytes::from_static(payload.as_bytes()),
        }
    }

    fn at(subscription: u64, group: u64, object: u64) -> Arrival {
        Arrival { subscription, group, subgroup: 0, object, whole: true }
    }

    #[test]
    fn catalogs_of_each_kind_name_their_tracks() {
        let cases = [
            (r#"{"version":"draft-01","tracks":[{"name":"v","packaging":"loc","isLive":true}]}"#, vec!["v"]),
            (
                r#"{"version":1,"commonTrackFields":{"packaging":"cmaf"},
                    "tracks":[{"name":"1.m4s","initTrack":"0.mp4"}]}"#,
                vec!["1.m4s", "0.mp4"],
            ),
            (
                r#"{"deltaUpdate":true,"addTracks":[{"name":"a"}],"cloneTracks":[{"name":"b"}]}"#,
                vec!["a", "b"],
            ),
            (
                r#"{"video":{"renditions":{"hd":{"codec":"av01","container":{"kind":"legacy"}}}},
                    "audio":{"renditions":{"en":{"codec":"opus","container":{"kind":"legacy"},
                    "sampleRate":48000,"numberOfChannels":2}}}}"#,
                vec!["hd", "en"],
            ),
        ];
        for (json, expected) in cases {
            let names = names(json.as_bytes()).unwrap();
            let names: Vec<&str> = names.iter().map(|name| std::str::from_utf8(name).unwrap()).collect();
            assert_eq!(names, expected, "{json}");
        }
        assert!(names(b"{").is_err());
    }

    #[test]
    fn a_newer_group_replaces_a_catalog_and_an_older_one_does_not() {
        let mut catalogs = Catalogs::default();
        let ids = |catalogs: &Catalogs| match &catalogs.editions[0] {
            Edition::Present(group) => {
                (group.id, group.objects.keys().map(|(_, id)| *id).collect::<Vec<_>>())
            }
            _ => panic!("no catalog"),
        };
        catalogs.add(Kind::Msf, at(0, 7, 1), object("{"));
        catalogs.add(Kind::Msf, at(0, 7, 0), object("{"));
        catalogs.add(Kind::Msf, at(0, 6, 0), object("{"));
        assert_eq!(ids(&catalogs), (7, vec![0, 1]));
        catalogs.add(Kind::Msf, at(0, 8, 0), object("{"));
        assert_eq!(ids(&catalogs), (8, vec![0]));
        // Another subscription may begin anew.
        catalogs.add(Kind::Msf, at(2, 0, 0), object("{"));
        assert_eq!(ids(&catalogs), (0, vec![0]));
        assert!(catalogs.is_present() && !catalogs.is_absent());
    }

    #[test]
    fn tracks_that_come_later_are_named_and_those_that_go_stay_named() {
        let mut catalogs = Catalogs::default();
        let catalog = |name: &str| -> &'static str {
            format!(r#"{{"version":1,"tracks":[{{"name":"{name}","packaging":"cmaf"}}]}}"#).leak()
        };
        catalogs.add(Kind::Msf, at(0, 0, 0), object(catalog("a")));
        assert!(catalogs.names(b"a") && !catalogs.names(b"b"));
        catalogs.add(Kind::Msf, at(0, 1, 0), object(catalog("b")));
        assert!(catalogs.names(b"a") && catalogs.names(b"b"));
    }
}
