//! Pictures in planar 4:2:0, and drawing in them.

/// A colour in BT.601 video levels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Colour {
    pub(super) y: u8,
    pub(super) u: u8,
    pub(super) v: u8,
}

impl Colour {
    pub(super) const BLACK: Self = Self::grey(16);
    pub(super) const WHITE: Self = Self::grey(235);

    pub(super) const fn grey(y: u8) -> Self {
        Self { y, u: 128, v: 128 }
    }

    /// Converts a colour from eight-bit RGB.
    pub(super) const fn rgb(r: i32, g: i32, b: i32) -> Self {
        Self {
            y: (((66 * r + 129 * g + 25 * b + 128) >> 8) + 16) as u8,
            u: (((-38 * r - 74 * g + 112 * b + 128) >> 8) + 128) as u8,
            v: (((112 * r - 94 * g - 18 * b + 128) >> 8) + 128) as u8,
        }
    }
}

/// A rectangle of pixels; right and bottom are outside.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rect {
    pub(super) left: usize,
    pub(super) top: usize,
    pub(super) right: usize,
    pub(super) bottom: usize,
}

/// A picture in planar 4:2:0.
#[derive(Debug, Clone)]
pub struct Picture {
    width: usize,
    height: usize,
    y: Vec<u8>,
    u: Vec<u8>,
    v: Vec<u8>,
}

impl Picture {
    /// Creates a black picture with even sides.
    pub(super) fn new(width: usize, height: usize) -> Self {
        let chroma = (width / 2) * (height / 2);
        Self { width, height, y: vec![16; width * height], u: vec![128; chroma], v: vec![128; chroma] }
    }

    /// Returns the pixels across.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Returns the pixels down.
    pub fn height(&self) -> usize {
        self.height
    }

    /// Returns the luma plane, rows from the top without gaps.
    pub fn luma(&self) -> &[u8] {
        &self.y
    }

    /// Returns the two chroma planes, with half the sides.
    pub fn chroma(&self) -> (&[u8], &[u8]) {
        (&self.u, &self.v)
    }

    /// Fills a rectangle. A pixel of chroma belongs to it when its top left pixel of luma does.
    pub(super) fn fill(&mut self, Rect { left, top, right, bottom }: Rect, colour: Colour) {
        for row in top..bottom.min(self.height) {
            self.y[row * self.width..][left.min(self.width)..right.min(self.width)].fill(colour.y);
        }
        let stride = self.width / 2;
        for row in top.div_ceil(2)..bottom.min(self.height).div_ceil(2).min(self.height / 2) {
            let columns = left.div_ceil(2).min(stride)..right.div_ceil(2).min(stride);
            self.u[row * stride..][columns.clone()].fill(colour.u);
            self.v[row * stride..][columns].fill(colour.v);
        }
    }

    /// Draws a line with round ends and smooth edges; a disc if both ends are the same.
    pub(super) fn stroke(&mut self, (ax, ay): (f32, f32), (bx, by): (f32, f32), radius: f32, colour: Colour) {
        let reach = radius + 1.0;
        let columns = (ax.min(bx) - reach).max(0.0) as usize
            ..((ax.max(bx) + reach).max(0.0) as usize + 1).min(self.width);
        let rows = (ay.min(by) - reach).max(0.0) as usize
            ..((ay.max(by) + reach).max(0.0) as usize + 1).min(self.height);
        let (dx, dy) = (bx - ax, by - ay);
        let scale = 1.0 / (dx * dx + dy * dy).max(f32::EPSILON);
        for row in rows {
            for column in columns.clone() {
                let (px, py) = (column as f32 + 0.5 - ax, row as f32 + 0.5 - ay);
                let along = ((px * dx + py * dy) * scale).clamp(0.0, 1.0);
                let (qx, qy) = (px - along * dx, py - along * dy);
                let cover = (radius + 0.5 - (qx * qx + qy * qy).sqrt()).clamp(0.0, 1.0);
                if cover > 0.0 {
                    self.blend(column, row, colour, cover);
                }
            }
        }
    }

    fn blend(&mut self, column: usize, row: usize, colour: Colour, cover: f32) {
        let mix = |pixel: &mut u8, to: u8| {
            let from = f32::from(*pixel);
            *pixel = (from + (f32::from(to) - from) * cover) as u8;
        };
        mix(&mut self.y[row * self.width + column], colour.y);
        if column % 2 + row % 2 == 0 {
            let at = row / 2 * (self.width / 2) + column / 2;
            mix(&mut self.u[at], colour.u);
            mix(&mut self.v[at], colour.v);
        }
    }
}
