//! A TCP path with a limited bandwidth.

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use anyhow::Result;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpSocket, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
};

/// The interval at which bytes are let through.
const BEAT: Duration = Duration::from_millis(20);
/// The receive buffer, in bytes: as little as systems allow, so that the sender notices the limit soon.
const BUFFER: u32 = 16 << 10;

/// A TCP proxy in front of one address, with an adjustable bandwidth. Dropping it ends it.
#[derive(Debug)]
pub struct Throttle {
    addr: SocketAddr,
    /// Bits per second towards the client; `None` is without a limit.
    width: watch::Sender<Option<u64>>,
}

impl Throttle {
    /// Opens a path to `to`, without a limit.
    pub async fn open(to: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let addr = listener.local_addr()?;
        let (width, limit) = watch::channel(None);
        tokio::spawn(async move {
            let mut until = limit.clone();
            let accept = async {
                while let Ok((near, _)) = listener.accept().await {
                    tokio::spawn(carry(near, to, limit.clone()));
                }
            };
            tokio::select! {
                () = accept => {}
                () = async { while until.changed().await.is_ok() {} } => {}
            }
        });
        Ok(Self { addr, width })
    }

    /// The near end of the path: the address to which clients connect.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Limits the path to `bits` per second from now on.
    pub fn narrow(&self, bits: u64) {
        self.width.send_replace(Some(bits));
    }

    /// Removes the limit.
    pub fn widen(&self) {
        self.width.send_replace(None);
    }
}

async fn carry(near: TcpStream, to: SocketAddr, limit: watch::Receiver<Option<u64>>) -> Result<()> {
    let socket = TcpSocket::new_v4()?;
    socket.set_recv_buffer_size(BUFFER)?;
    let far = socket.connect(to).await?;
    far.set_nodelay(true)?;
    near.set_nodelay(true)?;
    let (mut asks, answers) = near.into_split();
    let (comes, mut goes) = far.into_split();
    tokio::select! {
        _ = tokio::io::copy(&mut asks, &mut goes) => {}
        _ = trickle(comes, answers, limit) => {}
    }
    Ok(())
}

async fn trickle(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut limit: watch::Receiver<Option<u64>>,
) -> Result<()> {
    let mut buffer = vec![0; BUFFER as usize];
    let mut beat = tokio::time::interval(BEAT);
    loop {
        let bits = *limit.borrow_and_update();
        let most = match bits {
            None => buffer.len(),
            Some(bits) => {
                // The wait between two reads is what limits the bandwidth.
                beat.tick().await;
                ((bits as f64 / 8.0 * BEAT.as_secs_f64()) as usize).clamp(1, buffer.len())
            }
        };
        let count = from.read(&mut buffer[..most]).await?;
        if count == 0 {
            return Ok(());
        }
        to.write_all(&buffer[..count]).await?;
    }
}
