//! A stroke font for the test card.

use super::picture::{Colour, Picture};

/// Returns the strokes of a character, each a row of points. The points are the letters of a grid three wide
/// and five high: `abc` on top, then `def`, `ghi`, `jkl`, `mno`.
fn strokes(character: char) -> &'static str {
    match character {
        '0' | 'O' => "acoma",
        '1' => "dbn mo",
        '2' => "acigmo",
        '3' => "acom gi",
        '4' => "agi co",
        '5' | 'S' => "cagiom",
        '6' => "camoig",
        '7' => "acn",
        '8' => "acoma gi",
        '9' => "igacom",
        ':' => "e k",
        '.' => "n",
        '-' => "gi",
        'A' => "mdbfo gi",
        'B' => "abfhlnma gh",
        'C' => "camo",
        'D' => "abflnma",
        'E' => "camo gi",
        'F' => "cam gi",
        'G' => "camoih",
        'H' => "am co gi",
        'I' => "bn",
        'J' => "comj",
        'K' => "am cgo",
        'L' => "amo",
        'M' => "mahco",
        'N' => "maoc",
        'P' => "macig",
        'Q' => "acoma ko",
        'R' => "macigo",
        'T' => "ac bn",
        'U' => "amoc",
        'V' => "anc",
        'W' => "amhoc",
        'X' => "ao cm",
        'Y' => "ahc hn",
        'Z' => "acmo",
        _ => "",
    }
}

/// Draws text whose capitals are `height` pixels high, starting at `(x, y)` in the top left. Small letters
/// are shown as capitals.
pub(super) fn draw(picture: &mut Picture, text: &str, (x, y): (f32, f32), height: f32, colour: Colour) {
    for (index, character) in text.chars().enumerate() {
        let left = x + index as f32 * advance(height);
        let point = |letter: u8| {
            let cell = f32::from(letter.saturating_sub(b'a'));
            (left + cell % 3.0 * height / 4.0, y + (cell / 3.0).floor() * height / 4.0)
        };
        for stroke in strokes(character.to_ascii_uppercase()).split(' ') {
            let bytes = stroke.as_bytes();
            for (index, from) in bytes.iter().enumerate() {
                let to = bytes.get(index + 1).unwrap_or(from);
                picture.stroke(point(*from), point(*to), height / 14.0, colour);
            }
        }
    }
}

/// Returns the distance from one character to the next.
pub(super) fn advance(height: f32) -> f32 {
    height * 0.78
}
