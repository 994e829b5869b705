use std::{collections::HashMap, time::SystemTime};

use serde::Serialize;

use super::Inner;
use crate::{State, room::SessionKey, session::room_name};

/// A room as `/api/rooms` shows it.
#[derive(Clone, Debug, Serialize)]
pub struct RoomView {
    /// Its name.
    pub name: String,
    /// What it is doing.
    pub state: State,
    /// The name in its creator's token.
    pub creator: Option<String>,
    /// Since when it is live, or ended (RFC 3339).
    pub since: String,
    /// Sessions subscribed to any of its tracks, edges excluded.
    pub viewers: usize,
    /// Edges subscribed to any of its tracks.
    pub edges: usize,
    /// Its tracks, by name.
    pub tracks: Vec<TrackView>,
}

/// A track as `/api/rooms` shows it.
#[derive(Clone, Debug, Serialize)]
pub struct TrackView {
    /// Its namespace, joined with `/`.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Whether it is being published.
    pub live: bool,
    /// Bits per second that come in.
    pub bitrate: u64,
    /// Groups that came.
    pub groups: u64,
    /// Objects that came.
    pub objects: u64,
    /// The newest group.
    pub newest_group: Option<u64>,
    /// Bytes kept for FETCH.
    pub kept_bytes: u64,
    /// Subscriptions to it.
    pub subscribers: usize,
}

impl Inner {
    pub(super) fn view(&self, name: &str) -> Option<RoomView> {
        let room = self.rooms.get(name)?;
        let entries = self.tracks.iter().filter(|(_, entry)| entry.room == name);
        let mut sessions: HashMap<SessionKey, bool> = HashMap::new();
        let mut tracks: Vec<_> = entries
            .map(|(name, entry)| {
                sessions.extend(entry.viewers.iter().map(|(session, (_, edge))| (*session, *edge)));
                let stats = entry.store.stats();
                TrackView {
                    namespace: room_name(&name.namespace).unwrap_or_default(),
                    name: name.name.to_string(),
                    live: entry.live.is_some(),
                    bitrate: stats.bitrate,
                    groups: stats.groups,
                    objects: stats.objects,
                    newest_group: stats.newest,
                    kept_bytes: stats.kept,
                    subscribers: entry.viewers.values().map(|(count, _)| count).sum(),
                }
            })
            .collect();
        tracks.sort_by(|a, b| (&a.namespace, &a.name).cmp(&(&b.namespace, &b.name)));
        let edges = sessions.values().filter(|edge| **edge).count();
        Some(RoomView {
            name: name.to_owned(),
            state: room.state,
            creator: room.creator.clone(),
            since: rfc3339(SystemTime::now() - room.since.elapsed()),
            viewers: sessions.len() - edges,
            edges,
            tracks,
        })
    }
}

fn rfc3339(at: SystemTime) -> String {
    time::UtcDateTime::from(at)
        .replace_nanosecond(0)
        .ok()
        .and_then(|at| at.format(&time::format_description::well_known::Rfc3339).ok())
        .unwrap_or_default()
}
