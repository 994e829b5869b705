//! VP9: the codec name.

/// Returns `vp09.PP.LL.DD` (VP Codec ISO Media File Format Binding, "Codecs Parameter String").
pub(crate) fn codec_string(profile: u8, level: u8, depth: u8) -> String {
    format!("vp09.{profile:02}.{level:02}.{depth:02}")
}

/// Returns the name from Matroska's optional `CodecPrivate`, a list of (id, length, value); missing values
/// follow from the size.
pub(crate) fn from_codec_private(mut features: &[u8], size: (u32, u32)) -> String {
    let [mut profile, mut level, mut depth] = [0, level_for(size), 8];
    while let [id, 1, value, rest @ ..] = features {
        match id {
            1 => profile = *value,
            2 => level = *value,
            3 => depth = *value,
            _ => {}
        }
        features = rest;
    }
    codec_string(profile, level, depth)
}

/// Returns the lowest level whose luma picture size is enough.
fn level_for((width, height): (u32, u32)) -> u8 {
    const LEVELS: [(u64, u8); 7] = [
        (36_864, 10),
        (73_728, 11),
        (122_880, 20),
        (245_760, 21),
        (552_960, 30),
        (983_040, 31),
        (2_228_224, 40),
    ];
    let size = u64::from(width) * u64::from(height);
    LEVELS.iter().find(|(limit, _)| size <= *limit).map_or(50, |(_, level)| *level)
}
