//! An edge's session with the origin on which it learns the rules.

use std::{
    cell::Cell,
    rc::Rc,
    task::{Context, Poll},
    time::Duration,
};

use moqt::{
    App, Connected, Cx, Event, GoingAway, Later, Namespace, Params, RequestCode, SessionCode, TrackName,
    packet_track::{Broken, Inflow},
    session::RequestId,
};
use relay::{Backoff, Credentials, Dial, DialError, IMPLEMENTATION, Moved, run_until_moved};
use wire::{limits, names};

use super::Trust;

/// The pause before an origin is asked again that does not tell this edge.
const ASK_AGAIN: Duration = Duration::from_secs(10);

impl Trust {
    /// Keeps a session with the origin, and learns from it which rooms are private, which tokens are revoked, and which
    /// keys other edges have.
    pub async fn follow(self: Rc<Self>, origin: Rc<dyn Dial>) {
        let way = Way { trust: &self, origin: &*origin };
        let (platform, url) = (Rc::clone(&self.platform), origin.name());
        let mut backoff = Backoff::default();
        let mut next = None;
        loop {
            let begun = platform.now();
            let dialled = match next.take() {
                Some(connection) => Ok(connection),
                None => way.dial(None).await,
            };
            match dialled {
                Ok(connection) => {
                    let mut link = Link::new(Rc::clone(&self));
                    let going_away = link.going_away.clone();
                    let moved =
                        run_until_moved(&*platform, connection, &mut link, &going_away, (&way, None)).await;
                    match moved {
                        Moved::To(connection) => {
                            next = Some(connection);
                            continue;
                        }
                        Moved::Ended(Ok(ended)) if is_denial(ended.code) => link.is_denied.set(true),
                        Moved::Ended(ended) => tracing::debug!(url, ?ended, "the trust link ended"),
                    }
                    if link.is_denied.get() {
                        self.untold();
                        tracing::warn!(
                            url,
                            "the origin does not tell this edge its private rooms: it does not know this edge's key, or is of an earlier version; private rooms cannot be watched here"
                        );
                        platform.sleep(ASK_AGAIN).await;
                    }
                }
                Err(error) => tracing::debug!(url, %error, "cannot open the trust link"),
            }
            relay::wait(&*platform, &mut backoff, begun).await;
        }
    }
}

fn is_denial(code: SessionCode) -> bool {
    matches!(code, SessionCode::UNAUTHORIZED | SessionCode::EXPIRED_AUTH_TOKEN)
}

/// The way to the origin with a token of this edge.
struct Way<'a> {
    trust: &'a Rc<Trust>,
    origin: &'a dyn Dial,
}

impl Dial for Way<'_> {
    fn dial(&self, client: Option<&Credentials>) -> Later<'_, Result<Box<dyn Connected>, DialError>> {
        let client = client.cloned();
        Box::pin(async move {
            let token = self.trust.token(false)?;
            let mut connection = self.origin.dial(client.as_ref()).await?;
            let setup = &mut connection.config().setup;
            setup.implementation = Some(IMPLEMENTATION.into());
            setup.tokens = vec![token];
            Ok(connection)
        })
    }

    fn name(&self) -> &str {
        self.origin.name()
    }
}

/// The session, as an application.
struct Link {
    trust: Rc<Trust>,
    request: Option<RequestId>,
    inflow: Inflow,
    is_over: bool,
    /// Set if the origin refuses the track.
    is_denied: Cell<bool>,
    going_away: GoingAway,
}

impl Link {
    fn new(trust: Rc<Trust>) -> Self {
        Self {
            trust,
            request: None,
            inflow: Inflow::new(limits::FRAME),
            is_over: false,
            is_denied: Cell::new(false),
            going_away: GoingAway::default(),
        }
    }

    fn name(&self) -> Option<TrackName> {
        let edge = format!("{:x}", self.trust.config.edge.0);
        let namespace = Namespace::new([names::EDGE.to_owned(), edge]).ok()?;
        TrackName::new(namespace, names::TRUST).ok()
    }

    fn read(&mut self, event: &Event) -> Result<(), Broken> {
        match event {
            Event::Subgroup { stream, header, .. } => self.inflow.begin(*stream, *header)?,
            Event::Object { stream, header } => self.inflow.object(*stream, header)?,
            Event::Payload { stream, data } => self.inflow.payload(*stream, data)?,
            Event::StreamEnded { stream } => self.inflow.end(*stream)?,
            _ => return Ok(()),
        }
        while let Some(packet) = self.inflow.take() {
            if let Err(error) = self.trust.told(&packet) {
                tracing::warn!(error, "what the origin says of its rules cannot be read");
            }
        }
        Ok(())
    }
}

impl App for Link {
    fn event(&mut self, _: &mut Cx<'_>, event: Event) {
        match &event {
            Event::RequestError { error, .. } => {
                let is_late = matches!(error.code, RequestCode::INTERNAL_ERROR | RequestCode::GOING_AWAY);
                self.is_denied.set(!is_late);
                self.is_over = true;
            }
            Event::Done { .. } | Event::Cancelled { .. } | Event::StreamReset { .. } => self.is_over = true,
            Event::GoAway { .. } => self.going_away.set(),
            event => self.is_over |= self.read(event).is_err(),
        }
    }

    fn poll(&mut self, task: &mut Context<'_>, cx: &mut Cx<'_>) -> Poll<()> {
        if self.request.is_none()
            && let Some(name) = self.name()
        {
            self.request = cx.session.subscribe(name, Params::default()).ok();
        }
        let is_leaving = self.going_away.poll_leave(task).is_ready();
        if self.is_over || is_leaving || self.request.is_none() { Poll::Ready(()) } else { Poll::Pending }
    }
}
