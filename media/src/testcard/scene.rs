//! The scene of the test card: its fixed background and moving parts.

use std::f32::consts::TAU;

use super::picture::{Colour, Picture, Rect};
use super::{audio, clock, font};
use crate::Micros;

/// Rows of a picture: an eighteenth of the height is the unit of the layout, as of the [`clock`].
const ROWS: f32 = 18.0;
const PANEL: Colour = Colour::rgb(24, 28, 40);
const INK: Colour = Colour::rgb(230, 235, 245);
const ACCENT: Colour = Colour::rgb(255, 176, 32);
const DIM: Colour = Colour::rgb(58, 66, 88);

/// The scene that the test card shows.
#[derive(Debug, Clone)]
pub struct Scene {
    picture: Picture,
    shown: String,
}

impl Scene {
    /// Draws the parts that do not move.
    pub fn new(width: u32, height: u32, title: &str) -> Self {
        let mut scene = Self { picture: Picture::new(width as usize, height as usize), shown: String::new() };
        scene.rows(0.0, ROWS, (0.0, 1.0), PANEL);
        scene.bars();
        let unit = scene.unit();
        let left = scene.picture.width() as f32 * 0.24;
        let title: String = title.chars().take(16).collect();
        font::draw(&mut scene.picture, &title, (left, 9.9 * unit), unit * 0.8, ACCENT);
        let size = format!("{width}X{height}");
        let end = scene.picture.width() as f32 * 0.97 - (size.len() as f32 - 0.2) * font::advance(unit * 0.8);
        font::draw(&mut scene.picture, &size, (end, 9.9 * unit), unit * 0.8, DIM);
        scene
    }

    /// Draws the picture at a time since the UNIX epoch.
    pub fn at(&mut self, at: Micros) -> &Picture {
        self.time(at);
        self.dial(at);
        self.flash(at);
        self.runner(at);
        clock::draw(&mut self.picture, at);
        &self.picture
    }

    fn unit(&self) -> f32 {
        self.picture.height() as f32 / ROWS
    }

    /// Fills rows between two fractions of the width.
    fn rows(&mut self, top: f32, bottom: f32, (left, right): (f32, f32), colour: Colour) {
        let (unit, width) = (self.unit(), self.picture.width() as f32);
        let rect = Rect {
            left: (left * width) as usize,
            top: (top * unit) as usize,
            right: (right * width) as usize,
            bottom: (bottom * unit) as usize,
        };
        self.picture.fill(rect, colour);
    }

    fn bars(&mut self) {
        const BARS: [Colour; 8] = [
            Colour::rgb(191, 191, 191),
            Colour::rgb(191, 191, 0),
            Colour::rgb(0, 191, 191),
            Colour::rgb(0, 191, 0),
            Colour::rgb(191, 0, 191),
            Colour::rgb(191, 0, 0),
            Colour::rgb(0, 0, 191),
            Colour::rgb(16, 16, 16),
        ];
        for (index, bar) in BARS.into_iter().enumerate() {
            let side = |index: usize| index as f32 / 8.0;
            self.rows(0.0, 8.0, (side(index), side(index + 1)), bar);
        }
        for step in 0..16_u8 {
            let side = |step: u8| f32::from(step) / 16.0;
            self.rows(8.0, 9.0, (side(step), side(step + 1)), Colour::grey(16 + step * 14 + step / 2));
        }
    }

    /// Draws UTC for human readers. Redraws only characters that changed.
    fn time(&mut self, at: Micros) {
        let second = at.0 / 1_000_000;
        let text = format!(
            "{:02}:{:02}:{:02}.{:03}",
            second / 3600 % 24,
            second / 60 % 60,
            second % 60,
            at.as_millis() % 1000
        );
        let (unit, left) = (self.unit(), self.picture.width() as f32 * 0.24);
        let (top, height) = (11.6 * unit, 2.0 * unit);
        for (index, character) in text.chars().enumerate() {
            if self.shown.chars().nth(index) == Some(character) {
                continue;
            }
            let x = left + index as f32 * font::advance(height);
            let (from, to) = (x - height * 0.1, x + height * 0.62);
            let rect = Rect {
                left: from as usize,
                top: (top - height * 0.1) as usize,
                right: to as usize,
                bottom: (top + height * 1.1) as usize + 1,
            };
            self.picture.fill(rect, PANEL);
            font::draw(&mut self.picture, &character.to_string(), (x, top), height, INK);
        }
        self.shown = text;
    }

    /// Draws a hand that turns once a second.
    fn dial(&mut self, at: Micros) {
        let unit = self.unit();
        let (x, y, radius) = (self.picture.width() as f32 * 0.115, 12.0 * unit, 2.6 * unit);
        let angle = (at.0 % 1_000_000) as f32 / 1e6 * TAU;
        let tip = |length: f32| (x + angle.sin() * length, y - angle.cos() * length);
        self.picture.stroke((x, y), (x, y), radius, DIM);
        self.picture.stroke((x, y), (x, y), radius * 0.9, PANEL);
        self.picture.stroke((x, y), tip(radius * 0.72), unit * 0.16, ACCENT);
        self.picture.stroke((x, y), (x, y), unit * 0.3, INK);
    }

    /// Draws a light that is on while the beep sounds.
    fn flash(&mut self, at: Micros) {
        let on = audio::beeps(at);
        let colour = if on { INK } else { DIM };
        let (unit, width) = (self.unit(), self.picture.width() as f32);
        let centre = (width * 0.925, 12.6 * unit);
        self.picture.stroke(centre, centre, unit * 1.15, colour);
    }

    /// Draws a ball that crosses the picture and back in four seconds.
    fn runner(&mut self, at: Micros) {
        let (unit, width) = (self.unit(), self.picture.width() as f32);
        self.rows(17.0, ROWS, (0.0, 1.0), PANEL);
        let phase = (at.0 % 4_000_000) as f32 / 2e6;
        let along = if phase < 1.0 { phase } else { 2.0 - phase };
        let centre = (unit + along * (width - 2.0 * unit), 17.5 * unit);
        self.picture.stroke(centre, centre, unit * 0.38, ACCENT);
    }
}
