//! A UDP path that delays datagrams and loses some.

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

/// The largest datagram, in bytes.
const MAX_DATAGRAM: usize = 65_536;
/// The most datagrams in flight in one direction; more are lost.
const IN_FLIGHT: usize = 4_096;

/// The impairment of a path, the same in both directions.
#[derive(Clone, Copy, Debug)]
struct Impairment {
    delay: Duration,
    /// Datagrams lost, of 100.
    loss: u64,
}

/// A UDP proxy in front of one address. Dropping it ends it.
#[derive(Debug)]
pub struct LossyUdp {
    addr: SocketAddr,
    _work: JoinSet<Result<()>>,
}

impl LossyUdp {
    /// Opens a path to `to` that takes `delay` and loses `loss` percent, each way.
    pub async fn open(to: SocketAddr, delay: Duration, loss: u64) -> Result<Self> {
        let near = Arc::new(UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?);
        let addr = near.local_addr()?;
        let mut work = JoinSet::new();
        work.spawn(carry(near, to, Impairment { delay, loss }));
        Ok(Self { addr, _work: work })
    }

    /// The near end of the path: the address to which clients send.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }
}

/// Gives each sender at the near end a socket of its own towards the far end.
async fn carry(near: Arc<UdpSocket>, to: SocketAddr, impairment: Impairment) -> Result<()> {
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
                let there = Direction::start(&mut work, Arc::clone(&far), None, impairment);
                let back = Direction::start(&mut work, Arc::clone(&near), Some(from), impairment);
                work.spawn(return_to(far, back));
                new.insert(there)
            }
        };
        way.send(&buffer[..len], &mut dice);
    }
}

/// Carries the far end's datagrams back to one sender.
async fn return_to(far: Arc<UdpSocket>, back: Direction) {
    let mut buffer = vec![0; MAX_DATAGRAM];
    let mut dice = Dice(0xD1B5_4A32_D192_ED03);
    loop {
        // Ignore errors: they report that the far end does not listen, now or any more, and it may listen again later.
        if let Ok(len) = far.recv(&mut buffer).await {
            back.send(&buffer[..len], &mut dice);
        }
    }
}

/// One direction of one sender's path.
struct Direction {
    impairment: Impairment,
    queue: mpsc::Sender<(Instant, Vec<u8>)>,
}

impl Direction {
    fn start(
        work: &mut JoinSet<()>,
        socket: Arc<UdpSocket>,
        to: Option<SocketAddr>,
        impairment: Impairment,
    ) -> Self {
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
        Self { impairment, queue }
    }

    fn send(&self, datagram: &[u8], dice: &mut Dice) {
        if dice.roll() % 100 >= self.impairment.loss {
            let _ = self.queue.try_send((Instant::now() + self.impairment.delay, datagram.to_vec()));
        }
    }
}

/// A xorshift generator with a fixed seed: every run loses the same datagrams.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 >> 11
    }
}
