//! Fans who act by a script, and record every ack and every chat line that they receive.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    net::Ipv4Addr,
    rc::Rc,
    time::Duration,
};

use anyhow::{Context as _, Result};
use fan::{Options, Order, Update, take_part_from};
use moqt::Namespace;
use outbox::{Failure, Outcome, act_json::ActJson};
use quic::{Endpoint, Trust};
use room::rehearsal::SplitMix64;
use serde_json::{Value, json};
use token::{Claims, Keys, Role, fan_id};
use tokio::{
    sync::{Notify, mpsc},
    task::JoinSet,
    time::Instant,
};
use url::Url;
use wire::{FanId, Frame, Frames, Micros, Track, TrackItem};

use crate::{LIFE, ROOM};

/// UDP sockets that the fans share.
const SOCKETS: usize = 10;
/// The most orders that may wait until a fan has a connection.
const ORDERS: usize = 1024;
/// The kinds of gifts, and the poll's options.
pub(crate) const GIFTS: u16 = 3;
pub(crate) const OPTIONS: u8 = 4;
/// The pause between two acts of a fan, from and to, in milliseconds.
const PACE: (u64, u64) = (300, 3000);

/// An act of a fan.
#[derive(Clone, Debug)]
pub(crate) enum Deed {
    Say(String),
    Cheer {
        kind: u8,
        count: u16,
    },
    Gift {
        gift: u16,
        count: u16,
        key: u64,
    },
    Vote(u8),
    /// The owner's moderation, before the others enter.
    Prepare(Value),
}

impl Deed {
    fn wish(&self) -> Value {
        match self {
            Self::Say(text) => json!({ "say": { "text": text } }),
            Self::Cheer { kind, count } => json!({ "cheer": { "kind": kind, "count": count } }),
            Self::Gift { gift, count, key } => {
                json!({ "gift": { "gift": gift, "count": count, "key": format!("{key:016x}") } })
            }
            Self::Vote(option) => json!({ "vote": { "poll": 1, "option": option } }),
            Self::Prepare(moderation) => json!({ "moderate": moderation }),
        }
    }
}

/// The acts of a fan, and their outcomes.
pub(crate) struct Record {
    /// The fan's ID: strangers learn it from the room.
    pub(crate) fan: Option<FanId>,
    /// Acts by ticket, each with its outcome once it is settled.
    pub(crate) deeds: Vec<(Deed, Option<Outcome>)>,
    /// The numbers of the chat lines that the fan has seen, in order.
    pub(crate) lines: Vec<u64>,
    pub(crate) joined: u32,
}

/// The observations that all fans share.
#[derive(Default)]
pub(crate) struct Seen {
    /// The number of acts that are not settled.
    pub(crate) open: Cell<usize>,
    /// Every chat line by its number, as the first fan to see it saw it.
    pub(crate) lines: RefCell<BTreeMap<u64, (FanId, String)>>,
    /// The newest pulse: fans here, lines, cheers by kind, gifts, votes.
    pub(crate) pulse: RefCell<Numbers>,
    /// Violations: every entry fails the test.
    pub(crate) faults: RefCell<Vec<String>>,
    pub(crate) changed: Notify,
}

/// The numbers of a pulse.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Numbers {
    pub(crate) at: Micros,
    pub(crate) viewers: u32,
    pub(crate) says: u64,
    pub(crate) cheers: Vec<u64>,
    pub(crate) gifts: Vec<(u16, u64)>,
    pub(crate) votes: Vec<u32>,
}

/// Everything that a fan needs to enter: the edges' URLs, and the keys that sign tokens.
pub(crate) struct Access {
    pub(crate) edges: Vec<Url>,
    pub(crate) keys: Keys,
}

/// All fans of a test.
pub(crate) struct Crowd {
    pub(crate) fans: Vec<Fan>,
    pub(crate) seen: Rc<Seen>,
    /// The fans' tasks; none ends before the test does, unless it fails.
    pub(crate) running: JoinSet<Result<()>>,
    endpoints: Vec<Endpoint>,
}

/// One fan of a [`Crowd`].
#[derive(Clone)]
pub(crate) struct Fan {
    pub(crate) record: Rc<RefCell<Record>>,
    orders: mpsc::Sender<Order>,
    seen: Rc<Seen>,
}

impl Crowd {
    /// Opens the sockets. No fan has entered yet.
    pub(crate) fn new() -> Result<Self> {
        let tls = Trust::Anyone.client_config()?;
        let endpoint = |_| Endpoint::client((Ipv4Addr::LOCALHOST, 0).into(), tls.clone());
        let endpoints = (0..SOCKETS).map(endpoint).collect::<Result<_, _>>()?;
        Ok(Self { fans: Vec::new(), seen: Rc::default(), running: JoinSet::new(), endpoints })
    }

    /// Enters one more fan, who tries another edge first than the fan before. Without a role, it is a stranger.
    pub(crate) fn enter(
        &mut self,
        access: &Access,
        role: Option<Role>,
        roll: &mut SplitMix64,
    ) -> Result<Fan> {
        let at = self.fans.len();
        let claims = role.map(|role| Claims::new(ROOM, role, &format!("fan {at}"), LIFE));
        let mut urls = access.edges.clone();
        let edges = urls.len();
        urls.rotate_left(at % edges);
        let url = urls.remove(0);
        let options = Options {
            url,
            others: urls,
            tls: Trust::Anyone.client_config()?,
            room: Namespace::from_path(ROOM)?,
            token: claims.as_ref().map(|claims| access.keys.mint(claims)).transpose()?,
            seed: roll.number(),
        };
        let record =
            Record { fan: claims.as_ref().map(fan_id), deeds: Vec::new(), lines: Vec::new(), joined: 0 };
        let (orders, taken) = mpsc::channel(ORDERS);
        let fan = Fan { record: Rc::new(RefCell::new(record)), orders, seen: Rc::clone(&self.seen) };
        let (endpoint, hearing) = (self.endpoints[at % SOCKETS].clone(), fan.clone());
        self.running.spawn_local(async move {
            let heard = |heard| {
                if let Err(fault) = hearing.hear(heard) {
                    hearing.seen.faults.borrow_mut().push(format!("fan {at}: {fault:#}"));
                }
                hearing.seen.changed.notify_waiters();
            };
            Ok(take_part_from(&endpoint, options, taken, heard).await?)
        });
        self.fans.push(fan.clone());
        Ok(fan)
    }

    /// Waits until `it_is` holds. Fails if a fan leaves.
    pub(crate) async fn until(&mut self, mut it_is: impl FnMut(&Self) -> bool) -> Result<()> {
        let seen = Rc::clone(&self.seen);
        loop {
            let changed = seen.changed.notified();
            if it_is(self) {
                return Ok(());
            }
            tokio::select! {
                () = changed => {}
                Some(ended) = self.running.join_next() => {
                    ended??;
                    anyhow::bail!("a fan has left of their own accord");
                }
            }
        }
    }
}

impl Fan {
    /// Sends an act, and records it as not settled.
    pub(crate) fn act(&self, deed: Deed) -> Result<()> {
        let act = ActJson::parse(&deed.wish().to_string())?;
        let mut record = self.record.borrow_mut();
        let ticket = u32::try_from(record.deeds.len())?;
        record.deeds.push((deed, None));
        self.seen.open.update(|open| open + 1);
        self.orders.try_send(Order { ticket, act }).context("too many orders")
    }

    /// Acts by the script, until `until`.
    pub(crate) async fn play(self, mut roll: SplitMix64, at: usize, until: Instant) -> Result<()> {
        let mut key = 0;
        for nth in 0.. {
            // The seeded script sets the pace of each fan.
            tokio::time::sleep(pause(&mut roll, PACE)).await;
            if Instant::now() >= until {
                break;
            }
            self.act(match roll.below(20) {
                0..7 => Deed::Say(format!("fan {at} says line {nth}")),
                7..14 => Deed::Cheer { kind: roll.below(4) as u8, count: 1 + roll.below(9) as u16 },
                14..17 => {
                    // Give some gifts twice under one key, as a page does that does not know whether the first try
                    // arrived.
                    if key == 0 || roll.below(5) > 0 {
                        key = roll.number();
                    }
                    let count = 1 + (key % 3) as u16;
                    Deed::Gift { gift: 1 + (key % u64::from(GIFTS)) as u16, count, key }
                }
                _ => Deed::Vote(roll.below(OPTIONS.into()) as u8),
            })?;
        }
        Ok(())
    }

    fn hear(&self, heard: Update) -> Result<()> {
        match heard {
            Update::Joined => self.record.borrow_mut().joined += 1,
            Update::Settled { ticket, outcome } => self.settled(ticket, outcome)?,
            Update::Identity(identity) => {
                let mut record = self.record.borrow_mut();
                let fan = *record.fan.get_or_insert(identity.fan);
                anyhow::ensure!(identity.fan == fan, "{fan} was taken for {}", identity.fan);
            }
            Update::Shown { track: Track::Chat, packet } => self.chat(&packet)?,
            Update::Shown { track: Track::Pulse, packet } => self.pulse(&packet)?,
            _ => {}
        }
        Ok(())
    }

    fn settled(&self, ticket: u32, outcome: Outcome) -> Result<()> {
        let mut record = self.record.borrow_mut();
        let (deed, settled) = record.deeds.get_mut(ticket as usize).context("an unknown ticket")?;
        anyhow::ensure!(settled.is_none(), "{deed:?} is settled twice: {settled:?}, {outcome:?}");
        *settled = Some(outcome);
        self.seen.open.update(|open| open - 1);
        Ok(())
    }

    /// Checks that the lines of a packet are in order, and that all fans see the same line under a number.
    fn chat(&self, packet: &[u8]) -> Result<()> {
        let (mut record, mut all) = (self.record.borrow_mut(), self.seen.lines.borrow_mut());
        let mut before = 0;
        for frame in Frames::<TrackItem<'_>>::new(packet)? {
            let Frame::Known(TrackItem::Said(line)) = frame? else { continue };
            let id = line.id.0;
            anyhow::ensure!(before < id, "line {id} after {before}");
            before = id;
            if let Err(position) = record.lines.binary_search(&id) {
                record.lines.insert(position, id);
            }
            let (fan, text) = all.entry(id).or_insert_with(|| (line.fan, line.text.to_owned()));
            anyhow::ensure!(
                (*fan, text.as_str()) == (line.fan, line.text),
                "line {id} is {text:?} and {line:?}"
            );
        }
        Ok(())
    }

    fn pulse(&self, packet: &[u8]) -> Result<()> {
        for frame in Frames::<TrackItem<'_>>::new(packet)? {
            let Frame::Known(TrackItem::Pulse(pulse)) = frame? else { continue };
            let mut newest = self.seen.pulse.borrow_mut();
            if newest.at < pulse.at {
                *newest = Numbers {
                    at: pulse.at,
                    viewers: pulse.viewers,
                    says: pulse.says,
                    cheers: pulse.cheers.0,
                    gifts: pulse.gifts.0.iter().map(|(gift, count)| (gift.0, *count)).collect(),
                    votes: pulse.poll.map(|poll| poll.votes.0).unwrap_or_default(),
                };
            }
        }
        Ok(())
    }
}

/// Draws a pause between two bounds, in milliseconds.
pub(crate) fn pause(roll: &mut SplitMix64, (from, to): (u64, u64)) -> Duration {
    Duration::from_millis(roll.between(from, to))
}

/// Returns whether the act may have been counted without the fan learning of it.
pub(crate) fn is_unknown(outcome: Option<Outcome>) -> bool {
    outcome == Some(Outcome::Failed(Failure::Unknown))
}

/// Returns whether the act was acked.
pub(crate) fn is_taken(outcome: Option<Outcome>) -> bool {
    matches!(outcome, Some(Outcome::Taken { .. }))
}
