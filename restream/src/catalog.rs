//! The catalogs of a room: which tracks there are.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use bytes::Bytes;
use moq_transport::data::{ExtensionHeaders, ObjectStatus};
use moqt::msf;
use serde::Deserialize;

/// Bytes of one group of a catalog that are kept, at most.
const MAX_GROUP_BYTES: usize = 4 * msf::MAX_LEN;

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

    pub(crate) fn track(self) -> &'static str {
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
    pub(crate) editions: [Edition; Kind::ALL.len()],
    /// All tracks that were named since the beginning.
    names: BTreeSet<Vec<u8>>,
}

#[derive(Clone, Debug, Default)]
pub(crate) enum Edition {
    /// The source has not answered yet.
    #[default]
    Unknown,
    /// The source has no such track, or has it no more.
    Absent,
    Present(Arc<Group>),
}

/// The newest group of a catalog.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    /// The subscription that it came by.
    subscription: u64,
    pub(crate) id: u64,
    /// By their subgroups and ids.
    pub(crate) objects: BTreeMap<(u64, u64), Object>,
    /// Set once all objects have come that were published before the subscription.
    pub(crate) whole: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Object {
    pub(crate) priority: u8,
    pub(crate) status: ObjectStatus,
    pub(crate) properties: ExtensionHeaders,
    pub(crate) payload: Bytes,
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

    pub(crate) fn add(&mut self, kind: Kind, at: Arrival, object: Object) {
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
    pub(crate) fn complete(&mut self, kind: Kind, subscription: u64) {
        if let Edition::Present(group) = &mut self.editions[kind as usize]
            && group.subscription == subscription
        {
            Arc::make_mut(group).whole = true;
        }
    }
}

/// The position of an object of a catalog.
#[derive(Clone, Copy)]
pub(crate) struct Arrival {
    pub(crate) subscription: u64,
    pub(crate) group: u64,
    pub(crate) subgroup: u64,
    pub(crate) object: u64,
    /// Set if no earlier object of the group can be missing.
    pub(crate) whole: bool,
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
