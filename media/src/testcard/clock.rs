//! The burned-in clock that machines read: 64 black and white cells in two rows across the whole picture.
//!
//! A picture is 32 cells wide and 18 high; rows 15 and 16 hold the clock, so that coordinates are the same fractions of
//! the picture at every rendition. From left to right, upper row first: eight cells of sync pattern, 48 bits of
//! milliseconds since the UNIX epoch, eight bits of CRC. White is one.

use super::picture::{Colour, Picture, Rect};
use crate::Micros;

/// Cells in a row.
const COLUMNS: usize = 32;
/// Rows of cells in a picture.
const ROWS: usize = 18;
/// The first row of the clock.
const FIRST_ROW: usize = 15;
/// Sync pattern: both colours in both neighbourhoods, and no pattern that a plain area could show.
const SYNC: u8 = 0b1010_0110;
/// The least difference of luma between white and black that counts as a signal.
const CONTRAST: u32 = 48;
const TIME_MASK: u64 = (1 << 48) - 1;

fn word(millis: u64) -> u64 {
    let time = millis & TIME_MASK;
    u64::from(SYNC) << 56 | time << 8 | u64::from(crc(time))
}

/// Returns the CRC-8 with polynomial 0x07 over the 48 bits.
fn crc(time: u64) -> u8 {
    time.to_be_bytes()[2..].iter().fold(0, |crc, byte| {
        (0..8).fold(crc ^ byte, |crc, _| if crc & 0x80 == 0 { crc << 1 } else { crc << 1 ^ 0x07 })
    })
}

/// Returns the pixels of a cell along one side of `len` pixels that has `cells` of them.
fn span(cell: usize, cells: usize, len: usize) -> (usize, usize) {
    (cell * len / cells, (cell + 1) * len / cells)
}

pub(super) fn draw(picture: &mut Picture, at: Micros) {
    let word = word(at.as_millis());
    let (width, height) = (picture.width(), picture.height());
    for bit in 0..64 {
        let (left, right) = span(bit % COLUMNS, COLUMNS, width);
        let (top, bottom) = span(FIRST_ROW + bit / COLUMNS, ROWS, height);
        let colour = if word >> (63 - bit) & 1 == 1 { Colour::WHITE } else { Colour::BLACK };
        picture.fill(Rect { left, top, right, bottom }, colour);
    }
}

/// Reads the clock from the luma of a picture at any size: `width * height` bytes, rows from the top. Grey values made
/// from a canvas do as well. `None` if there is no clock or it is damaged.
pub fn read(luma: &[u8], width: usize, height: usize) -> Option<u64> {
    if width < COLUMNS * 2 || height < ROWS * 2 || luma.len() < width.checked_mul(height)? {
        return None;
    }
    let cells: Vec<u32> = (0..64).map(|bit| cell(luma, width, height, bit)).collect();
    let (white, black): (Vec<usize>, Vec<usize>) = (0..8).partition(|bit| SYNC >> (7 - bit) & 1 == 1);
    let darkest_white = white.iter().map(|bit| cells[*bit]).min()?;
    let brightest_black = black.iter().map(|bit| cells[*bit]).max()?;
    if darkest_white < brightest_black + CONTRAST {
        return None;
    }
    let threshold = u32::midpoint(darkest_white, brightest_black);
    let found = cells.iter().fold(0u64, |word, cell| word << 1 | u64::from(*cell > threshold));
    let millis = found >> 8 & TIME_MASK;
    (word(millis) == found).then_some(millis)
}

/// Returns the mean of the middle half of a cell: its borders suffer most from scaling and compression.
fn cell(luma: &[u8], width: usize, height: usize, bit: usize) -> u32 {
    let middle = |(from, to): (usize, usize)| {
        let margin = (to - from) / 4;
        from + margin..to - margin
    };
    let columns = middle(span(bit % COLUMNS, COLUMNS, width));
    let rows = middle(span(FIRST_ROW + bit / COLUMNS, ROWS, height));
    let count = (columns.len() * rows.len()).max(1) as u32;
    let sum: u32 =
        rows.flat_map(|row| &luma[row * width..][columns.clone()]).map(|pixel| u32::from(*pixel)).sum();
    sum / count
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(width: usize, height: usize, at: Micros) -> Picture {
        let mut picture = Picture::new(width, height);
        draw(&mut picture, at);
        picture
    }

    #[test]
    fn reads_what_was_drawn_at_any_size() {
        for (width, height) in
            [(1280, 720), (854, 480), (640, 360), (426, 240), (320, 180), (160, 90), (65, 37)]
        {
            for millis in [0, 1, 1_790_000_000_123, TIME_MASK] {
                let picture = shown(width & !1, height & !1, Micros::from_millis(millis));
                let found = read(picture.luma(), picture.width(), picture.height());
                assert_eq!(
                    found,
                    (Micros::from_millis(millis).as_millis() & TIME_MASK).into(),
                    "{width}x{height}"
                );
            }
        }
    }

    #[test]
    fn finds_nothing_where_nothing_is() {
        let picture = shown(320, 180, Micros::from_millis(1_790_000_000_123));
        assert_eq!(read(&vec![128; 320 * 180], 320, 180), None);
        assert_eq!(read(picture.luma(), 320, 181), None);
        assert_eq!(read(picture.luma(), usize::MAX, 2), None);
        assert_eq!(read(&[], 0, 0), None);
        let mut damaged = picture.luma().to_vec();
        for row in damaged.chunks_mut(320).skip(160) {
            row[310..].iter_mut().for_each(|pixel| *pixel = 255 - *pixel);
        }
        assert_eq!(read(&damaged, 320, 180), None);
    }
}
