//! The view of a room for pages: the shared tracks as JSON, with each chat line once.

mod chat;
pub use chat::Chat;

mod view;

use wire::{Error, Frame, Frames, PollStrangers, TrackItem};

use outbox::{HeldLine, Identity};

/// Returns the JSON of the last pulse or stage in an object.
pub fn whole(payload: &[u8]) -> Result<Option<String>, Error> {
    let (mut json, mut strangers) = (None, PollStrangers::default());
    for item in Frames::<TrackItem<'_>>::new(payload)? {
        match item? {
            Frame::Known(TrackItem::Pulse(pulse)) => {
                json = Some(view::json(&view::Pulse::new(&pulse, &strangers)));
            }
            Frame::Known(TrackItem::Strangers(votes)) => strangers = votes,
            Frame::Known(TrackItem::Stage(stage)) => json = Some(view::json(&view::Stage::from(&stage))),
            _ => {}
        }
    }
    Ok(json)
}

/// Returns the JSON of the fan's identity.
pub fn identity(identity: &Identity) -> String {
    view::json(&view::Identity::from(identity))
}

/// Returns the JSON of a line that is held for a moderator.
pub fn waiting(waiting: &HeldLine) -> String {
    view::json(&view::Waiting::from(waiting))
}

/// Returns text as a JSON string.
pub fn text(text: &str) -> String {
    view::json(&text)
}
