//! Media subscriptions: one for the sound, one for the picture, and one more while another rendition takes over.

use moqt::{Filter, GroupOrder, Misuse, Params};

use super::{AUDIO_PRIORITY, Feed, Preferences, Purpose, Subscriptions, VIDEO_PRIORITY};
use crate::{
    browser::playout::Source,
    catalog::{Audio, Catalog},
    frame::{Format, Reader},
    jitter::Arrival,
};

/// The moment at which the old rendition is cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Handover {
    /// The old one ends when the next one is shown: no frame is missed.
    WhenShown,
    /// The old one ends when the next one begins to arrive: the network does not carry the old one, let alone both.
    WhenThere,
}

impl Subscriptions {
    /// Subscribes to a rendition: from the current group on, or from the next one on after another rendition.
    pub(super) fn subscribe_video(
        &mut self,
        catalog: &Catalog,
        index: usize,
        after: Option<&Feed>,
    ) -> Result<Option<Feed>, Misuse> {
        let Some(track) = catalog.video.get(index) else { return Ok(None) };
        let source = self.add_source(Source::Video(track.clone()), &track.format);
        let name = track.name.clone();
        if after.is_some() {
            let params = Params {
                filter: Some(Filter::NextGroup),
                priority: Some(VIDEO_PRIORITY),
                group_order: Some(GroupOrder::Descending),
                ..Params::default()
            };
            let track = self.track(&name)?;
            let request = self.connection.with(|session| session.subscribe(track, params))?;
            self.requests.insert(request, Purpose::Media { source, arrival: Arrival::Live });
        } else {
            self.join(&name, VIDEO_PRIORITY, |arrival| Purpose::Media { source, arrival })?;
        }
        Ok(Some(Feed { source, name }))
    }

    pub(super) fn subscribe_audio(&mut self, track: &Audio) -> Result<Option<Feed>, Misuse> {
        let source = self.add_source(Source::Audio(track.clone()), &track.format);
        self.join(&track.name, AUDIO_PRIORITY, |arrival| Purpose::Media { source, arrival })?;
        Ok(Some(Feed { source, name: track.name.clone() }))
    }

    fn add_source(&mut self, what: Source, format: &Format) -> u32 {
        let source = self.next_source;
        self.next_source += 1;
        self.readers.insert(source, Reader::new(format.clone()));
        self.playout.borrow_mut().add_source(source, what);
        source
    }

    /// Switches to another rendition from the next group on.
    pub(super) fn switch(
        &mut self,
        catalog: &Catalog,
        index: usize,
        handover: Handover,
    ) -> Result<(), Misuse> {
        self.handover = handover;
        if let Some(pending) = self.next_video.take() {
            self.drop_feed(&pending)?;
        }
        let Some(current) = self.video.clone() else { return Ok(()) };
        if catalog.video.get(index).is_none_or(|track| track.name == current.name) {
            return Ok(());
        }
        self.next_video = self.subscribe_video(catalog, index, Some(&current))?;
        Ok(())
    }

    /// Cancels the old rendition when the new one begins to arrive; received frames of the old one are still shown.
    pub(super) fn hand_over(&mut self, to: u32) -> Result<(), Misuse> {
        let begins = self.next_video.as_ref().is_some_and(|next| next.source == to);
        if !begins || self.handover != Handover::WhenThere {
            return Ok(());
        }
        self.handover = Handover::WhenShown;
        let Some(from) = self.video.as_ref().map(|feed| feed.source) else { return Ok(()) };
        self.cancel_requests(|purpose| matches!(purpose, Purpose::Media { source, .. } if *source == from))
    }

    /// Cancels the old rendition once the new one is on the canvas.
    pub(super) fn finish_switch(&mut self) -> Result<(), Misuse> {
        let playing = self.playout.borrow().video_source();
        if let Some(next) = self.next_video.take_if(|next| playing == Some(next.source))
            && let Some(before) = self.video.replace(next)
        {
            self.drop_feed(&before)?;
        }
        Ok(())
    }

    pub(super) fn drop_video(&mut self) -> Result<(), Misuse> {
        let feeds = [self.video.take(), self.next_video.take()];
        if feeds.iter().any(Option::is_some) {
            self.playout.borrow_mut().reset_video();
        }
        for feed in feeds.into_iter().flatten() {
            self.drop_feed(&feed)?;
        }
        Ok(())
    }

    /// Cancels the sound.
    pub(crate) fn drop_audio(&mut self) -> Result<(), Misuse> {
        let Some(feed) = self.audio.take() else { return Ok(()) };
        self.playout.borrow_mut().reset_audio();
        self.drop_feed(&feed)
    }

    /// Cancels every request for a source.
    fn drop_feed(&mut self, feed: &Feed) -> Result<(), Misuse> {
        self.cancel_requests(
            |purpose| matches!(purpose, Purpose::Media { source, .. } if *source == feed.source),
        )?;
        self.open.retain(|(source, _), _| *source != feed.source);
        self.readers.remove(&feed.source);
        self.playout.borrow_mut().remove_source(feed.source);
        Ok(())
    }

    pub(super) fn choose(&self, catalog: &Catalog, preferences: &Preferences) -> usize {
        let name = preferences.rendition.as_deref();
        let wanted = name.and_then(|name| catalog.video.iter().position(|track| track.name == name));
        wanted.unwrap_or_else(|| self.quality.current().max(best_for(catalog, preferences.height)))
    }
}

/// Returns the best rendition that is not larger than needed.
pub(super) fn best_for(catalog: &Catalog, height: u32) -> usize {
    if height == 0 {
        return 0;
    }
    catalog.video.iter().rposition(|track| track.height >= height).unwrap_or(0)
}
