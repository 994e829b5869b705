//! Measures chat to a thousand fans of one edge: its delay, its packets, and the edge's CPU time.

use std::{
    cell::RefCell,
    net::Ipv4Addr,
    rc::Rc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use moqt::{App, Cx, packet_track::Outflow};
use moqt::{
    Event, Namespace, Params, Properties, TrackName,
    session::{RequestId, StreamId},
};
use quic::{Clock, Connection, Endpoint, Trust, drive};
use room::rehearsal::SplitMix64;
use token::Role;
use tokio::{
    sync::{Semaphore, watch},
    task::{JoinSet, LocalSet},
};
use wire::{FanMessage, Frame, Frames, Hello, Track, TrackItem, names};

use super::{SECONDS, Times, quantiles};
use crate::{
    ROOM, begin_show,
    crowd::{Crowd, Deed, is_taken},
    number,
    parts::Parts,
};

const FANS: usize = 1000;
/// So few fans on a socket that its receive buffer loses no datagrams.
const FANS_OF_A_SOCKET: usize = 4;
const CONNECTING: usize = 50;
/// The senders of chat lines: moderators, whose rate is not limited.
const SPEAKERS: usize = 10;
const SAYS_A_SECOND: u32 = 100;

/// The measurements that all listeners share.
#[derive(Default)]
struct Measured {
    /// The sending time of each chat line, by its number.
    said: Vec<Instant>,
    times: Times,
}

/// A member of the room that reads all of its tracks.
struct Listener {
    number: u64,
    answers: Option<RequestId>,
    acts: Option<RequestId>,
    chat: Option<RequestId>,
    reading: Vec<(StreamId, Vec<u8>, u64)>,
    /// The highest chat line seen so far.
    last: u64,
    measured: Rc<RefCell<Measured>>,
    joined: watch::Sender<usize>,
    outflow: Option<Outflow>,
}

impl Listener {
    fn ready(&mut self, cx: &mut Cx<'_>) -> Result<()> {
        let room = Namespace::from_path(ROOM)?;
        let shown = Namespace::new([names::ROOM])?.join(&room)?;
        for track in [Track::Chat, Track::Pulse, Track::Stage] {
            let name = TrackName::new(shown.clone(), track.name())?;
            let request = cx.session.subscribe(name, Params::default())?;
            if track == Track::Chat {
                self.chat = Some(request);
            }
        }
        let answers = TrackName::new(Namespace::new([names::FAN])?.join(&room)?, names::ANSWERS)?;
        self.answers = Some(cx.session.subscribe(answers, Params::default())?);
        Ok(())
    }

    fn read(&mut self, packet: &[u8]) -> Result<()> {
        for frame in Frames::<TrackItem<'_>>::new(packet)? {
            let Frame::Known(TrackItem::Said(line)) = frame? else { continue };
            if line.id.0 <= self.last {
                continue;
            }
            self.last = line.id.0;
            let number: usize = line.text.rsplit(' ').next().context("no number")?.parse()?;
            let mut measured = self.measured.borrow_mut();
            let took = measured.said[number].elapsed();
            measured.times.0.push(took);
        }
        Ok(())
    }
}

impl App for Listener {
    fn event(&mut self, cx: &mut Cx<'_>, event: Event) {
        match event {
            Event::Ready(_) => self.ready(cx).expect("four tracks"),
            Event::SubscribeOk { request, .. } if Some(request) == self.answers => {
                let room = Namespace::from_path(ROOM).expect("a room");
                let fan = Namespace::new([names::FAN]).expect("a name").join(&room).expect("a name");
                let name = TrackName::new(fan, names::ACTS).expect("a name");
                self.acts = cx.session.publish(name, Params::default(), Properties::NONE).ok();
            }
            Event::RequestOk { request, .. } if Some(request) == self.acts => {
                let hello = FanMessage::Hello(Hello { stream: wire::StreamId(self.number), next: 1 });
                let mut outflow = Outflow::new(request, u64::MAX);
                outflow.send(cx, wire::packet(&hello).into()).expect("a stream");
                self.outflow = Some(outflow);
                self.joined.send_modify(|joined| *joined += 1);
            }
            Event::Subgroup { stream, request, .. } if Some(request) == self.chat => {
                self.reading.push((stream, Vec::new(), 0));
            }
            Event::Object { stream, header } => {
                if let Some((_, packet, left)) = self.reading.iter_mut().find(|(of, ..)| *of == stream) {
                    packet.clear();
                    *left = header.payload_len;
                }
            }
            Event::Payload { stream, data } => {
                let Some((_, packet, left)) = self.reading.iter_mut().find(|(of, ..)| *of == stream) else {
                    return;
                };
                packet.extend_from_slice(&data);
                *left -= data.len() as u64;
                if *left == 0 {
                    let packet = std::mem::take(packet);
                    self.read(&packet).expect("lines of ours");
                }
            }
            Event::StreamEnded { stream } | Event::StreamReset { stream, .. } => {
                self.reading.retain(|(of, ..)| *of != stream);
            }
            _ => {}
        }
    }
}

#[tokio::test]
#[ignore = "a benchmark: `cargo xtask bench room`"]
async fn load_chat_to_a_thousand_fans() -> Result<()> {
    LocalSet::new().run_until(load()).await
}

async fn load() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let mut parts = Parts::open(dir.path(), 1).await?;
    let _show = begin_show(&parts)?;
    let mut speakers = Crowd::new()?;
    for _ in 0..SPEAKERS {
        speakers.enter(&parts.access()?, Some(Role::Moderator), &mut SplitMix64(1))?;
    }
    speakers.until(|crowd| crowd.fans.iter().all(|fan| fan.record.borrow().joined > 0)).await?;
    let measured = Rc::new(RefCell::new(Measured::default()));
    let (joined, mut all) = watch::channel(0);
    let permits = Rc::new(Semaphore::new(CONNECTING));
    let (url, tls) = (parts.edges()?.remove(0), Trust::Anyone.client_config()?);
    let mut listening = JoinSet::new();
    let connections = Rc::new(RefCell::new(Vec::new()));
    let mut endpoint = None;
    for number in 0..FANS {
        if number % FANS_OF_A_SOCKET == 0 {
            endpoint = Some(Endpoint::client((Ipv4Addr::LOCALHOST, 0).into(), tls.clone())?);
        }
        let endpoint = endpoint.clone().context("a socket")?;
        let (permits, url, connections) = (Rc::clone(&permits), url.clone(), Rc::clone(&connections));
        let mut listener = Listener {
            number: number as u64,
            answers: None,
            acts: None,
            chat: None,
            reading: Vec::new(),
            last: 0,
            measured: Rc::clone(&measured),
            joined: joined.clone(),
            outflow: None,
        };
        listening.spawn_local(async move {
            let connecting = permits.acquire().await?;
            let Connection { transport, config, .. } = endpoint.connect(&url).await?;
            drop(connecting);
            connections.borrow_mut().push(transport.quic().clone());
            let ended = drive(transport, config, Clock::default(), &mut listener).await?;
            anyhow::bail!("a fan was sent away: {ended:?}")
        });
    }
    tokio::select! {
        here = all.wait_for(|joined| *joined == FANS) => drop(here?),
        Some(left) = listening.join_next() => left??,
    }
    let received = || connections.borrow().iter().map(|quic| quic.stats().udp_rx.datagrams).sum::<u64>();
    let lost = || connections.borrow().iter().map(|quic| quic.stats().path.lost_packets).sum::<u64>();
    let seconds = number("FANFARE_SECONDS").unwrap_or(SECONDS);
    let (packets, gone) = (received(), lost());
    let (work, began) = (parts.all[1].work()?, Instant::now());
    let says = u64::from(SAYS_A_SECOND) * seconds;
    let mut every = tokio::time::interval(Duration::from_secs(1) / SAYS_A_SECOND);
    for say in 0..says as usize {
        tokio::select! {
            _ = every.tick() => {}
            Some(left) = listening.join_next() => left??,
        }
        measured.borrow_mut().said.push(Instant::now());
        speakers.fans[say % SPEAKERS]
            .act(Deed::Say(format!("this is what somebody has to say, number {say}")))?;
    }
    let all_heard = speakers.until(|_| measured.borrow().times.0.len() >= FANS * says as usize);
    let all_heard = tokio::time::timeout(Duration::from_secs(5), all_heard).await;
    let took = began.elapsed().as_secs_f64();
    let (packets, work) = (received() - packets, parts.all[1].work()?.saturating_sub(work));
    let mut times = std::mem::take(&mut measured.borrow_mut().times);
    let delivered = times.0.len();
    println!("{FANS} fans, {SAYS_A_SECOND} says a second for {seconds} s, from saying it to every fan:");
    println!("  {}; all of them: {}", quantiles(&mut times), all_heard.is_ok());
    println!(
        "  packets to a fan, a second: {:.1}; fans' packets that were lost: {}",
        packets as f64 / FANS as f64 / took,
        lost() - gone
    );
    println!(
        "  the edge worked {:.2} s in {took:.1} s: {:.2} µs for a line to a fan",
        work.as_secs_f64(),
        work.as_secs_f64() * 1e6 / delivered as f64
    );
    let all_taken = speakers.until(|crowd| {
        crowd.fans.iter().all(|fan| fan.record.borrow().deeds.iter().all(|(_, outcome)| is_taken(*outcome)))
    });
    let all_taken = tokio::time::timeout(Duration::from_secs(5), all_taken).await;
    all_taken.context("not all lines were taken")??;
    parts.are_well()
}
