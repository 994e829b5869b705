//! What a viewer may want to know.

use js_sys::{Object, Reflect};
use moqt::Micros;
use wasm_bindgen::JsValue;

/// Clocks that are this far apart are not the same clock: the creator's is not that of the wall.
const SAME_CLOCK: Micros = Micros::from_millis(3_600_000);
/// Rates are over this.
const SPAN: Micros = Micros::from_millis(1_000);

/// Counters, and the rates made of them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stats {
    /// Frames shown.
    pub(crate) shown: u64,
    /// Frames that came too late, or were left out for later ones.
    pub(crate) dropped: u64,
    /// Times a decoder failed.
    pub(crate) errors: u64,
    /// Bytes of media received.
    pub(crate) bytes: u64,
    /// Capture of the newest frame shown, and when that was shown.
    pub(crate) newest: Option<(Micros, Micros)>,
    /// Of a request and its answer.
    pub(crate) rtt: Option<Micros>,
    /// From connecting to the first frame.
    pub(crate) first_frame: Option<Micros>,
    since: Micros,
    before: (u64, u64),
    fps: f64,
    bitrate: f64,
}

/// What others know.
pub(crate) struct Others<'a> {
    pub(crate) state: &'a str,
    pub(crate) transport: Option<&'static str>,
    pub(crate) rendition: Option<String>,
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) codec: Option<String>,
    pub(crate) target: Micros,
    pub(crate) delay: Micros,
    pub(crate) buffer: Micros,
    /// Of the picture behind the sound, in microseconds.
    pub(crate) sync: Option<f64>,
    pub(crate) throughput: Option<f64>,
}

impl Stats {
    /// Brings the rates up to date.
    pub(crate) fn tick(&mut self, now: Micros) {
        let span = now - self.since;
        if span < SPAN {
            return;
        }
        let seconds = span.0 as f64 / 1e6;
        let (shown, bytes) = (self.shown - self.before.0, self.bytes - self.before.1);
        if self.since.0 > 0 {
            self.fps = shown as f64 / seconds;
            self.bitrate = bytes as f64 * 8.0 / seconds;
        }
        self.since = now;
        self.before = (self.shown, self.bytes);
    }

    /// All of it, as the page gets it: times in milliseconds, rates in bits a second.
    pub(crate) fn to_js(&self, others: &Others<'_>) -> JsValue {
        let object = Object::new();
        let set = |name: &str, value: JsValue| {
            let _ = Reflect::set(&object, &name.into(), &value);
        };
        let ms = |time: Micros| JsValue::from_f64(time.0 as f64 / 1e3);
        let maybe = |time: Option<Micros>| time.map_or(JsValue::NULL, ms);
        set("state", others.state.into());
        set("transport", others.transport.map_or(JsValue::NULL, Into::into));
        set("rtt", maybe(self.rtt));
        let latency = self.newest.map(|(media, shown)| shown - media);
        set("latency", maybe(latency.filter(|latency| *latency < SAME_CLOCK)));
        set("target", ms(others.target));
        set("delay", ms(others.delay));
        set("buffer", ms(others.buffer));
        set("sync", others.sync.map_or(JsValue::NULL, |sync| (sync / 1e3).into()));
        set("fps", self.fps.into());
        set("frames", (self.shown as f64).into());
        set("dropped", (self.dropped as f64).into());
        set("errors", (self.errors as f64).into());
        set("bitrate", self.bitrate.into());
        set("throughput", others.throughput.map_or(JsValue::NULL, Into::into));
        set("rendition", others.rendition.as_deref().map_or(JsValue::NULL, Into::into));
        set("width", others.width.into());
        set("height", others.height.into());
        set("codec", others.codec.as_deref().map_or(JsValue::NULL, Into::into));
        set("firstFrame", maybe(self.first_frame));
        object.into()
    }
}
