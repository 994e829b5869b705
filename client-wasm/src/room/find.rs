//! The catalog, wherever it is, and the initialisation segments that it refers to.

use bytes::Bytes;
use moqt::{Location, Micros, Misuse, Params, message::FetchKind};

use super::{CATALOG_PRIORITY, Found, PAUSE, Purpose, Room, Way};
use crate::{
    catalog::{Catalog, TRACKS},
    clock::now,
    jitter::Arrival,
    player::State,
    quality::Quality,
    video,
};

/// The longest pause before the past of a track is asked for again.
const LONGEST_PAUSE: Micros = Micros::from_millis(64_000);

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

    /// Asks for something once more, later: it may not have been there yet.
    pub(super) fn ask_later(&mut self, purpose: Purpose) {
        self.again.push((now() + self.pause, purpose));
    }

    /// Asks for what is due.
    pub(super) fn ask_again(&mut self) -> Result<(), Misuse> {
        let time = now();
        let due: Vec<_> = self.again.extract_if(.., |(at, _)| *at <= time).collect();
        if !due.is_empty() {
            self.pause = (self.pause + self.pause).min(LONGEST_PAUSE);
        }
        for (_, purpose) in due {
            match &purpose {
                Purpose::Catalog { index, way } => {
                    // Who has not accepted by now has nothing yet: whoever waits gets all of it.
                    match (self.search.accepted(*index), way) {
                        (None, _) => {}
                        (Some(live), Way::Past) => {
                            self.fetch_joining(live, CATALOG_PRIORITY, purpose)?;
                        }
                        (Some(_), _) => self.fetch_first(TRACKS[*index], purpose)?,
                    }
                }
                Purpose::Init { name, .. } => self.fetch_first(&name.clone(), purpose)?,
                _ => {}
            }
        }
        Ok(())
    }

    /// A catalog is there, or is to be looked for elsewhere: the past of its track need not be asked for again.
    pub(super) fn no_catalog_again(&mut self, of: impl Fn(usize) -> bool) {
        self.again.retain(|(_, purpose)| !matches!(purpose, Purpose::Catalog { index, .. } if of(*index)));
    }

    pub(super) async fn on_catalog(&mut self, index: usize, json: Bytes) -> Result<(), Misuse> {
        let known = self.catalog.as_ref().is_some_and(|(known, _)| *known == json);
        if known || self.over.as_ref() == Some(&json) {
            return self.settle_on(index).map(drop);
        }
        // What only says what changed, or cannot be read, leaves what is known.
        if Catalog::parse(&json, &self.inits).is_err() || !self.settle_on(index)? {
            return Ok(());
        }
        if self.waiting.as_ref() != Some(&json) {
            // Tracks may be called as they were, and be others.
            self.forget_inits()?;
        }
        self.read(json).await
    }

    /// Reads a catalog, as far as its initialisation segments are there.
    async fn read(&mut self, json: Bytes) -> Result<(), Misuse> {
        let Ok(mut catalog) = Catalog::parse(&json, &self.inits) else { return Ok(()) };
        if catalog.complete {
            self.over = Some(json);
            self.found.push(Found::State(State::Ended));
            return Ok(());
        }
        if !catalog.missing.is_empty() {
            self.waiting = Some(json);
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
        self.no_catalog_again(|_| true);
        self.pause = PAUSE;
        Ok(true)
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

    /// An initialisation segment came. Without one, what needs it is left out until it comes.
    pub(super) async fn on_init(&mut self, of: String, segment: Option<Bytes>) -> Result<(), Misuse> {
        if segment.is_some() {
            self.take_back_inits(|name| *name == of)?;
        }
        self.inits.insert(of, segment);
        let known = || self.catalog.as_ref().map(|(json, _)| json.clone());
        match self.waiting.clone().or_else(known) {
            Some(json) => self.read(json).await,
            None => Ok(()),
        }
    }

    /// Those that are known are another creator's, or another catalog's.
    fn forget_inits(&mut self) -> Result<(), Misuse> {
        self.inits.clear();
        self.waiting = None;
        self.take_back_inits(|_| true)
    }

    fn take_back_inits(&mut self, unwanted: impl Fn(&String) -> bool) -> Result<(), Misuse> {
        let unwanted = |purpose: &Purpose| matches!(purpose, Purpose::Init { name, .. } if unwanted(name));
        self.again.retain(|(_, purpose)| !unwanted(purpose));
        self.take_back(unwanted)
    }
}
