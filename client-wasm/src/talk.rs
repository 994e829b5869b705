//! What a fan says and hears, from one connection to the next.

use moqt::Micros;
use outbox::{
    Failure, Outbox, Outcome, Output, Ticket,
    act_json::ActJson,
    outcome,
    presence::{BEAT, Presence, playing},
};
use wire::{Error, Track};

use crate::mirror::{self, Chat};

/// A voice, a mirror of the room, and news for the page.
pub(crate) struct Talk {
    outbox: Outbox,
    chat: Chat,
    presence: Presence,
    is_playing: bool,
    beat_at: Micros,
    /// Whether one may take part here, if that is known.
    open: Option<bool>,
    token: Option<String>,
    /// The newest groups of pulse and stage.
    newest: [Option<u64>; 2],
    news: Vec<(&'static str, String)>,
}

/// What the connection is to do.
pub(crate) enum Do {
    Send(Vec<u8>),
    StartOver,
}

impl Talk {
    pub(crate) fn new(now: Micros, seed: u64, token: Option<String>) -> Self {
        Self {
            outbox: if token.is_some() { Outbox::new(seed) } else { Outbox::anonymous(seed) },
            chat: Chat::default(),
            presence: Presence::new(now),
            is_playing: false,
            beat_at: now + BEAT,
            open: None,
            token,
            newest: [None; 2],
            news: Vec::new(),
        }
    }

    /// Who the fan is, to be shown to the edge.
    pub(crate) fn token(&self) -> Option<&str> {
        self.token.as_deref()
    }

    /// What happened since this was last asked: names of events and their details in JSON.
    pub(crate) fn take_news(&mut self) -> Vec<(&'static str, String)> {
        std::mem::take(&mut self.news)
    }

    /// The page asks for something.
    pub(crate) fn act(&mut self, now: Micros, ticket: Ticket, wish: &str) {
        let wish = ActJson::parse(wish);
        match wish.as_ref().map_err(|error| *error).and_then(ActJson::act) {
            Ok(_) if self.open == Some(false) => {
                let settled = Outcome::Failed(Failure::Closed).json(now, ticket);
                self.news.push(("settled", settled));
            }
            Ok(act) => {
                self.outbox.act(now, ticket, act);
                self.away(now);
            }
            Err(error) => self.news.push(("settled", outcome::invalid(ticket, &error.to_string()))),
        }
    }

    pub(crate) fn moved(&mut self, now: Micros) {
        self.presence.moved(now);
    }

    pub(crate) fn visible(&mut self, now: Micros, visible: bool) {
        self.presence.visible(now, visible);
    }

    pub(crate) fn playing(&mut self, is_playing: bool) {
        self.is_playing = is_playing;
    }

    /// Packets reach the edge.
    pub(crate) fn joined(&mut self, now: Micros) {
        self.set_open(true);
        self.beat_at = now + BEAT;
        self.presence.take_active_ms(now);
        self.outbox.joined(now);
    }

    /// They no longer do.
    pub(crate) fn left(&mut self) {
        self.outbox.left();
    }

    /// The edge has nothing but the stage.
    pub(crate) fn refused(&mut self) {
        self.set_open(false);
    }

    fn set_open(&mut self, open: bool) {
        if self.open.replace(open) != Some(open) {
            self.news.push(("interaction", open.to_string()));
        }
    }

    /// A packet of the edge's to this fan.
    pub(crate) fn receive(&mut self, now: Micros, packet: &[u8]) -> Result<(), Error> {
        self.outbox.receive(now, packet)
    }

    /// A track is asked for anew.
    pub(crate) fn subscribed(&mut self, track: Track) {
        match track {
            Track::Chat => self.chat.subscribed(),
            Track::Pulse => self.newest[0] = None,
            Track::Stage => self.newest[1] = None,
        }
    }

    /// An object of a track that all fans get.
    pub(crate) fn shown(
        &mut self,
        track: Track,
        group: u64,
        object: u64,
        payload: &[u8],
    ) -> Result<(), Error> {
        let newest = match track {
            Track::Chat => {
                let change = self.chat.object(group, object, payload)?;
                self.news.extend(change.map(|json| (track.name(), json)));
                return Ok(());
            }
            Track::Pulse => &mut self.newest[0],
            Track::Stage => &mut self.newest[1],
        };
        if newest.is_none_or(|newest| newest < group) {
            *newest = Some(group);
            self.news.extend(mirror::whole(payload)?.map(|json| (track.name(), json)));
        }
        Ok(())
    }

    /// When something is due by itself.
    pub(crate) fn timeout(&self) -> Option<Micros> {
        let beat = self.outbox.is_joined().then_some(self.beat_at);
        [beat, self.outbox.timeout()].into_iter().flatten().min()
    }

    /// Does what is due.
    pub(crate) fn tick(&mut self, now: Micros) {
        self.outbox.tick(now);
        if self.outbox.is_joined() && self.beat_at <= now {
            self.beat_at = now + BEAT;
            self.outbox.beat(self.presence.take_active_ms(now), playing(self.is_playing));
        }
    }

    /// Does what is due where there is no connection to do it for.
    pub(crate) fn away(&mut self, now: Micros) {
        if !self.outbox.is_joined() {
            self.outbox.tick(now);
            while self.poll(now).is_some() {}
        }
    }

    /// What the connection is to do next; all else becomes news.
    pub(crate) fn poll(&mut self, now: Micros) -> Option<Do> {
        loop {
            let (what, json) = match self.outbox.poll()? {
                Output::Send(packet) => return Some(Do::Send(packet)),
                Output::StartOver => return Some(Do::StartOver),
                Output::Settled { ticket, outcome } => ("settled", outcome.json(now, ticket)),
                Output::Identity(identity) => ("identity", mirror::identity(&identity)),
                Output::Token(token) => {
                    self.token = Some(token.clone());
                    ("token", mirror::text(&token))
                }
                Output::Held(line) => ("waiting", mirror::waiting(&line)),
                Output::Reviewed(chat) => ("reviewed", chat.0.to_string()),
            };
            self.news.push((what, json));
        }
    }
}
