//! The stage track's content: title, pinned line, modes.

use serde::{Deserialize, Serialize};
use wire::worker::Group;
use wire::{
    ChatId, Frame, Frames, List, Micros, Modes, OnMatch, Pattern, Reason, Settings, Track, TrackItem, limits,
};

use super::Root;
use crate::content::{Filter, clean};
use crate::effects::Effects;

/// Least time between two objects of the stage track.
const EVERY: Micros = Micros::from_millis(250);
/// Bytes of all patterns together, at most: root and edges compile them within one call.
const PATTERN_BYTES: usize = 6 * 1024;
/// Characters of a title, at most.
pub(super) const TITLE_GRAPHEMES: usize = 120;

/// The programme of the room.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Stage {
    title: String,
    /// The pinned line's number and its packet.
    pinned: Option<(ChatId, Vec<u8>)>,
    modes: Modes,
    patterns: Vec<(String, OnMatch)>,
    is_changed: bool,
    pub(super) shown_at: Micros,
}

impl Stage {
    pub(super) fn changed(&mut self) {
        self.is_changed = true;
    }

    pub(super) fn modes(&self) -> &Modes {
        &self.modes
    }

    pub(super) fn set_modes(&mut self, modes: Modes) {
        self.modes = modes;
        self.changed();
    }

    pub(super) fn set_title(&mut self, title: &str) -> Result<(), Reason> {
        self.title = clean(title, TITLE_GRAPHEMES)?.into_owned();
        self.changed();
        Ok(())
    }

    pub(super) fn set_patterns(&mut self, patterns: &[Pattern<'_>]) -> Result<(), Reason> {
        if patterns.len() > limits::PATTERNS {
            return Err(Reason::OutOfRange);
        }
        if patterns.iter().map(|pattern| pattern.text.len()).sum::<usize>() > PATTERN_BYTES {
            return Err(Reason::OutOfRange);
        }
        Filter::new(patterns.iter().copied())?;
        self.patterns = patterns.iter().map(|pattern| (pattern.text.to_owned(), pattern.action)).collect();
        Ok(())
    }

    pub(super) fn pin(&mut self, id: ChatId, packet: &[u8]) {
        self.pinned = Some((id, packet.to_vec()));
        self.changed();
    }

    pub(super) fn unpin(&mut self) {
        self.pinned = None;
        self.changed();
    }

    /// Unpins the pinned line if `which` matches it.
    pub(super) fn unpin_if(&mut self, which: impl Fn(&wire::Line<'_>) -> bool) {
        if self.pinned_line().is_some_and(|line| which(&line)) {
            self.unpin();
        }
    }

    fn pinned_line(&self) -> Option<wire::Line<'_>> {
        let (_, packet) = self.pinned.as_ref()?;
        match Frames::<TrackItem<'_>>::new(packet).ok()?.next()? {
            Ok(Frame::Known(TrackItem::Said(line))) => Some(line),
            _ => None,
        }
    }

    /// Returns the settings that edges check messages against.
    pub(super) fn settings(&self) -> Settings<'_> {
        let patterns: List<Pattern<'_>> =
            self.patterns.iter().map(|(text, action)| Pattern { text, action: *action }).collect();
        Settings { modes: self.modes, patterns }
    }
}

impl Root {
    /// Publishes the programme if it has changed.
    pub(super) fn show_stage(&mut self, fx: &mut Effects<'_>) {
        if !self.stage.is_changed || self.now - self.stage.shown_at < EVERY {
            return;
        }
        self.stage.is_changed = false;
        self.stage.shown_at = self.now;
        let item = TrackItem::Stage(wire::Stage {
            title: &self.stage.title,
            pinned: self.stage.pinned_line(),
            poll: self.polls.view(),
            modes: self.stage.modes,
            gifts: self.gifts.catalogue(),
            questions: self.questions.views(),
        });
        fx.publish(Track::Stage, Group::New, &wire::packet(&item));
    }
}
