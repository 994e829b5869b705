//! The line that says how a restream goes.

use std::io::{IsTerminal, Write};

use restream::{Counts, End, Link, Options, Report, Room};
use tokio::time::Instant;

use crate::line;

/// The line that says how a restream goes.
pub(crate) struct Line<W> {
    status: line::Line<W>,
    from: String,
    to: String,
    phase: Option<Phase>,
    /// The time when rates were last shown, and the counters at that time.
    before: Option<(Instant, Counts)>,
}

/// A phase of a restream, which gets a line of its own when it begins.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Phase {
    Down(End, String),
    Absent,
    Live,
}

impl<W: Write + IsTerminal> Line<W> {
    pub(crate) fn new(out: W, options: &Options) -> Self {
        Self::of(line::Line::new(out), options.from.to_string(), options.to.to_string())
    }
}

impl<W: Write> Line<W> {
    fn of(status: line::Line<W>, from: String, to: String) -> Self {
        Self { status, from, to, phase: None, before: None }
    }

    pub(crate) fn show(&mut self, report: &Report) {
        let phase = match (report.down(), report.live_since(), report.room, &report.source) {
            (Some((end, reason, _)), ..) => Phase::Down(end, reason.to_owned()),
            (None, Some(since), ..) => return self.live(report, since),
            (None, None, Room::Absent, Link::Up { .. }) => Phase::Absent,
            _ => return,
        };
        self.before = None;
        if self.phase.as_ref() == Some(&phase) {
            return;
        }
        match (&phase, report.down()) {
            (Phase::Down(end, reason), Some((_, _, pause))) => {
                self.status.say(&format!("{end}: {reason}: again in {:.1} s", pause.as_secs_f64()));
            }
            (Phase::Absent, _) => self.status.say(&format!("there is no room at {}: waiting", self.from)),
            _ => {}
        }
        self.phase = Some(phase);
    }

    fn live(&mut self, report: &Report, since: Instant) {
        if self.phase.replace(Phase::Live) != Some(Phase::Live) {
            self.status.say(&format!("live from {} to {}", self.from, self.to));
        }
        let now = Instant::now();
        let (then, before) = *self.before.get_or_insert((now, report.counts));
        let seconds = (now - then).as_secs_f64();
        // Rates over less are noise: a report comes with every change, too.
        if seconds >= 0.5 {
            self.status.update(&live(&report.counts, &before, seconds, (now - since).as_secs()));
            self.before = Some((now, report.counts));
        }
    }

    /// Leaves the line for what others have to say.
    pub(crate) fn end(&mut self) {
        self.status.end();
    }
}

fn live(counts: &Counts, before: &Counts, seconds: f64, connected: u64) -> String {
    let per_second = |now: u64, before: u64| (now - before) as f64 / seconds;
    format!(
        "{} tracks, {:.1} frames/s, {:.2} Mbit/s, {} groups skipped, connected for {}:{:02}:{:02}",
        counts.tracks,
        per_second(counts.frames, before.frames),
        per_second(counts.bytes, before.bytes) * 8.0 / 1e6,
        counts.skipped,
        connected / 3600,
        connected / 60 % 60,
        connected % 60,
    )
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn report(room: Room, source: Link, frames: u64) -> Report {
        let since = Instant::now();
        let counts = Counts { tracks: 2, frames, bytes: frames * 5000, skipped: 1 };
        Report { source, destination: Link::Up { since }, room, counts }
    }

    #[test]
    fn it_says_how_it_goes() {
        let counts = |frames| report(Room::Announced, Link::Connecting, frames).counts;
        let text = live(&counts(90), &counts(30), 2.0, 3725);
        assert_eq!(text, "2 tracks, 30.0 frames/s, 1.20 Mbit/s, 1 groups skipped, connected for 1:02:05");
    }

    #[test]
    fn what_changes_is_said_once() {
        let up = || Link::Up { since: Instant::now() };
        let down =
            |millis| Link::Down { reason: "timed out".to_owned(), pause: Duration::from_millis(millis) };
        let style = line::Style::Plain;
        let mut line =
            Line::of(line::Line::styled(Vec::new(), style), "moqt://a:1/x".into(), "moqt://b:2/y".into());
        for report in [
            report(Room::Unknown, Link::Connecting, 0),
            report(Room::Absent, up(), 0),
            report(Room::Absent, up(), 0),
            report(Room::Present, up(), 0),
            report(Room::Announced, up(), 0),
            report(Room::Announced, down(100), 0),
            report(Room::Announced, down(200), 0),
            report(Room::Announced, up(), 0),
        ] {
            line.show(&report);
        }
        let text = String::from_utf8(line.status.out).unwrap();
        let expected = "there is no room at moqt://a:1/x: waiting\nlive from moqt://a:1/x to moqt://b:2/y\n\
            source: timed out: again in 0.1 s\nlive from moqt://a:1/x to moqt://b:2/y\n";
        assert_eq!(text, expected);
    }
}
