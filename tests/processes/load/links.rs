//! Measures a root with fifty edges: how many deltas it takes in a second, and how soon it has kept them.

use std::{
    cell::RefCell,
    future::Future as _,
    net::Ipv4Addr,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::{Result, ensure};
use moqt::{
    App, Cx,
    packet_track::{Inflow, Outflow},
};
use moqt::{Event, Namespace, Params, Properties, Token, TrackName, session::RequestId};
use quic::{Clock, Connection, Endpoint, Trust, drive};
use token::{Claims, EVERY_ROOM, Role};
use tokio::{
    sync::watch,
    task::{JoinSet, LocalSet},
    time::{Instant, Sleep},
};
use wire::{Act, Down, EdgeId, FanId, Frame, Frames, Micros, Screen, SessionId, StreamId, Up, limits, names};

use super::{SECONDS, Times, quantiles};
use crate::{LIFE, ROOM, begin_show, number, parts::Parts};

const EDGES: u64 = 50;
/// Fans of one edge; each of them acts in every delta.
const FANS: u32 = 20;
/// The interval between two deltas of an edge.
const TICK: Duration = Duration::from_millis(50);
/// The longest that the origin may wait for the show, in milliseconds.
const PATIENCE_MS: u64 = 5000;
/// Packets in a group, as a real edge has them.
const GROUP: u64 = 256;

/// A scripted uplink of one edge.
struct Edge {
    id: u64,
    deltas: Option<RequestId>,
    inflow: Inflow,
    outflow: Option<Outflow>,
    /// The sending time of each delta.
    sent: Vec<Instant>,
    times: Rc<RefCell<Times>>,
    next: Pin<Box<Sleep>>,
    linked: watch::Sender<u64>,
}

impl Edge {
    fn name(&self, track: &'static str) -> Result<TrackName> {
        let prefix = Namespace::new([names::EDGE.to_owned(), format!("{:x}", self.id), "1".into()])?;
        Ok(TrackName::new(prefix.join(&Namespace::from_path(ROOM)?)?, track)?)
    }

    fn delta(&self) -> Vec<u8> {
        let sequence = self.sent.len() as u64 + 1;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let at = Micros(now.as_micros() as u64);
        let edge = EdgeId(self.id);
        let mut packet = wire::packet(&Up::Head { edge, incarnation: 1, sequence, oldest: sequence, at });
        for session in (0..FANS).map(SessionId) {
            let fan = self.id << 32 | u64::from(session.0);
            if sequence == 1 {
                let (fan, stream, role) = (FanId(fan), StreamId(fan), wire::Role::Fan);
                wire::put(&mut packet, &Up::Attach { session, fan, stream, next: 1, role });
                wire::put(&mut packet, &Up::Known { session, name: "a fan", anonymous: false });
            }
            // Within the rate of a fan.
            let act = Act::Cheer { kind: 0, count: 2 };
            wire::put(&mut packet, &Up::Act { session, number: sequence, screen: Screen::Pass, act });
        }
        packet
    }

    fn answered(&mut self, packet: &[u8]) -> Result<()> {
        for frame in Frames::<Down<'_>>::new(packet)? {
            match frame? {
                Frame::Known(Down::Answer { sequence }) => {
                    self.times.borrow_mut().0.push(self.sent[sequence as usize - 1].elapsed());
                }
                Frame::Known(other @ (Down::Rejected { .. } | Down::Resend { .. } | Down::Expect { .. })) => {
                    anyhow::bail!("{other:?}");
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn heard(&mut self, cx: &mut Cx<'_>, event: Event) -> Result<()> {
        match event {
            Event::Ready(_) => {
                let params = Params { rendezvous_timeout: Some(PATIENCE_MS), ..Params::default() };
                cx.session.subscribe(self.name(names::DOWNS)?, params)?;
            }
            Event::SubscribeOk { .. } => {
                let name = self.name(names::DELTAS)?;
                self.deltas = Some(cx.session.publish(name, Params::default(), Properties::NONE)?);
            }
            Event::RequestOk { request, .. } if Some(request) == self.deltas => {
                self.outflow = Some(Outflow::new(request, GROUP));
                self.linked.send_modify(|linked| *linked += 1);
            }
            Event::Subgroup { stream, header, .. } => self.inflow.begin(stream, header)?,
            Event::Object { stream, header } => self.inflow.object(stream, &header)?,
            Event::Payload { stream, data } => self.inflow.payload(stream, &data)?,
            Event::StreamEnded { stream } => self.inflow.end(stream)?,
            Event::RequestError { error, .. } => anyhow::bail!("{error:?}"),
            _ => {}
        }
        while let Some(packet) = self.inflow.take() {
            self.answered(&packet)?;
        }
        Ok(())
    }
}

impl App for Edge {
    fn event(&mut self, cx: &mut Cx<'_>, event: Event) {
        self.heard(cx, event).expect("a link to the root");
    }

    fn poll(&mut self, task: &mut Context<'_>, cx: &mut Cx<'_>) -> Poll<()> {
        while self.next.as_mut().poll(task).is_ready() {
            let at = self.next.deadline() + TICK;
            self.next.as_mut().reset(at);
            let delta = self.delta();
            if let Some(outflow) = &mut self.outflow {
                self.sent.push(Instant::now());
                outflow.send(cx, delta.into()).expect("a stream");
            }
        }
        Poll::Pending
    }
}

#[tokio::test]
#[ignore = "a benchmark: `cargo xtask bench room`"]
async fn load_root_with_fifty_edges() -> Result<()> {
    LocalSet::new().run_until(load()).await
}

async fn load() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let mut parts = Parts::open(dir.path(), 1).await?;
    let _show = begin_show(&parts)?;
    let token = parts.keys.mint(&Claims::new(EVERY_ROOM, Role::Edge, "edges", LIFE))?;
    let endpoint = Endpoint::client((Ipv4Addr::LOCALHOST, 0).into(), Trust::Anyone.client_config()?)?;
    let url = parts.all[0].url()?;
    let times = Rc::new(RefCell::new(Times::default()));
    let (linked, mut all) = watch::channel(0);
    let mut running = JoinSet::new();
    for id in 1..=EDGES {
        let mut connection = endpoint.connect(&url).await?;
        connection.config.setup.tokens = vec![Token::value(token.clone())];
        let apart = TICK.mul_f64(id as f64 / EDGES as f64);
        let mut edge = Edge {
            id,
            deltas: None,
            inflow: Inflow::new(limits::FRAME),
            outflow: None,
            sent: Vec::new(),
            times: Rc::clone(&times),
            next: Box::pin(tokio::time::sleep(apart)),
            linked: linked.clone(),
        };
        running.spawn_local(async move {
            let Connection { transport, config, .. } = connection;
            let ended = drive(transport, config, Clock::default(), &mut edge).await?;
            anyhow::bail!("an edge was sent away: {ended:?}")
        });
    }
    tokio::select! {
        here = all.wait_for(|linked| *linked == EDGES) => drop(here?),
        Some(left) = running.join_next() => left??,
    }
    let seconds = number("FANFARE_SECONDS").unwrap_or(SECONDS);
    times.borrow_mut().0.clear();
    let (work, began) = (parts.all[0].work()?, Instant::now());
    tokio::select! {
        () = tokio::time::sleep(Duration::from_secs(seconds)) => {}
        Some(left) = running.join_next() => left??,
    }
    let (took, work) = (began.elapsed().as_secs_f64(), parts.all[0].work()?.saturating_sub(work));
    let mut times = times.borrow_mut();
    let rate = times.0.len() as f64 / took;
    println!("{EDGES} edges, a delta of {FANS} acts each {} ms, from delta to ack:", TICK.as_millis());
    println!("  {}; {rate:.0} deltas and {:.0} acts a second", quantiles(&mut times), rate * f64::from(FANS));
    println!("  the origin worked {:.2} s in {took:.1} s", work.as_secs_f64());
    let due = EDGES as f64 / TICK.as_secs_f64();
    ensure!(rate > 0.9 * due, "{rate:.0} of {due:.0} deltas a second were answered");
    parts.are_well()
}
