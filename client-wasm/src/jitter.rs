//! The playhead: maps the creator's capture clock onto ours, a chosen delay behind.
//!
//! A frame captured at `t` is shown at `t + transit + delay`. *Transit* is the least time that any frame took lately
//! from its capture to us, and includes the difference between the two clocks. *Delay* is the target, or more where
//! frames are repeatedly later than that. The playhead follows at a rate that viewers do not notice, and jumps only
//! where that would take too long: after a stall it is at live at once.

use std::collections::VecDeque;

use moqt::Micros;

/// The default target delay.
pub const DEFAULT_TARGET: Micros = Micros::from_millis(120);
/// The largest target delay.
pub const MAX_TARGET: Micros = Micros::from_millis(5_000);
/// Largest believable delay of a loudspeaker.
const MAX_AHEAD: Micros = Micros::from_millis(1_000);
/// Variation of a loudspeaker's reported delay that means nothing.
const WOBBLE: Micros = Micros::from_millis(15);
/// Largest deviation of the playhead's rate from 1.
pub const MAX_SKEW: f64 = 0.05;

/// Errors below this, in microseconds, are ignored.
const DEADBAND: f64 = 4_000.0;
/// Error at which the skew is greatest, in microseconds.
const FULL_SKEW_AT: f64 = 100_000.0;
/// Error beyond which the playhead jumps, in microseconds.
const JUMP: f64 = 1_000_000.0;
/// Error beyond which the playhead steps back at once for sound that would have to wait.
const STEP_BACK: Micros = Micros::from_millis(40);
/// Time after the first arrival in which the playhead jumps freely: no sound has been played yet.
const SETTLING: Micros = Micros::from_millis(300);
/// Span over which extremes are kept.
const WINDOW: Micros = Micros::from_millis(1_000);
/// Number of such spans that are kept.
const WINDOWS: usize = 10;
/// Lateness that counts as a stall, for which the delay does not make up.
const STALL: Micros = Micros::from_millis(1_000);
/// Longest stretch of media that may arrive at once without counting as a stall.
const MAX_SPAN: Micros = Micros::from_millis(5_000);
/// Margin between the latest arrivals and the playhead.
const MARGIN: Micros = Micros::from_millis(10);

/// The way in which an object arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// The object arrived as soon as it was made.
    Live,
    /// The object was fetched after it was made: its lateness does not count.
    Past,
}

/// The playhead's position.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Position {
    /// The capture time that is due.
    pub media: Micros,
    /// Capture time that passes per unit of our time.
    pub rate: f64,
    /// Set while the playhead jumps freely.
    pub settling: bool,
}

/// The playhead of one room.
#[derive(Debug)]
pub struct Jitter {
    target: Micros,
    ahead: Micros,
    windows: VecDeque<Window>,
    first: Option<Micros>,
    playhead: Option<Playhead>,
}

/// The extremes of the arrivals in one span.
#[derive(Clone, Copy, Debug)]
struct Window {
    since: Micros,
    /// Least difference of arrival and capture.
    least: i64,
    /// Greatest difference among live arrivals that no stall held up.
    greatest: Option<i64>,
}

#[derive(Clone, Copy, Debug)]
struct Playhead {
    media: f64,
    at: Micros,
    rate: f64,
}

impl Jitter {
    /// Creates a playhead before any arrival.
    pub fn new(target: Micros) -> Self {
        Self {
            target: target.min(MAX_TARGET),
            ahead: Micros(0),
            windows: VecDeque::new(),
            first: None,
            playhead: None,
        }
    }

    /// Sets the target delay; the playhead moves there gently.
    pub fn set_target(&mut self, target: Micros) {
        self.target = target.min(MAX_TARGET);
    }

    /// Sets the time by which media must be here before it is due: the delay of the loudspeaker.
    pub fn set_ahead(&mut self, ahead: Micros) {
        if ahead <= self.ahead && self.ahead - ahead < WOBBLE {
            return;
        }
        let before = self.delay();
        self.ahead = ahead.min(MAX_AHEAD);
        if self.delay() > before + STEP_BACK {
            self.playhead = None;
        }
    }

    /// Returns the target delay.
    pub fn target(&self) -> Micros {
        self.target
    }

    /// Returns the delay behind the fastest arrivals: the target, or more if the network or the loudspeaker needs it.
    pub fn delay(&self) -> Micros {
        let Some(least) = self.transit() else { return self.target.max(self.ahead) };
        let mut late: Vec<i64> = self.windows.iter().filter_map(|window| window.greatest).collect();
        late.sort_unstable();
        // A single late span is an accident; the second largest lateness shows the network.
        let needed = late
            .iter()
            .rev()
            .nth(1)
            .map_or(Micros(0), |greatest| Micros((greatest - least).max(0) as u64) + MARGIN);
        self.target.max(self.ahead + needed)
    }

    /// Records an arrival whose first frame was captured at `media`, and its last `span` later. It could not come
    /// before all of it existed, so the span does not count as a stall.
    pub fn arrived(&mut self, now: Micros, media: Micros, span: Micros, arrival: Arrival) {
        self.first.get_or_insert(now);
        let transit = signed(now) - signed(media);
        let usual = self.transit().unwrap_or(transit);
        let held_up = transit - usual - signed(span.min(MAX_SPAN));
        let live = arrival == Arrival::Live && held_up < signed(STALL);
        let greatest = live.then_some(transit);
        match self.windows.back_mut() {
            Some(window) if now - window.since < WINDOW => {
                window.least = window.least.min(transit);
                window.greatest = window.greatest.max(greatest);
            }
            _ => {
                if self.windows.len() == WINDOWS {
                    self.windows.pop_front();
                }
                self.windows.push_back(Window { since: now, least: transit, greatest });
            }
        }
    }

    /// Moves the playhead; returns `None` before the first arrival.
    pub fn tick(&mut self, now: Micros) -> Option<Position> {
        let transit = self.transit()?;
        let ideal = (signed(now) - transit - signed(self.delay())) as f64;
        let settling = self.first.is_none_or(|first| now - first < SETTLING);
        let before = *self.playhead.get_or_insert(Playhead { media: ideal, at: now, rate: 1.0 });
        let media = before.media + (now - before.at).0 as f64 * before.rate;
        let error = ideal - media;
        let (media, rate) = if settling || error.abs() > JUMP { (ideal, 1.0) } else { (media, rate(error)) };
        self.playhead = Some(Playhead { media, at: now.max(before.at), rate });
        Some(Position { media: Micros(media.max(0.0) as u64), rate, settling })
    }

    /// Forgets everything but the target and the loudspeaker, for another session or creator.
    pub fn reset(&mut self) {
        *self = Self { ahead: self.ahead, ..Self::new(self.target) };
    }

    fn transit(&self) -> Option<i64> {
        self.windows.iter().map(|window| window.least).min()
    }
}

/// Returns the playback rate that makes up for an error in microseconds: positive when behind, negative when ahead.
pub fn rate(error: f64) -> f64 {
    if error.abs() < DEADBAND { 1.0 } else { 1.0 + (error / FULL_SKEW_AT).clamp(-1.0, 1.0) * MAX_SKEW }
}

fn signed(micros: Micros) -> i64 {
    i64::try_from(micros.0).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Lead of the creator's clock over ours, in microseconds.
    const SKEW: u64 = 7_000_000_000;

    fn ms(ms: u64) -> Micros {
        Micros::from_millis(ms)
    }

    fn captured(at: u64) -> Micros {
        ms(at) + Micros(SKEW)
    }

    /// Simulates a frame every 33 ms that takes `transit(at)` ms; returns the latency of each in ms.
    fn play(jitter: &mut Jitter, from: u64, to: u64, transit: impl Fn(u64) -> u64) -> Vec<i64> {
        let mut latencies = Vec::new();
        let mut arrivals: Vec<(u64, u64)> = (from..to).step_by(33).map(|at| (at + transit(at), at)).collect();
        arrivals.sort_unstable();
        let mut arrivals = arrivals.into_iter().peekable();
        for now in (from..to).step_by(5) {
            while let Some((_, at)) = arrivals.next_if(|(arrival, _)| *arrival <= now) {
                jitter.arrived(ms(now), captured(at), Micros(0), Arrival::Live);
            }
            if let Some(position) = jitter.tick(ms(now)) {
                assert!((position.rate - 1.0).abs() <= MAX_SKEW + 1e-9);
                latencies.push(now as i64 - (position.media.0 as i64 - SKEW as i64) / 1000);
            }
        }
        latencies
    }

    #[test]
    fn a_steady_stream_is_a_target_behind() {
        let mut jitter = Jitter::new(DEFAULT_TARGET);
        assert_eq!(jitter.tick(ms(1)), None);
        let latencies = play(&mut jitter, 1_000, 5_000, |_| 40);
        let settled = &latencies[latencies.len() / 2..];
        assert!(settled.iter().all(|latency| (155..=170).contains(latency)), "{settled:?}");
    }

    #[test]
    fn a_new_target_is_approached_gently() {
        let mut jitter = Jitter::new(ms(100));
        play(&mut jitter, 1_000, 4_000, |_| 20);
        jitter.set_target(ms(600));
        let latencies = play(&mut jitter, 4_000, 30_000, |_| 20);
        let jumps = latencies.windows(2).map(|pair| (pair[1] - pair[0]).abs()).max().unwrap();
        assert!(jumps <= 1, "a jump of {jumps} ms");
        assert!((600..=630).contains(latencies.last().unwrap()), "{:?}", latencies.last());
    }

    #[test]
    fn a_slow_loudspeaker_is_waited_for_at_once() {
        let mut jitter = Jitter::new(ms(120));
        jitter.set_ahead(ms(40));
        play(&mut jitter, 1_000, 4_000, |at| if at % 300 < 33 { 50 } else { 20 });
        assert_eq!(jitter.delay(), ms(120), "there is time enough");
        jitter.set_ahead(ms(250));
        let latencies = play(&mut jitter, 4_000, 4_100, |_| 20);
        assert!((290..=325).contains(latencies.last().unwrap()), "{latencies:?}");
        let delay = jitter.delay();
        jitter.set_ahead(ms(242));
        assert_eq!(jitter.delay(), delay, "it does not mean it");
        jitter.set_ahead(Micros(0));
        assert_eq!(jitter.delay(), ms(120));
        jitter.set_ahead(Micros(u64::MAX));
        assert!(jitter.delay() < ms(1_100));
    }

    #[test]
    fn what_was_fetched_does_not_hold_back_what_is_live() {
        let mut jitter = Jitter::new(ms(100));
        for at in (0..1_000).step_by(33) {
            jitter.arrived(ms(1_020), captured(at), Micros(0), Arrival::Past);
            jitter.tick(ms(1_020));
        }
        let latencies = play(&mut jitter, 1_020, 1_400, |_| 20);
        assert!(*latencies.last().unwrap() <= 130, "{latencies:?}");
    }

    #[test]
    fn repeated_lateness_is_waited_for_and_one_stall_is_not() {
        let mut jitter = Jitter::new(ms(50));
        play(&mut jitter, 1_000, 11_000, |at| if at % 700 < 33 { 220 } else { 20 });
        assert!((200..=230).contains(&jitter.delay().as_millis()), "{:?}", jitter.delay());
        play(&mut jitter, 11_000, 30_000, |_| 20);
        assert_eq!(jitter.delay(), ms(50), "forgotten when it is over");

        // Nothing arrives for three seconds, then everything.
        let latencies = play(&mut jitter, 30_000, 36_000, |at| if at < 33_000 { 33_020 - at } else { 20 });
        assert_eq!(jitter.delay(), ms(50));
        assert!((60..=100).contains(latencies.last().unwrap()), "{:?}", latencies.last());
    }

    #[test]
    fn what_comes_in_long_pieces_is_waited_for() {
        let mut jitter = Jitter::new(ms(100));
        for now in (2_000..12_000).step_by(20) {
            // Sound arrives packet by packet, the picture in pieces of two seconds.
            jitter.arrived(ms(now), captured(now - 20), Micros(0), Arrival::Live);
            if now % 2_000 == 0 {
                jitter.arrived(ms(now), captured(now - 2_000), ms(1_967), Arrival::Live);
            }
            jitter.tick(ms(now));
        }
        assert!((1_980..=2_000).contains(&jitter.delay().as_millis()), "{:?}", jitter.delay());
    }

    #[test]
    fn a_great_error_is_jumped_over() {
        let mut jitter = Jitter::new(ms(4_000));
        play(&mut jitter, 1_000, 3_000, |_| 20);
        jitter.set_target(ms(100));
        let position = jitter.tick(ms(3_000)).unwrap();
        let latency = 3_000 - (position.media.0 as i64 - SKEW as i64) / 1000;
        assert!((100..=160).contains(&latency), "{latency}");
    }

    proptest! {
        #[test]
        fn no_times_upset_it(steps in prop::collection::vec((any::<u64>(), any::<u64>(), any::<u64>(), any::<bool>()), 1..100)) {
            let mut jitter = Jitter::new(DEFAULT_TARGET);
            for (now, media, span, live) in steps {
                let arrival = if live { Arrival::Live } else { Arrival::Past };
                // Times are microseconds of this era, as the decoder takes them.
                jitter.arrived(Micros(now >> 11), Micros(media >> 11), Micros(span), arrival);
                let position = jitter.tick(Micros(now >> 11)).unwrap();
                prop_assert!((position.rate - 1.0).abs() <= MAX_SKEW + 1e-9);
            }
        }
    }
}
