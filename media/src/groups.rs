//! Groups: the position of each sample in its track.

use std::collections::VecDeque;

use crate::{Micros, Sample, TrackInfo};

/// Position of a sample in its track.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// Number of the group.
    pub group: u64,
    /// Number of the object in the group, from zero. Zero opens the group.
    pub object: u64,
}

/// Numbers the groups of the tracks of a show.
///
/// A group starts at each key frame of a video track; key frames of the same time open the same group in all
/// renditions. Sound follows the groups of the video, so that a group is the same stretch of time in all tracks; alone it
/// gets groups of [`AUDIO_GROUP`](Self::AUDIO_GROUP). Within a track numbers only rise, also through a reconnect.
#[derive(Debug, Clone)]
pub struct Groups {
    tracks: Vec<Track>,
    lead: Lead,
    /// The newest groups that video opened, oldest first.
    opened: VecDeque<Opened>,
    next: u64,
}

#[derive(Debug, Clone, Copy)]
struct Opened {
    group: u64,
    pts: Micros,
}

/// Kind of samples that open a track's groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lead {
    KeyFrames,
    Time,
}

#[derive(Debug, Clone, Copy)]
struct Track {
    role: Role,
    open: Option<Open>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Leads,
    Follows,
}

#[derive(Debug, Clone, Copy)]
struct Open {
    group: u64,
    objects: u64,
    since: Micros,
}

impl Groups {
    /// Duration of a group of sound without video.
    pub const AUDIO_GROUP: Micros = Micros::SECOND;
    /// Tolerance within which key frames of several renditions belong to the same picture.
    pub const ALIGNMENT: Micros = Micros(15_000);
    /// Groups remembered: renditions may be this many apart.
    const MEMORY: usize = 32;

    /// Creates the numbering for these tracks, with `first` as the first group's number.
    pub fn new(tracks: &[TrackInfo], first: u64) -> Self {
        let lead = if tracks.iter().any(TrackInfo::is_video) { Lead::KeyFrames } else { Lead::Time };
        let role = |track: &TrackInfo| {
            if track.is_video() || lead == Lead::Time { Role::Leads } else { Role::Follows }
        };
        let tracks = tracks.iter().map(|track| Track { role: role(track), open: None }).collect();
        Self { tracks, lead, opened: VecDeque::new(), next: first }
    }

    /// Returns the number after the highest used: a publisher that reconnects or restarts continues with it.
    pub fn next_group(&self) -> u64 {
        self.next
    }

    /// Returns the position of a sample; `None` if it comes before the first key frame of its track or of the
    /// video it follows, or its track is unknown.
    pub fn position(&mut self, sample: &Sample) -> Option<Position> {
        let Track { role, open } = *self.tracks.get(sample.track)?;
        let opens = match (open, role, self.lead) {
            (Some(open), Role::Follows, _) => self.latest(sample.pts).is_some_and(|group| group > open.group),
            (Some(open), Role::Leads, Lead::Time) => sample.pts >= open.since + Self::AUDIO_GROUP,
            (None, _, _) | (Some(_), Role::Leads, Lead::KeyFrames) => sample.keyframe,
        };
        let open = if opens {
            let after = open.map_or(0, |open| open.group + 1);
            let group = match role {
                Role::Leads => self.open(sample.pts, after),
                Role::Follows => self.latest(sample.pts)?.max(after),
            };
            Open { group, objects: 0, since: sample.pts }
        } else {
            open?
        };
        self.tracks.get_mut(sample.track)?.open = Some(Open { objects: open.objects + 1, ..open });
        Some(Position { group: open.group, object: open.objects })
    }

    /// Opens a group, or joins the one that another rendition opened at the same time.
    fn open(&mut self, pts: Micros, after: u64) -> u64 {
        let near =
            |opened: &&Opened| opened.pts.0.abs_diff(pts.0) <= Self::ALIGNMENT.0 && opened.group >= after;
        if let Some(opened) = self.opened.iter().find(near) {
            return opened.group;
        }
        // A rendition that lags behind the others, or has key frames of its own, joins the group of its time.
        let newest = self.opened.back().map(|opened| opened.pts);
        if newest.is_some_and(|newest| pts < newest)
            && let Some(group) = self.latest(pts).filter(|group| *group >= after)
        {
            return group;
        }
        let group = self.next.max(after);
        self.next = group + 1;
        self.opened.push_back(Opened { group, pts });
        if self.opened.len() > Self::MEMORY {
            self.opened.pop_front();
        }
        group
    }

    /// Returns the group that is open at a time; before all of them, the first.
    fn latest(&self, pts: Micros) -> Option<u64> {
        let at = self.opened.iter().rev().find(|opened| opened.pts <= pts + Self::ALIGNMENT);
        at.or(self.opened.front()).map(|opened| opened.group)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::{AudioCodec, VideoCodec};

    fn tracks(videos: usize) -> Vec<TrackInfo> {
        let video = TrackInfo::video(VideoCodec::H264, "avc1.42c01f".into(), (640, 360), 90_000);
        let audio = TrackInfo::audio(AudioCodec::Opus, "opus".into(), (48_000, 2), 48_000);
        std::iter::repeat_n(video, videos).chain([audio]).collect()
    }

    fn position_of(groups: &mut Groups, track: usize, millis: u64, keyframe: bool) -> Option<(u64, u64)> {
        let pts = Micros::from_millis(millis);
        let duration = Micros::ZERO;
        let sample = Sample { track, pts, dts: pts, duration, keyframe, frames: 1, data: Bytes::new() };
        groups.position(&sample).map(|position| (position.group, position.object))
    }

    #[test]
    fn renditions_and_sound_share_their_groups() {
        let mut groups = Groups::new(&tracks(2), 7);
        assert_eq!(position_of(&mut groups, 2, 0, true), None, "no sound before the picture");
        assert_eq!(position_of(&mut groups, 0, 0, false), None, "nothing before a key frame");
        assert_eq!(position_of(&mut groups, 0, 10, true), Some((7, 0)));
        assert_eq!(position_of(&mut groups, 1, 12, true), Some((7, 0)));
        assert_eq!(position_of(&mut groups, 2, 20, true), Some((7, 0)));
        assert_eq!(position_of(&mut groups, 0, 43, false), Some((7, 1)));
        assert_eq!(position_of(&mut groups, 0, 1010, true), Some((8, 0)));
        assert_eq!(position_of(&mut groups, 0, 2010, true), Some((9, 0)));
        assert_eq!(position_of(&mut groups, 2, 990, true), Some((7, 1)));
        assert_eq!(position_of(&mut groups, 2, 1010, true), Some((8, 0)));
        assert_eq!(position_of(&mut groups, 1, 1010, true), Some((8, 0)), "a rendition that lags");
        assert_eq!(position_of(&mut groups, 1, 1500, true), Some((10, 0)), "a key frame of its own");
        assert_eq!(groups.next_group(), 11);
        assert_eq!(position_of(&mut groups, 9, 0, true), None);
    }

    #[test]
    fn sound_alone_is_cut_by_time() {
        let mut groups = Groups::new(&tracks(0), 0);
        let positions: Vec<_> =
            (0..4).map(|packet| position_of(&mut groups, 0, packet * 500, true)).collect();
        assert_eq!(positions, [Some((0, 0)), Some((0, 1)), Some((1, 0)), Some((1, 1))]);
    }
}
