//! Checks that an edge makes by itself on a fan's message.

use std::borrow::Cow;

use wire::{
    Act, DanmakuSize, Lane, Links, Micros, Moderation, OnMatch, Reason, Role, Say, Screen, Standing, limits,
};

use super::{Checked, Rules, session::Session};
use crate::Limits;
use crate::content::{clean, fingerprint, has_link, is_emoji};

/// The rules for messages at one moment.
pub(super) struct Check<'a> {
    pub(super) now: Micros,
    pub(super) limits: &'a Limits,
    pub(super) rules: &'a Rules,
    pub(super) folded: &'a mut Vec<u8>,
}

impl Check<'_> {
    /// Checks whether a message may pass. A message that arrives again passed the rates the first time.
    pub(super) fn act<'t>(
        &mut self,
        fan: &mut Session,
        number: u64,
        act: &Act<'t>,
    ) -> Result<Checked<'t>, Reason> {
        match fan.standing {
            Standing::Clear => {}
            Standing::TimedOut { until } if until <= self.now => fan.standing = Standing::Clear,
            Standing::TimedOut { until } => {
                return Err(Reason::TimedOut { retry_ms: (until - self.now).wait_ms() });
            }
            Standing::Banned => return Err(Reason::Banned),
        }
        if number > fan.passed {
            self.rate(fan, act)?;
            fan.passed = number;
        }
        let pass = Ok((Screen::Pass, None));
        match act {
            Act::Cheer { kind, count } => {
                let known = usize::from(*kind) < limits::CHEER_KINDS;
                in_range(known && (1..=limits::CHEERS).contains(count)).and(pass)
            }
            Act::Say(say) => self.say(fan, number, say),
            Act::Gift { count, .. } => in_range((1..=limits::GIFTS).contains(count)).and(pass),
            Act::Vote { option, .. } => in_range(usize::from(*option) < limits::POLL_OPTIONS).and(pass),
            Act::Ask { text } => {
                let text = self.text(fan, text, usize::from(self.limits.text_graphemes))?;
                let screen = self.screen(fan, &text)?;
                // No list shows held questions to moderators, so a question that would be held is rejected.
                if screen == Screen::Hold { Err(Reason::Blocked) } else { Ok(changed(Screen::Pass, text)) }
            }
            Act::Rename { name } => {
                let name = clean(name, limits::NAME_GRAPHEMES)?;
                in_range(name.len() <= limits::NAME)?;
                let blocked = self.rules.filter.check(&name, self.folded).is_some();
                if blocked { Err(Reason::Blocked) } else { Ok(changed(Screen::Pass, name)) }
            }
            Act::Upvote { .. } | Act::Moderate(Moderation::Delete(_)) => pass,
            Act::Moderate(_) if fan.role >= Role::Moderator => pass,
            Act::Moderate(_) => Err(Reason::NotAllowed),
        }
    }

    fn rate(&self, fan: &mut Session, act: &Act<'_>) -> Result<(), Reason> {
        let taken = match act {
            Act::Cheer { count, .. } => fan.cheers.take(self.now, (*count).into(), self.limits.cheers),
            // Moderators need a faster pace than fans to keep order.
            _ if fan.role >= Role::Moderator => Ok(()),
            Act::Say(_) => fan.says.take(self.now, 1, self.limits.says),
            _ => fan.others.take(self.now, 1, self.limits.others),
        };
        taken.map_err(|wait| Reason::TooFast { retry_ms: wait.wait_ms() })
    }

    fn say<'t>(&mut self, fan: &mut Session, number: u64, say: &Say<'t>) -> Result<Checked<'t>, Reason> {
        in_range(say.mentions.len() <= limits::MENTIONS)?;
        if let Some(danmaku) = say.danmaku {
            let lane = match danmaku.lane {
                Lane::Any => true,
                Lane::At(lane) => lane < limits::LANES,
            };
            in_range(lane && danmaku.colour < limits::COLOURS)?;
            // Only moderators and the creator may use the size that covers most of the picture.
            if danmaku.size == DanmakuSize::Large && fan.role == Role::Fan {
                return Err(Reason::NotAllowed);
            }
        }
        let text = self.text(fan, say.text, usize::from(self.limits.text_graphemes))?;
        let print = fingerprint(&text);
        // A line that arrives again, by a resend, is no repetition.
        if fan.role == Role::Fan && number > fan.said {
            self.pace(fan, print)?;
        }
        let screen = self.screen(fan, &text)?;
        (fan.said_at, fan.said_print, fan.said) = (self.now, print, fan.said.max(number));
        Ok(changed(screen, text))
    }

    fn text<'t>(&self, fan: &Session, text: &'t str, max: usize) -> Result<Cow<'t, str>, Reason> {
        let modes = &self.rules.modes;
        if fan.role == Role::Fan && modes.followers_only && !fan.follower {
            return Err(Reason::FollowersOnly);
        }
        let text = clean(text, max)?;
        if fan.role == Role::Fan && modes.emoji_only && !is_emoji(&text) {
            return Err(Reason::EmojiOnly);
        }
        Ok(text)
    }

    /// Checks slow mode and repetition.
    fn pace(&self, fan: &Session, print: u64) -> Result<(), Reason> {
        let since = self.now - fan.said_at;
        let slow = Micros::from_secs(self.rules.modes.slow_seconds.into());
        if since < slow {
            return Err(Reason::SlowMode { retry_ms: (slow - since).wait_ms() });
        }
        if print == fan.said_print && since < self.limits.repeat {
            return Err(Reason::Repeated);
        }
        Ok(())
    }

    /// Checks blocked words and links. Moderators and the creator are exempt: they may quote what they
    /// forbid.
    fn screen(&mut self, fan: &Session, text: &str) -> Result<Screen, Reason> {
        if fan.role >= Role::Moderator {
            return Ok(Screen::Pass);
        }
        let modes = &self.rules.modes;
        let mut screen = if modes.hold_all { Screen::Hold } else { Screen::Pass };
        match self.rules.filter.check(text, self.folded) {
            Some(OnMatch::Reject) => return Err(Reason::Blocked),
            Some(OnMatch::Hold) => screen = Screen::Hold,
            None => {}
        }
        if modes.links != Links::Allow && has_link(text) {
            if modes.links == Links::Reject {
                return Err(Reason::Links);
            }
            screen = Screen::Hold;
        }
        Ok(screen)
    }
}

fn in_range(it_is: bool) -> Result<(), Reason> {
    if it_is { Ok(()) } else { Err(Reason::OutOfRange) }
}

/// Returns the text only if it differs from the original.
fn changed(screen: Screen, text: Cow<'_, str>) -> Checked<'_> {
    (screen, Some(text))
}
