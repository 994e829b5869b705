use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use moq_transport::{
    coding::{TrackNamespace, Value},
    message::RequestErrorCode,
    session::{Session, transport::Session as Transport},
    setup::{ParameterType, decode_setup_tokens},
};
use token::{Claims, EVERY_ROOM, Role};
use tokio::{sync::mpsc, task::JoinSet};

use crate::{
    Error, discover,
    endpoint::Accepted,
    fetch,
    origin::Shared,
    publish,
    registry::Viewer,
    room::{Creator, SessionKey},
    root, subscribe,
};

/// A peer whose SETUP names an implementation that begins like this is counted as an
/// edge, not as a viewer.
pub const EDGE_IMPLEMENTATION: &str = "fanfare-edge";

/// Session closed for want of a right (§15.10.1, UNAUTHORIZED).
pub(crate) const CLOSE_UNAUTHORIZED: u32 = 0x2;
/// A request refused because there are too many.
pub(crate) const REQUEST_EXCESSIVE_LOAD: u64 = RequestErrorCode::ExcessiveLoad as u64;

/// The time a peer has to complete SETUP.
const SETUP_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a refusal is given to reach the peer.
const CLOSE_FLUSH: Duration = Duration::from_secs(1);
/// Tracks asked of one creator and not yet begun.
const MAX_PENDING_PULLS: usize = 256;

/// The room of a namespace: its fields joined with `/`.
pub(crate) fn room_name(namespace: &TrackNamespace) -> Result<String, Error> {
    let fields: Option<Vec<&str>> = namespace
        .fields
        .iter()
        .map(|field| std::str::from_utf8(&field.value).ok().filter(|field| !field.is_empty()))
        .collect();
    match fields {
        Some(fields) if !fields.is_empty() => Ok(fields.join("/")),
        _ => Err(Error::BadNamespace(format!("{namespace:?}"))),
    }
}

/// Who is at the other end, and what it may do.
pub(crate) struct Peer {
    pub(crate) shared: Arc<Shared>,
    pub(crate) key: SessionKey,
    transport: Transport,
    connection: quinn::Connection,
    claims: Option<Claims>,
    takeover: bool,
    edge: bool,
    /// Links of an edge that are about to be.
    expected: Mutex<HashMap<root::Of, root::Downs>>,
}

impl Peer {
    fn admit(
        shared: &Arc<Shared>,
        accepted: &Accepted,
        session: &Session,
        key: SessionKey,
    ) -> Result<Self, Error> {
        let setup = session.setup_params();
        let bytes = |key: ParameterType| match setup.get(key.into()).map(|pair| &pair.value) {
            Some(Value::BytesValue(bytes)) => String::from_utf8_lossy(bytes).into_owned(),
            _ => String::new(),
        };
        let query = match &accepted.url {
            Some(url) => url.query().unwrap_or_default().to_owned(),
            None => bytes(ParameterType::Path)
                .split_once('?')
                .map_or_else(String::new, |(_, query)| query.to_owned()),
        };
        let query: Vec<_> = url::form_urlencoded::parse(query.as_bytes()).collect();
        let value = |name| query.iter().find(|(key, _)| key == name).map(|(_, value)| value);

        let malformed = |why: &str| Error::Token(token::Error::Malformed(why.into()));
        let presented = decode_setup_tokens(setup).map_err(|err| malformed(err.reason_phrase()))?;
        let mut jwts: Vec<&str> = Vec::new();
        for token in &presented {
            let jwt = std::str::from_utf8(token.value).map_err(|_| malformed("it is not a JWT"))?;
            jwts.push(jwt);
        }
        jwts.extend(value("jwt").map(AsRef::as_ref));
        let claims = match (jwts.first(), &shared.config.keys) {
            (None, _) => None,
            (Some(_), None) => return Err(Error::NoKeys),
            (Some(jwt), Some(keys)) => Some(keys.verify(jwt, token::now())?),
        };
        Ok(Self {
            shared: Arc::clone(shared),
            key,
            transport: accepted.session.clone(),
            connection: accepted.connection.clone(),
            claims,
            takeover: value("takeover").is_some_and(|value| value != "0"),
            edge: bytes(ParameterType::MOQTImplementation).starts_with(EDGE_IMPLEMENTATION),
            expected: Mutex::default(),
        })
    }

    /// Whether the peer is an edge of the house, which may speak for fans.
    pub(crate) fn is_edge(&self) -> bool {
        self.claims.as_ref().is_some_and(|claims| claims.role == Role::Edge && claims.room == EVERY_ROOM)
    }

    /// Links of an edge whose other half is still to come.
    pub(crate) fn expected(&self) -> MutexGuard<'_, HashMap<root::Of, root::Downs>> {
        self.expected.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn viewer(&self) -> Viewer {
        Viewer { session: self.key, edge: self.edge }
    }

    /// Whether the peer's connection is still there: if not, what it stopped doing it
    /// did not mean to.
    pub(crate) fn is_connected(&self) -> bool {
        self.connection.close_reason().is_none()
    }

    /// Ends the session, telling the peer why.
    pub(crate) fn close(&self, reason: &str) {
        self.transport.close(CLOSE_UNAUTHORIZED, reason);
    }

    /// Whether the peer may see what is in `namespace`.
    pub(crate) fn may_watch(&self, namespace: &TrackNamespace) -> Result<(), Error> {
        let Ok(room) = root::room_of(namespace).map_or_else(|| room_name(namespace), Ok) else {
            // Nothing is ever published there.
            return Ok(());
        };
        match &self.claims {
            _ if !self.shared.config.is_private(&room) => Ok(()),
            Some(claims) => Ok(claims.check(&room, token::now())?),
            None => Err(Error::NoToken("watching a private room")),
        }
    }

    /// The room that the peer may publish `namespace` into, and as whom.
    pub(crate) fn may_publish(&self, namespace: &TrackNamespace) -> Result<(String, Creator), Error> {
        let room = room_name(namespace)?;
        if room.as_bytes().first() == Some(&wire::names::RESERVED) {
            return Err(Error::Reserved(room));
        }
        let creator = |name| Creator { session: self.key, name, takeover: self.takeover };
        match &self.claims {
            Some(claims) => {
                claims.check(&room, token::now())?;
                if claims.role != Role::Creator {
                    return Err(Error::WrongRole { role: claims.role });
                }
                let room = if claims.room == EVERY_ROOM { room } else { claims.room.clone() };
                Ok((room, creator(Some(claims.name.clone()))))
            }
            None if self.shared.config.open_publish => Ok((room, creator(None))),
            None => Err(Error::NoToken("publishing")),
        }
    }
}

/// Serves one peer until it leaves.
pub(crate) async fn serve(shared: Arc<Shared>, accepted: Accepted, key: SessionKey) -> Result<(), Error> {
    let setup = Session::accept(accepted.session.clone(), None, accepted.transport);
    let (session, publisher, subscriber) = tokio::time::timeout(SETUP_TIMEOUT, setup)
        .await
        .map_err(|_| Error::Handshake("no SETUP in time".into()))??;
    let (Some(publisher), Some(mut subscriber)) = (publisher, subscriber) else {
        return Err(Error::Handshake("the session has but one role".into()));
    };
    let peer = match Peer::admit(&shared, &accepted, &session, key) {
        Ok(peer) => Arc::new(peer),
        Err(err) => {
            accepted.session.close(CLOSE_UNAUTHORIZED, &err.to_string());
            let _ = tokio::time::timeout(CLOSE_FLUSH, accepted.connection.closed()).await;
            return Err(err);
        }
    };
    publisher.accept_fetch();
    shared.registry.enter(key, accepted.session.clone());
    shared.metrics.session(accepted.transport);

    let (pulls, mut pulled) = mpsc::channel(MAX_PENDING_PULLS);
    // Everything below dies with this set, so nothing outlives the session.
    let mut tasks = JoinSet::new();
    let (over, mut is_over) = tokio::sync::oneshot::channel();
    tasks.spawn(async move {
        let _ = over.send(session.run().await);
    });
    let [mut p1, mut p2, mut p3, mut p4, mut p5] = std::array::from_fn(|_| publisher.clone());
    let mut publications = subscriber.clone();
    let result = loop {
        let peer = Arc::clone(&peer);
        tokio::select! {
            result = &mut is_over => break result.unwrap_or(Ok(())),
            Some(namespace) = subscriber.published_namespace() => {
                let subscriber = publications.clone();
                tasks.spawn(publish::namespace(peer, namespace, subscriber, pulls.clone()));
            }
            Some(track) = publications.publish_received() => {
                if root::is_link(track.namespace()) {
                    tasks.spawn(root::deltas(peer, track));
                } else {
                    tasks.spawn(publish::track(peer, track));
                }
            }
            Some(pull) = pulled.recv() => {
                tasks.spawn(publish::pull(peer, publications.clone(), pull));
            }
            Some(subscribed) = p1.subscribed() => {
                if root::is_link(&subscribed.info.track_namespace) {
                    tasks.spawn(root::downs(peer, subscribed));
                } else {
                    tasks.spawn(subscribe::subscribe(peer, subscribed));
                }
            }
            Some(request) = p2.track_status_requested() => {
                tasks.spawn(subscribe::track_status(peer, request));
            }
            Some(request) = p3.subscribed_namespace() => {
                tasks.spawn(discover::namespaces(peer, request));
            }
            Some(request) = p4.subscribed_tracks() => {
                tasks.spawn(discover::tracks(peer, request, publisher.clone()));
            }
            Some(request) = p5.fetch_requested() => {
                tasks.spawn(fetch::fetch(peer, request));
            }
            Some(ended) = tasks.join_next() => {
                if let Err(err) = ended {
                    tracing::error!(session = key.0, %err, "a session's task failed");
                }
            }
        }
    };
    shared.registry.leave(key);
    drop(tasks);
    result.map_err(Error::from)
}
