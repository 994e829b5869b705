//! Subscriptions of a peer: each sends a track's new objects at the peer's pace.

use std::{
    cell::RefCell,
    collections::{BTreeMap, VecDeque},
    rc::Rc,
    task::Context,
};

use moqt::{
    Cx, DoneCode, Filter, Location, Params, RequestCode, ResetCode, TrackName,
    data::SubgroupId,
    message::RequestError,
    session::{Delivery, Hold, RequestId, StreamId},
};

use crate::{Admission, Figures, GROUPS_KEPT, PeerId};

use super::{
    hub::is_absence,
    track::{DATAGRAMS_KEPT, End, Sequence, State, Track},
};

/// Bytes that may wait on one stream to a peer before the stream gets no more.
pub const FAN_BACKLOG: usize = 256 << 10;
/// Groups for which a subscription remembers what it has sent: the kept groups of a creator and of its successor.
const GROUPS_REMEMBERED: usize = 2 * GROUPS_KEPT;
/// Datagrams that a subscription remembers as sent, for the same reason.
const DATAGRAMS_REMEMBERED: usize = 2 * DATAGRAMS_KEPT;
/// Groups that a peer may be behind before the old group is reset.
pub const FAN_LAG: usize = 2;

/// A client's subscription, counted by the relay's admission until this is dropped.
pub(super) struct Viewer {
    admission: Rc<dyn Admission>,
    peer: PeerId,
    track: TrackName,
}

impl Viewer {
    pub(super) fn new(admission: Rc<dyn Admission>, peer: PeerId, track: TrackName) -> Self {
        admission.subscribed(peer, &track);
        Self { admission, peer, track }
    }
}

impl Drop for Viewer {
    fn drop(&mut self) {
        self.admission.unsubscribed(self.peer, &self.track);
    }
}

/// A subscription to a track.
pub(super) struct Subscription {
    pub(super) track: Rc<RefCell<Track>>,
    pub(super) request: RequestId,
    phase: Phase,
    /// Set if it moves to the track's successor.
    follows: bool,
    /// Set if it was made before the track was live: it then starts with the first object that came since.
    waited: bool,
    /// Set if the peer waits for a publisher.
    is_patient: bool,
    filter: Option<Filter>,
    /// The first location that is sent, if there is a filter.
    from: Option<Location>,
    /// The first stream of the source that is not in `open` yet.
    next: Sequence,
    next_datagram: u64,
    /// The last datagrams sent, at most [`DATAGRAMS_REMEMBERED`].
    datagrams: VecDeque<Location>,
    /// Streams of the source that are not sent to their end.
    open: BTreeMap<Sequence, Cursor>,
    /// Counts this subscription with the admission, if there is one.
    _viewer: Option<Viewer>,
    /// Progress by group and subgroup, of the last groups to begin.
    sent: BTreeMap<(u64, u64), Sent>,
    /// The numbers of those groups, in the order in which they began.
    groups: VecDeque<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// The peer waits for an answer to its SUBSCRIBE.
    Requested,
    /// The peer waits for a publisher (a rendezvous).
    Held,
    Live,
    Over,
}

/// The progress of one subgroup on the peer's stream. It outlives the source's stream: when the source changes or
/// reconnects, the source's stream begins anew, and the peer's goes on.
#[derive(Default)]
struct Sent {
    stream: Option<StreamId>,
    /// Set once the stream was finished. Its last bytes may still wait to leave.
    has_ended: bool,
    /// The source's stream that the subgroup is read from now.
    from: Option<Sequence>,
    /// The object after the last that was sent completely.
    next: u64,
    /// The object that is being sent, and the number of its bytes that were.
    begun: Option<(u64, usize)>,
}

/// The position in one stream of the source.
#[derive(Default)]
struct Cursor {
    object: usize,
    chunk: usize,
    /// Bytes from there on that were already sent.
    skip: usize,
    /// Set once the position has been matched with what was already sent.
    has_joined: bool,
}

impl Subscription {
    /// Creates a subscription that the peer requested. It waits until the track is live.
    pub(super) fn requested(
        track: Rc<RefCell<Track>>,
        request: RequestId,
        params: &Params,
        viewer: Option<Viewer>,
    ) -> Self {
        let mut this = Self::new(track, request, Phase::Requested, viewer);
        this.filter = params.filter;
        this.is_patient = params.rendezvous_timeout.is_some_and(|ms| ms > 0);
        this
    }

    /// Creates a subscription by an offer of ours, which may send objects at once. It `follows` the track to its
    /// successors, unless it is on behalf of one creator.
    pub(super) fn offered(
        track: Rc<RefCell<Track>>,
        request: RequestId,
        follows: bool,
        viewer: Option<Viewer>,
    ) -> Self {
        let mut this = Self::new(track, request, Phase::Live, viewer);
        this.follows = follows;
        this.start();
        this
    }

    fn new(track: Rc<RefCell<Track>>, request: RequestId, phase: Phase, viewer: Option<Viewer>) -> Self {
        track.borrow_mut().takers += 1;
        track.borrow().figures.subscriptions.inc();
        let waited = !matches!(track.borrow().state, State::Live);
        let open = BTreeMap::new();
        Self {
            track,
            request,
            phase,
            follows: true,
            waited,
            is_patient: false,
            filter: None,
            from: None,
            next: 0,
            next_datagram: 0,
            datagrams: VecDeque::new(),
            open,
            _viewer: viewer,
            sent: BTreeMap::new(),
            groups: VecDeque::new(),
        }
    }

    fn start(&mut self) {
        let track = self.track.borrow();
        self.phase = Phase::Live;
        if self.waited {
            self.from = self.filter.map(|filter| filter.start(track.since.0));
            self.next = track.since.1;
            return;
        }
        self.next_datagram = track.next_datagram;
        // Without a filter, the peer gets the newest group from its first object on: decoding can begin there at
        // once. With a filter, it gets what the filter selects.
        self.from = self.filter.map(|filter| filter.start(track.largest));
        let first = track.newest().and_then(|newest| track.first_of(newest));
        self.next = first.unwrap_or_else(|| track.next_sequence());
    }

    pub(super) fn is_over(&self) -> bool {
        self.phase == Phase::Over
    }

    fn successor(&self) -> Option<Rc<RefCell<Track>>> {
        self.track.borrow().successor.clone().filter(|_| self.follows)
    }

    /// Moves to the track's successor, from its first object on.
    fn move_to_successor(&mut self) {
        while let Some(track) = self.successor() {
            self.track.borrow_mut().takers -= 1;
            track.borrow_mut().takers += 1;
            self.track = track;
            self.open.clear();
            for sent in self.sent.values_mut() {
                sent.from = None;
            }
            (self.waited, self.from) = (true, None);
            (self.next, self.next_datagram) = (0, 0);
        }
    }

    /// Ends the subgroup of a stream that the peer has stopped.
    pub(super) fn stopped(&mut self, stream: StreamId) {
        for sent in self.sent.values_mut().filter(|sent| sent.stream == Some(stream)) {
            sent.close();
        }
    }

    /// Sends what the track has and the peer can take.
    pub(super) fn poll(&mut self, task: &mut Context<'_>, cx: &mut Cx<'_>) {
        self.move_to_successor();
        let track = Rc::clone(&self.track);
        let mut track = track.borrow_mut();
        track.watch(task.waker());
        match (&track.state, self.phase) {
            (State::Pending, Phase::Requested) if self.is_patient => {
                self.hold(cx);
                return;
            }
            (State::Refused(error), Phase::Held) if !is_absence(error) => {
                let _ = cx.session.reject(self.request, error.clone());
                self.phase = Phase::Over;
                return;
            }
            (State::Pending, _) | (State::Refused(_) | State::Ended(_), Phase::Held) => return,
            (State::Refused(error), Phase::Requested) => {
                self.refused(cx, error.clone());
                return;
            }
            (State::Ended(_), Phase::Requested) => {
                let error = RequestError::new(RequestCode::DOES_NOT_EXIST, "the track is over");
                let _ = cx.session.reject(self.request, error);
                self.phase = Phase::Over;
                return;
            }
            (State::Live, Phase::Requested | Phase::Held) => {
                let largest = if self.waited { track.since.0 } else { track.largest };
                let params = Params { largest, ..Params::default() };
                let accepted = cx.session.accept_subscribe(self.request, params, track.properties.clone());
                if accepted.is_err() {
                    self.phase = Phase::Over;
                    return;
                }
                drop(track);
                self.start();
                return self.poll(task, cx);
            }
            _ => {}
        }
        self.send(&track, cx);
        if let State::Ended(code) = track.state {
            self.done(cx, code);
        }
    }

    fn refused(&mut self, cx: &mut Cx<'_>, error: RequestError) {
        if error.code == RequestCode::DOES_NOT_EXIST && self.is_patient {
            self.hold(cx);
        } else {
            let _ = cx.session.reject(self.request, error);
            self.phase = Phase::Over;
        }
    }

    /// Has the peer wait for a publisher for as long as it wishes, whatever the upstream answers meanwhile.
    fn hold(&mut self, cx: &mut Cx<'_>) {
        let held = cx.session.hold(cx.now, self.request) == Ok(Hold::Waiting);
        self.phase = if held { Phase::Held } else { Phase::Over };
    }

    fn send(&mut self, track: &Track, cx: &mut Cx<'_>) {
        if self.next < track.next_sequence() {
            for (sequence, _) in track.subgroups.range(self.next..) {
                self.open.insert(*sequence, Cursor::default());
            }
            self.next = track.next_sequence();
        }
        let mut open = std::mem::take(&mut self.open);
        open.retain(|sequence, cursor| self.advance(*sequence, cursor, track, cx));
        self.open = open;
        // The predecessor track is gone: nothing sends the rest of its subgroups.
        let newest = track.newest();
        for ((group, _), sent) in &mut self.sent {
            if sent.from.is_none() && newest.is_some_and(|newest| newest != *group) {
                sent.reset(cx, ResetCode::CANCELLED);
            }
        }
        let request = self.request;
        let oldest = track.next_datagram - track.datagrams.len() as u64;
        self.next_datagram = self.next_datagram.max(oldest);
        for datagram in track.datagrams.iter().skip((self.next_datagram - oldest) as usize) {
            let at = Location::new(datagram.group, datagram.object);
            if self.datagrams.contains(&at) {
                continue;
            }
            if self.datagrams.len() == DATAGRAMS_REMEMBERED {
                self.datagrams.pop_front();
            }
            self.datagrams.push_back(at);
            let _ = cx.session.datagram(request, datagram.clone());
        }
        self.next_datagram = track.next_datagram;
    }

    /// Remembers a group, and forgets the oldest beyond [`GROUPS_REMEMBERED`].
    fn remember(&mut self, group: u64) {
        if self.groups.contains(&group) {
            return;
        }
        self.groups.push_back(group);
        if self.groups.len() > GROUPS_REMEMBERED
            && let Some(oldest) = self.groups.pop_front()
        {
            self.sent.retain(|(group, _), sent| *group != oldest || sent.stream.is_some());
        }
    }

    /// Sends what came on one stream of the source. Returns whether there is, or may be, more to send.
    fn advance(&mut self, sequence: Sequence, cursor: &mut Cursor, track: &Track, cx: &mut Cx<'_>) -> bool {
        let Some(subgroup) = track.subgroups.get(&sequence) else {
            for sent in self.sent.values_mut().filter(|sent| sent.from == Some(sequence)) {
                sent.skip(cx, &track.figures);
            }
            return false;
        };
        let Some(key) = subgroup.key() else { return subgroup.end.is_none() };
        self.remember(key.0);
        let sent = self.sent.entry(key).or_default();
        if sent.from > Some(sequence) {
            return false;
        }
        sent.from = Some(sequence);
        let is_stuck = sent.stream.is_some_and(|stream| cx.backlog(stream) > 0);
        if is_stuck && track.has_newer(key.0, FAN_LAG) {
            sent.skip(cx, &track.figures);
            return false;
        }
        while let Some(object) = subgroup.objects.get(cursor.object) {
            let id = object.header.id;
            let is_before = self.from.is_some_and(|from| Location::new(key.0, id) < from);
            if id < sent.next || is_before {
                cursor.object += 1;
                continue;
            }
            if !std::mem::replace(&mut cursor.has_joined, true) {
                match sent.begun {
                    Some((begun, bytes)) if begun == id => cursor.skip = bytes,
                    None if cursor.object > 0 => {}
                    // Objects may be missing between the two.
                    _ => sent.reset(cx, ResetCode::CANCELLED),
                }
            }
            let stream = match sent.stream {
                Some(stream) if cx.backlog(stream) > FAN_BACKLOG => return true,
                Some(stream) => stream,
                None => {
                    let mut header = subgroup.header;
                    header.first_object &= cursor.object == 0;
                    if cursor.object == 0 && header.subgroup == SubgroupId::Id(0) {
                        header.subgroup = SubgroupId::Zero;
                    }
                    let Ok(stream) = cx.session.open_subgroup(self.request, header) else { return false };
                    *sent.stream.insert(stream)
                }
            };
            if sent.begun.is_none() {
                match cx.session.object(cx.now, stream, &object.header, cx.now) {
                    Ok(Delivery::Sent) => sent.begun = Some((id, 0)),
                    Ok(Delivery::Expired) | Err(_) => {
                        sent.close();
                        return false;
                    }
                }
            }
            for chunk in &object.chunks[cursor.chunk..] {
                let rest = chunk.slice(cursor.skip.min(chunk.len())..);
                cursor.skip -= chunk.len() - rest.len();
                cursor.chunk += 1;
                if rest.is_empty() {
                    continue;
                }
                let len = rest.len();
                if cx.session.payload(stream, rest).is_err() {
                    sent.close();
                    return false;
                }
                track.figures.delivered.inc_by(len as u64);
                sent.begun = sent.begun.map(|(id, bytes)| (id, bytes + len));
            }
            if object.missing > 0 {
                break;
            }
            track.figures.objects.inc();
            (sent.next, sent.begun) = (id + 1, None);
            *cursor = Cursor { object: cursor.object + 1, has_joined: true, ..Cursor::default() };
        }
        match (subgroup.end, cursor.object == subgroup.objects.len()) {
            (None, _) | (Some(End::Finished), false) => true,
            (Some(End::Finished), true) => {
                if let Some(stream) = sent.stream {
                    if !std::mem::replace(&mut sent.has_ended, true) {
                        let _ = cx.session.finish(cx.now, stream);
                    }
                    // Bytes that wait may still be reset, if the peer falls too far behind.
                    if cx.backlog(stream) > 0 {
                        return true;
                    }
                }
                sent.close();
                false
            }
            (Some(End::Reset(code)), _) => {
                sent.reset(cx, code);
                false
            }
            // Another source may send the rest, until a newer group begins.
            (Some(End::Orphaned), _) if track.newest() == Some(key.0) && !track.is_over() => true,
            (Some(End::Orphaned), _) => {
                sent.reset(cx, ResetCode::CANCELLED);
                false
            }
        }
    }

    fn done(&mut self, cx: &mut Cx<'_>, code: DoneCode) {
        // The end of the subscription does not reset streams that were finished.
        let has_ended =
            |from: &Sequence| self.sent.values().any(|sent| sent.from == Some(*from) && sent.has_ended);
        if self.open.keys().all(has_ended) {
            let _ = cx.session.done(self.request, code, "");
            self.phase = Phase::Over;
        }
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let mut track = self.track.borrow_mut();
        track.takers -= 1;
        track.figures.subscriptions.dec();
        track.wake();
    }
}

impl Sent {
    fn reset(&mut self, cx: &mut Cx<'_>, code: ResetCode) {
        self.begun = None;
        if let Some(stream) = self.stream.take() {
            let _ = cx.session.reset(stream, code);
        }
    }

    /// Marks the subgroup as over: nothing more of it is sent.
    fn close(&mut self) {
        *self = Self { from: self.from, next: u64::MAX, ..Self::default() };
    }

    /// Resets the stream unless it has left completely: the peer is too far behind for the rest.
    fn skip(&mut self, cx: &mut Cx<'_>, figures: &Figures) {
        let has_left = self.has_ended && self.stream.is_none_or(|stream| cx.backlog(stream) == 0);
        if self.stream.is_some() && !has_left {
            figures.skipped.inc();
            self.reset(cx, ResetCode::TOO_FAR_BEHIND);
        }
        self.close();
    }
}
