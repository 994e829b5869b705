//! Packets from the root, and the messages to fans that follow from them.

use wire::worker::Close;
use wire::{Down, EdgeMessage, Frame, Frames, Micros, Review, Role, SessionId, Settings, Standing};

use super::session::{NONE, Phase};
use super::{Leaf, send};
use crate::effects::Effects;

impl Leaf {
    pub(super) fn root_packet(&mut self, packet: &[u8], fx: &mut Effects<'_>) {
        let Ok(mut messages) = Frames::<Down<'_>>::new(packet) else {
            return fx.warn("a packet from the root does not decode");
        };
        match messages.next() {
            Some(Ok(Frame::Known(Down::Head { incarnation }))) if incarnation == self.incarnation => {}
            Some(Ok(Frame::Known(Down::Head { .. }))) => return,
            _ => return fx.warn("a packet from the root has no head"),
        }
        let mut answered = None;
        for message in messages {
            match message {
                Ok(Frame::Known(Down::Answer { sequence })) => {
                    // An answer that was lost arrives again with the deltas before it.
                    if !self.outbox.awaits(sequence) {
                        return;
                    }
                    answered = Some(sequence);
                }
                Ok(Frame::Known(message)) => self.message(message, answered, fx),
                Ok(Frame::Unknown(_)) => {}
                Err(_) => return fx.warn("a message from the root does not decode"),
            }
        }
        if let Some(sequence) = answered {
            self.ack(sequence, fx);
        }
    }

    /// Handles one message; `answered` is the delta that the packet answers, if the edge awaits that answer.
    fn message(&mut self, message: Down<'_>, answered: Option<u64>, fx: &mut Effects<'_>) {
        match message {
            Down::Attached { session, mark, role, standing, vote } => {
                self.attached(session, answered, (mark, role, standing, vote), fx);
            }
            Down::Forgotten { session } => {
                if self.is_meant(session, answered)
                    && let Some(forgotten) = self.session(session)
                {
                    forgotten.phase = Phase::Forgotten;
                    send(session, EdgeMessage::Restart, fx);
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
                        fan.resend_requested = false;
                    }
                    fan.request_resend(session, 0, fx);
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
                    send(session, EdgeMessage::Review(review), fx);
                }
            }
            Down::Head { .. } | Down::Answer { .. } => {}
        }
    }

    /// Returns whether an answer's session index still belongs to the fan whom the answer is about.
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
            send(id, message, fx);
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
        self.introduce(id, role);
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
        send(id, EdgeMessage::Welcome { fan, role, mark, vote, standing }, fx);
    }

    /// Reports the name of a fan who keeps order at once, and not with their first act, so that nobody else takes it.
    fn introduce(&mut self, id: SessionId, role: Role) {
        let Some(session) = self.sessions.get_mut(id.0 as usize).and_then(Option::as_mut) else { return };
        if role >= Role::Moderator && !session.known {
            session.known = true;
            self.outbox.put(&session.known(id));
        }
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
        send(id, EdgeMessage::Standing { standing, role }, fx);
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
            send(*id, EdgeMessage::Review(review), fx);
        }
    }

    /// Settles a delta up to the first number that must be sent again, and acks to its fans.
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
            if through > session.reported {
                session.reported = through;
                send(touched.session, EdgeMessage::Acked { through }, fx);
            }
        }
    }
}
