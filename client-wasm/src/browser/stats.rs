//! Numbers about playback for the viewer.

use js_sys::{Object, Reflect};
use moqt::Micros;
use wasm_bindgen::JsValue;

/// Difference above which two clocks are taken for unrelated: the creator's timestamps are then not wall-clock time.
const SAME_CLOCK: Micros = Micros::from_millis(3_600_000);
/// Span over which rates are computed.
const SPAN: Micros = Micros::from_millis(1_000);

/// Counters, and the rates computed from them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stats {
    /// Frames shown.
    pub(crate) shown: u64,
    /// Frames that were late, or skipped in favour of later ones.
    pub(crate) dropped: u64,
    /// Failures of a decoder.
    pub(crate) errors: u64,
    /// Bytes of media received.
    pub(crate) bytes: u64,
    /// Capture time of the newest frame shown, and the time at which it was shown.
    pub(crate) newest: Option<(Micros, Micros)>,
    /// Time from a request to its answer.
    pub(crate) rtt: Option<Micros>,
    /// Time from connecting to the first frame.
    pub(crate) first_frame: Option<Micros>,
    since: Micros,
    before: (u64, u64),
    fps: f64,
    bitrate: f64,
}

/// Numbers that other parts of the player hold.
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
    /// Delay of the picture behind the sound, in microseconds.
    pub(crate) sync: Option<f64>,
    pub(crate) throughput: Option<f64>,
}

impl Stats {
    /// Computes the rates anew, once per span.
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

    /// Returns the page's object: times in milliseconds, rates in bits per second.
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
