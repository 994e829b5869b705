//! MSF as it is written.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::Value;

use super::{Catalog, Error, Role, Track};

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Root {
    version: Value,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    generated_at: Option<Whole>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    is_complete: bool,
    /// Fields that all tracks share, in the common catalog format.
    #[serde(default, skip_serializing)]
    common_track_fields: Entry,
    tracks: Vec<Entry>,
    /// Since draft 01, tracks refer to their initialisation data.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    init_data_list: Vec<InitData>,
}

#[derive(Serialize, Deserialize)]
struct InitData {
    id: String,
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    data: String,
}

const INLINE: &str = "inline";

#[derive(Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Entry {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    packaging: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    is_live: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    target_latency: Option<Whole>,
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    label: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    render_group: Option<Whole>,
    #[serde(skip_serializing_if = "Option::is_none")]
    alt_group: Option<Whole>,
    #[serde(skip_serializing_if = "Option::is_none")]
    init_ref: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    init_data: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    init_track: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    codec: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mime_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    width: Option<Whole>,
    #[serde(skip_serializing_if = "Option::is_none")]
    height: Option<Whole>,
    #[serde(skip_serializing_if = "Option::is_none")]
    framerate: Option<Rate>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bitrate: Option<Whole>,
    #[serde(skip_serializing_if = "Option::is_none")]
    samplerate: Option<Whole>,
    #[serde(skip_serializing_if = "Option::is_none")]
    channel_config: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lang: Option<String>,
    /// Selection parameters of a track, in the common catalog format.
    #[serde(skip_serializing)]
    selection_params: Option<Box<Entry>>,
}

/// An integer, however JSON's one kind of number spells it.
#[derive(Clone, Copy)]
pub(super) struct Whole(pub(super) u64);

impl Serialize for Whole {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(self.0)
    }
}

impl<'de> Deserialize<'de> for Whole {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = f64::deserialize(deserializer)?;
        if number >= 0.0 {
            Ok(Self(number as u64))
        } else {
            Err(de::Error::custom(format_args!("{number} where no negative number can be")))
        }
    }
}

/// A rate, written without a fraction if it has none.
#[derive(Deserialize)]
struct Rate(f64);

impl Serialize for Rate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0.fract() == 0.0 && self.0 >= 0.0 {
            serializer.serialize_u64(self.0 as u64)
        } else {
            serializer.serialize_f64(self.0)
        }
    }
}

pub(super) fn encode(catalog: &Catalog) -> Bytes {
    let mut init_data_list: Vec<InitData> = Vec::new();
    let tracks = catalog.tracks.iter().map(|track| {
        let init_ref = track.init_data.as_ref().map(|data| {
            let data = BASE64_STANDARD.encode(data);
            if let Some(known) = init_data_list.iter().find(|known| known.data == data) {
                return known.id.clone();
            }
            let id = format!("init{}", init_data_list.len());
            init_data_list.push(InitData { id: id.clone(), kind: INLINE.to_owned(), data });
            id
        });
        Entry { init_ref, ..Entry::from(track) }
    });
    let tracks = tracks.collect();
    let root = Root {
        version: Catalog::VERSION.into(),
        generated_at: catalog.generated_at.map(Whole),
        is_complete: catalog.is_complete,
        common_track_fields: Entry::default(),
        tracks,
        init_data_list,
    };
    // Strings and numbers only: this cannot fail.
    serde_json::to_vec(&root).unwrap_or_default().into()
}

pub(super) fn parse(value: Value) -> Result<Catalog, Error> {
    // A delta has no tracks of its own, which would be the less helpful complaint.
    if value.get("deltaUpdate") == Some(&Value::Bool(true)) {
        return Err(Error::Delta);
    }
    let root: Root = serde_json::from_value(value)?;
    match &root.version {
        Value::Number(version) if version.as_f64() == Some(1.0) => {}
        Value::String(version) if version == "1" || version.starts_with("draft-") => {}
        other => return Err(Error::Version(other.to_string())),
    }
    let Root { generated_at, is_complete, common_track_fields, tracks, init_data_list, .. } = root;
    let tracks = tracks
        .into_iter()
        .map(|mut entry| {
            if let Some(selection) = entry.selection_params.take() {
                entry = entry.or(&selection);
            }
            entry.or(&common_track_fields).track(&init_data_list)
        })
        .collect::<Result<_, _>>()?;
    Ok(Catalog { generated_at: generated_at.map(|at| at.0), is_complete, tracks })
}

impl Entry {
    /// Fills missing fields from the other value.
    fn or(mut self, other: &Self) -> Self {
        macro_rules! fill {
            ($($field:ident),*) => { $(if self.$field.is_none() { self.$field.clone_from(&other.$field); })* };
        }
        fill!(
            namespace,
            packaging,
            role,
            label,
            codec,
            mime_type,
            channel_config,
            lang,
            init_track,
            init_data
        );
        self.render_group = self.render_group.or(other.render_group);
        self.alt_group = self.alt_group.or(other.alt_group);
        self.width = self.width.or(other.width);
        self.height = self.height.or(other.height);
        self.bitrate = self.bitrate.or(other.bitrate);
        self.samplerate = self.samplerate.or(other.samplerate);
        if self.framerate.is_none() {
            self.framerate = other.framerate.as_ref().map(|rate| Rate(rate.0));
        }
        self
    }

    fn track(self, init_data_list: &[InitData]) -> Result<Track, Error> {
        let name = self.name.ok_or_else(|| Error::Json("a track without a name".into()))?;
        let wrong = |why| Error::InitData { track: name.clone(), why };
        let encoded = match (self.init_data, &self.init_ref) {
            (Some(inline), _) => Some(inline),
            (None, Some(id)) => {
                let found = init_data_list.iter().find(|init| init.id == *id);
                let init = found.ok_or(wrong("its initRef is not in initDataList"))?;
                (init.kind == INLINE).then(|| init.data.clone())
            }
            (None, None) => None,
        };
        let init_data = encoded.map(|text| decode(&text).ok_or(wrong("its init data is not base64")));
        let init_data = init_data.transpose()?;
        let packaging = self
            .packaging
            .as_deref()
            .ok_or_else(|| Error::Json(format!("track {name:?} does not say what packaging it has")))?;
        Ok(Track {
            packaging: packaging.into(),
            // Draft 00's own examples leave it out; the common catalog format does not know it.
            is_live: self.is_live.unwrap_or(true),
            role: self.role.as_deref().map(Role::from),
            init_data,
            namespace: self.namespace,
            label: self.label,
            render_group: self.render_group.map(|group| group.0),
            alt_group: self.alt_group.map(|group| group.0),
            codec: self.codec,
            mime_type: self.mime_type,
            width: self.width.map(|pixels| pixels.0),
            height: self.height.map(|pixels| pixels.0),
            framerate: self.framerate.map(|rate| rate.0),
            bitrate: self.bitrate.map(|rate| rate.0),
            samplerate: self.samplerate.map(|rate| rate.0),
            channel_config: self.channel_config,
            lang: self.lang,
            init_track: self.init_track,
            target_latency: self.target_latency.map(|latency| latency.0),
            name,
        })
    }
}

pub(super) fn decode(base64: &str) -> Option<Bytes> {
    BASE64_STANDARD.decode(base64).ok().map(Bytes::from)
}

impl From<&Track> for Entry {
    fn from(track: &Track) -> Self {
        Self {
            name: Some(track.name.clone()),
            namespace: track.namespace.clone(),
            packaging: Some(track.packaging.as_str().to_owned()),
            is_live: Some(track.is_live),
            target_latency: track.target_latency.map(Whole),
            role: track.role.as_ref().map(|role| role.as_str().to_owned()),
            label: track.label.clone(),
            render_group: track.render_group.map(Whole),
            alt_group: track.alt_group.map(Whole),
            init_ref: None,
            init_data: None,
            init_track: track.init_track.clone(),
            codec: track.codec.clone(),
            mime_type: track.mime_type.clone(),
            width: track.width.map(Whole),
            height: track.height.map(Whole),
            framerate: track.framerate.map(Rate),
            bitrate: track.bitrate.map(Whole),
            samplerate: track.samplerate.map(Whole),
            channel_config: track.channel_config.clone(),
            lang: track.lang.clone(),
            selection_params: None,
        }
    }
}
