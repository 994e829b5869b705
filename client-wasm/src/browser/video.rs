//! Video playback: from encoded frames to the canvas.

use std::{cell::RefCell, collections::VecDeque, rc::Rc};

use bytes::Bytes;
use js_sys::{Object, Promise, Reflect, Uint8Array};
use moqt::Micros;
use wasm_bindgen::{JsCast as _, JsValue, closure::Closure};
use wasm_bindgen_futures::JsFuture;
use web_sys::{
    CodecState, EncodedVideoChunk, EncodedVideoChunkInit, EncodedVideoChunkType, OffscreenCanvas,
    OffscreenCanvasRenderingContext2d, VideoDecoder, VideoDecoderConfig, VideoDecoderInit, VideoFrame,
};

use crate::{browser::transport::describe, catalog, frame::Frame};

/// Largest number of frames decoded or in the decoder: decoders own few frame buffers.
const MAX_AHEAD: usize = 8;
/// The same while catching up, when most frames are skipped.
const MAX_BEHIND: usize = 90;

/// Decodes the picture and draws it.
pub(crate) struct Video {
    canvas: OffscreenCanvas,
    context: OffscreenCanvasRenderingContext2d,
    decoder: Option<Decoder>,
    decoded: Rc<RefCell<Decoded>>,
    on_frame: Closure<dyn FnMut(VideoFrame)>,
    on_error: Closure<dyn FnMut(JsValue)>,
    shown: Option<Micros>,
}

struct Decoder {
    codec: VideoDecoder,
    source: u32,
    description: Option<Bytes>,
    /// Set until a key frame comes: nothing can be decoded before one.
    wants_key: bool,
}

#[derive(Default)]
struct Decoded {
    frames: VecDeque<VideoFrame>,
    error: Option<String>,
}

/// The result of handing a frame to the decoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    Yes,
    /// The frame was not decoded, and the rest of its group depends on it.
    SkipGroup,
}

/// The result of presenting.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Presented {
    /// Capture time of the frame on the canvas, if it was drawn just now.
    pub(crate) shown: Option<Micros>,
    /// Frames skipped in its favour.
    pub(crate) dropped: u64,
    /// Size of the picture, if it changed.
    pub(crate) size: Option<(u32, u32)>,
}

impl Video {
    pub(crate) fn new(canvas: OffscreenCanvas) -> Result<Self, JsValue> {
        let options = Object::new();
        Reflect::set(&options, &"alpha".into(), &false.into())?;
        Reflect::set(&options, &"desynchronized".into(), &true.into())?;
        let context = canvas.get_context_with_context_options("2d", &options)?;
        let context = context.ok_or("the canvas has no 2d context")?.unchecked_into();
        let decoded: Rc<RefCell<Decoded>> = Rc::default();
        let output = Rc::clone(&decoded);
        let on_frame = Closure::new(move |frame| output.borrow_mut().frames.push_back(frame));
        let output = Rc::clone(&decoded);
        let on_error = Closure::new(move |error| output.borrow_mut().error = Some(describe(&error)));
        Ok(Self { canvas, context, decoder: None, decoded, on_frame, on_error, shown: None })
    }

    /// Returns whether the decoder accepts a frame captured at `media` while `playhead` is due.
    pub(crate) fn has_room(&self, media: Micros, playhead: Micros) -> bool {
        let queued = self.decoder.as_ref().map_or(0, |decoder| decoder.codec.decode_queue_size() as usize);
        let ahead = queued + self.decoded.borrow().frames.len();
        ahead < if media <= playhead { MAX_BEHIND } else { MAX_AHEAD }
    }

    /// Decodes a frame of a rendition.
    pub(crate) fn decode(&mut self, source: u32, track: &catalog::Video, frame: &Frame) -> Taken {
        let key = frame.key;
        let changed = self.decoder.as_ref().is_none_or(|decoder| {
            decoder.source != source || frame.config.is_some() && decoder.description != frame.config
        });
        if changed {
            if !key {
                return Taken::SkipGroup;
            }
            let description = frame.config.clone().or_else(|| track.description.clone());
            if let Err(error) = self.configure(source, track, description) {
                self.decoded.borrow_mut().error = Some(describe(&error));
                return Taken::SkipGroup;
            }
        }
        let Some(decoder) = &mut self.decoder else { return Taken::SkipGroup };
        if decoder.wants_key && !key {
            return Taken::SkipGroup;
        }
        decoder.wants_key = false;
        let kind = if key { EncodedVideoChunkType::Key } else { EncodedVideoChunkType::Delta };
        let init = EncodedVideoChunkInit::new_with_u8_array(&Uint8Array::from(&frame.data[..]), 0, kind);
        init.set_timestamp_f64(frame.media.0 as f64);
        match EncodedVideoChunk::new(&init).and_then(|chunk| decoder.codec.decode(&chunk)) {
            Ok(()) => Taken::Yes,
            Err(error) => {
                self.decoded.borrow_mut().error = Some(describe(&error));
                Taken::SkipGroup
            }
        }
    }

    /// Returns the decoder's error, if it failed since the last call; it starts over at a key frame.
    pub(crate) fn take_error(&mut self) -> Option<String> {
        let error = self.decoded.borrow_mut().error.take()?;
        self.drop_decoder();
        Some(error)
    }

    /// Draws the newest frame that is due.
    pub(crate) fn present(&mut self, position: Micros) -> Presented {
        let mut decoded = self.decoded.borrow_mut();
        let mut presented = Presented::default();
        let due = |frame: &VideoFrame| frame.timestamp() <= position.0 as f64;
        while decoded.frames.get(1).is_some_and(due) {
            if let Some(frame) = decoded.frames.pop_front() {
                frame.close();
                presented.dropped += 1;
            }
        }
        // The very first frame is drawn at once: early is better than nothing.
        let ready = decoded.frames.front().is_some_and(|frame| self.shown.is_none() || due(frame));
        if !ready {
            return presented;
        }
        let Some(frame) = decoded.frames.pop_front() else { return presented };
        let (width, height) = (frame.display_width(), frame.display_height());
        if (self.canvas.width(), self.canvas.height()) != (width, height) {
            self.canvas.set_width(width);
            self.canvas.set_height(height);
            presented.size = Some((width, height));
        }
        let (width, height) = (f64::from(width), f64::from(height));
        let drawn = self.context.draw_image_with_video_frame_and_dw_and_dh(&frame, 0.0, 0.0, width, height);
        if let Err(error) = drawn {
            decoded.error.get_or_insert_with(|| describe(&error));
        }
        let media = Micros(frame.timestamp().max(0.0) as u64);
        frame.close();
        self.shown = Some(media);
        presented.shown = Some(media);
        presented
    }

    /// Returns whether nothing has been drawn since the start or the last reset.
    pub(crate) fn is_new(&self) -> bool {
        self.shown.is_none()
    }

    /// Starts over at a key frame; the canvas keeps its picture.
    pub(crate) fn reset(&mut self) {
        self.drop_decoder();
        for frame in self.decoded.borrow_mut().frames.drain(..) {
            frame.close();
        }
        self.shown = None;
    }

    fn configure(
        &mut self,
        source: u32,
        track: &catalog::Video,
        description: Option<Bytes>,
    ) -> Result<(), JsValue> {
        let config = config(track, description.as_ref());
        if let Some(before) = &mut self.decoder
            && before.codec.state() != CodecState::Closed
        {
            // Frames in the decoder still come out after it is configured anew.
            before.codec.configure(&config)?;
            (before.source, before.description, before.wants_key) = (source, description, true);
            return Ok(());
        }
        let init = VideoDecoderInit::new(
            self.on_error.as_ref().unchecked_ref(),
            self.on_frame.as_ref().unchecked_ref(),
        );
        let decoder = VideoDecoder::new(&init)?;
        decoder.configure(&config)?;
        self.decoder = Some(Decoder { codec: decoder, source, description, wants_key: true });
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

impl Drop for Video {
    fn drop(&mut self) {
        self.reset();
    }
}

fn config(track: &catalog::Video, description: Option<&Bytes>) -> VideoDecoderConfig {
    let config = VideoDecoderConfig::new(&track.codec);
    config.set_optimize_for_latency(true);
    if track.width > 0 && track.height > 0 {
        config.set_coded_width(track.width);
        config.set_coded_height(track.height);
    }
    if let Some(description) = description {
        config.set_description_u8_array(&Uint8Array::from(&description[..]));
    }
    config
}

/// Returns whether this browser decodes a rendition.
pub(crate) async fn is_supported(track: &catalog::Video) -> bool {
    let asked: Promise =
        VideoDecoder::is_config_supported(&config(track, track.description.as_ref())).unchecked_into();
    let Ok(answer) = JsFuture::from(asked).await else { return false };
    Reflect::get(&answer, &"supported".into()).is_ok_and(|supported| supported.is_truthy())
}
