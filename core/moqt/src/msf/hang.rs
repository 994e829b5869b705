//! moq-dev's catalogs, read only.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::Value;

use super::{
    Catalog, Error, Packaging, Role, Track,
    wire::{Whole, decode},
};

#[derive(Default, Deserialize)]
#[serde(default)]
struct Section {
    renditions: BTreeMap<String, Rendition>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Rendition {
    codec: String,
    label: Option<String>,
    /// Decoder configuration in hexadecimal digits.
    description: Option<String>,
    coded_width: Option<Whole>,
    coded_height: Option<Whole>,
    framerate: Option<f64>,
    bitrate: Option<Whole>,
    sample_rate: Option<Whole>,
    number_of_channels: Option<Whole>,
    #[serde(default)]
    container: Container,
}

#[derive(Default, Deserialize)]
struct Container {
    kind: Option<String>,
    init: Option<String>,
}

/// Returns whether the catalog is of this format: it has sections and no list of tracks.
pub(super) fn is(root: &Value) -> bool {
    root.get("tracks").is_none() && (root["video"].is_object() || root["audio"].is_object())
}

pub(super) fn parse(mut root: Value) -> Result<Catalog, Error> {
    let mut tracks = Vec::new();
    for (section, role) in [("video", Role::Video), ("audio", Role::Audio)] {
        let value = match root[section].take() {
            Value::Null => continue,
            value => value,
        };
        let section: Section = serde_json::from_value(value)?;
        let mut renditions: Vec<_> = section.renditions.into_iter().collect();
        renditions.sort_by_key(|(_, rendition)| {
            std::cmp::Reverse((rendition.pixels(), rendition.bitrate.map(|rate| rate.0)))
        });
        let alternatives = renditions.len() > 1;
        for (name, rendition) in renditions {
            let alt_group = alternatives.then_some(u64::from(role == Role::Audio) + 1);
            tracks.push(rendition.track(name, role.clone(), alt_group)?);
        }
    }
    Ok(Catalog { generated_at: None, is_complete: false, tracks })
}

impl Rendition {
    fn pixels(&self) -> u64 {
        let side = |side: Option<Whole>| side.map_or(0, |side| side.0);
        side(self.coded_width).saturating_mul(side(self.coded_height))
    }

    fn track(self, name: String, role: Role, alt_group: Option<u64>) -> Result<Track, Error> {
        let wrong = |why| Error::InitData { track: name.clone(), why };
        let packaging = match self.container.kind.as_deref() {
            None | Some("legacy") => Packaging::HangLegacy,
            Some("loc") => Packaging::HangLoc,
            Some("cmaf") => Packaging::Cmaf,
            Some(other) => Packaging::Other(other.to_owned()),
        };
        let init_data = match (&packaging, self.container.init, self.description) {
            (Packaging::Cmaf, Some(init), _) => {
                Some(decode(&init).ok_or(wrong("its init data is not base64"))?)
            }
            (_, _, Some(description)) => {
                Some(hex(&description).ok_or(wrong("its description is not hexadecimal"))?)
            }
            _ => None,
        };
        Ok(Track {
            packaging,
            is_live: true,
            role: Some(role),
            label: self.label,
            render_group: Some(1),
            alt_group,
            codec: Some(self.codec),
            width: self.coded_width.map(|pixels| pixels.0),
            height: self.coded_height.map(|pixels| pixels.0),
            framerate: self.framerate,
            bitrate: self.bitrate.map(|rate| rate.0),
            samplerate: self.sample_rate.map(|rate| rate.0),
            channel_config: self.number_of_channels.map(|count| count.0.to_string()),
            init_data,
            name,
            ..Track::default()
        })
    }
}

fn hex(digits: &str) -> Option<Bytes> {
    let digits: Vec<u8> =
        digits.chars().map(|digit| digit.to_digit(16).map(|digit| digit as u8)).collect::<Option<_>>()?;
    let (pairs, rest) = digits.as_chunks::<2>();
    rest.is_empty().then(|| pairs.iter().map(|[high, low]| high << 4 | low).collect())
}
