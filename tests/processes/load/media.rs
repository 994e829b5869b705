//! Measures the CPU time of relaying media: from a creator through an edge, or an origin, to a hundred subscribers.
//!
//! `FANFARE_AGAINST=PATH` measures another build of the program in the same run, turn by turn.

use std::{
    cell::Cell,
    net::Ipv4Addr,
    path::PathBuf,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use moqt::{
    App, Cx, Event, Misuse, Namespace, Params, Properties, Token, TrackName,
    data::{ObjectHeader, Status, SubgroupHeader},
    session::{RequestId, StreamId},
};
use quic::{Clock, Connection, Endpoint, Trust, drive};
use token::{Claims, Role};
use tokio::{
    task::LocalSet,
    time::{Instant, Sleep},
};
use url::Url;

use super::SECONDS;
use crate::{
    LIFE, ROOM, number,
    parts::{FANFARE, Parts},
};

const SUBSCRIBERS: usize = 100;
const OBJECT_BYTES: usize = 8192;
const OBJECTS_PER_SECOND: u32 = 30;
/// Objects of a group: two seconds.
const GROUP_OBJECTS: u64 = 60;
/// The time that a load runs before it is measured.
const WARM: Duration = Duration::from_secs(3);
/// The times that each program is measured, unless `FANFARE_ROUNDS` sets it.
const ROUNDS: u64 = 3;

/// A program that is measured, and whether its clients are limited.
struct Build {
    program: PathBuf,
    limits: Limits,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Limits {
    On,
    Off,
}

/// Returns the file of limits that refuses nothing: the documented one without its numbers.
fn unlimited() -> Result<String> {
    let documented = std::fs::read_to_string(fanfare_tests::root()?.join("docs/limits.toml"))?;
    let lift = |line: &str| match line.split_once(" = ") {
        Some((name, _)) if !line.starts_with('#') => format!("{name} = \"unlimited\"\n"),
        _ => format!("{line}\n"),
    };
    Ok(documented.lines().map(lift).collect())
}

/// A creator with one track, of objects at even intervals.
struct Publisher {
    request: Option<RequestId>,
    stream: Option<StreamId>,
    sent: u64,
    next: Pin<Box<Sleep>>,
}

impl Publisher {
    fn send(&mut self, cx: &mut Cx<'_>) -> Result<(), Misuse> {
        let Some(request) = self.request else { return Ok(()) };
        let (group, id) = (self.sent / GROUP_OBJECTS, self.sent % GROUP_OBJECTS);
        if id == 0 {
            if let Some(stream) = self.stream.take() {
                cx.session.finish(cx.now, stream)?;
            }
            let header =
                SubgroupHeader { group, first_object: true, end_of_group: true, ..SubgroupHeader::default() };
            self.stream = Some(cx.session.open_subgroup(request, header)?);
        }
        self.sent += 1;
        let Some(stream) = self.stream else { return Ok(()) };
        let payload_len = OBJECT_BYTES as u64;
        let header = ObjectHeader { id, properties: Properties::NONE, payload_len, status: Status::Normal };
        let _ = cx.session.object(cx.now, stream, &header, cx.now)?;
        cx.session.payload(stream, Bytes::from_static(&[7; OBJECT_BYTES]))
    }
}

impl App for Publisher {
    fn event(&mut self, cx: &mut Cx<'_>, event: Event) {
        match event {
            Event::Ready(_) => {
                let room = Namespace::from_path(ROOM).expect("a room's name");
                let _ = cx.session.publish_namespace(room, Params::default());
            }
            Event::Subscribe { request, .. } => {
                self.request = cx
                    .session
                    .accept_subscribe(request, Params::default(), Properties::NONE)
                    .ok()
                    .map(|()| request);
                (self.stream, self.sent) = (None, self.sent.next_multiple_of(GROUP_OBJECTS));
            }
            Event::RequestError { error, .. } => panic!("the show is refused: {}", error.reason_text()),
            _ => {}
        }
    }

    fn poll(&mut self, task: &mut Context<'_>, cx: &mut Cx<'_>) -> Poll<()> {
        while self.next.as_mut().poll(task).is_ready() {
            let due = self.next.deadline() + Duration::from_secs(1) / OBJECTS_PER_SECOND;
            self.next.as_mut().reset(due);
            self.send(cx).expect("an object");
        }
        Poll::Pending
    }
}

/// A subscriber that counts the objects it receives.
struct Subscriber(Rc<Cell<u64>>);

impl App for Subscriber {
    fn event(&mut self, cx: &mut Cx<'_>, event: Event) {
        match event {
            Event::Ready(_) => {
                let room = Namespace::from_path(ROOM).expect("a room's name");
                let track = TrackName::new(room, "video").expect("a track's name");
                let params = Params { rendezvous_timeout: Some(10_000), ..Params::default() };
                let _ = cx.session.subscribe(track, params);
            }
            Event::Object { .. } => self.0.set(self.0.get() + 1),
            _ => {}
        }
    }
}

async fn connect(url: &Url, token: Option<String>, mut app: impl App + 'static) -> Result<()> {
    let endpoint = Endpoint::client((Ipv4Addr::LOCALHOST, 0).into(), Trust::Anyone.client_config()?)?;
    let mut connection = endpoint.connect(url).await?;
    connection.config.setup.tokens.extend(token.map(Token::value));
    tokio::task::spawn_local(async move {
        let Connection { transport, config, .. } = connection;
        let ended = drive(transport, config, Clock::default(), &mut app).await;
        eprintln!("a session of the load has ended: {ended:?}");
    });
    Ok(())
}

/// The CPU time that the subscribers' node takes for each object that it delivers to one of them.
async fn measure(build: &Build, subscribers_at: usize) -> Result<Duration> {
    let dir = tempfile::tempdir()?;
    let mut more = Vec::new();
    if build.limits == Limits::Off {
        let file = dir.path().join("unlimited.toml");
        std::fs::write(&file, unlimited()?)?;
        more.extend(["--limits".to_owned(), file.display().to_string()]);
    }
    let parts = Parts::open_with(&build.program, dir.path(), 1, &more).await?;
    let token = parts.keys.mint(&Claims::new(ROOM, Role::Creator, "a creator", LIFE))?;
    let next = Box::pin(tokio::time::sleep(Duration::ZERO));
    let publisher = Publisher { request: None, stream: None, sent: 0, next };
    connect(&parts.all[0].url()?, Some(token), publisher).await?;
    let count = Rc::new(Cell::new(0));
    let url = parts.all[subscribers_at].url()?;
    for _ in 0..SUBSCRIBERS {
        connect(&url, None, Subscriber(Rc::clone(&count))).await?;
    }
    tokio::time::sleep(WARM).await;
    let (before, work) = (count.get(), parts.all[subscribers_at].work()?);
    let (seconds, begun) = (number("FANFARE_SECONDS").unwrap_or(SECONDS), Instant::now());
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    let (objects, work) = (count.get() - before, parts.all[subscribers_at].work()?.saturating_sub(work));
    let expected = begun.elapsed().as_secs_f64() * f64::from(OBJECTS_PER_SECOND) * SUBSCRIBERS as f64;
    ensure!(objects as f64 > 0.9 * expected, "{objects} objects arrived, of {expected:.0}");
    work.checked_div(u32::try_from(objects)?).context("no object")
}

#[tokio::test]
#[ignore = "a benchmark: `cargo xtask bench room`"]
async fn load_media_at_an_edge_and_at_an_origin() -> Result<()> {
    let own = |limits| Build { program: PathBuf::from(FANFARE), limits };
    let other = |program| Build { program: PathBuf::from(program), limits: Limits::On };
    let mut builds = vec![own(Limits::On), own(Limits::Off)];
    builds.extend(std::env::var_os("FANFARE_AGAINST").map(other));
    for (at, node) in [(1, "edge"), (0, "origin")] {
        let mut taken = vec![Vec::new(); builds.len()];
        for _ in 0..number("FANFARE_ROUNDS").unwrap_or(ROUNDS) {
            for (build, taken) in builds.iter().zip(&mut taken) {
                taken.push(LocalSet::new().run_until(measure(build, at)).await?);
            }
        }
        for (build, mut taken) in builds.iter().zip(taken) {
            taken.sort_unstable();
            let median = taken[taken.len() / 2].as_secs_f64() * 1e6;
            let (least, most) = (taken[0].as_secs_f64() * 1e6, taken[taken.len() - 1].as_secs_f64() * 1e6);
            println!(
                "{node}: {median:.1} µs of CPU per object delivered ({least:.1} to {most:.1}), limits {:?}: {}",
                build.limits,
                build.program.display()
            );
        }
    }
    Ok(())
}
