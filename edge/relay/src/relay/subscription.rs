//! A subscription or fetch of a peer's, and how far it has got.

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

use super::track::{DATAGRAMS_KEPT, End, Sequence, State, Track};

/// Bytes of one stream that may wait for a fan before the stream gets no more.
pub const FAN_BACKLOG: usize = 256 << 10;
/// Groups of which a subscription knows what it has sent: those that two creators keep who take over from each other.
const GROUPS_REMEMBERED: usize = 2 * GROUPS_KEPT;
/// Datagrams that a subscription knows to have been sent, for the same reason.
const DATAGRAMS_REMEMBERED: usize = 2 * DATAGRAMS_KEPT;
/// Groups by which a fan may be behind before the old one is broken off.
pub const FAN_LAG: usize = 2;

/// A client's subscription, as its relay's admission counts it.
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

/// A subscription that takes from a track.
pub(super) struct Subscription {
    pub(super) track: Rc<RefCell<Track>>,
    pub(super) request: RequestId,
    phase: Phase,
    /// Whether it goes on with what takes the track's place.
    follows: bool,
    /// It was there before the track was.
    waited: bool,
    filter: Option<Filter>,
    /// Objects before this are not sent.
    from: Option<Location>,
    next: Sequence,
    next_datagram: u64,
    /// The datagrams that were sent last.
    datagrams: VecDeque<Location>,
    open: BTreeMap<Sequence, Cursor>,
    /// Counts this subscription until it is dropped, where there is an admission.
    _viewer: Option<Viewer>,
    /// By group and subgroup, of the groups that began last.
    sent: BTreeMap<(u64, u64), Sent>,
    /// The numbers of those groups, in the order in which they began.
    groups: VecDeque<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// The peer waits for an answer.
    Requested,
    /// The peer waits for a publisher to come.
    Held,
    Live,
    Over,
}

/// How much of one subgroup has been sent, whatever stream of the source's it came on: when the source is another, or
/// is there again, its stream begins anew, and the peer's goes on.
#[derive(Default)]
struct Sent {
    stream: Option<StreamId>,
    /// The stream has had its end, which may not have left yet.
    has_ended: bool,
    /// The stream of the source's that it is taken from now.
    from: Option<Sequence>,
    /// The object after the last that was sent whole.
    next: u64,
    /// The object that is being sent, and how many of its bytes were.
    begun: Option<(u64, usize)>,
}

/// How far one stream of the source's has been read.
#[derive(Default)]
struct Cursor {
    object: usize,
    chunk: usize,
    /// Bytes from there on that were sent before.
    skip: usize,
    /// It goes on from what was sent before it.
    has_joined: bool,
}

impl Subscription {
    /// One that the peer asks for.
    pub(super) fn requested(
        track: Rc<RefCell<Track>>,
        request: RequestId,
        filter: Option<Filter>,
        viewer: Option<Viewer>,
    ) -> Self {
        let mut this = Self::new(track, request, Phase::Requested, viewer);
        this.filter = filter;
        this
    }

    /// One that we offered: objects may be sent at once. It `follows` unless it is for one creator.
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
        // Without a filter, a fan is given the newest group from its start: what it
        // can begin with at once. With one, it gets what the filter says.
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

    /// Goes on with the track that has taken this one's place, from its start.
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

    /// The peer wants no more of a stream.
    pub(super) fn stopped(&mut self, stream: StreamId) {
        for sent in self.sent.values_mut().filter(|sent| sent.stream == Some(stream)) {
            sent.close();
        }
    }

    /// Sends what there is to send.
    pub(super) fn poll(&mut self, task: &mut Context<'_>, cx: &mut Cx<'_>) {
        self.move_to_successor();
        let track = Rc::clone(&self.track);
        let mut track = track.borrow_mut();
        track.watch(task.waker());
        match (&track.state, self.phase) {
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
        let absent = error.code == RequestCode::DOES_NOT_EXIST;
        self.phase = if absent && cx.session.hold(cx.now, self.request) == Ok(Hold::Waiting) {
            Phase::Held
        } else {
            // Held in vain, it has been refused by the session.
            let _ = cx.session.reject(self.request, error);
            Phase::Over
        };
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
        // Nobody sends the rest of what came from the track before this one.
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

    /// Remembers what has been sent of a group, and forgets one that is over for long.
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

    /// Sends on what came on one stream. Whether there is, or may be, more to send.
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
                    // There may be objects between.
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
                    // What waits to leave may be broken off as long as it does.
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
            // The rest may come, as long as nothing newer does.
            (Some(End::Orphaned), _) if track.newest() == Some(key.0) && !track.is_over() => true,
            (Some(End::Orphaned), _) => {
                sent.reset(cx, ResetCode::CANCELLED);
                false
            }
        }
    }

    fn done(&mut self, cx: &mut Cx<'_>, code: DoneCode) {
        // Streams that have had their end are not broken off by that of the subscription.
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

    /// Nothing of the subgroup is sent any more.
    fn close(&mut self) {
        *self = Self { from: self.from, next: u64::MAX, ..Self::default() };
    }

    /// The peer is too far behind to get the rest.
    fn skip(&mut self, cx: &mut Cx<'_>, figures: &Figures) {
        let has_left = self.has_ended && self.stream.is_none_or(|stream| cx.backlog(stream) == 0);
        if self.stream.is_some() && !has_left {
            figures.skipped.inc();
            self.reset(cx, ResetCode::TOO_FAR_BEHIND);
        }
        self.close();
    }
}
