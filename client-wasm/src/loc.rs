//! Frames, however an object holds them.

use bytes::Bytes;
use moqt::{
    Micros, Properties,
    loc::{Error, Header, split_properties, split_timestamp},
    msf::Packaging,
};

/// An encoded frame of picture or sound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// When it was captured.
    pub media: Micros,
    /// As the decoder takes it.
    pub data: Bytes,
    /// What the decoder must know before it, if that changed.
    pub config: Option<Bytes>,
}

impl Frame {
    /// Reads an object of a track with that packaging.
    pub fn read(packaging: &Packaging, properties: &Properties, payload: Bytes) -> Result<Self, Error> {
        let (header, data) = match packaging {
            Packaging::HangLoc => split_properties(&payload)?,
            Packaging::HangLegacy => {
                let (media, data) = split_timestamp(&payload)?;
                (Header::at(media), data)
            }
            Packaging::Loc | Packaging::Cmaf | Packaging::Other(_) => (Header::read(properties)?, payload),
        };
        let media = header.timestamp.ok_or(Error::NoTimestamp)?;
        Ok(Self { media, data, config: header.video_config.or(header.audio_config) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_found_in_each_packaging() {
        let frame = Frame { media: Micros(5), data: Bytes::from_static(b"frame"), config: None };
        let properties = Header::at(Micros(5)).to_properties();
        let loc = Frame::read(&Packaging::Loc, &properties, frame.data.clone());
        assert_eq!(loc.as_ref(), Ok(&frame));
        let legacy = Bytes::from_static(b"\x05frame");
        assert_eq!(Frame::read(&Packaging::HangLegacy, &Properties::NONE, legacy), loc);
        let hang = Bytes::from_static(b"\x02\x10\x05frame");
        assert_eq!(Frame::read(&Packaging::HangLoc, &Properties::NONE, hang), loc);
        let bare = Frame::read(&Packaging::Loc, &Properties::NONE, frame.data);
        assert_eq!(bare, Err(Error::NoTimestamp));
    }
}
