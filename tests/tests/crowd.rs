//! A thousand fans join an edge and leave it again: the edge gives back their memory.

use std::{
    alloc::System,
    cell::Cell,
    net::Ipv4Addr,
    rc::Rc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use anyhow::{Context as _, Result};
use cap::Cap;
use creator::Source;
use fanfare_tests::{ROOM, Stack};
use media::testcard::{Config, Rendition};
use moqt::{App, Cx};
use moqt::{Event, Namespace, Params, TrackName, session::RequestId};
use quic::{Clock, Endpoint, Trust, drive};
use tokio::{
    sync::{Semaphore, watch},
    task::{JoinSet, LocalSet},
};
use url::Url;

#[global_allocator]
static MEMORY: Cap<System> = Cap::new(System, usize::MAX);

const FANS: usize = 1_000;
/// Fans that connect at the same time: a machine of two cores shakes hands for both sides.
const CONNECTING: usize = 50;
/// UDP sockets that the fans share.
const SOCKETS: usize = 10;
/// The longest that a crowd may take.
const PATIENCE: Duration = Duration::from_secs(150);

/// A fan that waits for the first frame, and stays for the catalog.
struct Fan {
    video: Option<RequestId>,
    seen: Rc<Cell<bool>>,
    leaving: watch::Receiver<bool>,
    waker: Rc<Cell<Option<Waker>>>,
}

impl App for Fan {
    fn event(&mut self, cx: &mut Cx<'_>, event: Event) {
        let mut take = |name: &str| {
            let namespace = Namespace::from_path(ROOM).expect("a namespace");
            let track = TrackName::new(namespace, name.to_owned()).expect("a name");
            cx.session.subscribe(track, Params::default()).expect("a subscription")
        };
        match event {
            Event::Ready(_) => {
                take("catalog");
                self.video = Some(take("video/90p"));
            }
            Event::Subgroup { request, .. } if Some(request) == self.video => {
                let _ = cx.session.cancel(request);
                self.video = None;
                self.seen.set(true);
            }
            _ => {}
        }
    }

    fn poll(&mut self, task: &mut Context<'_>, _: &mut Cx<'_>) -> Poll<()> {
        if *self.leaving.borrow() {
            return Poll::Ready(());
        }
        self.waker.set(Some(task.waker().clone()));
        Poll::Pending
    }
}

#[tokio::test]
async fn a_thousand_fans_leave_nothing_behind() -> Result<()> {
    tokio::time::timeout(PATIENCE, LocalSet::new().run_until(come_and_go())).await.context("too slow")?
}

async fn come_and_go() -> Result<()> {
    let renditions = vec![Rendition { width: 160, height: 90, bitrate: 60_000 }];
    let card = Config { renditions, title: "TEST".into(), ..Config::default() };
    let stack = Stack::open(Source::demo(card)?).await?;
    // The first crowd makes everything that is made only once, before the measurement.
    crowd(&stack, 20).await?;
    let before = MEMORY.allocated();
    let most = crowd(&stack, FANS).await?;
    let after = MEMORY.allocated();
    println!("{before} bytes before, {most} with {FANS} fans, {after} after");
    assert!(after as f64 <= before as f64 * 1.1, "{after} bytes of {before}");
    Ok(())
}

/// Has `fans` fans join, waits until all are here at once, and has them leave. Returns the memory that they took.
async fn crowd(stack: &Stack, fans: usize) -> Result<usize> {
    let (leave, leaving) = watch::channel(false);
    let permits = Rc::new(Semaphore::new(CONNECTING));
    let url = Url::parse(&format!("moqt://127.0.0.1:{}/", stack.addr().port()))?;
    let tls = Trust::Fingerprints(vec![stack.fingerprint().parse().map_err(anyhow::Error::msg)?]);
    let tls = tls.client_config()?;
    let sockets = (0..SOCKETS).map(|_| Endpoint::client((Ipv4Addr::LOCALHOST, 0).into(), tls.clone()));
    let sockets: Vec<Endpoint> = sockets.collect::<Result<_, _>>()?;
    let mut inside = JoinSet::new();
    let (came, mut here) = watch::channel(0);
    for fan in 0..fans {
        let (socket, url, permits) = (sockets[fan % SOCKETS].clone(), url.clone(), Rc::clone(&permits));
        let (mut leaving, came) = (leaving.clone(), came.clone());
        inside.spawn_local(async move {
            let waiting = permits.acquire().await?;
            let connection = socket.connect(&url).await?;
            let (seen, waker) = (Rc::new(Cell::new(false)), Rc::new(Cell::new(None::<Waker>)));
            let mut app = Fan {
                video: None,
                seen: Rc::clone(&seen),
                leaving: leaving.clone(),
                waker: Rc::clone(&waker),
            };
            let session = drive(connection.transport, connection.config, Clock::default(), &mut app);
            let mut session = std::pin::pin!(session);
            std::future::poll_fn(|task| {
                let over = session.as_mut().poll(task).map(drop);
                if seen.get() { Poll::Ready(()) } else { over }
            })
            .await;
            anyhow::ensure!(seen.get(), "a fan was sent away");
            drop(waiting);
            came.send_modify(|count| *count += 1);
            let asked = async move {
                let _ = leaving.wait_for(|leaving| *leaving).await;
                if let Some(waker) = waker.take() {
                    waker.wake();
                }
                std::future::pending::<()>().await;
            };
            tokio::select! { ended = session => ended.map(drop)?, () = asked => {} }
            Ok(())
        });
    }
    tokio::select! {
        _ = here.wait_for(|count| *count == fans) => {}
        Some(gone) = inside.join_next() => { gone??; anyhow::bail!("a fan left of its own accord") }
    }
    let most = MEMORY.allocated();
    assert!(stack.figure("sessions").await? >= fans as i64);
    leave.send_replace(true);
    while let Some(left) = inside.join_next().await {
        left??;
    }
    for socket in sockets {
        socket.close().await;
    }
    // Only the session upstream is left; tracks linger for a while.
    for (name, left) in [("sessions", 1), ("subscriptions", 0), ("tracks", 0), ("kept_bytes", 0)] {
        stack.until_figure(name, left).await?;
    }
    Ok(most)
}
