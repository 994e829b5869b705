//! Order in which streams are sent.

use crate::GroupOrder;

/// Urgency of a stream: the transport sends the highest first (Section 7.2).
///
/// From the highest bits down: control before requests before objects; then the subscriber's priority, the
/// publisher's, the group in the order asked for, and the lower subgroup.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SendOrder(i64);

/// Groups on either side of the base that have a rank of their own.
pub(super) const GROUP_SPAN: i64 = 1 << 13;

impl SendOrder {
    /// Rank above all others, of control streams.
    pub const CONTROL: Self = Self((1 << 47) - 1);
    /// Rank above all objects, of request streams.
    pub const REQUEST: Self = Self(1 << 46);

    pub(super) fn object(subscriber: u8, publisher: u8, group_rank: i64, subgroup: u64) -> Self {
        let rank = (group_rank + GROUP_SPAN).clamp(0, 2 * GROUP_SPAN - 1);
        let subgroup = 0xFFFF - i64::try_from(subgroup.min(0xFFFF)).unwrap_or(0xFFFF);
        Self(i64::from(255 - subscriber) << 38 | i64::from(255 - publisher) << 30 | rank << 16 | subgroup)
    }

    /// Returns the rank for transports with 64 bits, such as WebTransport's `sendOrder`.
    pub const fn to_i64(self) -> i64 {
        self.0
    }

    /// Returns the rank for transports with 32 bits, such as quinn's stream priority: without the subgroup,
    /// which then shares a rank with the others of its group.
    pub const fn to_i32(self) -> i32 {
        (self.0 >> 16) as i32
    }
}

/// The rank of a group among those near `base`: higher goes first.
pub(super) fn group_rank(order: GroupOrder, base: u64, group: u64) -> i64 {
    let offset = i64::try_from(i128::from(group) - i128::from(base))
        .unwrap_or(if group > base { i64::MAX } else { i64::MIN })
        .clamp(-GROUP_SPAN, GROUP_SPAN);
    match order {
        GroupOrder::Ascending => -offset,
        GroupOrder::Descending => offset,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(subscriber: u8, publisher: u8, order: GroupOrder, group: u64, subgroup: u64) -> SendOrder {
        SendOrder::object(subscriber, publisher, group_rank(order, 100, group), subgroup)
    }

    #[test]
    fn the_drafts_rules_apply_in_their_order() {
        use GroupOrder::{Ascending, Descending};
        let ascending_urgency = [
            object(200, 0, Ascending, 0, 0),
            object(128, 200, Ascending, 0, 0),
            object(128, 128, Ascending, 102, 0),
            object(128, 128, Ascending, 101, 1),
            object(128, 128, Ascending, 101, 0),
            object(128, 128, Ascending, 100, 0),
            object(128, 0, Ascending, 200, 0),
            object(0, 255, Ascending, 200, 0),
            object(0, 0, Descending, 99, 0),
            object(0, 0, Descending, 101, 0),
            SendOrder::REQUEST,
            SendOrder::CONTROL,
        ];
        assert!(ascending_urgency.is_sorted());
        assert!(ascending_urgency.iter().map(|order| order.to_i32()).is_sorted());
        assert!(SendOrder::object(0, 0, i64::MAX / 2, 0) < SendOrder::REQUEST);
    }
}
