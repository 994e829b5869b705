//! What a room shows to everyone, as a page gets it: in JSON, and each line once.

mod chat;
pub use chat::Chat;

mod view;

use wire::{Error, Frame, Frames, TrackItem};

use outbox::{HeldLine, Identity};

/// The last pulse or stage in an object, for the page.
pub fn whole(payload: &[u8]) -> Result<Option<String>, Error> {
    let mut json = None;
    for item in Frames::<TrackItem<'_>>::new(payload)? {
        match item? {
            Frame::Known(TrackItem::Pulse(pulse)) => json = Some(view::json(&view::Pulse::from(&pulse))),
            Frame::Known(TrackItem::Stage(stage)) => json = Some(view::json(&view::Stage::from(&stage))),
            _ => {}
        }
    }
    Ok(json)
}

/// Who the fan is, for the page.
pub fn identity(identity: &Identity) -> String {
    view::json(&view::Identity::from(identity))
}

/// A line that waits for a moderator, for the page.
pub fn waiting(waiting: &HeldLine) -> String {
    view::json(&view::Waiting::from(waiting))
}

/// Text, for the page.
pub fn text(text: &str) -> String {
    view::json(&text)
}
