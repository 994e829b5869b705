//! A fan that does not read what it receives.

use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use creator::Source;
use fanfare_tests::{Isolate, ROOM, Socket, Stack};
use futures_util::{SinkExt as _, StreamExt as _};
use media::testcard::{Config, Rendition};
use moqt::{
    Event, Input, Namespace, Output, Params, Session, TrackName, Version,
    mux::{Frame, MAX_DATA, Mux, WINDOW},
    session::{Config as SessionConfig, Side, Transport},
};
use quic::Clock;
use tokio::{task::LocalSet, time::Instant};
use tokio_tungstenite::tungstenite::Message;

/// Bits per second of the show: it fills the window in about a second.
const BITRATE: u32 = 4_000_000;
/// The time for which the fan reads nothing.
const LAG: Duration = Duration::from_secs(4);

/// A session that acknowledges data only when the test has it do so.
struct Slow {
    socket: Socket,
    session: Session,
    mux: Mux,
    clock: Clock,
    /// The bytes of data received.
    came: u64,
    /// The groups that have begun.
    groups: Vec<u64>,
    /// The number of groups that were broken off.
    broken: usize,
}

impl Slow {
    fn subscribe(socket: Socket, track: TrackName) -> Result<Self> {
        let clock = Clock::default();
        let config = SessionConfig::new(Side::Client, Transport::WebTransport, Version::Draft18);
        let mut session = Session::new(clock.now(), config)?;
        session.subscribe(track, Params::default())?;
        let mux = Mux::new(Side::Client);
        Ok(Self { socket, session, mux, clock, came: 0, groups: Vec::new(), broken: 0 })
    }

    /// Reads until `end`.
    async fn until(&mut self, end: Instant) -> Result<()> {
        loop {
            let mut frames = Vec::new();
            while let Some(output) = self.session.poll() {
                match output {
                    Output::Event(Event::Subgroup { header, .. }) => self.groups.push(header.group),
                    Output::Event(Event::StreamReset { .. }) => self.broken += 1,
                    Output::Event(Event::Closed { reason, .. }) => bail!("closed: {reason:?}"),
                    Output::Event(_) => {}
                    output => {
                        self.mux
                            .send(&mut self.session, self.clock.now(), output, |frame| frames.push(frame));
                    }
                }
            }
            for frame in frames {
                self.socket.send(Message::binary(frame.encode())).await?;
            }
            let message = tokio::time::timeout_at(end, self.socket.next()).await;
            let Ok(message) = message else { return Ok(()) };
            match message.context("gone")?? {
                Message::Binary(message) => {
                    if let Frame::Stream { data, .. } =
                        Frame::decode(message.clone()).map_err(|error| anyhow::anyhow!("{error:?}"))?
                    {
                        self.came += data.len() as u64;
                    }
                    let received = self.mux.received(&mut self.session, self.clock.now(), message);
                    received.map_err(|error| anyhow::anyhow!("{error:?}"))?;
                }
                Message::Close(why) => bail!("closed: {why:?}"),
                _ => {}
            }
            if self.session.timeout().is_some_and(|at| at <= self.clock.now()) {
                self.session.handle(self.clock.now(), Input::Timeout);
            }
        }
    }

    async fn take_all(&mut self) -> Result<()> {
        self.socket.send(Message::binary(Frame::Taken(self.came).encode())).await?;
        Ok(())
    }
}

/// Starts a stack with a show of that bit rate, and the Worker beside it.
async fn show(bitrate: u32) -> Result<(Stack, Isolate)> {
    let renditions = vec![Rendition { width: 640, height: 360, bitrate }];
    let show = Config { renditions, title: "TEST".into(), ..Config::default() };
    let stack = Stack::open(Source::demo(show)?).await?;
    let isolate = Isolate::beside(&stack).await?;
    Ok((stack, isolate))
}

fn picture() -> Result<TrackName> {
    Ok(TrackName::new(Namespace::from_path(ROOM)?, "video/360p")?)
}

/// Longer than an object stays awake whose room has no fans.
const LONG: Duration = Duration::from_secs(20);
/// The fewest groups that arrive in that time.
const LEAST_GROUPS: usize = 10;

#[tokio::test]
async fn who_only_watches_watches_on() -> Result<()> {
    let all = async {
        let (_stack, isolate) = show(300_000).await?;
        let mut fan = Slow::subscribe(isolate.open(ROOM, None).await?, picture()?)?;
        // The platform's clock decides when a room may sleep, so this has to last. A busy machine makes it last longer.
        let end = Instant::now() + LONG;
        while Instant::now() < end || fan.groups.len() < LEAST_GROUPS {
            fan.until(Instant::now() + Duration::from_millis(500)).await?;
            fan.take_all().await?;
        }
        let groups = &fan.groups;
        let missing = groups.windows(2).filter(|pair| pair[1] != pair[0] + 1).count();
        ensure!(missing == 0, "{groups:?}");
        Ok(())
    };
    tokio::time::timeout(Duration::from_mins(1), LocalSet::new().run_until(all)).await.context("too slow")?
}

#[tokio::test]
async fn who_lags_is_sent_no_more_than_a_window_and_then_the_newest() -> Result<()> {
    let all = async {
        let (_stack, isolate) = show(BITRATE).await?;
        let mut slow = Slow::subscribe(isolate.open(ROOM, None).await?, picture()?)?;
        while slow.came < WINDOW {
            slow.until(Instant::now() + Duration::from_millis(100)).await?;
        }
        // Data in flight arrives, then nothing. No event marks that, so the test lets time pass.
        slow.until(Instant::now() + LAG).await?;
        let most = WINDOW + 4 * MAX_DATA as u64;
        ensure!(slow.came < most, "{} bytes came, and nothing was taken", slow.came);
        let before = slow.groups.last().copied().context("no group came")?;
        while slow.broken == 0 || slow.groups.last() == Some(&before) {
            slow.take_all().await?;
            slow.until(Instant::now() + Duration::from_millis(100)).await?;
        }
        let after: Vec<_> = slow.groups.iter().copied().filter(|group| *group > before).collect();
        println!("up to {before}, then {after:?}; {} broken off", slow.broken);
        ensure!(after.first().is_some_and(|first| *first > before + 1), "{before}, then {after:?}");
        Ok(())
    };
    tokio::time::timeout(Duration::from_mins(1), LocalSet::new().run_until(all)).await.context("too slow")?
}
