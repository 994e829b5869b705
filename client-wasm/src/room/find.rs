//! The catalog, wherever it is, and the initialisation segments that it refers to.

use bytes::Bytes;
use moqt::{Location, Misuse, Params, message::FetchKind};

use super::{CATALOG_PRIORITY, Found, Purpose, Room};
use crate::{
    catalog::{Catalog, MAX_INIT_TRACKS, TRACKS},
    clock::now,
    jitter::Arrival,
    player::State,
    quality::Quality,
    video,
};

impl Room {
    /// Fetches a track's first group.
    pub(super) fn fetch_first(&mut self, name: &str, purpose: Purpose) -> Result<(), Misuse> {
        let track = self.track(name)?;
        let kind = FetchKind::Standalone { track, start: Location::default(), end: Location::default() };
        let params = Params { priority: Some(CATALOG_PRIORITY), ..Params::default() };
        let request = self.connection.with(|session| session.fetch(kind, params))?;
        self.requests.insert(request, purpose);
        Ok(())
    }

    pub(super) fn ask_for_catalog(&mut self) -> Result<(), Misuse> {
        while let Some(index) = self.search.next(now()) {
            let purpose = |arrival: Arrival| Purpose::Catalog { index, way: arrival.into() };
            let request = self.join(TRACKS[index], CATALOG_PRIORITY, purpose)?;
            self.search.asked(index, request);
        }
        Ok(())
    }

    pub(super) async fn on_catalog(&mut self, index: usize, json: Bytes) -> Result<(), Misuse> {
        let known = self.catalog.as_ref().is_some_and(|(known, _)| *known == json);
        if known || self.over.as_ref() == Some(&json) {
            return self.settle_on(index).map(drop);
        }
        let waited_for = self.waiting.as_ref().is_some_and(|(_, waiting)| *waiting == json);
        if waited_for && !self.inits_are_there() {
            return Ok(());
        }
        // What only says what changed, or cannot be read, leaves what is known.
        let Ok(mut catalog) = Catalog::parse(&json, &self.inits) else { return Ok(()) };
        if !self.settle_on(index)? {
            return Ok(());
        }
        if catalog.complete {
            self.over = Some(json);
            self.found.push(Found::State(State::Ended));
            return Ok(());
        }
        if !catalog.missing.is_empty() {
            self.waiting = Some((index, json));
            return self.ask_for_inits(&catalog.missing);
        }
        self.waiting = None;
        let mut supported = Vec::new();
        for track in catalog.video {
            if video::is_supported(&track).await {
                supported.push(track);
            }
        }
        catalog.video = supported;
        let bitrates = catalog.video.iter().map(|track| track.bitrate).collect();
        self.quality = Quality::new(bitrates, 0, now());
        self.over = None;
        // Tracks that are described anew are asked for anew.
        let changed = self.catalog.as_ref().is_some_and(|(_, before)| *before != catalog);
        if changed {
            self.drop_video()?;
            self.drop_audio()?;
        }
        self.catalog = Some((json, catalog.clone()));
        self.found.push(Found::Catalog(catalog));
        Ok(())
    }

    /// The catalog is in that track; whether it may be.
    fn settle_on(&mut self, index: usize) -> Result<bool, Misuse> {
        let Some(others) = self.search.found(index) else { return Ok(false) };
        if !others.is_empty() {
            self.take_back(
                |purpose| matches!(purpose, Purpose::Catalog { index: other, .. } if *other != index),
            )?;
        }
        Ok(true)
    }

    fn inits_are_there(&self) -> bool {
        !self.requests.values().any(|purpose| matches!(purpose, Purpose::Init { .. }))
    }

    fn ask_for_inits(&mut self, names: &[String]) -> Result<(), Misuse> {
        let asked = self.requests.values().filter_map(|purpose| match purpose {
            Purpose::Init { name, .. } => Some(name.as_str()),
            _ => None,
        });
        let asked: Vec<String> = asked.map(str::to_owned).collect();
        for name in names.iter().filter(|name| !asked.contains(*name)) {
            let purpose = |arrival: Arrival| Purpose::Init { name: name.clone(), way: arrival.into() };
            self.join(name, CATALOG_PRIORITY, purpose)?;
        }
        Ok(())
    }

    /// An initialisation segment came, or will not.
    pub(super) async fn on_init(&mut self, of: String, segment: Option<Bytes>) -> Result<(), Misuse> {
        self.take_back(|purpose| matches!(purpose, Purpose::Init { name, .. } if *name == of))?;
        if self.inits.len() >= MAX_INIT_TRACKS {
            self.inits.clear();
        }
        self.inits.insert(of, segment);
        match self.waiting.clone() {
            Some((index, json)) if self.inits_are_there() => self.on_catalog(index, json).await,
            _ => Ok(()),
        }
    }
}
