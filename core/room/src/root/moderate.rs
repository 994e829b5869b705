//! Acts of moderators and the creator. The audit records each act that is taken.

use wire::worker::{Row, Seen};
use wire::{ChatId, Down, FanId, Micros, Moderation, Reason, Review, Role, Standing, Subject};

use super::apply::row;
use super::poll::Asking;
use super::{Root, people::Fan};
use crate::effects::Effects;

/// Seconds of the longest timeout. A ban serves for longer.
pub(super) const LONGEST_TIMEOUT: u32 = 14 * 24 * 60 * 60;

/// Subject of an act, for the audit.
struct About {
    fan: Option<FanId>,
    number: u64,
}

const NOTHING: About = About { fan: None, number: 0 };

fn line(id: ChatId) -> About {
    About { fan: None, number: id.0 }
}

/// Returns an act's name in the audit, and the role that it requires.
fn name_and_role(act: &Moderation<'_>) -> (&'static str, Role) {
    match act {
        // Fans may delete their own lines; the role for others' lines is checked later.
        Moderation::Delete(_) => ("delete", Role::Fan),
        Moderation::Pin(_) => ("pin", Role::Moderator),
        Moderation::Unpin => ("unpin", Role::Moderator),
        Moderation::Timeout { .. } => ("timeout", Role::Moderator),
        Moderation::Ban(_) => ("ban", Role::Moderator),
        Moderation::ShadowMute(_) => ("shadow-mute", Role::Moderator),
        Moderation::Pardon(_) => ("pardon", Role::Moderator),
        Moderation::Approve(_) => ("approve", Role::Moderator),
        Moderation::Refuse(_) => ("refuse", Role::Moderator),
        Moderation::OpenPoll { .. } => ("open-poll", Role::Moderator),
        Moderation::ClosePoll(_) => ("close-poll", Role::Moderator),
        Moderation::Answer(_) => ("answer", Role::Moderator),
        Moderation::Dismiss(_) => ("dismiss", Role::Moderator),
        Moderation::SetModes(_) => ("set-modes", Role::Moderator),
        Moderation::SetPatterns(_) => ("set-patterns", Role::Moderator),
        Moderation::SetTitle(_) => ("set-title", Role::Creator),
        Moderation::SetGifts(_) => ("set-gifts", Role::Creator),
        Moderation::SetRole { .. } => ("set-role", Role::Creator),
    }
}

impl Root {
    /// Applies an act of a fan, or of the room's owner.
    pub(super) fn moderate(
        &mut self,
        by: Option<u32>,
        act: &Moderation<'_>,
        fx: &mut Effects<'_>,
    ) -> Result<(), Reason> {
        let actor = by.map(|at| &self.people.fans[at]);
        let (id, role) = (actor.map(|fan| fan.id), actor.map_or(Role::Creator, Fan::role));
        let (name, needed) = name_and_role(act);
        if role < needed {
            return Err(Reason::NotAllowed);
        }
        let about = match act {
            Moderation::Delete(chat) => self.delete(*chat, id, role, fx)?,
            Moderation::Pin(_)
            | Moderation::Unpin
            | Moderation::SetModes(_)
            | Moderation::SetPatterns(_)
            | Moderation::SetTitle(_)
            | Moderation::SetGifts(_) => self.set(act)?,
            Moderation::Timeout { .. }
            | Moderation::Ban(_)
            | Moderation::ShadowMute(_)
            | Moderation::Pardon(_)
            | Moderation::SetRole { .. } => self.judge(role, act, fx)?,
            Moderation::Approve(chat) => self.approve(*chat, fx)?,
            Moderation::Refuse(chat) => {
                self.chat.refuse(*chat)?;
                self.reviewed(*chat, fx);
                line(*chat)
            }
            Moderation::OpenPoll { question, options, seconds, choice } => {
                let asking = Asking { question, options, seconds: *seconds, choice: *choice };
                About { fan: None, number: self.open_poll(&asking, fx)? }
            }
            Moderation::ClosePoll(poll) => {
                self.close_poll(*poll, fx)?;
                About { fan: None, number: poll.0.into() }
            }
            Moderation::Answer(question) | Moderation::Dismiss(question) => {
                self.end_question(*question, matches!(act, Moderation::Answer(_)), fx)?;
                About { fan: None, number: question.0.into() }
            }
        };
        fx.archive(Row::Audit { at: self.now, by: id, act: name, fan: about.fan, number: about.number });
        Ok(())
    }

    fn delete(
        &mut self,
        chat: ChatId,
        by: Option<FanId>,
        role: Role,
        fx: &mut Effects<'_>,
    ) -> Result<About, Reason> {
        let author = self.chat.author(chat);
        if role == Role::Fan && (author.is_none() || author != by) {
            return Err(Reason::NotAllowed);
        }
        if !self.chat.existed(chat) {
            return Err(Reason::NotFound);
        }
        self.chat.delete(chat, &mut self.added.renewal, fx);
        self.stage.unpin_if(|line| line.id == chat);
        fx.archive(Row::Seen { id: chat, seen: Seen::Nobody });
        Ok(About { fan: author, number: chat.0 })
    }

    /// Sets the programme and the room's modes.
    fn set(&mut self, act: &Moderation<'_>) -> Result<About, Reason> {
        match act {
            Moderation::Pin(chat) => {
                let packet = self.chat.packet(*chat).ok_or(Reason::NotFound)?;
                self.stage.pin(*chat, packet);
                return Ok(line(*chat));
            }
            Moderation::Unpin => self.stage.unpin(),
            Moderation::SetModes(modes) => self.stage.set_modes(*modes),
            Moderation::SetPatterns(patterns) => self.stage.set_patterns(patterns)?,
            Moderation::SetTitle(title) => self.stage.set_title(title)?,
            Moderation::SetGifts(gifts) => {
                self.gifts.set(gifts)?;
                self.stage.changed();
            }
            _ => {}
        }
        if matches!(act, Moderation::SetModes(_) | Moderation::SetPatterns(_)) {
            wire::put(&mut self.announced, &Down::Settings(self.stage.settings()));
        }
        Ok(NOTHING)
    }

    /// Sanctions a fan, whose role must be lower than the actor's.
    fn judge(&mut self, role: Role, act: &Moderation<'_>, fx: &mut Effects<'_>) -> Result<About, Reason> {
        let (Moderation::Timeout { subject, .. }
        | Moderation::Ban(subject)
        | Moderation::ShadowMute(subject)
        | Moderation::Pardon(subject)
        | Moderation::SetRole { subject, .. }) = act
        else {
            return Err(Reason::Unsupported);
        };
        let id = match subject {
            Subject::Fan(fan) => *fan,
            Subject::Author(chat) => self.chat.author(*chat).ok_or(Reason::NotFound)?,
        };
        let at = self.people.enter(id, false, self.now).ok_or(Reason::Busy { retry_ms: 60_000 })?;
        let fan = &mut self.people.fans[at];
        if fan.role() >= role {
            return Err(Reason::NotAllowed);
        }
        let mut number = 0;
        match act {
            Moderation::Timeout { seconds, .. } if (1..=LONGEST_TIMEOUT).contains(seconds) => {
                number = u64::from(*seconds);
                fan.standing = Standing::TimedOut { until: self.now + Micros::from_secs(number) };
            }
            Moderation::Ban(_) => fan.standing = Standing::Banned,
            Moderation::ShadowMute(_) => fan.shadow = true,
            Moderation::Pardon(_) => (fan.standing, fan.shadow) = (Standing::Clear, false),
            Moderation::SetRole { role, .. } if *role < Role::Creator => fan.granted = Some(*role),
            _ => return Err(Reason::OutOfRange),
        }
        let (standing, role) = (fan.standing(self.now), fan.role());
        self.people.reserve_name(at);
        if matches!(act, Moderation::Timeout { .. } | Moderation::Ban(_)) {
            self.purge(id, fx);
        }
        // A shadow-muted fan must not notice it.
        if !matches!(act, Moderation::ShadowMute(_)) {
            self.announce(&Down::Standing { fan: id, standing, role });
        }
        Ok(About { fan: Some(id), number })
    }

    /// Takes back all lines of a fan.
    pub(super) fn purge(&mut self, fan: FanId, fx: &mut Effects<'_>) {
        for held in self.chat.purge(fan, &mut self.added.renewal, fx) {
            self.reviewed(held, fx);
        }
        self.stage.unpin_if(|line| line.fan == fan);
        fx.archive(Row::Purged { fan });
    }

    fn approve(&mut self, chat: ChatId, fx: &mut Effects<'_>) -> Result<About, Reason> {
        self.chat.approve(chat, self.now, fx, |line, fx| fx.archive(row(line, Seen::Everyone)))?;
        self.counts.says += 1;
        self.reviewed(chat, fx);
        Ok(line(chat))
    }

    /// Reports to moderators that a held line is decided.
    fn reviewed(&mut self, chat: ChatId, fx: &mut Effects<'_>) {
        self.announce(&Down::Moderators(Review::Done { chat }));
        fx.archive(Row::Seen { id: chat, seen: Seen::Nobody });
    }
}
