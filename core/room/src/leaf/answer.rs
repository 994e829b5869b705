//! What the root says, and what fans hear of it.

use wire::worker::Close;
use wire::{Down, EdgeMessage, Frame, Frames, Micros, Review, Role, SessionId, Settings, Standing};

use super::session::{NONE, Phase};
use super::{Leaf, tell};
use crate::effects::Effects;

impl Leaf {
    pub(super) fn root_packet(&mut self, packet: &[u8], fx: &mut Effects<'_>) {
        let Ok(mut messages) = Frames::<Down<'_>>::new(packet) else {
            return fx.warn("a packet from the root that cannot be read");
        };
        match messages.next() {
            Some(Ok(Frame::Known(Down::Head { incarnation }))) if incarnation == self.incarnation => {}
            Some(Ok(Frame::Known(Down::Head { .. }))) => return,
            _ => return fx.warn("a packet from the root without a head"),
        }
        let mut answered = None;
        for message in messages {
            match message {
                Ok(Frame::Known(Down::Answer { sequence })) => {
                    // One that was lost comes again with the deltas before it.
                    if !self.outbox.awaits(sequence) {
                        return;
                    }
                    answered = Some(sequence);
                }
                Ok(Frame::Known(message)) => self.word(message, answered, fx),
                Ok(Frame::Unknown(_)) => {}
                Err(_) => return fx.warn("a message from the root that cannot be read"),
            }
        }
        if let Some(sequence) = answered {
            self.ack(sequence, fx);
        }
    }

    /// One message; of an answer, if that delta's is at hand.
    fn word(&mut self, message: Down<'_>, answered: Option<u64>, fx: &mut Effects<'_>) {
        match message {
            Down::Attached { session, mark, role, standing, vote } => {
                self.attached(session, answered, (mark, role, standing, vote), fx);
            }
            Down::Forgotten { session } => {
                if self.is_meant(session, answered)
                    && let Some(forgotten) = self.session(session)
                {
                    forgotten.phase = Phase::Forgotten;
                    tell(session, EdgeMessage::Restart, fx);
                }
            }
            Down::Refused { session } => {
                if self.is_meant(session, answered) {
                    self.close(session, Close::Full, fx);
                }
            }
            Down::Rejected { session, number, reason } => {
                self.forward(session, answered, EdgeMessage::Rejected { number, reason }, fx);
            }
            Down::Held { session, number } => {
                self.forward(session, answered, EdgeMessage::Held { number }, fx);
            }
            Down::Said { session, number, chat } => {
                self.forward(session, answered, EdgeMessage::Said { number, chat }, fx);
            }
            Down::Resend { session, from } => {
                if self.is_meant(session, answered)
                    && let Some(fan) = self.session(session)
                {
                    let from = from.max(fan.acked + 1);
                    fan.gap = fan.gap.min(from);
                    if from < fan.next {
                        fan.next = from;
                        fan.asked = false;
                    }
                    fan.ask_again(session, 0, fx);
                }
            }
            Down::Expect { sequence } => self.outbox.expected(sequence, self.now, fx),
            Down::Settings(settings) => self.settings(&settings),
            Down::Standing { fan, standing, role } => {
                for at in 0..self.sessions.len() {
                    if self.sessions[at].as_ref().is_some_and(|session| session.fan == fan) {
                        self.set_standing(SessionId(at as u32), role, standing, fx);
                    }
                }
            }
            Down::Moderators(review) => self.review(review, fx),
            Down::Moderator { session, review } => {
                if self.moderators.contains(&session) {
                    tell(session, EdgeMessage::Review(review), fx);
                }
            }
            Down::Head { .. } | Down::Answer { .. } => {}
        }
    }

    /// Whether what an answer says of a session is about the fan who has that index now.
    fn is_meant(&mut self, id: SessionId, answered: Option<u64>) -> bool {
        self.session(id).is_some_and(|session| {
            session.is_attached() && answered.is_some_and(|sequence| session.since <= sequence)
        })
    }

    fn forward(
        &mut self,
        id: SessionId,
        answered: Option<u64>,
        message: EdgeMessage<'_>,
        fx: &mut Effects<'_>,
    ) {
        if self.is_meant(id, answered) {
            tell(id, message, fx);
        }
    }

    fn attached(
        &mut self,
        id: SessionId,
        answered: Option<u64>,
        (mark, role, standing, vote): (u64, Role, Standing, Option<wire::Vote>),
        fx: &mut Effects<'_>,
    ) {
        if !self.is_meant(id, answered) {
            return;
        }
        let Some(session) = self.session(id) else { return };
        session.acked = session.acked.max(mark);
        if session.phase == Phase::Welcomed {
            return self.set_standing(id, role, standing, fx);
        }
        session.phase = Phase::Welcomed;
        (session.role, session.standing) = (role, standing);
        let fan = session.fan;
        if role >= Role::Moderator {
            self.moderators.insert(id);
        }
        tell(id, EdgeMessage::Welcome { fan, role, mark, vote, standing }, fx);
    }

    fn set_standing(&mut self, id: SessionId, role: Role, standing: Standing, fx: &mut Effects<'_>) {
        let Some(session) = self.session(id) else { return };
        if (session.role, session.standing) == (role, standing) {
            return;
        }
        (session.role, session.standing) = (role, standing);
        if role >= Role::Moderator {
            self.moderators.insert(id);
        } else {
            self.moderators.remove(&id);
        }
        tell(id, EdgeMessage::Standing { standing, role }, fx);
    }

    fn settings(&mut self, settings: &Settings<'_>) {
        self.rules.modes = settings.modes;
        let same = settings.patterns.iter().map(|pattern| (pattern.text, pattern.action));
        if same.clone().eq(self.rules.patterns.iter().map(|(text, action)| (text.as_str(), *action))) {
            return;
        }
        self.rules.patterns = same.map(|(text, action)| (text.to_owned(), action)).collect();
        self.rules.compile();
    }

    fn review(&mut self, review: Review<'_>, fx: &mut Effects<'_>) {
        for id in &self.moderators {
            tell(*id, EdgeMessage::Review(review), fx);
        }
    }

    /// All that a delta had is settled, up to what is asked for again: its fans are told.
    fn ack(&mut self, sequence: u64, fx: &mut Effects<'_>) {
        let now: Micros = self.now;
        let Some(sent) = self.outbox.answered(sequence, now) else { return };
        for touched in &sent.touched {
            let Some(session) = self.session(touched.session) else { continue };
            if !session.is_attached() || session.since > sequence {
                continue;
            }
            let through = touched.through.min(session.gap - 1);
            session.gap = NONE;
            session.acked = session.acked.max(through);
            if through > session.told {
                session.told = through;
                tell(touched.session, EdgeMessage::Acked { through }, fx);
            }
        }
    }
}
