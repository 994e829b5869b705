//! Intake: every request of the peer's is charged before anything else looks at it.

use std::{collections::BTreeMap, rc::Rc};

use moqt::{Cx, Event, Micros, SessionCode, message::RequestError, session::RequestId};
use wire::names;

use super::Session;
use crate::{
    IMPLEMENTATION, Role,
    budget::{Charge, Excess, Kind as Cost, Pace, Payer},
    relay::{hub::Kind, track::is_under},
};

/// The charges of the peer's open requests.
pub(super) struct Intake {
    pub(super) payer: Rc<Payer>,
    open: BTreeMap<RequestId, [Option<Charge>; 2]>,
    /// The requests that were over when the charges were last compared with what is open.
    over: u64,
    unread: Charge,
}

impl Intake {
    pub(super) fn new(payer: Rc<Payer>) -> Self {
        let unread = payer.empty(Cost::UnreadBytes);
        Self { payer, open: BTreeMap::new(), over: 0, unread }
    }

    /// Charges the messages that the peer does not read. Closes the session if they are too many.
    pub(super) fn charge_unread(&self, cx: &mut Cx<'_>) {
        if let Err(excess) = self.unread.set(cx.unread() as u64) {
            cx.session.close(SessionCode::INTERNAL_ERROR, &excess.to_string());
        }
    }

    /// Charges a request, if the event is one.
    fn charge(&mut self, now: Micros, cx: &Cx<'_>, event: &Event) -> Result<(), (RequestId, Excess)> {
        let Some((request, cost)) = request_of(event) else { return Ok(()) };
        let failed = |excess| (request, excess);
        self.payer.pace(now, Pace::Requests).map_err(failed)?;
        // Requests that were refused a moment ago are over, but still counted.
        self.sweep(cx);
        let open = self.payer.charge(Cost::Requests).map_err(failed)?;
        let more = cost.map(|cost| self.payer.charge(cost)).transpose().map_err(failed)?;
        // It may be over already: its end then follows in the same batch of events.
        if cx.session.is_open(request) {
            self.open.insert(request, [Some(open), more]);
        }
        Ok(())
    }

    /// Gives back the charges of requests that are over.
    pub(super) fn sweep(&mut self, cx: &Cx<'_>) {
        let over = cx.session.requests_over();
        if std::mem::replace(&mut self.over, over) != over {
            self.open.retain(|request, _| cx.session.is_open(*request));
        }
    }
}

impl Session {
    /// Charges a request of the peer's, or refuses it. Returns whether the event goes on.
    pub(super) fn admit(&mut self, cx: &mut Cx<'_>, event: &Event) -> bool {
        if let Some(request) = nameless(event) {
            // Other makers' relays may end their session over it, and a session upstream is shared.
            let code = moqt::RequestCode::DOES_NOT_EXIST;
            let error = RequestError::new(code, "a namespace has at least one field");
            let _ = cx.session.reject(request, error);
            return false;
        }
        if self.is_upstream() {
            return true;
        }
        let now = self.now();
        if let Event::Update { request, .. } = event {
            return self.admit_update(cx, now, *request);
        }
        match self.intake.charge(now, cx, event) {
            Ok(()) => true,
            Err((request, excess)) => {
                tracing::debug!(peer = self.id.0, %excess, "refused");
                let _ = cx.session.reject(request, excess.into());
                false
            }
        }
    }

    /// Counts an update of a request, which costs as much as one. Beyond the pace, the request ends.
    fn admit_update(&mut self, cx: &mut Cx<'_>, now: Micros, request: RequestId) -> bool {
        let Err(excess) = self.intake.payer.pace(now, Pace::Requests) else { return true };
        let error = RequestError::from(excess);
        if cx.session.reject_update(request, error.clone()).is_err() {
            let _ = cx.session.reject(request, error);
        }
        self.ended(request);
        false
    }

    /// Verifies the client's token, once, and takes the place of its role. Closes the session if there is none.
    pub(super) fn take_place(&mut self, cx: &mut Cx<'_>, implementation: Option<&[u8]>) {
        let Kind::Client(credentials) = &mut self.kind else { return };
        let (now, wall, keys) = {
            let hub = self.relay.0.borrow();
            (hub.platform.now(), hub.platform.wall(), hub.keys.clone())
        };
        let payer = &self.intake.payer;
        let role = match &keys {
            Some(keys) => {
                if !credentials.jwts().is_empty() {
                    if let Err(excess) = payer.pace(now, Pace::Tokens) {
                        cx.session.close(SessionCode::UNAUTHORIZED, &excess.to_string());
                        return;
                    }
                    credentials.verify(keys, wall);
                }
                role_of(credentials.valid())
            }
            // Without keys nobody can prove anything.
            None if implementation.is_some_and(is_edge) => Role::Edge,
            None => Role::Fan,
        };
        match payer.become_role(now, role) {
            Ok(()) => allow_streams(cx, role),
            // The draft has no code for it among those of sessions.
            Err(excess) => cx.session.close(SessionCode::INTERNAL_ERROR, &excess.to_string()),
        }
    }

    /// Takes the place of a creator: what the peer publishes was accepted.
    pub(super) fn become_creator(&self, cx: &Cx<'_>) -> Result<(), Excess> {
        match self.intake.payer.role() {
            Role::Fan => {
                self.intake.payer.become_role(self.now(), Role::Creator)?;
                allow_streams(cx, Role::Creator);
                Ok(())
            }
            Role::Arriving | Role::Creator | Role::Edge | Role::Upstream => Ok(()),
        }
    }
}

/// Lets a peer have as many streams open as its role needs. They take memory from when they are allowed, so those of
/// strangers are few.
fn allow_streams(cx: &Cx<'_>, role: Role) {
    match role {
        Role::Arriving | Role::Fan => {}
        Role::Creator => cx.allow_streams(1_024, 1_024),
        Role::Edge | Role::Upstream => cx.allow_streams(8_192, 1_024),
    }
}

/// Returns the role that valid tokens prove. An edge that speaks for a creator has the creator's share, not its own.
fn role_of<'a>(valid: impl Iterator<Item = &'a token::Verified>) -> Role {
    let mut role = Role::Fan;
    for token in valid {
        match token.claims.role {
            token::Role::Creator => return Role::Creator,
            token::Role::Edge if !token.claims.behalf => role = Role::Edge,
            _ => {}
        }
    }
    role
}

/// Returns whether a session introduces itself as a node of this make.
fn is_edge(implementation: &[u8]) -> bool {
    let name = IMPLEMENTATION.split_once('/').map_or(IMPLEMENTATION, |(name, _)| name);
    implementation.starts_with(name.as_bytes())
}

/// Returns the request that an event begins, with what it costs beside the request itself.
fn request_of(event: &Event) -> Option<(RequestId, Option<Cost>)> {
    Some(match event {
        // A membership: the rooms bound these by themselves.
        Event::Subscribe { request, track, .. } | Event::Publish { request, track, .. }
            if is_under(track.namespace(), names::FAN) =>
        {
            (*request, None)
        }
        Event::Subscribe { request, .. } => (*request, Some(Cost::Tracks)),
        Event::Fetch { request, .. } => (*request, Some(Cost::Fetches)),
        Event::Publish { request, .. } | Event::PublishNamespace { request, .. } => {
            (*request, Some(Cost::Publications))
        }
        Event::SubscribeNamespace { request, .. } | Event::SubscribeTracks { request, .. } => {
            (*request, Some(Cost::Interests))
        }
        Event::TrackStatus { request, .. } => (*request, None),
        _ => return None,
    })
}

/// Returns the request of an event that names a track or namespace by an empty namespace.
fn nameless(event: &Event) -> Option<RequestId> {
    let (request, namespace) = match event {
        Event::Subscribe { request, track, .. }
        | Event::Publish { request, track, .. }
        | Event::TrackStatus { request, track, .. }
        | Event::Fetch { request, track, .. } => (request, track.namespace()),
        Event::PublishNamespace { request, namespace, .. } => (request, namespace),
        _ => return None,
    };
    namespace.is_empty().then_some(*request)
}
