//! FETCH requests that are answered from the groups that this node keeps.

use std::{cell::RefCell, collections::BTreeMap, rc::Rc, task::Context};

use moqt::{
    Cx, FetchOk, GroupOrder, Location, ResetCode,
    data::{FetchObject, RangeEnd, SubgroupId},
    session::{RequestId, StreamId},
};

use super::{
    subscription::FAN_BACKLOG,
    track::{Sequence, State, Track},
};

/// A FETCH of a peer, answered from the kept groups.
pub(super) struct Fetch {
    track: Rc<RefCell<Track>>,
    pub(super) request: RequestId,
    stream: StreamId,
    /// The objects left to send, in reverse: location, stream and index in it.
    plan: Vec<(Location, Sequence, usize)>,
    /// The end of the part that is no longer kept, until it has been sent.
    unknown: Option<RangeEnd>,
    /// Set once the next object's header has been sent.
    begun: bool,
    /// Chunks of the next object that were sent.
    chunk: usize,
}

impl Fetch {
    /// Returns whether a range that begins at `start` is kept in full.
    pub(super) fn is_whole(track: &Track, start: Location) -> bool {
        matches!(track.state, State::Live | State::Ended(_))
            && start.group >= track.whole_from
            && track.oldest().is_some_and(|oldest| oldest <= start.group)
    }

    /// Returns whether any part of a range up to `end` is kept.
    pub(super) fn is_partial(track: &Track, end: Location) -> bool {
        track.oldest().is_some_and(|oldest| oldest < end.group || (oldest == end.group && end.object != 1))
    }

    /// Accepts a FETCH of kept groups and plans what to send.
    pub(super) fn accept(
        track: Rc<RefCell<Track>>,
        request: RequestId,
        (start, end): (Location, Location),
        order: GroupOrder,
        cx: &mut Cx<'_>,
    ) -> Option<Self> {
        let mut plan = Vec::new();
        let mut here = BTreeMap::new();
        let mut unknown = None;
        let ok = {
            let track = track.borrow();
            let largest = track.largest?;
            let last = Location::new(largest.group, largest.object.saturating_add(1));
            let whole = end.object == 0;
            let within = |at: Location| at >= start && (at < end || (whole && at.group == end.group));
            // The range begins with groups that are no longer kept.
            let first = track.whole_from.max(track.oldest().unwrap_or_default());
            if start.group < first {
                unknown = Some(RangeEnd::Unknown(Location::new(first - 1, u64::MAX)));
            }
            for (sequence, subgroup) in &track.subgroups {
                for (index, object) in subgroup.objects.iter().enumerate() {
                    let at = Location::new(subgroup.header.group, object.header.id);
                    if within(at) && object.header.status == moqt::data::Status::Normal {
                        // The object may have come twice, from two sources: prefer a complete one.
                        let (found, is_whole) = ((*sequence, index), object.missing == 0);
                        let known = here.entry(at).or_insert((found, is_whole));
                        if !known.1 {
                            *known = (found, is_whole);
                        }
                    }
                }
            }
            plan.extend(here.into_iter().map(|(at, ((sequence, index), _))| (at, sequence, index)));
            match order {
                GroupOrder::Ascending => plan.sort_by_key(|(at, ..)| std::cmp::Reverse(*at)),
                GroupOrder::Descending => {
                    plan.sort_by_key(|(at, ..)| (at.group, std::cmp::Reverse(at.object)));
                }
            }
            let beyond = end > last || (whole && end.group >= last.group);
            let end = if beyond { last } else { end };
            FetchOk { end, properties: track.properties.clone(), ..FetchOk::default() }
        };
        cx.session.accept_fetch(request, ok).ok()?;
        let stream = cx.session.open_fetch(request).ok()?;
        if order == GroupOrder::Ascending
            && let Some(end) = unknown.take()
        {
            cx.session.range_end(stream, end).ok()?;
        }
        Some(Self { track, request, stream, plan, unknown, begun: false, chunk: 0 })
    }

    /// Sends what the peer can take. Returns whether there is more to send.
    pub(super) fn poll(&mut self, task: &mut Context<'_>, cx: &mut Cx<'_>) -> bool {
        let track = Rc::clone(&self.track);
        let mut track = track.borrow_mut();
        track.watch(task.waker());
        while let Some(&(location, sequence, index)) = self.plan.last() {
            if cx.backlog(self.stream) > FAN_BACKLOG {
                return true;
            }
            let subgroup = track.subgroups.get(&sequence);
            let Some((subgroup, object)) =
                subgroup.and_then(|subgroup| Some((subgroup, subgroup.objects.get(index)?)))
            else {
                // The group was evicted in the meantime.
                let _ = cx.session.reset(self.stream, ResetCode::UNKNOWN_OBJECT_STATUS);
                return false;
            };
            if !self.begun {
                let id = match subgroup.header.subgroup {
                    SubgroupId::Id(id) => id,
                    SubgroupId::Zero | SubgroupId::FirstObject => 0,
                };
                let header = FetchObject {
                    location,
                    subgroup: Some(id),
                    priority: subgroup.header.priority.unwrap_or(128),
                    properties: object.header.properties.clone(),
                    payload_len: object.header.payload_len,
                };
                if cx.session.fetch_object(self.stream, &header).is_err() {
                    return false;
                }
                self.begun = true;
            }
            for chunk in &object.chunks[self.chunk..] {
                if cx.session.payload(self.stream, chunk.clone()).is_err() {
                    return false;
                }
                self.chunk += 1;
            }
            if object.missing > 0 {
                if subgroup.end.is_some() {
                    let _ = cx.session.reset(self.stream, ResetCode::UNKNOWN_OBJECT_STATUS);
                    return false;
                }
                return true;
            }
            self.plan.pop();
            (self.begun, self.chunk) = (false, 0);
        }
        if let Some(end) = self.unknown.take() {
            let _ = cx.session.range_end(self.stream, end);
        }
        let _ = cx.session.finish(cx.now, self.stream);
        false
    }
}
