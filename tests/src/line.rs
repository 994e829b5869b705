//! A line that carries no more than it is told to.

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

/// How often bytes are let through.
const BEAT: Duration = Duration::from_millis(20);
/// What waits on the way, in bytes: as little as systems allow, so that who sends notices.
const BUFFER: u32 = 16 << 10;

/// A TCP line to somewhere, as wide as one likes. It ends when it is dropped.
#[derive(Debug)]
pub struct Line {
    addr: SocketAddr,
    /// Bits a second, towards who connected; none for as many as come.
    width: watch::Sender<Option<u64>>,
}

impl Line {
    /// A line to `to`, without a limit.
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

    /// Where it begins.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Lets through so many bits a second from now on.
    pub fn narrow(&self, bits: u64) {
        self.width.send_replace(Some(bits));
    }

    /// Lets through whatever comes.
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
                // What makes it a narrow line is that it takes its time.
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
