//! Catalog entries of a creator's tracks: names, priorities and descriptions.

use media::{Kind, Packaging, TrackInfo};
use moqt::msf;

/// Render group of all tracks of a broadcast: they are shown together.
const RENDER_GROUP: u64 = 1;
/// Alternative group of the video renditions.
const VIDEO_ALTERNATIVES: u64 = 1;
/// Alternative group of the audio renditions.
const AUDIO_ALTERNATIVES: u64 = 2;

/// Returns the names of the tracks: `video/720p` by the height of the picture, or `audio`. A number is appended to
/// names that would be equal.
pub(crate) fn names(infos: &[TrackInfo]) -> Vec<String> {
    let mut names: Vec<String> = Vec::with_capacity(infos.len());
    for info in infos {
        let name = match info.kind {
            Kind::Video { width, height, .. } => format!("video/{}p", width.min(height)),
            _ => "audio".to_owned(),
        };
        let mut unique = name.clone();
        let mut number = 2;
        while names.contains(&unique) {
            unique = format!("{name}-{number}");
            number += 1;
        }
        names.push(unique);
    }
    names
}

/// Returns the priority of each track; a lower number is sent first. Sound precedes video, and small renditions precede
/// large ones.
pub(crate) fn priorities(infos: &[TrackInfo]) -> Vec<u8> {
    const AUDIO: u8 = 32;
    const VIDEO: u8 = 64;
    let pixels = |info: &TrackInfo| match info.kind {
        Kind::Video { width, height, .. } => u64::from(width) * u64::from(height),
        _ => 0,
    };
    let smaller = |info: &TrackInfo| {
        infos.iter().filter(|other| other.is_video() && pixels(other) < pixels(info)).count()
    };
    infos
        .iter()
        .map(|info| match info.kind {
            Kind::Video { .. } => VIDEO.saturating_add(smaller(info).min(48) as u8),
            _ => AUDIO,
        })
        .collect()
}

/// Returns a track's entry in the catalog.
pub(crate) fn track(
    info: &TrackInfo,
    name: &str,
    packaging: Packaging,
    alternatives: Alternatives,
) -> msf::Track {
    let (packaging, init_data) = match packaging {
        Packaging::Frames => (msf::Packaging::Loc, info.description.clone()),
        Packaging::Cmaf => (msf::Packaging::Cmaf, info.init.clone()),
    };
    let track = msf::Track {
        name: name.to_owned(),
        packaging,
        is_live: true,
        render_group: Some(RENDER_GROUP),
        codec: Some(info.codec_string.clone()),
        bitrate: info.bitrate,
        lang: info.lang.clone(),
        init_data,
        ..msf::Track::default()
    };
    match info.kind {
        Kind::Video { width, height, framerate, .. } => msf::Track {
            role: Some(msf::Role::Video),
            alt_group: (alternatives.video > 1).then_some(VIDEO_ALTERNATIVES),
            width: Some(width.into()),
            height: Some(height.into()),
            // Containers count in ticks: 15.0000001 is 15.
            framerate: framerate.map(|rate| (rate * 1000.0).round() / 1000.0),
            ..track
        },
        Kind::Audio { sample_rate, channels, .. } => msf::Track {
            role: Some(msf::Role::Audio),
            alt_group: (alternatives.audio > 1).then_some(AUDIO_ALTERNATIVES),
            samplerate: Some(sample_rate.into()),
            channel_config: Some(channels.to_string()),
            ..track
        },
        _ => track,
    }
}

/// Numbers of renditions of each kind. Only tracks with alternatives name an alternative group.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Alternatives {
    video: usize,
    audio: usize,
}

impl Alternatives {
    pub(crate) fn of(infos: &[TrackInfo]) -> Self {
        let video = infos.iter().filter(|info| info.is_video()).count();
        Self { video, audio: infos.len() - video }
    }
}
