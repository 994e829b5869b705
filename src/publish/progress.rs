//! The progress report of `fanfare publish`.

use std::{
    fmt::Write as _,
    io::{IsTerminal, Write},
    time::Instant,
};

use creator::{Counts, Report, State};
use url::Url;

use crate::line;

/// Prints progress: one line that is rewritten on a terminal, or a new line at intervals elsewhere.
pub(crate) struct Progress<W> {
    line: line::Line<W>,
    server: String,
    before: Option<(Instant, Counts)>,
}

impl<W: Write + IsTerminal> Progress<W> {
    pub(crate) fn new(out: W, server: &Url) -> Self {
        Self { line: line::Line::new(out), server: server.to_string(), before: None }
    }
}

impl<W: Write> Progress<W> {
    pub(crate) fn show(&mut self, report: &Report) {
        let now = Instant::now();
        match &report.state {
            State::Live => {
                let Some((since, before)) = self.before.replace((now, report.counts)) else {
                    self.line.say(&format!("live at {}", self.server));
                    return;
                };
                // Rates are over the actual time since the last report.
                self.line.update(&live(report, &before, (now - since).as_secs_f64()));
            }
            State::Reconnecting { reason, pause } => {
                self.before = None;
                self.line.say(&format!("{reason}: connecting again in {:.1} s", pause.as_secs_f64()));
            }
            State::Ended => {
                let Counts { frames, groups, bytes, .. } = report.counts;
                let megabytes = bytes as f64 / 1e6;
                self.line.say(&format!("ended after {groups} groups, {frames} frames, {megabytes:.1} MB"));
            }
        }
    }

    /// Ends the rewritten line, so that other output begins on a new one.
    pub(crate) fn end(&mut self) {
        self.line.end();
    }
}

fn live(report: &Report, before: &Counts, seconds: f64) -> String {
    let Counts { bytes, frames, groups, newest, .. } = report.counts;
    let per_second = |count: u64| count as f64 / seconds.max(0.001);
    let mut line = format!(
        "{:.2} Mbit/s, {:.1} fps, {groups} groups",
        per_second(bytes - before.bytes) * 8.0 / 1e6,
        per_second(frames - before.frames),
    );
    if let Some(newest) = newest {
        let _ = write!(line, " (newest {newest})");
    }
    if let Some(rtt) = report.rtt {
        let _ = write!(line, ", round trip {:.1} ms", rtt.as_secs_f64() * 1000.0);
    }
    let _ = write!(line, ", {} tracks taken, {} dropped", report.subscriptions, report.drops);
    line
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::line::Style;

    fn line(style: Style) -> Progress<Vec<u8>> {
        let server = "moqt://localhost:4443".to_owned();
        Progress { line: line::Line::styled(Vec::new(), style), server, before: None }
    }

    fn report(state: State, seconds: u64) -> Report {
        let counts = Counts {
            bytes: seconds * 250_000,
            frames: seconds * 30,
            groups: seconds,
            newest: Some(100 + seconds),
            early: 0,
        };
        Report { state, counts, drops: 1, subscriptions: 2, rtt: Some(Duration::from_micros(1500)) }
    }

    #[test]
    fn it_says_how_it_goes() {
        let text = live(&report(State::Live, 3), &report(State::Live, 2).counts, 1.0);
        assert_eq!(
            text,
            "2.00 Mbit/s, 30.0 fps, 3 groups (newest 103), round trip 1.5 ms, 2 tracks taken, 1 dropped"
        );
    }

    #[test]
    fn a_terminals_line_is_rewritten_and_others_are_not() {
        let mut line = line(Style::Rewritten);
        for seconds in 0..3 {
            line.show(&report(State::Live, seconds));
        }
        let reason = "timed out".to_owned();
        line.show(&report(State::Reconnecting { reason, pause: Duration::from_millis(250) }, 3));
        let text = String::from_utf8(line.line.out).unwrap();
        assert_eq!(text.matches('\r').count(), 2, "{text:?}");
        assert!(text.ends_with("\ntimed out: connecting again in 0.2 s\n"), "{text:?}");

        let mut plain = super::tests::line(Style::Plain);
        for seconds in 0..4 {
            plain.show(&report(State::Live, seconds));
        }
        plain.show(&report(State::Ended, 4));
        let text = String::from_utf8(plain.line.out).unwrap();
        assert_eq!(text.lines().count(), 3, "the first, one in ten seconds, and the end: {text:?}");
        assert!(text.ends_with("ended after 4 groups, 120 frames, 1.0 MB\n"), "{text:?}");
    }
}
