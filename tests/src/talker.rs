//! A fan who takes part in the room of a house, without a browser.

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

use crate::{Door, House, ROOM};

/// Orders that may wait.
const ORDERS: usize = 4096;

/// One. Leaves when it is dropped and all it said is settled. To be made in a [`LocalSet`](tokio::task::LocalSet).
pub struct Talker {
    orders: mpsc::Sender<Order>,
    heard: mpsc::UnboundedReceiver<Update>,
    /// What was shown while something else was waited for.
    shown: VecDeque<Vec<u8>>,
    /// Who they are, once they know.
    pub fan: Option<FanId>,
}

impl Talker {
    /// One who comes by a door, with that token.
    pub fn enter(house: &House, door: Door, token: Option<String>) -> Result<Self> {
        Self::enter_room(house, door, ROOM, token)
    }

    /// The same, to take part in another room.
    pub fn enter_room(house: &House, door: Door, room: &str, token: Option<String>) -> Result<Self> {
        let trust = Trust::Fingerprints(vec![house.fingerprint().parse().map_err(anyhow::Error::msg)?]);
        let url = Url::parse(&format!("moqt://127.0.0.1:{}/", house.door(door).port()))?;
        Self::enter_by(url, trust, room, token)
    }

    /// The same, at an address without a certificate.
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
        let (tell, heard) = mpsc::unbounded_channel();
        tokio::task::spawn_local(take_part(options, taken, move |heard| drop(tell.send(heard))));
        Ok(Self { orders, heard, shown: VecDeque::new(), fan: None })
    }

    /// The next that is heard.
    pub async fn next(&mut self) -> Result<Update> {
        let heard = self.heard.recv().await.context("the fan is gone")?;
        if let Update::Identity(identity) = &heard {
            self.fan = Some(identity.fan);
        }
        Ok(heard)
    }

    /// Waits for a place in the room.
    pub async fn joined(&mut self) -> Result<()> {
        loop {
            match self.next().await? {
                Update::Joined => return Ok(()),
                Update::Shown { packet, .. } => self.shown.push_back(packet),
                _ => {}
            }
        }
    }

    /// Does something, in the JSON of the browser's client.
    pub fn send(&self, ticket: Ticket, wish: Value) -> Result<()> {
        let act = ActJson::parse(&wish.to_string())?;
        self.orders.try_send(Order { ticket, act }).context("too many orders")
    }

    /// Does something, and waits for what becomes of it.
    pub async fn order(&mut self, wish: Value) -> Result<Outcome> {
        self.send(Ticket::MAX, wish)?;
        loop {
            if let (Ticket::MAX, outcome) = self.settled().await? {
                return Ok(outcome);
            }
        }
    }

    /// What became of the next that is settled.
    pub async fn settled(&mut self) -> Result<(Ticket, Outcome)> {
        loop {
            match self.next().await? {
                Update::Settled { ticket, outcome } => return Ok((ticket, outcome)),
                Update::Shown { packet, .. } => self.shown.push_back(packet),
                _ => {}
            }
        }
    }

    /// Waits until something is shown to all.
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
