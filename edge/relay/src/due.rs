//! When a session is to be looked at again.

use std::{task::Context, time::Duration};

use moqt::Micros;

use crate::{Later, Platform};

/// Has a task woken when something is due, which may change from one look to the next.
#[derive(Default)]
pub struct Due(Option<(Micros, Later<'static, ()>)>);

impl Due {
    /// Has the task woken at that time, if there is one.
    pub fn wake(&mut self, platform: &dyn Platform, task: &mut Context<'_>, due: Option<Micros>) {
        let Some(due) = due else { return };
        if self.0.as_ref().is_none_or(|(at, _)| *at != due) {
            let wait = Duration::from_micros((due - platform.now()).0);
            self.0 = Some((due, platform.sleep(wait)));
        }
        if let Some((_, sleep)) = &mut self.0
            && sleep.as_mut().poll(task).is_ready()
        {
            self.0 = None;
            task.waker().wake_by_ref();
        }
    }
}
