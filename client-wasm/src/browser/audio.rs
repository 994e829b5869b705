//! Audio playback: from encoded sound to the ring that the loudspeaker reads.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
};

use bytes::Bytes;
use js_sys::{Array, Atomics, Float32Array, Float64Array, Int32Array, Object, Reflect, Uint8Array};
use moqt::Micros;
use wasm_bindgen::{JsCast as _, JsValue, closure::Closure};
use web_sys::{
    AudioData, AudioDataCopyToOptions, AudioDecoder, AudioDecoderConfig, AudioDecoderInit, AudioSampleFormat,
    CodecState, EncodedAudioChunk, EncodedAudioChunkInit, EncodedAudioChunkType, MessageEvent, MessagePort,
};

use crate::{
    browser::transport::describe,
    catalog,
    frame::Frame,
    jitter::{self, MAX_SKEW, Position},
    ring::{Timeline, widen},
};

/// Slots of the integers and floats that the worklet shares with us; `worklet.js` has the same.
mod slot {
    /// Index after the last written sample, its lowest 32 bits.
    pub(super) const WRITE: u32 = 0;
    /// Index of the next sample to be read, its lowest 32 bits.
    pub(super) const READ: u32 = 1;
    /// Index to continue at, if it is after the one that is read.
    pub(super) const FLOOR: u32 = 2;
    /// Samples of silence to insert.
    pub(super) const SILENCE: u32 = 3;
    /// 1 while playing.
    pub(super) const PLAY: u32 = 4;
    /// Floats: samples read for each sample played.
    pub(super) const SPEED: u32 = 0;
    /// Floats: the same at normal speed.
    pub(super) const RATIO: u32 = 1;
    /// Floats: the index read minus the worklet's own time, in samples of the ring.
    pub(super) const OFFSET: u32 = 2;
}

/// Error in microseconds beyond which the ring jumps; below it, playback goes faster or slower.
const JUMP: f64 = 120_000.0;
/// Time that a jump takes to show in the worklet's numbers.
const AFTER_JUMP: Micros = Micros::from_millis(400);
/// Largest number of packets in the decoder.
const MAX_QUEUED: u32 = 12;

/// Decodes the sound and keeps playback in time with the playhead.
pub(crate) struct Audio {
    decoder: Option<Decoder>,
    ring: Rc<RefCell<Ring>>,
    error: Rc<RefCell<Option<String>>>,
    on_data: Closure<dyn FnMut(AudioData)>,
    on_error: Closure<dyn FnMut(JsValue)>,
    clock: Option<Clock>,
    started: bool,
    jumped: Micros,
}

struct Decoder {
    codec: AudioDecoder,
    source: u32,
    description: Option<Bytes>,
}

/// The page's measurement of its loudspeaker.
#[derive(Clone, Copy)]
struct Clock {
    /// Position that is audible, in seconds of the audio context.
    heard: f64,
    /// Time of the measurement.
    at: Micros,
    /// Delay from rendering to audibility.
    latency: Micros,
}

struct Ring {
    sink: Sink,
    timeline: Timeline,
    context_rate: f64,
    capacity: u32,
    read: u64,
}

enum Sink {
    /// Memory that the worklet reads.
    Shared { ints: Int32Array, floats: Float64Array, planes: Vec<Float32Array> },
    /// Messages to the worklet, where memory cannot be shared.
    Port { port: MessagePort, state: Rc<State>, planes: u32, _on_message: Closure<dyn FnMut(MessageEvent)> },
}

/// The worklet's last message.
#[derive(Default)]
struct State {
    read: Cell<i32>,
    offset: Cell<f64>,
}

impl Audio {
    /// Plays into the ring or port that the page made: see `js/sound.js`.
    pub(crate) fn new(link: &JsValue) -> Result<Self, JsValue> {
        let ring = Rc::new(RefCell::new(Ring::new(link)?));
        let error: Rc<RefCell<Option<String>>> = Rc::default();
        let output = Rc::clone(&ring);
        let on_data = Closure::new(move |data: AudioData| {
            let _ = output.borrow_mut().write(&data);
            data.close();
        });
        let output = Rc::clone(&error);
        let on_error = Closure::new(move |error| *output.borrow_mut() = Some(describe(&error)));
        Ok(Self {
            decoder: None,
            ring,
            error,
            on_data,
            on_error,
            clock: None,
            started: false,
            jumped: Micros(0),
        })
    }

    /// Sets the page's measurement: the position that is audible at a time, in seconds of its audio context.
    pub(crate) fn set_clock(&mut self, heard: f64, at: Micros, latency: Micros) {
        self.clock = Some(Clock { heard, at, latency });
    }

    /// Returns whether the decoder accepts another packet.
    pub(crate) fn has_room(&self) -> bool {
        self.decoder.as_ref().is_none_or(|decoder| decoder.codec.decode_queue_size() < MAX_QUEUED)
    }

    /// Decodes a packet.
    pub(crate) fn decode(&mut self, source: u32, track: &catalog::Audio, frame: &Frame) {
        let changed = self.decoder.as_ref().is_none_or(|decoder| {
            decoder.source != source || frame.config.is_some() && decoder.description != frame.config
        });
        let decoding = if changed { self.configure(source, track, frame) } else { Ok(()) };
        let init = EncodedAudioChunkInit::new_with_u8_array(
            &Uint8Array::from(&frame.data[..]),
            0,
            EncodedAudioChunkType::Key,
        );
        init.set_timestamp_f64(frame.media.0 as f64);
        let decoding = decoding
            .and_then(|()| EncodedAudioChunk::new(&init))
            .and_then(|chunk| self.decoder.as_ref().map_or(Ok(()), |decoder| decoder.codec.decode(&chunk)));
        if let Err(error) = decoding {
            *self.error.borrow_mut() = Some(describe(&error));
        }
    }

    /// Returns the decoder's error, if it failed since the last call; the decoder starts over.
    pub(crate) fn take_error(&mut self) -> Option<String> {
        let error = self.error.borrow_mut().take()?;
        self.drop_decoder();
        Some(error)
    }

    /// Steers playback towards the playhead. Returns the capture time of the sound that is audible, if there is any.
    pub(crate) fn steer(&mut self, now: Micros, position: &Position) -> Option<Micros> {
        let mut ring = self.ring.borrow_mut();
        let clock = self.clock?;
        if position.settling {
            return None;
        }
        if !self.started {
            let index = ring.timeline.index_at(position.media + clock.latency)?;
            if index >= ring.timeline.end() {
                return None;
            }
            ring.go_on_at(index);
            ring.play(true);
            self.started = true;
            self.jumped = now;
            return None;
        }
        let heard = ring.heard(&clock, now)?;
        let error = position.media.0 as f64 - heard;
        let settled = now - self.jumped > AFTER_JUMP;
        if error.abs() > JUMP && settled {
            self.jumped = now;
            let samples = error.abs() * f64::from(ring.timeline.rate()) / 1e6;
            if error > 0.0 {
                let to = ring.read() + samples as u64;
                let end = ring.timeline.end();
                ring.go_on_at(to.min(end));
            } else {
                ring.insert_silence(samples as i32);
            }
            return None;
        }
        // The playhead's own rate, plus the rate that makes up for the error.
        let speed = position.rate + jitter::rate(error) - 1.0;
        ring.set_speed(speed.clamp(1.0 - MAX_SKEW, 1.0 + MAX_SKEW));
        (error.abs() <= JUMP).then_some(Micros(heard.max(0.0) as u64))
    }

    /// Plays silence until there is sound that is in time again.
    pub(crate) fn reset(&mut self) {
        self.drop_decoder();
        let mut ring = self.ring.borrow_mut();
        ring.play(false);
        let (rate, capacity) = (ring.timeline.rate(), ring.capacity);
        let end = ring.timeline.end();
        ring.timeline = Timeline::new(rate, capacity, end);
        ring.go_on_at(end);
        self.started = false;
    }

    fn configure(&mut self, source: u32, track: &catalog::Audio, frame: &Frame) -> Result<(), JsValue> {
        self.drop_decoder();
        let config = AudioDecoderConfig::new(&track.codec, track.channels, track.rate);
        let description = frame.config.clone().or_else(|| track.description.clone());
        if let Some(description) = &description {
            config.set_description_u8_array(&Uint8Array::from(&description[..]));
        }
        let init = AudioDecoderInit::new(
            self.on_error.as_ref().unchecked_ref(),
            self.on_data.as_ref().unchecked_ref(),
        );
        let decoder = AudioDecoder::new(&init)?;
        decoder.configure(&config)?;
        self.decoder = Some(Decoder { codec: decoder, source, description });
        Ok(())
    }

    fn drop_decoder(&mut self) {
        if let Some(Decoder { codec, .. }) = self.decoder.take()
            && codec.state() != CodecState::Closed
        {
            let _ = codec.close();
        }
    }
}

impl Drop for Audio {
    fn drop(&mut self) {
        self.drop_decoder();
        self.ring.borrow_mut().play(false);
    }
}

impl Ring {
    fn new(link: &JsValue) -> Result<Self, JsValue> {
        let get = |name: &str| Reflect::get(link, &name.into());
        let number = |name: &str| get(name).map(|value| value.as_f64().unwrap_or_default());
        let capacity = number("capacity")? as u32;
        let context_rate = number("rate")?;
        let port = get("port")?;
        let sink = if port.is_truthy() {
            let port: MessagePort = port.unchecked_into();
            let state: Rc<State> = Rc::default();
            let worklet = Rc::clone(&state);
            let on_message = Closure::<dyn FnMut(MessageEvent)>::new(move |event: MessageEvent| {
                let get = |name: &str| Reflect::get(&event.data(), &name.into()).ok()?.as_f64();
                worklet.read.set(get("read").unwrap_or_default() as i32);
                worklet.offset.set(get("offset").unwrap_or_default());
            });
            port.set_onmessage(Some(on_message.as_ref().unchecked_ref()));
            Sink::Port { port, state, planes: number("channels")? as u32, _on_message: on_message }
        } else {
            let planes: Array = get("planes")?.unchecked_into();
            Sink::Shared {
                ints: Int32Array::new(&get("ints")?),
                floats: Float64Array::new(&get("floats")?),
                planes: planes.iter().map(|plane| Float32Array::new(&plane)).collect(),
            }
        };
        let rate = context_rate as u32;
        let mut ring =
            Self { sink, timeline: Timeline::new(rate, capacity, 0), context_rate, capacity, read: 0 };
        let read = ring.read();
        ring.timeline = Timeline::new(rate, capacity, read);
        Ok(ring)
    }

    /// Returns the index of the next sample to be read.
    fn read(&mut self) -> u64 {
        let low = match &self.sink {
            Sink::Shared { ints, .. } => Atomics::load(ints, slot::READ).unwrap_or_default(),
            Sink::Port { state, .. } => state.read.get(),
        };
        self.read = widen(low, self.read);
        self.read
    }

    /// Returns the capture time of the sound that is audible now.
    fn heard(&mut self, clock: &Clock, now: Micros) -> Option<f64> {
        let offset = match &self.sink {
            Sink::Shared { floats, .. } => floats.get_index(slot::OFFSET),
            Sink::Port { state, .. } => state.offset.get(),
        };
        let seconds = clock.heard + (now.0 as f64 - clock.at.0 as f64) / 1e6;
        let index = seconds * f64::from(self.timeline.rate()) + offset;
        // The worklet counts from the lowest 32 bits.
        let base = self.read() & !0xFFFF_FFFF;
        self.timeline.media_at(index + base as f64)
    }

    fn write(&mut self, data: &AudioData) -> Result<(), JsValue> {
        let rate = data.sample_rate() as u32;
        if rate != self.timeline.rate() && rate > 0 {
            let end = self.timeline.end();
            self.timeline = Timeline::new(rate, self.capacity, end);
            self.set_float(slot::RATIO, f64::from(rate) / self.context_rate);
            self.set_speed(1.0);
        }
        let read = self.read();
        let media = Micros(data.timestamp().max(0.0) as u64);
        let Some(span) = self.timeline.place(media, data.number_of_frames(), read) else { return Ok(()) };
        let channels = data.number_of_channels().max(1);
        let options = |plane: u32, from: u32, count: u32| {
            let options = AudioDataCopyToOptions::new(plane.min(channels - 1));
            options.set_format(AudioSampleFormat::F32Planar);
            options.set_frame_offset(from);
            options.set_frame_count(count);
            options
        };
        match &self.sink {
            Sink::Shared { ints, planes, .. } => {
                for (plane, samples) in planes.iter().enumerate() {
                    for (start, end, _) in pieces(self.capacity, span.index, span.silence) {
                        samples.fill(0.0, start, end);
                    }
                    let sound = span.index + u64::from(span.silence);
                    for (start, end, done) in pieces(self.capacity, sound, span.samples) {
                        let options = options(plane as u32, span.skip + done, end - start);
                        data.copy_to_with_buffer_source(&samples.subarray(start, end), &options)?;
                    }
                }
                Atomics::store(ints, slot::WRITE, self.timeline.end() as i32)?;
            }
            Sink::Port { port, planes, .. } => {
                let (copies, buffers) = (Array::new(), Array::new());
                for plane in 0..*planes {
                    let copy = Float32Array::new_with_length(span.silence + span.samples);
                    if span.samples > 0 {
                        let options = options(plane, span.skip, span.samples);
                        let sound = copy.subarray(span.silence, span.silence + span.samples);
                        data.copy_to_with_buffer_source(&sound, &options)?;
                    }
                    buffers.push(&copy.buffer());
                    copies.push(&copy);
                }
                let message = Object::new();
                Reflect::set(&message, &"index".into(), &(span.index as i32).into())?;
                Reflect::set(&message, &"planes".into(), &copies)?;
                port.post_message_with_transferable(&message, &buffers)?;
            }
        }
        Ok(())
    }

    fn go_on_at(&self, index: u64) {
        self.set_int(slot::FLOOR, index as i32);
    }

    fn insert_silence(&self, samples: i32) {
        self.set_int(slot::SILENCE, samples);
    }

    fn play(&self, play: bool) {
        self.set_int(slot::PLAY, play.into());
    }

    fn set_speed(&self, speed: f64) {
        let ratio = f64::from(self.timeline.rate()) / self.context_rate;
        self.set_float(slot::SPEED, speed * ratio);
    }

    fn set_int(&self, slot: u32, value: i32) {
        match &self.sink {
            Sink::Shared { ints, .. } => {
                let _ = Atomics::store(ints, slot, value);
            }
            Sink::Port { port, .. } => post_slot(port, "int", slot, value.into()),
        }
    }

    fn set_float(&self, slot: u32, value: f64) {
        match &self.sink {
            Sink::Shared { floats, .. } => floats.set_index(slot, value),
            Sink::Port { port, .. } => post_slot(port, "float", slot, value),
        }
    }
}

fn post_slot(port: &MessagePort, kind: &str, slot: u32, value: f64) {
    let message = Array::of3(&kind.into(), &slot.into(), &value.into());
    let _ = port.post_message(&message);
}

/// Splits a stretch of the ring into its contiguous pieces: start, end, and the number of samples before each.
fn pieces(capacity: u32, index: u64, samples: u32) -> impl Iterator<Item = (u32, u32, u32)> {
    let capacity = capacity.max(1);
    let samples = samples.min(capacity);
    let start = (index % u64::from(capacity)) as u32;
    let first = samples.min(capacity - start);
    let parts = [(start, start + first, 0), (0, samples - first, first)];
    parts.into_iter().filter(|(start, end, _)| start < end)
}
