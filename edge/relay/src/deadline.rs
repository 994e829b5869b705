//! A timer that can be moved.

use std::task::Context;

use moqt::{Later, Micros};

use crate::Platform;

/// Wakes a task at a time that may change from one poll to the next.
#[derive(Default)]
pub struct Deadline(Option<(Micros, Later<'static, ()>)>);

impl Deadline {
    /// Arranges for the task to be woken at `due`, if there is such a time.
    pub fn wake(&mut self, platform: &dyn Platform, task: &mut Context<'_>, due: Option<Micros>) {
        let Some(due) = due else { return };
        if self.0.as_ref().is_none_or(|(at, _)| *at != due) {
            self.0 = Some((due, platform.sleep((due - platform.now()).into())));
        }
        if let Some((_, sleep)) = &mut self.0
            && sleep.as_mut().poll(task).is_ready()
        {
            self.0 = None;
            task.waker().wake_by_ref();
        }
    }
}
