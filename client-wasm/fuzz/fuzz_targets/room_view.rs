//! Objects of the room's tracks become JSON or are refused.
//!
//! The input is a series of objects: a byte for the group, one for the object's ID, one for the length, the object.
#![no_main]

use fanfare_client::room_view::{Chat, whole};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let _ = whole(input);
    let mut chat = Chat::default();
    let mut rest = input;
    while let [group, object, len, after @ ..] = rest {
        let (payload, after) = after.split_at(after.len().min(usize::from(*len)));
        rest = after;
        if *group == u8::MAX {
            chat.subscribed();
        }
        let mut packet = vec![wire::VERSION];
        packet.extend(payload);
        let _ = chat.object(u64::from(*group), u64::from(*object), &packet);
    }
});
