//! Frames, in each of the forms in which objects hold them.

use std::{num::NonZeroU64, rc::Rc};

use bytes::Bytes;
use moqt::{
    Micros, Properties,
    loc::{self, Header, split_properties, split_timestamp},
};

use crate::cmaf;

/// Earliest plausible wall-clock time of a frame, in microseconds since the UNIX epoch. An earlier timestamp, from
/// before MoQ existed, is by a clock of the media's own.
const WALL_CLOCK: Micros = Micros(1_000_000_000_000_000);

/// An encoded frame of picture or sound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Capture time.
    pub media: Micros,
    /// Set if decoding can start with it.
    pub key: bool,
    /// The bytes for the decoder.
    pub data: Bytes,
    /// The decoder's configuration, if it changed before this frame.
    pub config: Option<Bytes>,
}

/// The form in which a track's objects hold its frames.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Format {
    /// One frame each, with its timestamp in the properties.
    Loc,
    /// One frame each, with its properties before it: hang's "loc".
    HangLoc,
    /// One frame each, with its timestamp before it: hang's "legacy".
    HangLegacy,
    /// Any number of frames, in fragments of MP4.
    Cmaf(Rc<cmaf::Track>),
}

/// A reason why an object holds no frame.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The timestamp is missing or invalid.
    #[error(transparent)]
    Loc(#[from] loc::Error),
    /// The fragment is invalid.
    #[error(transparent)]
    Cmaf(#[from] cmaf::Error),
}

/// Reads the objects of one track.
#[derive(Clone, Debug)]
pub struct Reader {
    format: Format,
    /// Units of timestamps per second, unless they are microseconds of the wall clock.
    timescale: Option<NonZeroU64>,
}

impl Reader {
    /// Creates a reader for a track of that format.
    pub fn new(format: Format) -> Self {
        Self { format, timescale: None }
    }

    /// Takes the timescale from the track's properties.
    pub fn described(&mut self, track: &Properties) {
        self.timescale = loc::track_timescale(track).ok().flatten();
    }

    /// Returns the frames of an object in decoding order. `number` is the object's ID in its group.
    pub fn read(&self, number: u64, properties: &Properties, payload: Bytes) -> Result<Vec<Frame>, Error> {
        let (header, data) = match &self.format {
            Format::HangLoc => split_properties(&payload)?,
            Format::HangLegacy => {
                let (media, data) = split_timestamp(&payload)?;
                (Header::at(media), data)
            }
            Format::Loc => (Header::read_in(properties, self.timescale)?, payload),
            Format::Cmaf(track) => return self.fragments(track, properties, &payload),
        };
        let media = header.timestamp.ok_or(loc::Error::NoTimestamp)?;
        // Nothing was captured at that time: hang marks the end of a group so.
        if data.is_empty() {
            return Ok(Vec::new());
        }
        Ok(vec![Frame { media, key: number == 0, data, config: header.video_config.or(header.audio_config) }])
    }

    fn fragments(
        &self,
        track: &cmaf::Track,
        properties: &Properties,
        payload: &Bytes,
    ) -> Result<Vec<Frame>, Error> {
        let frames = track.frames(payload)?;
        let own = frames.first().map_or(Micros(0), |frame| frame.media);
        // The timestamp is by the creator's clock if the creator stated that clock: files that are played together
        // have clocks of their own, and a file that is played again starts over.
        let stated = Header::read_in(properties, self.timescale)?.timestamp;
        let captured = stated.filter(|time| self.timescale.is_none() && *time >= WALL_CLOCK);
        let media = |media: Micros| match captured {
            Some(captured) => captured + media - own,
            None => media,
        };
        let framed = |frame: cmaf::Frame| {
            let cmaf::Frame { media: at, key, data } = frame;
            Frame { media: media(at), key, data, config: None }
        };
        Ok(frames.into_iter().map(framed).collect())
    }
}

#[cfg(test)]
mod tests {
    use moqt::loc::Error as LocError;

    use super::*;

    fn read(format: Format, properties: &Properties, payload: &Bytes) -> Result<Vec<Frame>, Error> {
        Reader::new(format).read(0, properties, payload.clone())
    }

    #[test]
    fn a_frame_is_found_in_each_format() {
        let frame = Frame { media: Micros(5), key: true, data: Bytes::from_static(b"frame"), config: None };
        let properties = Header::at(Micros(5)).to_properties();
        let loc = read(Format::Loc, &properties, &frame.data);
        assert_eq!(loc, Ok(vec![frame.clone()]));
        let legacy = Bytes::from_static(b"\x05frame");
        assert_eq!(read(Format::HangLegacy, &Properties::NONE, &legacy), loc);
        let hang = Bytes::from_static(b"\x02\x10\x05frame");
        assert_eq!(read(Format::HangLoc, &Properties::NONE, &hang), loc);
        let bare = read(Format::Loc, &Properties::NONE, &frame.data);
        assert_eq!(bare, Err(LocError::NoTimestamp.into()));
    }

    #[test]
    fn the_end_of_a_hang_group_is_no_frame() {
        let end = Bytes::from_static(b"\x05");
        assert_eq!(read(Format::HangLegacy, &Properties::NONE, &end), Ok(Vec::new()));
    }

    #[test]
    fn a_fragment_that_is_stated_to_be_of_the_end_of_time_is_read() {
        let file = Bytes::from_static(include_bytes!("../../media/tests/fixtures/h264-aac.frag.mp4"));
        let track = cmaf::tracks(&file).unwrap().remove(0);
        let at = file.windows(4).position(|name| name == b"moof").unwrap() - 4;
        let stated = |time| {
            let format = Format::Cmaf(Rc::new(track.clone()));
            read(format, &Header::at(time).to_properties(), &file.slice(at..)).unwrap()
        };
        let [now, end] = [stated(WALL_CLOCK), stated(Micros(u64::MAX))];
        assert_eq!(now[0].media, WALL_CLOCK);
        assert_eq!(now.len(), end.len());
        assert!(end.iter().all(|frame| frame.media > now[0].media));
    }

    #[test]
    fn a_track_with_a_timescale_has_its_timestamps_in_that() {
        let mut reader = Reader::new(Format::Loc);
        reader.described(&Header { timescale: NonZeroU64::new(90_000), ..Header::default() }.to_properties());
        let frames = reader.read(1, &Header::at(Micros(90)).to_properties(), Bytes::from_static(b"frame"));
        let frames = frames.unwrap();
        assert_eq!((frames[0].media, frames[0].key), (Micros(1_000), false));
    }
}
