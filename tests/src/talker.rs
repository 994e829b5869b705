//! A fan who takes part in a room of the stack, without a browser.

use std::collections::VecDeque;

use anyhow::{Context as _, Result};
use fan::{Options, Order, Update, take_part};
use moqt::Namespace;
use outbox::{Outcome, Ticket, act_json::ActJson};
use quic::Trust;
use serde_json::Value;
use tokio::sync::mpsc;
use url::Url;
use wire::{FanId, Frame, Frames, TrackItem};

use crate::{Node, ROOM, Stack};

/// The most orders that may wait.
const ORDERS: usize = 4096;

/// A fan. Once dropped, it leaves as soon as all its acts are settled. Create it inside a
/// [`LocalSet`](tokio::task::LocalSet).
pub struct Talker {
    orders: mpsc::Sender<Order>,
    heard: mpsc::UnboundedReceiver<Update>,
    /// Packets that the room showed while a method waited for something else.
    shown: VecDeque<Vec<u8>>,
    /// The fan's ID, once the identity has arrived.
    pub fan: Option<FanId>,
}

impl Talker {
    /// Connects to `node`, with `token` if there is one, and enters the stack's room.
    pub fn enter(stack: &Stack, node: Node, token: Option<String>) -> Result<Self> {
        Self::enter_room(stack, node, ROOM, token)
    }

    /// Enters `room` instead of the stack's room.
    pub fn enter_room(stack: &Stack, node: Node, room: &str, token: Option<String>) -> Result<Self> {
        let trust = Trust::Fingerprints(vec![stack.fingerprint().parse().map_err(anyhow::Error::msg)?]);
        let url = Url::parse(&format!("moqt://127.0.0.1:{}/", stack.addr_of(node).port()))?;
        Self::enter_by(url, trust, room, token)
    }

    /// Enters `room` at an address, whatever certificate it presents.
    pub fn enter_at(url: Url, room: &str, token: Option<String>) -> Result<Self> {
        Self::enter_by(url, Trust::Anyone, room, token)
    }

    fn enter_by(url: Url, trust: Trust, room: &str, token: Option<String>) -> Result<Self> {
        let options = Options {
            url,
            others: Vec::new(),
            tls: trust.client_config()?,
            room: Namespace::from_path(room)?,
            token,
            seed: u64::from_be_bytes(token::random()?),
        };
        let (orders, taken) = mpsc::channel(ORDERS);
        let (report, heard) = mpsc::unbounded_channel();
        tokio::task::spawn_local(take_part(options, taken, move |heard| drop(report.send(heard))));
        Ok(Self { orders, heard, shown: VecDeque::new(), fan: None })
    }

    /// Waits for the next update.
    pub async fn next(&mut self) -> Result<Update> {
        let heard = self.heard.recv().await.context("the fan is gone")?;
        if let Update::Identity(identity) = &heard {
            self.fan = Some(identity.fan);
        }
        Ok(heard)
    }

    /// Waits until the fan's membership in the room begins.
    pub async fn joined(&mut self) -> Result<()> {
        loop {
            match self.next().await? {
                Update::Joined => return Ok(()),
                Update::Shown { packet, .. } => self.shown.push_back(packet),
                _ => {}
            }
        }
    }

    /// Sends an act, in the JSON of the browser client.
    pub fn send(&self, ticket: Ticket, wish: Value) -> Result<()> {
        let act = ActJson::parse(&wish.to_string())?;
        self.orders.try_send(Order { ticket, act }).context("too many orders")
    }

    /// Sends an act, and waits until it is settled.
    pub async fn order(&mut self, wish: Value) -> Result<Outcome> {
        self.send(Ticket::MAX, wish)?;
        loop {
            if let (Ticket::MAX, outcome) = self.settled().await? {
                return Ok(outcome);
            }
        }
    }

    /// Waits for the next settled act. Returns its ticket and outcome.
    pub async fn settled(&mut self) -> Result<(Ticket, Outcome)> {
        loop {
            match self.next().await? {
                Update::Settled { ticket, outcome } => return Ok((ticket, outcome)),
                Update::Shown { packet, .. } => self.shown.push_back(packet),
                _ => {}
            }
        }
    }

    /// Waits until the room shows an item for which `wanted` is true.
    pub async fn until(&mut self, mut wanted: impl FnMut(&TrackItem<'_>) -> bool) -> Result<()> {
        loop {
            let packet = match self.shown.pop_front() {
                Some(packet) => packet,
                None => match self.next().await? {
                    Update::Shown { packet, .. } => packet,
                    _ => continue,
                },
            };
            for frame in Frames::<TrackItem<'_>>::new(&packet)? {
                if let Frame::Known(item) = frame?
                    && wanted(&item)
                {
                    return Ok(());
                }
            }
        }
    }
}
