//! The leaf, on an edge: checks fans' messages, collects them in deltas, and answers fans once the root has.

mod answer;
mod check;
mod outbox;
mod session;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use wire::worker::{Close, Effect, Identity, Input};
use wire::{
    Act, Beat, EdgeId, EdgeMessage, FanMessage, Frame, Frames, Hello, Micros, Modes, OnMatch, Pattern,
    Playing, Reason, Report, Screen, SessionId, Up, Visit, limits,
};

use crate::content::Filter;
use crate::effects::Effects;
use crate::tally::Sketch;
use crate::{Error, Limits};
use outbox::Outbox;
use session::{Phase, Session};

/// Fans of one edge in one room, at most.
pub(crate) const MAX_SESSIONS: usize = 65_536;
/// Time between two reports of the edge's totals.
const REPORT_EVERY: Micros = Micros::from_secs(1);
/// Time between two reports of one fan's stay.
const STAYED_EVERY: Micros = Micros::from_secs(60);
/// Fans whose stay is examined in one tick.
const STAYED_PART: usize = 256;
/// Milliseconds until a fan should send again while the edge cannot take messages.
const BUSY_MS: u32 = 1000;

/// State of a leaf.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Leaf {
    edge: EdgeId,
    incarnation: u64,
    #[serde(skip)]
    limits: Limits,
    now: Micros,
    /// Sessions by index.
    sessions: Vec<Option<Session>>,
    /// The last delta about the previous fan of each session index.
    vacated: Vec<u64>,
    present: u32,
    moderators: BTreeSet<SessionId>,
    rules: Rules,
    outbox: Outbox,
    measured: Measured,
    /// Numbers of anonymous fans' addresses. The first layout of a leaf's snapshot lacks them: they follow it.
    #[serde(skip)]
    addresses: BTreeMap<SessionId, u64>,
    /// Scratch memory for folding lines.
    #[serde(skip)]
    folded: Vec<u8>,
}

/// Rules that lines are checked against, from the root's last settings.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Rules {
    modes: Modes,
    patterns: Vec<(String, OnMatch)>,
    #[serde(skip)]
    filter: Filter,
}

/// Totals that the edge has measured since it started.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Measured {
    /// Total time in microseconds, so that many short spans add up to a long one.
    total: Micros,
    watched: Micros,
    active: Micros,
    /// Time up to which `total` is complete.
    until: Micros,
    latency: Sketch,
    latency_changed: bool,
    reported: Report,
    reported_at: Micros,
    /// The next fan whose stay may be reported.
    next_stay: usize,
}

impl Leaf {
    pub(crate) fn new(edge: EdgeId, incarnation: u64, limits: Limits) -> Self {
        Self {
            edge,
            incarnation,
            limits,
            now: Micros(0),
            sessions: Vec::new(),
            vacated: Vec::new(),
            present: 0,
            moderators: BTreeSet::new(),
            rules: Rules::default(),
            outbox: Outbox::default(),
            measured: Measured::default(),
            addresses: BTreeMap::new(),
            folded: Vec::new(),
        }
    }

    /// Completes a decoded snapshot with the fields that it lacks, and checks that it fits.
    pub(crate) fn restored(
        mut self,
        seat: (EdgeId, u64),
        addresses: BTreeMap<SessionId, u64>,
        limits: Limits,
    ) -> Result<Self, Error> {
        if (self.edge, self.incarnation) != seat {
            return Err(Error::Seat);
        }
        if self.vacated.len() != self.sessions.len() {
            return Err(Error::Snapshot);
        }
        self.limits = limits;
        self.addresses = addresses;
        self.rules.compile();
        Ok(self)
    }

    /// Returns the part of the state that follows the leaf in a snapshot.
    pub(crate) fn addresses(&self) -> &BTreeMap<SessionId, u64> {
        &self.addresses
    }

    pub(crate) fn input(&mut self, now: Micros, input: Input<'_>, fx: &mut Effects<'_>) {
        self.now = now;
        match input {
            Input::Tick => self.tick(fx),
            Input::FanJoined { session, fan } => self.joined(session, &fan, fx),
            Input::FanAddress { session, address } => {
                if self.session(session).is_some() {
                    self.addresses.insert(session, address);
                }
            }
            Input::FanPacket { session, packet } => self.packet(session, packet, fx),
            Input::FanLeft { session } => self.left(session),
            Input::RootConnected => self.connected(fx),
            Input::FromRoot { packet } => self.root_packet(packet, fx),
            Input::Opened
            | Input::EdgeJoined { .. }
            | Input::Delta { .. }
            | Input::EdgeLeft { .. }
            | Input::Owner { .. }
            | Input::Forget { .. } => fx.warn("the leaf has received an input for the root"),
        }
    }

    /// Brings times that were taken from a clock ahead of `now` back to it.
    pub(crate) fn set_back(&mut self, now: Micros) {
        let back = |at: &mut Micros| *at = (*at).min(now);
        back(&mut self.measured.until);
        back(&mut self.measured.reported_at);
        self.outbox.set_back(now);
        for session in self.sessions.iter_mut().flatten() {
            back(&mut session.said_at);
            back(&mut session.last_beat);
            back(&mut session.stayed);
        }
    }

    fn session(&mut self, id: SessionId) -> Option<&mut Session> {
        self.sessions.get_mut(id.0 as usize)?.as_mut()
    }

    fn joined(&mut self, id: SessionId, fan: &Identity<'_>, fx: &mut Effects<'_>) {
        // A host that assigns an index twice has missed the end of the earlier session.
        self.left(id);
        let at = id.0 as usize;
        if at >= MAX_SESSIONS {
            return fx.put(&Effect::CloseFan { session: id, why: Close::Full });
        }
        if self.sessions.len() <= at {
            self.sessions.resize_with(at + 1, || None);
            self.vacated.resize(at + 1, 0);
        }
        self.accumulate_time();
        self.sessions[at] = Some(Session::new(fan, self.now));
        self.present += 1;
    }

    fn left(&mut self, id: SessionId) {
        self.accumulate_time();
        let Some(mut session) = self.sessions.get_mut(id.0 as usize).and_then(Option::take) else { return };
        self.present -= 1;
        self.moderators.remove(&id);
        self.addresses.remove(&id);
        if session.is_attached() {
            self.vacate(id, session.take_visit(self.now));
        }
    }

    /// Reports a fan's departure: the rest of the stay, and the detach.
    fn vacate(&mut self, id: SessionId, visit: Visit) {
        self.outbox.put(&Up::Stayed { session: id, visit });
        self.outbox.put(&Up::Detach { session: id });
        self.vacated[id.0 as usize] = self.outbox.sequence();
    }

    /// Ends a session; further messages from it are ignored.
    fn close(&mut self, id: SessionId, why: Close, fx: &mut Effects<'_>) {
        let now = self.now;
        if let Some(session) = self.session(id)
            && session.phase != Phase::Closing
        {
            let attached = session.is_attached();
            session.phase = Phase::Closing;
            let visit = session.take_visit(now);
            if attached {
                self.vacate(id, visit);
            }
            fx.put(&Effect::CloseFan { session: id, why });
        }
    }

    fn packet(&mut self, id: SessionId, packet: &[u8], fx: &mut Effects<'_>) {
        let messages = match Frames::<FanMessage<'_>>::new(packet) {
            Ok(messages) if packet.len() <= limits::FAN_PACKET => messages,
            _ => return self.close(id, Close::Malformed, fx),
        };
        for message in messages {
            let open = self.session(id).is_some_and(|session| session.phase != Phase::Closing);
            if !open {
                return;
            }
            match message {
                Ok(Frame::Known(FanMessage::Act { number, act })) => self.act(id, number, Some(act), fx),
                Ok(Frame::Known(FanMessage::Beat(beat))) => self.beat(id, &beat),
                Ok(Frame::Known(FanMessage::Hello(hello))) => self.hello(id, hello, fx),
                Ok(Frame::Unknown(frame)) => {
                    if let Some(number) = FanMessage::number_of_unknown(frame) {
                        self.act(id, number, None, fx);
                    }
                }
                Err(_) => return self.close(id, Close::Malformed, fx),
            }
        }
    }

    fn hello(&mut self, id: SessionId, hello: Hello, fx: &mut Effects<'_>) {
        if self.outbox.is_full() {
            return self.close(id, Close::Full, fx);
        }
        let sequence = self.outbox.sequence();
        let vacated = self.vacated.get(id.0 as usize).copied();
        let Some(session) = self.session(id) else { return };
        if !matches!(session.phase, Phase::Silent | Phase::Forgotten)
            || !(1..=limits::NUMBER).contains(&hello.next)
        {
            return self.close(id, Close::OutOfOrder, fx);
        }
        // A delta is about one fan and one stream per index: otherwise a fan could receive an answer meant
        // for another.
        if vacated == Some(sequence) || session.touched.0 == sequence {
            self.outbox.seal(self.edge, self.incarnation, self.now, fx);
        }
        let sequence = self.outbox.sequence();
        let Some(session) = self.session(id) else { return };
        session.begin(hello, sequence);
        let attach = session.attach(id);
        self.outbox.put(&attach);
        self.outbox.seal_if_long(self.edge, self.incarnation, self.now, fx);
    }

    fn beat(&mut self, id: SessionId, beat: &Beat) {
        let now = self.now;
        let Some(session) = self.session(id) else { return };
        // Active time cannot exceed the time since the last beat.
        let since = now - session.last_beat;
        let active = Micros::from_millis(beat.active_ms.into()).min(since);
        let watched = if beat.playing == Playing::Playing { since } else { Micros(0) };
        session.last_beat = now;
        session.active = session.active + active;
        session.watched = session.watched + watched;
        self.measured.active = self.measured.active + active;
        self.measured.watched = self.measured.watched + watched;
        if let Some(ms) = beat.latency_ms {
            self.measured.latency.insert(ms);
            self.measured.latency_changed = true;
        }
    }

    /// Handles a numbered message, of a known kind or not.
    fn act(&mut self, id: SessionId, number: u64, act: Option<Act<'_>>, fx: &mut Effects<'_>) {
        let full = self.outbox.is_full();
        let Some(session) = self.sessions.get_mut(id.0 as usize).and_then(Option::as_mut) else { return };
        match session.phase {
            Phase::Silent => return self.close(id, Close::OutOfOrder, fx),
            Phase::Forgotten => return,
            Phase::Greeted | Phase::Welcomed | Phase::Closing => {}
        }
        if number > session.acked.saturating_add(limits::UNACKED) {
            return self.close(id, Close::Flooding, fx);
        }
        // Earlier numbers of this connection are on their way to the root already.
        if number < session.next {
            return;
        }
        // The client may continue after the mark that its welcome gave.
        if full || (number > session.next && number != session.acked + 1) {
            return session.request_resend(id, if full { BUSY_MS } else { 0 }, fx);
        }
        session.next = number + 1;
        session.resend_requested = false;
        if !session.known {
            session.known = true;
            self.outbox.put(&session.known(id));
        }
        self.outbox.touch(id, session, number);
        let checked = match act {
            Some(ref act) => check::Check {
                now: self.now,
                limits: &self.limits,
                rules: &self.rules,
                folded: &mut self.folded,
            }
            .act(session, number, act),
            None => Err(Reason::Unsupported),
        };
        match (checked, act) {
            (Ok((screen, text)), Some(act)) => {
                if let (Act::Vote { .. }, Some(address)) = (&act, self.addresses.get(&id)) {
                    self.outbox.put(&Up::Address { session: id, address: *address });
                }
                self.outbox.put_act(id, number, screen, act, text.as_deref());
            }
            (Err(reason), _) => self.outbox.put(&Up::Settle { session: id, number, reason }),
            (Ok(_), None) => {}
        }
        self.outbox.seal_if_long(self.edge, self.incarnation, self.now, fx);
    }

    fn tick(&mut self, fx: &mut Effects<'_>) {
        self.accumulate_time();
        if !self.outbox.is_full() {
            self.report_stays();
            self.report();
        }
        self.outbox.tick(self.edge, self.incarnation, self.now, fx);
    }

    /// Adds the time since the last call, for every present fan, to the total.
    fn accumulate_time(&mut self) {
        let passed = self.now - self.measured.until;
        self.measured.until = self.now;
        self.measured.total = self.measured.total + Micros(passed.0.saturating_mul(self.present.into()));
    }

    fn report(&mut self) {
        let measured = &mut self.measured;
        let time = Visit {
            total_ms: measured.total.as_millis(),
            watched_ms: measured.watched.as_millis(),
            active_ms: measured.active.as_millis(),
        };
        let report = Report { viewers: self.present, time };
        if report == measured.reported || self.now - measured.reported_at < REPORT_EVERY {
            return;
        }
        measured.reported = report;
        measured.reported_at = self.now;
        self.outbox.put(&Up::Report(report));
        if std::mem::take(&mut measured.latency_changed) {
            self.outbox.put(&Up::Latency(measured.latency.to_wire()));
        }
    }

    /// Reports the stays of some of the fans.
    fn report_stays(&mut self) {
        for _ in 0..STAYED_PART.min(self.sessions.len()) {
            let at = self.measured.next_stay % self.sessions.len();
            self.measured.next_stay = at + 1;
            if let Some(session) = &mut self.sessions[at]
                && session.is_attached()
                && self.now - session.stayed >= STAYED_EVERY
            {
                let visit = session.take_visit(self.now);
                self.outbox.put(&Up::Stayed { session: SessionId(at as u32), visit });
            }
        }
    }

    /// Resends to a root that can be reached again, and attaches every fan, since it may be another root.
    fn connected(&mut self, fx: &mut Effects<'_>) {
        self.outbox.resend(fx);
        for at in 0..self.sessions.len() {
            if let Some(session) = &mut self.sessions[at]
                && session.is_attached()
            {
                let id = SessionId(at as u32);
                session.known = false;
                let attach = session.attach(id);
                self.outbox.put(&attach);
                self.outbox.seal_if_long(self.edge, self.incarnation, self.now, fx);
            }
        }
        // A fan who begins another stream must do so in another delta.
        self.outbox.seal(self.edge, self.incarnation, self.now, fx);
    }
}

impl Rules {
    fn compile(&mut self) {
        let patterns = self.patterns.iter().map(|(text, action)| Pattern { text, action: *action });
        // The root accepts only patterns that compile.
        self.filter = Filter::new(patterns).unwrap_or_default();
    }
}

/// Result of a check: whether to hold the act, and its text if the check changed it.
type Checked<'a> = (Screen, Option<std::borrow::Cow<'a, str>>);

/// Sends one message to one fan.
fn send(session: SessionId, message: EdgeMessage<'_>, fx: &mut Effects<'_>) {
    fx.fan(session, message);
}
