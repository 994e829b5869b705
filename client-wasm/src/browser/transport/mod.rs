//! A MoQ session over WebTransport or a WebSocket.

mod websocket;
mod webtransport;

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    pin::pin,
    rc::Rc,
    task::{Context, Poll, Waker},
};

use futures_util::future::{Either, select};
use moqt::{
    Event, Input, Micros, Misuse, Output, Session, SessionCode, Token, Version,
    session::{Config, Dir, Side, StreamId, Transport},
};
use wasm_bindgen::JsValue;

use crate::browser::clock::{now, scope, sleep};

/// Lead that WebTransport has before a WebSocket is tried beside it: a network that drops UDP never reports an error.
const HEAD_START: Micros = Micros::from_millis(1_000);
/// Time that a connection may take.
const TIMEOUT: Micros = Micros::from_millis(10_000);

/// Addresses of a server.
#[derive(Clone, Debug, Default)]
pub(crate) struct Server {
    /// The URL for WebTransport.
    pub(crate) webtransport: Option<String>,
    /// SHA-256 fingerprints of certificates to accept, if the server's is not signed by a public authority.
    pub(crate) fingerprints: Vec<Vec<u8>>,
    /// The URL for the WebSocket.
    pub(crate) websocket: Option<String>,
    /// The client's token.
    pub(crate) token: Option<String>,
}

impl Server {
    /// Returns the addresses for a client with this token. Only a Durable Object wants it before the session begins, in
    /// the query of its WebSocket's URL; everywhere else it is in SETUP, which nobody on the way writes down.
    pub(crate) fn with_token(&self, token: Option<&str>) -> Self {
        let shown = |url: &String| token.map_or_else(|| url.clone(), |token| with(url, "jwt", token));
        Self {
            websocket: self.websocket.as_ref().map(shown),
            token: token.map(str::to_owned),
            ..self.clone()
        }
    }
}

/// Returns a URL with a parameter added to its query.
pub(crate) fn with(url: &str, key: &str, value: &str) -> String {
    let mark = if url.contains('?') { '&' } else { '?' };
    format!("{url}{mark}{key}={}", js_sys::encode_uri_component(value))
}

/// The transport below a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    WebTransport,
    WebSocket,
}

impl Kind {
    /// Returns the name that pages show.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::WebTransport => "WebTransport",
            Self::WebSocket => "WebSocket",
        }
    }
}

/// A session that runs until it is dropped.
pub(crate) struct Connection {
    shared: Rc<Shared>,
}

/// State that the tasks and callbacks of a connection share.
struct Shared {
    session: RefCell<Session>,
    link: Link,
    events: RefCell<VecDeque<Event>>,
    waker: Cell<Option<Waker>>,
    timer: Cell<Option<Micros>>,
}

enum Link {
    WebTransport(webtransport::Link),
    WebSocket(websocket::Link),
}

impl Connection {
    /// Connects over WebTransport, or over a WebSocket if that fails; once both are tried, the first to connect is
    /// used. `prefer` is the transport that worked before.
    pub(crate) async fn connect(server: &Server, prefer: Option<Kind>) -> Result<Self, String> {
        let webtransport = server.webtransport.as_deref().filter(|_| is_webtransport_usable());
        let first = webtransport.filter(|_| prefer != Some(Kind::WebSocket) || server.websocket.is_none());
        let link = match (first, server.websocket.as_deref()) {
            (Some(webtransport), Some(websocket)) => {
                let webtransport = pin!(over_webtransport(webtransport, &server.fingerprints));
                let websocket = pin!(over_websocket(websocket));
                race(webtransport, websocket).await
            }
            (Some(webtransport), None) => over_webtransport(webtransport, &server.fingerprints).await,
            (None, Some(websocket)) => over_websocket(websocket).await,
            (None, None) => {
                Err("this browser has no WebTransport, and the server offers no WebSocket".to_owned())
            }
        };
        Self::start(link?, server.token.clone())
    }

    fn start(link: Link, token: Option<String>) -> Result<Self, String> {
        let mut config = Config::new(Side::Client, Transport::WebTransport, Version::Draft18);
        if matches!(link, Link::WebTransport(_)) {
            config.setup.tokens.extend(token.map(Token::value));
        }
        let session = Session::new(now(), config).map_err(|misuse| misuse.to_string())?;
        let shared = Rc::new(Shared {
            session: RefCell::new(session),
            link,
            events: RefCell::default(),
            waker: Cell::default(),
            timer: Cell::default(),
        });
        match &shared.link {
            Link::WebTransport(link) => link.start(&shared),
            Link::WebSocket(link) => link.start(&shared),
        }
        shared.pump();
        Ok(Self { shared })
    }

    /// Returns the transport below the session.
    pub(crate) fn kind(&self) -> Kind {
        match self.shared.link {
            Link::WebTransport(_) => Kind::WebTransport,
            Link::WebSocket(_) => Kind::WebSocket,
        }
    }

    /// Calls the session, then carries out its outputs.
    pub(crate) fn with<T>(&self, act: impl FnOnce(&mut Session) -> Result<T, Misuse>) -> Result<T, Misuse> {
        let result = act(&mut self.shared.session.borrow_mut());
        self.shared.pump();
        result
    }

    /// Polls for the next event.
    pub(crate) fn poll_event(&self, cx: &mut Context<'_>) -> Poll<Event> {
        if let Some(event) = self.shared.events.borrow_mut().pop_front() {
            return Poll::Ready(event);
        }
        self.shared.waker.set(Some(cx.waker().clone()));
        Poll::Pending
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.shared.session.borrow_mut().close(SessionCode::NO_ERROR, "");
        self.shared.pump();
    }
}

impl Shared {
    fn opened(&self, dir: Dir) -> StreamId {
        self.session.borrow_mut().opened(dir)
    }

    /// Hands the session an input and carries out its outputs.
    fn input(self: &Rc<Self>, input: Input) {
        self.session.borrow_mut().handle(now(), input);
        self.pump();
    }

    fn pump(self: &Rc<Self>) {
        loop {
            let Some(output) = self.session.borrow_mut().poll() else { break };
            match (output, &self.link) {
                (Output::Event(event), _) => {
                    self.events.borrow_mut().push_back(event);
                    if let Some(waker) = self.waker.take() {
                        waker.wake();
                    }
                }
                (output, Link::WebTransport(link)) => link.output(self, output),
                (output, Link::WebSocket(link)) => link.output(&mut self.session.borrow_mut(), output),
            }
        }
        self.set_timer();
    }

    fn set_timer(self: &Rc<Self>) {
        let Some(at) = self.session.borrow().timeout() else { return };
        if self.timer.get().is_some_and(|set| set <= at) {
            return;
        }
        self.timer.set(Some(at));
        let shared = Rc::downgrade(self);
        wasm_bindgen_futures::spawn_local(async move {
            sleep(at - now() + Micros::from_millis(1)).await;
            let Some(shared) = shared.upgrade() else { return };
            if shared.timer.get() == Some(at) {
                shared.timer.set(None);
            }
            shared.input(Input::Timeout);
        });
    }
}

async fn over_webtransport(url: &str, fingerprints: &[Vec<u8>]) -> Result<Link, String> {
    let connecting = within(TIMEOUT, webtransport::Link::connect(url, fingerprints)).await;
    connecting.map(Link::WebTransport).map_err(|error| format!("WebTransport: {error}"))
}

async fn over_websocket(url: &str) -> Result<Link, String> {
    let connecting = within(TIMEOUT, websocket::Link::connect(url)).await;
    connecting.map(Link::WebSocket).map_err(|error| format!("WebSocket: {error}"))
}

/// Returns the first of two futures that succeeds; the second begins when the first has failed or had its head start.
async fn race<T>(
    first: impl Future<Output = Result<T, String>> + Unpin,
    second: impl Future<Output = Result<T, String>> + Unpin,
) -> Result<T, String> {
    let (failure, other) = match select(first, pin!(sleep(HEAD_START))).await {
        Either::Left((Ok(first), _)) => return Ok(first),
        Either::Left((Err(failure), _)) => (failure, Either::Right(second)),
        Either::Right(((), first)) => match select(first, second).await {
            Either::Left((Ok(won), _)) | Either::Right((Ok(won), _)) => return Ok(won),
            Either::Left((Err(failure), second)) => (failure, Either::Right(second)),
            Either::Right((Err(failure), first)) => (failure, Either::Left(first)),
        },
    };
    other.await.map_err(|also| format!("{failure}; {also}"))
}

async fn within<T>(time: Micros, what: impl Future<Output = Result<T, JsValue>>) -> Result<T, String> {
    let what = pin!(what);
    let patience = pin!(sleep(time));
    match select(what, patience).await {
        Either::Left((result, _)) => result.map_err(|error| describe(&error)),
        Either::Right(((), _)) => Err(format!("no answer within {} s", time.as_millis() as f64 / 1e3)),
    }
}

/// Returns the text of an exception.
pub(crate) fn describe(error: &JsValue) -> String {
    let message = js_sys::Reflect::get(error, &"message".into()).ok().and_then(|message| message.as_string());
    message.filter(|message| !message.is_empty()).unwrap_or_else(|| format!("{error:?}"))
}

/// Returns whether WebTransport exists and is reliable: Safari's stalls after some thousand streams.
fn is_webtransport_usable() -> bool {
    let scope = scope();
    let agent = scope.navigator().user_agent().unwrap_or_default();
    let safari = agent.contains("AppleWebKit") && !agent.contains("Chrom") && !agent.contains("Edg");
    !safari && js_sys::Reflect::has(&scope, &"WebTransport".into()).unwrap_or(false)
}
