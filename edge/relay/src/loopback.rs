//! A session between two parts of one node, without a network.

use std::{
    future::poll_fn,
    rc::Rc,
    task::{Context, Poll},
};

use moqt::{
    App, Connected, Ended, Later, Misuse, Version, WebSocketSession,
    session::{Config, Side, Transport},
};

use crate::{Credentials, Deadline, Dial, DialError, Platform, Relay, RelaySession};

/// The way from a part of a node to the node's own relay, as its upstream.
pub struct Loopback {
    relay: Relay,
    platform: Rc<dyn Platform>,
}

impl Loopback {
    /// Creates the way to the node's relay.
    pub fn new(relay: Relay, platform: Rc<dyn Platform>) -> Self {
        Self { relay, platform }
    }
}

impl Dial for Loopback {
    fn dial(&self, client: Option<&Credentials>) -> Later<'_, Result<Box<dyn Connected>, DialError>> {
        let session = self
            .relay
            .enter(Credentials::new(client.and_then(|client| client.query.clone()), Vec::new()), None);
        let config = Config::new(Side::Client, Transport::WebTransport, Version::Draft18);
        let platform = Rc::clone(&self.platform);
        Box::pin(async move { Ok(Box::new(Pair { session, config, platform }) as Box<dyn Connected>) })
    }

    fn name(&self) -> &'static str {
        "this node"
    }
}

/// A connection between the two parts, before it runs.
struct Pair {
    session: RelaySession,
    config: Config,
    platform: Rc<dyn Platform>,
}

impl Connected for Pair {
    fn config(&mut self) -> &mut Config {
        &mut self.config
    }

    fn run(self: Box<Self>, app: &mut dyn App) -> Later<'_, Result<Ended, Misuse>> {
        Box::pin(async move {
            let Self { session, config, platform } = *self;
            let now = platform.now();
            let theirs = Config::new(Side::Server, config.transport, config.version);
            let (near, far) = (WebSocketSession::new(now, config)?, WebSocketSession::new(now, theirs)?);
            let mut both = Both { near, far, session, platform, deadline: Deadline::default() };
            Ok(poll_fn(|task| both.poll(task, app)).await)
        })
    }
}

/// The two ends of the session, while it runs.
struct Both {
    near: WebSocketSession,
    far: WebSocketSession,
    session: RelaySession,
    platform: Rc<dyn Platform>,
    deadline: Deadline,
}

impl Both {
    fn poll(&mut self, task: &mut Context<'_>, app: &mut dyn App) -> Poll<Ended> {
        loop {
            let now = self.platform.now();
            let mut busy = self.near.run(task, now, app);
            busy |= self.far.run(task, now, &mut self.session);
            while let Some(message) = self.near.pop(now) {
                self.far.received(now, message);
                busy = true;
            }
            while let Some(message) = self.far.pop(now) {
                self.near.received(now, message);
                busy = true;
            }
            if let Some(ended) = self.near.ended() {
                return Poll::Ready(ended.clone());
            }
            if !busy {
                break;
            }
        }
        let due = [self.near.timeout(), self.far.timeout()].into_iter().flatten().min();
        self.deadline.wake(&*self.platform, task, due);
        Poll::Pending
    }
}
