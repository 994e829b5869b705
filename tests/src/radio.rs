//! A way for datagrams that takes its time and loses some.

use std::{
    collections::{HashMap, hash_map::Entry},
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use anyhow::Result;
use tokio::{
    net::UdpSocket,
    sync::mpsc,
    task::JoinSet,
    time::{Instant, sleep_until},
};

/// The largest datagram.
const MAX_DATAGRAM: usize = 65_536;
/// Datagrams on their way in one direction, at most; more are lost.
const IN_FLIGHT: usize = 4_096;

/// What it does to a datagram, either way.
#[derive(Clone, Copy, Debug)]
struct Air {
    delay: Duration,
    /// Of 100.
    loss: u64,
}

/// A way to somewhere for datagrams. It ends when it is dropped.
#[derive(Debug)]
pub struct Radio {
    addr: SocketAddr,
    _work: JoinSet<Result<()>>,
}

impl Radio {
    /// A way to `to` that takes `delay` and loses `loss` percent, each way.
    pub async fn open(to: SocketAddr, delay: Duration, loss: u64) -> Result<Self> {
        let near = Arc::new(UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?);
        let addr = near.local_addr()?;
        let mut work = JoinSet::new();
        work.spawn(carry(near, to, Air { delay, loss }));
        Ok(Self { addr, _work: work })
    }

    /// Where it begins.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }
}

/// Gives each that sends here a socket of its own towards the other side.
async fn carry(near: Arc<UdpSocket>, to: SocketAddr, air: Air) -> Result<()> {
    let mut ways: HashMap<SocketAddr, Direction> = HashMap::new();
    let mut work = JoinSet::new();
    let mut buffer = vec![0; MAX_DATAGRAM];
    let mut dice = Dice(0x9E37_79B9_7F4A_7C15);
    loop {
        let (len, from) = near.recv_from(&mut buffer).await?;
        let way = match ways.entry(from) {
            Entry::Occupied(way) => way.into_mut(),
            Entry::Vacant(new) => {
                let far = Arc::new(UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?);
                far.connect(to).await?;
                let there = Direction::start(&mut work, Arc::clone(&far), None, air);
                let back = Direction::start(&mut work, Arc::clone(&near), Some(from), air);
                work.spawn(return_to(far, back));
                new.insert(there)
            }
        };
        way.send(&buffer[..len], &mut dice);
    }
}

/// Carries what the other side answers to one of them.
async fn return_to(far: Arc<UdpSocket>, back: Direction) {
    let mut buffer = vec![0; MAX_DATAGRAM];
    let mut dice = Dice(0xD1B5_4A32_D192_ED03);
    loop {
        // Nobody there yet, or no more: an error that says nothing of what comes.
        if let Ok(len) = far.recv(&mut buffer).await {
            back.send(&buffer[..len], &mut dice);
        }
    }
}

/// One direction of one way.
struct Direction {
    air: Air,
    queue: mpsc::Sender<(Instant, Vec<u8>)>,
}

impl Direction {
    fn start(work: &mut JoinSet<()>, socket: Arc<UdpSocket>, to: Option<SocketAddr>, air: Air) -> Self {
        let (queue, mut waiting) = mpsc::channel::<(Instant, Vec<u8>)>(IN_FLIGHT);
        work.spawn(async move {
            while let Some((due, datagram)) = waiting.recv().await {
                sleep_until(due).await;
                let _ = match to {
                    Some(to) => socket.send_to(&datagram, to).await,
                    None => socket.send(&datagram).await,
                };
            }
        });
        Self { air, queue }
    }

    fn send(&self, datagram: &[u8], dice: &mut Dice) {
        if dice.roll() % 100 >= self.air.loss {
            let _ = self.queue.try_send((Instant::now() + self.air.delay, datagram.to_vec()));
        }
    }
}

/// Chance that is the same at each run: xorshift.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 >> 11
    }
}
