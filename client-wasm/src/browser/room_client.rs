//! A fan's part in the room, from one connection to the next: acts out, answers and shown objects in.

use moqt::Micros;
use outbox::{
    Fact, Failure, Outbox, Outcome, Output, Ticket,
    act_json::ActJson,
    outcome,
    presence::{BEAT, Presence, playing},
};
use wire::{Error, Track};

use crate::room_view::{self, Chat};

/// The outbox, the view of the room, and the events that the page has not received yet.
pub(crate) struct RoomClient {
    outbox: Outbox,
    chat: Chat,
    presence: Presence,
    is_playing: bool,
    beat_at: Micros,
    /// Set once the edge has shown whether it runs rooms.
    interactive: Option<bool>,
    token: Option<String>,
    /// The newest groups of pulse and stage.
    newest: [Option<u64>; 2],
    page_events: Vec<(&'static str, String)>,
}

/// The connection's next step.
pub(crate) enum Step {
    Send(Vec<u8>),
    StartOver,
}

impl RoomClient {
    pub(crate) fn new(now: Micros, seed: u64, token: Option<String>) -> Self {
        Self {
            outbox: if token.is_some() { Outbox::new(seed) } else { Outbox::anonymous(seed) },
            chat: Chat::default(),
            presence: Presence::new(now),
            is_playing: false,
            beat_at: now + BEAT,
            interactive: None,
            token,
            newest: [None; 2],
            page_events: Vec::new(),
        }
    }

    /// Returns the fan's token, for the edge.
    pub(crate) fn token(&self) -> Option<&str> {
        self.token.as_deref()
    }

    /// Returns the events since the last call: the name of each and its details in JSON.
    pub(crate) fn take_page_events(&mut self) -> Vec<(&'static str, String)> {
        std::mem::take(&mut self.page_events)
    }

    /// Handles an act of the page.
    pub(crate) fn act(&mut self, now: Micros, ticket: Ticket, json: &str) {
        let act = ActJson::parse(json);
        match act.as_ref().map_err(|error| *error).and_then(ActJson::act) {
            Ok(_) if self.interactive == Some(false) => {
                let settled = Outcome::Failed(Failure::Closed).json(now, ticket);
                self.page_events.push(("settled", settled));
            }
            Ok(act) => {
                self.outbox.act(now, ticket, act);
                self.tick_offline(now);
            }
            Err(error) => self.page_events.push(("settled", outcome::invalid(ticket, &error.to_string()))),
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

    /// Begins a connection: packets reach the edge.
    pub(crate) fn joined(&mut self, now: Micros) {
        self.set_interactive(true);
        self.beat_at = now + BEAT;
        self.presence.take_active_ms(now);
        self.outbox.joined(now);
    }

    /// Ends the connection.
    pub(crate) fn left(&mut self) {
        self.outbox.left();
    }

    /// Notes that the edge runs no rooms: it offers the media only.
    pub(crate) fn refused(&mut self) {
        self.set_interactive(false);
    }

    fn set_interactive(&mut self, interactive: bool) {
        if self.interactive.replace(interactive) != Some(interactive) {
            self.page_events.push(("interaction", interactive.to_string()));
        }
    }

    /// Handles a packet from the edge to this fan.
    pub(crate) fn receive(&mut self, now: Micros, packet: &[u8]) -> Result<(), Error> {
        self.outbox.receive(now, packet)
    }

    /// Resets the view of a track that is subscribed to anew.
    pub(crate) fn subscribed(&mut self, track: Track) {
        match track {
            Track::Chat => self.chat.subscribed(),
            Track::Pulse => self.newest[0] = None,
            Track::Stage => self.newest[1] = None,
        }
    }

    /// Handles an object of a track that all fans see.
    pub(crate) fn receive_shown(
        &mut self,
        track: Track,
        group: u64,
        object: u64,
        payload: &[u8],
    ) -> Result<(), Error> {
        let newest = match track {
            Track::Chat => {
                let change = self.chat.object(group, object, payload)?;
                self.page_events.extend(change.map(|json| (track.name(), json)));
                return Ok(());
            }
            Track::Pulse => &mut self.newest[0],
            Track::Stage => &mut self.newest[1],
        };
        if newest.is_none_or(|newest| newest < group) {
            *newest = Some(group);
            self.page_events.extend(room_view::whole(payload)?.map(|json| (track.name(), json)));
        }
        Ok(())
    }

    /// Returns the time at which [`tick`](Self::tick) has something to do.
    pub(crate) fn timeout(&self) -> Option<Micros> {
        let beat = self.outbox.is_joined().then_some(self.beat_at);
        [beat, self.outbox.timeout()].into_iter().flatten().min()
    }

    /// Sends whatever is due.
    pub(crate) fn tick(&mut self, now: Micros) {
        self.outbox.tick(now);
        if self.outbox.is_joined() && self.beat_at <= now {
            self.beat_at = now + BEAT;
            self.outbox.beat(self.presence.take_active_ms(now), playing(self.is_playing));
        }
    }

    /// Does the same without a connection: settles the acts that time out.
    pub(crate) fn tick_offline(&mut self, now: Micros) {
        if !self.outbox.is_joined() {
            self.outbox.tick(now);
            while self.poll(now).is_some() {}
        }
    }

    /// Returns the connection's next step; turns all other outputs into events for the page.
    pub(crate) fn poll(&mut self, now: Micros) -> Option<Step> {
        loop {
            let (what, json) = match self.outbox.poll()? {
                Output::Send(packet) => return Some(Step::Send(packet)),
                Output::StartOver => return Some(Step::StartOver),
                Output::Fact(Fact::Settled { ticket, outcome }) => ("settled", outcome.json(now, ticket)),
                Output::Fact(Fact::Identity(identity)) => ("identity", room_view::identity(&identity)),
                Output::Fact(Fact::Token(token)) => {
                    self.token = Some(token.clone());
                    ("token", room_view::text(&token))
                }
                Output::Fact(Fact::Held(line)) => ("waiting", room_view::waiting(&line)),
                Output::Fact(Fact::Reviewed(chat)) => ("reviewed", chat.0.to_string()),
            };
            self.page_events.push((what, json));
        }
    }
}
