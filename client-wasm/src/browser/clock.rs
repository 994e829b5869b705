//! Time, in a Worker.

use js_sys::{Function, Promise};
use moqt::Micros;
use wasm_bindgen::JsCast as _;
use wasm_bindgen_futures::JsFuture;
use web_sys::DedicatedWorkerGlobalScope;

/// Returns the Worker's global scope.
pub(crate) fn scope() -> DedicatedWorkerGlobalScope {
    js_sys::global().unchecked_into()
}

/// Returns the time since the UNIX epoch, read once when the Worker started and continued by a clock that does not
/// jump.
pub(crate) fn now() -> Micros {
    let Some(performance) = scope().performance() else { return Micros((js_sys::Date::now() * 1e3) as u64) };
    Micros(((performance.time_origin() + performance.now()) * 1e3) as u64)
}

/// Resolves after this time.
pub(crate) async fn sleep(time: Micros) {
    let ms = time.as_millis().min(i32::MAX as u64) as i32;
    let mut start = |resolve: Function, _: Function| {
        let _ = scope().set_timeout_with_callback_and_timeout_and_arguments_0(&resolve, ms);
    };
    let _ = JsFuture::from(Promise::new(&mut start)).await;
}
