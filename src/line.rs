//! The line that says how a command goes: rewritten on a terminal, else a new one now and then.

use std::{
    io::{IsTerminal, Write},
    time::{Duration, Instant},
};

/// The interval of lines where they cannot be rewritten.
const EVERY: Duration = Duration::from_secs(10);

/// The line that says how a command goes.
pub(crate) struct Line<W> {
    pub(crate) out: W,
    style: Style,
    written: Option<Instant>,
    /// Set while the cursor is behind a line that is to be rewritten.
    open: bool,
}

/// The way in which a line is followed by the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    /// The next takes its place.
    Rewritten,
    /// The next comes below it.
    Plain,
}

impl<W: Write + IsTerminal> Line<W> {
    pub(crate) fn new(out: W) -> Self {
        let style = if out.is_terminal() { Style::Rewritten } else { Style::Plain };
        Self::styled(out, style)
    }
}

impl<W: Write> Line<W> {
    pub(crate) fn styled(out: W, style: Style) -> Self {
        Self { out, style, written: None, open: false }
    }

    /// Writes a line that stays.
    pub(crate) fn say(&mut self, line: &str) {
        self.end();
        let _ = writeln!(self.out, "{line}");
    }

    /// Writes how the command goes now, if a line is due.
    pub(crate) fn update(&mut self, line: &str) {
        let now = Instant::now();
        let _ = match self.style {
            // Erases what a longer line left behind.
            Style::Rewritten => write!(self.out, "\r{line}\x1b[K"),
            Style::Plain if self.written.is_some_and(|written| now - written < EVERY) => return,
            Style::Plain => writeln!(self.out, "{line}"),
        };
        let _ = self.out.flush();
        self.written = Some(now);
        self.open = self.style == Style::Rewritten;
    }

    /// Leaves the line for what others have to say.
    pub(crate) fn end(&mut self) {
        if std::mem::take(&mut self.open) {
            let _ = writeln!(self.out);
        }
    }
}
