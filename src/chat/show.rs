//! The terminal's view of a room.

use fan::Update;
use wire::{ChatId, Frame, Frames, Line, PollStrangers, PollView, Role, TrackItem, Who};

/// The shown part of the room, so that nothing is printed twice.
#[derive(Debug, Default)]
pub(super) struct Screen {
    /// Set once the room's state is known.
    ready: bool,
    /// Number of the newest line that was printed.
    newest: Option<ChatId>,
    title: String,
    /// Number of the open poll.
    poll: Option<u32>,
    pinned: Option<ChatId>,
    questions: Vec<u32>,
    /// Votes of fans without a token in the poll.
    strangers: PollStrangers,
    /// Number of the poll that has closed and whose result is not printed yet.
    closed: Option<u32>,
}

impl Screen {
    /// Returns whether the room's state is known: before, a vote could not name its poll.
    pub(super) fn is_ready(&self) -> bool {
        self.ready
    }

    /// Returns the number of the open poll.
    pub(super) fn poll(&self) -> Option<u32> {
        self.poll
    }

    /// Prints an update of the room.
    pub(super) fn update(&mut self, update: Update) {
        match update {
            Update::Joined => eprintln!("in the room"),
            Update::Left { why } => eprintln!("not in the room: {}; trying again", plain(&why)),
            Update::Shown { packet, .. } => {
                let Ok(items) = Frames::<TrackItem<'_>>::new(&packet) else { return };
                for item in items {
                    if let Ok(Frame::Known(item)) = item {
                        self.item(item);
                    }
                }
            }
            Update::Held(line) => {
                println!("held #{}  {}: {}", line.chat.0, plain(&line.name), plain(&line.text));
            }
            Update::Reviewed(chat) => println!("reviewed #{}", chat.0),
            Update::Settled { .. } | Update::Identity(_) | Update::Token(_) => {}
        }
    }

    fn item(&mut self, item: TrackItem<'_>) {
        match item {
            TrackItem::Said(line) if self.is_new(line.id) => println!("{}", said(&line)),
            TrackItem::Gifted { id, name, gift, count, .. } if self.is_new(id) => {
                println!("#{}  {} gives {count} of gift {}", id.0, plain(name), gift.0);
            }
            TrackItem::Deleted(chat) => println!("deleted #{}", chat.0),
            TrackItem::Purged(fan) => println!("all lines of {fan} are deleted"),
            TrackItem::Stage(stage) => self.stage(&stage),
            TrackItem::Strangers(strangers) => self.strangers = strangers,
            TrackItem::Pulse(pulse) => self.pulse(&pulse),
            TrackItem::Said(_) | TrackItem::Gifted { .. } => {}
        }
    }

    fn stage(&mut self, stage: &wire::Stage<'_>) {
        self.ready = true;
        if stage.title != self.title {
            stage.title.clone_into(&mut self.title);
            println!("== {} ==", plain(stage.title));
        }
        let pinned = stage.pinned.as_ref().map(|line| line.id);
        if pinned != self.pinned {
            self.pinned = pinned;
            if let Some(line) = &stage.pinned {
                println!("pinned {}", said(line));
            }
        }
        let open = stage.poll.as_ref().filter(|poll| poll.open);
        let poll = open.map(|poll| poll.poll.0);
        if poll != self.poll {
            self.closed = std::mem::replace(&mut self.poll, poll);
            match open {
                Some(poll) => print_poll(poll),
                None => println!("the poll is closed"),
            }
        }
        for question in &stage.questions.0 {
            let id = question.question.0;
            if !self.questions.contains(&id) {
                println!("question #{id}  {}: {}", plain(question.name), plain(question.text));
            }
        }
        self.questions = stage.questions.0.iter().map(|question| question.question.0).collect();
    }

    /// Prints the result of the poll that has just closed.
    fn pulse(&mut self, pulse: &wire::Pulse<'_>) {
        let Some(result) = pulse.poll.as_ref().filter(|result| Some(result.poll.0) == self.closed) else {
            return;
        };
        self.closed = None;
        println!("result of poll #{}:", result.poll.0);
        for (at, votes) in result.votes.0.iter().enumerate() {
            let strangers = self.strangers.votes.0.get(at).copied().unwrap_or(0);
            println!("  {}  {votes}, of them {strangers} of fans without a token", at + 1);
        }
    }

    fn is_new(&mut self, id: ChatId) -> bool {
        let new = self.newest.is_none_or(|newest| id > newest);
        self.newest = self.newest.max(Some(id));
        new
    }
}

fn print_poll(poll: &PollView<'_>) {
    let who = match poll.choice.who() {
        Who::Everyone => "",
        Who::Address => " (one vote of each address, beside those of fans with a token)",
        Who::Named => " (for fans with a token)",
    };
    println!("poll #{}: {}{who}", poll.poll.0, plain(poll.question));
    for (at, option) in poll.options.0.iter().enumerate() {
        println!("  {}  {}", at + 1, plain(option));
    }
}

fn said(line: &Line<'_>) -> String {
    let mark = match line.role {
        Role::Creator => "*",
        Role::Moderator => "+",
        Role::Fan => "",
    };
    let reply = line.reply.map(|to| format!("(to #{}) ", to.0)).unwrap_or_default();
    format!("#{}  {mark}{}: {reply}{}", line.id.0, plain(line.name), plain(line.text))
}

/// Replaces control characters: text of other fans must not move the cursor or ring the bell.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
