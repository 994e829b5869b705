//! Fetching the catalog, from whichever track has it, and the initialisation segments that it refers to.

use bytes::Bytes;
use moqt::{Location, Micros, Misuse, Params, message::FetchKind};

use super::{CATALOG_PRIORITY, Finding, PAUSE, Purpose, Subscriptions, Way};
use crate::{
    browser::{clock::now, state::State, video},
    catalog::{Catalog, TRACKS},
    jitter::Arrival,
    quality::Quality,
};

/// The longest pause before the past of a track is requested again.
const LONGEST_PAUSE: Micros = Micros::from_millis(64_000);

impl Subscriptions {
    /// Fetches a track's first group.
    pub(super) fn fetch_first(&mut self, name: &str, purpose: Purpose) -> Result<(), Misuse> {
        let track = self.track(name)?;
        let kind = FetchKind::Standalone { track, start: Location::default(), end: Location::default() };
        let params = Params { priority: Some(CATALOG_PRIORITY), ..Params::default() };
        let request = self.connection.with(|session| session.fetch(kind, params))?;
        self.requests.insert(request, purpose);
        Ok(())
    }

    pub(super) fn request_catalog(&mut self) -> Result<(), Misuse> {
        while let Some(index) = self.catalog_probe.next(now()) {
            let purpose = |arrival: Arrival| Purpose::Catalog { index, way: arrival.into() };
            let request = self.join(TRACKS[index], CATALOG_PRIORITY, purpose)?;
            self.catalog_probe.asked(index, request);
        }
        Ok(())
    }

    /// Schedules a request to be sent again, because its object may not exist yet.
    pub(super) fn retry_later(&mut self, purpose: Purpose) {
        self.retries.push((now() + self.pause, purpose));
    }

    /// Sends the requests that are due again.
    pub(super) fn retry_due(&mut self) -> Result<(), Misuse> {
        let time = now();
        let due: Vec<_> = self.retries.extract_if(.., |(at, _)| *at <= time).collect();
        if !due.is_empty() {
            self.pause = (self.pause + self.pause).min(LONGEST_PAUSE);
        }
        for (_, purpose) in due {
            match &purpose {
                Purpose::Catalog { index, way } => {
                    // A server that has not accepted yet has no object yet: a subscription that waits gets every
                    // object.
                    match (self.catalog_probe.accepted(*index), way) {
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

    /// Drops the scheduled requests for catalogs, after one was found or the track was given up.
    pub(super) fn drop_catalog_retries(&mut self, of: impl Fn(usize) -> bool) {
        self.retries.retain(|(_, purpose)| !matches!(purpose, Purpose::Catalog { index, .. } if of(*index)));
    }

    pub(super) async fn on_catalog(&mut self, index: usize, json: Bytes) -> Result<(), Misuse> {
        let known = self.catalog.as_ref().is_some_and(|(known, _)| *known == json);
        if known || self.over.as_ref() == Some(&json) {
            return self.settle_on(index).map(drop);
        }
        // A delta update, or a catalog that cannot be read, leaves the known catalog as it is.
        if Catalog::parse(&json, &self.inits).is_err() || !self.settle_on(index)? {
            return Ok(());
        }
        if self.waiting.as_ref() != Some(&json) {
            // Tracks may keep their names and have other contents.
            self.forget_inits()?;
        }
        self.read(json).await
    }

    /// Reads a catalog; requests its missing initialisation segments first.
    async fn read(&mut self, json: Bytes) -> Result<(), Misuse> {
        let Ok(mut catalog) = Catalog::parse(&json, &self.inits) else { return Ok(()) };
        if catalog.complete {
            self.over = Some(json);
            self.findings.push(Finding::State(State::Ended));
            return Ok(());
        }
        if !catalog.missing.is_empty() {
            self.waiting = Some(json);
            return self.request_inits(&catalog.missing);
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
        // Subscribe anew to tracks whose description has changed.
        let changed = self.catalog.as_ref().is_some_and(|(_, before)| *before != catalog);
        if changed {
            self.drop_video()?;
            self.drop_audio()?;
        }
        self.catalog = Some((json, catalog.clone()));
        self.findings.push(Finding::Catalog(catalog));
        Ok(())
    }

    /// Settles on this track for the catalog; returns false if another track has it.
    fn settle_on(&mut self, index: usize) -> Result<bool, Misuse> {
        let Some(others) = self.catalog_probe.found(index) else { return Ok(false) };
        if !others.is_empty() {
            self.cancel_requests(
                |purpose| matches!(purpose, Purpose::Catalog { index: other, .. } if *other != index),
            )?;
        }
        self.drop_catalog_retries(|_| true);
        self.pause = PAUSE;
        Ok(true)
    }

    fn request_inits(&mut self, names: &[String]) -> Result<(), Misuse> {
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

    /// Handles an initialisation segment. Without one, the tracks that need it are left out until it comes.
    pub(super) async fn on_init(&mut self, of: String, segment: Option<Bytes>) -> Result<(), Misuse> {
        if segment.is_some() {
            self.cancel_inits(|name| *name == of)?;
        }
        self.inits.insert(of, segment);
        let known = || self.catalog.as_ref().map(|(json, _)| json.clone());
        match self.waiting.clone().or_else(known) {
            Some(json) => self.read(json).await,
            None => Ok(()),
        }
    }

    /// Drops the known segments: they belong to another creator or another catalog.
    fn forget_inits(&mut self) -> Result<(), Misuse> {
        self.inits.clear();
        self.waiting = None;
        self.cancel_inits(|_| true)
    }

    fn cancel_inits(&mut self, unwanted: impl Fn(&String) -> bool) -> Result<(), Misuse> {
        let unwanted = |purpose: &Purpose| matches!(purpose, Purpose::Init { name, .. } if unwanted(name));
        self.retries.retain(|(_, purpose)| !unwanted(purpose));
        self.cancel_requests(unwanted)
    }
}
