//! A fan's part in the room, from one connection to the next: acts out, answers and shown objects in.

use moqt::{Event, Micros, Misuse, NameError, Namespace, Session};
use outbox::{
    Fact, Failure, Membership, Outbox, Outcome, Ticket,
    act_json::ActJson,
    membership::{Cause, Output},
    outcome,
    presence::{BEAT, Presence, playing},
};
use wire::{Error, Track};

use crate::room_view::{self, Chat};

/// The membership, the view of the room, and the events that the page has not received yet.
pub(crate) struct RoomClient {
    membership: Membership,
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

impl RoomClient {
    pub(crate) fn new(
        now: Micros,
        room: &Namespace,
        seed: u64,
        token: Option<String>,
    ) -> Result<Self, NameError> {
        let outbox = if token.is_some() { Outbox::new(seed) } else { Outbox::anonymous(seed) };
        Ok(Self {
            membership: Membership::new(room, outbox)?,
            chat: Chat::default(),
            presence: Presence::new(now),
            is_playing: false,
            beat_at: now + BEAT,
            interactive: None,
            token,
            newest: [None; 2],
            page_events: Vec::new(),
        })
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
                self.membership.act(now, ticket, act);
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

    /// Begins a session.
    pub(crate) fn begin(&mut self, now: Micros) {
        self.membership.begin(now);
    }

    /// Ends the session.
    pub(crate) fn end(&mut self) {
        self.membership.end();
    }

    /// Handles an event of the session. Returns an event that does not concern the room's own tracks.
    pub(crate) fn event(&mut self, now: Micros, event: Event) -> Option<Event> {
        self.membership.event(now, event)
    }

    /// Sends the session whatever is due.
    pub(crate) fn drive(&mut self, session: &mut Session, now: Micros) -> Result<(), Misuse> {
        self.report(now);
        if self.membership.is_joined() && self.beat_at <= now {
            self.beat_at = now + BEAT;
            self.membership.beat(self.presence.take_active_ms(now), playing(self.is_playing));
        }
        let driven = self.membership.drive(session, now);
        self.report(now);
        driven
    }

    fn set_interactive(&mut self, interactive: bool) {
        if self.interactive.replace(interactive) != Some(interactive) {
            self.page_events.push(("interaction", interactive.to_string()));
        }
    }

    /// Resets the view of a track that is subscribed to anew.
    fn subscribed(&mut self, track: Track) {
        match track {
            Track::Chat => self.chat.subscribed(),
            Track::Pulse => self.newest[0] = None,
            Track::Stage => self.newest[1] = None,
        }
    }

    /// Handles an object of a track that all fans see.
    fn receive_shown(&mut self, track: Track, group: u64, object: u64, packet: &[u8]) -> Result<(), Error> {
        let newest = match track {
            Track::Chat => {
                let change = self.chat.object(group, object, packet)?;
                self.page_events.extend(change.map(|json| (track.name(), json)));
                return Ok(());
            }
            Track::Pulse => &mut self.newest[0],
            Track::Stage => &mut self.newest[1],
        };
        if newest.is_none_or(|newest| newest < group) {
            *newest = Some(group);
            self.page_events.extend(room_view::whole(packet)?.map(|json| (track.name(), json)));
        }
        Ok(())
    }

    /// Returns the time at which [`drive`](Self::drive) has something to do.
    pub(crate) fn timeout(&self) -> Option<Micros> {
        let beat = self.membership.is_joined().then_some(self.beat_at);
        [beat, self.membership.timeout()].into_iter().flatten().min()
    }

    /// Settles the acts that time out, without a connection.
    pub(crate) fn tick_offline(&mut self, now: Micros) {
        if !self.membership.is_joined() {
            self.membership.tick(now);
            self.report(now);
        }
    }

    /// Turns the membership's outputs into events for the page.
    fn report(&mut self, now: Micros) {
        while let Some(output) = self.membership.poll() {
            match output {
                Output::Joined => {
                    self.set_interactive(true);
                    self.beat_at = now + BEAT;
                    self.presence.take_active_ms(now);
                }
                // The edge runs no rooms: it offers the media only.
                Output::Left(Cause::Refused(_)) => self.set_interactive(false),
                Output::Left(_) => {}
                Output::Subscribed(track) => self.subscribed(track),
                Output::Shown { track, group, object, packet } => {
                    // An edge with a newer version may send objects that cannot be read; the next may be readable.
                    let _ = self.receive_shown(track, group, object, &packet);
                }
                Output::Fact(fact) => self.report_fact(now, fact),
            }
        }
    }

    fn report_fact(&mut self, now: Micros, fact: Fact) {
        let event = match fact {
            Fact::Settled { ticket, outcome } => ("settled", outcome.json(now, ticket)),
            Fact::Identity(identity) => ("identity", room_view::identity(&identity)),
            Fact::Token(token) => {
                let json = room_view::text(&token);
                self.token = Some(token);
                ("token", json)
            }
            Fact::Held(line) => ("waiting", room_view::waiting(&line)),
            Fact::Reviewed(chat) => ("reviewed", chat.0.to_string()),
        };
        self.page_events.push(event);
    }
}
