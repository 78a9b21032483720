//! The picture of a status post: how many accounts were open over time, as a PNG that reads on a light and on a dark page.
//!
//! It brings its own paper, so that no theme shines through, and its own letters, so that no font of the system changes it:
//! the same figures make the same bytes.

use chrono_tz::Tz;
use noto_sans_mono_bitmap::{FontWeight, RasterHeight, get_raster, get_raster_width};
use plotters::prelude::*;

use super::chart::{Frame, step, ticks};
use super::{ReportError, times};
use crate::domain::course::Point;
use crate::domain::moment::Moment;
use crate::domain::report::cell::grouped;

/// Size in pixels.
const SIZE: (u32, u32) = (960, 480);
/// The plot's edges.
const LEFT: i32 = 96;
const RIGHT: i32 = 908;
const TOP: i32 = 104;
const BOTTOM: i32 = 380;

const PAPER: RGBColor = RGBColor(255, 255, 255);
const INK: RGBColor = RGBColor(31, 35, 40);
const GRID: RGBColor = RGBColor(208, 215, 222);
const LINE: RGBColor = RGBColor(9, 80, 160);
const BELOW: RGBColor = RGBColor(221, 234, 247);

/// What the upright axis counts, and the picture's title.
const TITLE: &str = "Accounts that still need a new password";

/// The picture as PNG, and the words that stand for it; none if there is no time to draw yet.
pub fn picture(course: &[Point], zone: Tz) -> Result<Option<(Vec<u8>, String)>, ReportError> {
    let (Some(first), Some(last)) = (course.first(), course.last()) else {
        return Ok(None);
    };
    if course.len() < 2 {
        return Ok(None);
    }
    let frame = Frame {
        first: first.at.micros(),
        last: last.at.micros(),
        top: top(course),
    };
    let mut pixels = vec![0; SIZE.0 as usize * SIZE.1 as usize * 3];
    plot(&mut pixels, &frame, course, zone)
        .map_err(|error| ReportError::Chart(error.to_string()))?;
    write_all(&mut pixels, &frame, last, zone);
    let png = encoded(&pixels).map_err(|error| ReportError::Chart(error.to_string()))?;
    Ok(Some((png, words(course, first, last, zone))))
}

/// The smallest round number above everything.
fn top(course: &[Point]) -> u64 {
    let most = course.iter().map(|point| point.open.height());
    let most = most.fold(0.0, f64::max).ceil() as u64;
    let step = step(most);
    most.div_ceil(step).max(1).saturating_mul(step)
}

/// Where a moment and a count lie.
fn spot(frame: &Frame, at: Moment, count: f64) -> (i32, i32) {
    let span = (frame.last.saturating_sub(frame.first)).max(1) as f64;
    let share = at.micros().saturating_sub(frame.first) as f64 / span;
    let x = f64::from(LEFT) + share * f64::from(RIGHT - LEFT);
    let y = f64::from(BOTTOM) - count / frame.top as f64 * f64::from(BOTTOM - TOP);
    (x.round() as i32, y.round() as i32)
}

type Drawn =
    Result<(), DrawingAreaErrorKind<<BitMapBackend<'static> as DrawingBackend>::ErrorType>>;

/// Everything but the letters.
fn plot(pixels: &mut [u8], frame: &Frame, course: &[Point], zone: Tz) -> Drawn {
    let area = BitMapBackend::with_buffer(pixels, SIZE).into_drawing_area();
    area.fill(&PAPER)?;
    let line: Vec<(i32, i32)> = course
        .iter()
        .map(|point| spot(frame, point.at, point.open.height()))
        .collect();
    let mut below = vec![(LEFT, BOTTOM)];
    below.extend(&line);
    below.push((RIGHT, BOTTOM));
    area.draw(&Polygon::new(below, BELOW.filled()))?;
    for count in counts(frame) {
        let y = spot(frame, Moment::from_micros(frame.first), count as f64).1;
        let colour = if count == 0 { INK } else { GRID };
        area.draw(&PathElement::new(vec![(LEFT, y), (RIGHT, y)], colour))?;
    }
    for (at, _) in ticks(frame, zone) {
        let x = spot(frame, at, 0.0).0;
        area.draw(&PathElement::new(vec![(x, BOTTOM), (x, BOTTOM + 6)], INK))?;
    }
    let end = line.last().copied().unwrap_or((RIGHT, BOTTOM));
    area.draw(&PathElement::new(line, LINE.stroke_width(4)))?;
    area.draw(&Circle::new(end, 7, LINE.filled()))?;
    area.present()
}

/// The counts that have a line of their own.
fn counts(frame: &Frame) -> impl Iterator<Item = u64> {
    let step = step(frame.top);
    (0..=frame.top / step.max(1)).map(move |nth| nth * step)
}

/// All letters.
fn write_all(pixels: &mut [u8], frame: &Frame, last: &Point, zone: Tz) {
    let mut page = Page { pixels };
    page.write(TITLE, (24, 20), Size::Large, Side::Left, INK);
    let as_of = format!("As of {}", times::in_full(last.at, zone));
    page.write(&as_of, (24, 54), Size::Small, Side::Left, INK);
    for count in counts(frame) {
        let y = spot(frame, last.at, count as f64).1;
        let label = grouped(count);
        page.write(&label, (LEFT - 12, y - 8), Size::Small, Side::Right, INK);
    }
    for (at, label) in ticks(frame, zone) {
        let x = spot(frame, at, 0.0).0;
        page.write(&label, (x, BOTTOM + 12), Size::Small, Side::Middle, INK);
    }
    let middle = (LEFT + RIGHT) / 2;
    let axis = format!("Day and time, {}", zone.name());
    page.write(&axis, (middle, BOTTOM + 52), Size::Small, Side::Middle, INK);
    // The last number stands at the line's end, above it, or below where there is no room.
    let end = spot(frame, last.at, last.open.height());
    let y = if end.1 > TOP + 30 {
        end.1 - 36
    } else {
        end.1 + 14
    };
    let now = format!("now {}", last.open.shown());
    page.write(&now, (RIGHT + 28, y), Size::Medium, Side::Right, LINE);
}

#[derive(Clone, Copy)]
enum Size {
    Small,
    Medium,
    Large,
}

impl Size {
    const fn letters(self) -> (FontWeight, RasterHeight) {
        match self {
            Self::Small => (FontWeight::Regular, RasterHeight::Size16),
            Self::Medium => (FontWeight::Bold, RasterHeight::Size20),
            Self::Large => (FontWeight::Bold, RasterHeight::Size24),
        }
    }
}

/// Where a text lies at its spot.
#[derive(Clone, Copy)]
enum Side {
    Left,
    Middle,
    Right,
}

struct Page<'a> {
    pixels: &'a mut [u8],
}

impl Page<'_> {
    /// A letter that the font lacks is a question mark. What lies off the page is cut.
    fn write(&mut self, text: &str, (x, y): (i32, i32), size: Size, side: Side, ink: RGBColor) {
        let (weight, height) = size.letters();
        let width = i32::try_from(get_raster_width(weight, height)).unwrap_or(0);
        let length = width * i32::try_from(text.chars().count()).unwrap_or(0);
        let mut left = match side {
            Side::Left => x,
            Side::Middle => x - length / 2,
            Side::Right => x - length,
        };
        for letter in text.chars() {
            let drawn =
                get_raster(letter, weight, height).or_else(|| get_raster('?', weight, height));
            for (down, row) in (0..).zip(drawn.iter().flat_map(|drawn| drawn.raster())) {
                for (across, strength) in (0..).zip(row.iter()) {
                    self.blend((left + across, y + down), ink, *strength);
                }
            }
            left += width;
        }
    }

    fn blend(&mut self, (x, y): (i32, i32), ink: RGBColor, strength: u8) {
        let (Ok(x), Ok(y)) = (usize::try_from(x), usize::try_from(y)) else {
            return;
        };
        let width = SIZE.0 as usize;
        if x >= width || strength == 0 {
            return;
        }
        let start = (y * width + x) * 3;
        let Some(pixel) = self.pixels.get_mut(start..start + 3) else {
            return;
        };
        for (old, new) in pixel.iter_mut().zip([ink.0, ink.1, ink.2]) {
            let (of, strength) = (u16::from(*old), u16::from(strength));
            let mixed = (of * (255 - strength) + u16::from(new) * strength + 127) / 255;
            *old = u8::try_from(mixed).unwrap_or(u8::MAX);
        }
    }
}

fn encoded(pixels: &[u8]) -> Result<Vec<u8>, png::EncodingError> {
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, SIZE.0, SIZE.1);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(pixels)?;
    writer.finish()?;
    Ok(file)
}

/// What the picture says, for those who do not see it.
fn words(course: &[Point], first: &Point, last: &Point, zone: Tz) -> String {
    let most = course
        .iter()
        .max_by(|one, two| one.open.height().total_cmp(&two.open.height()))
        .unwrap_or(last);
    format!(
        "A line over time: {}. From {} to {}. At the beginning {}, at most {}, now {}.",
        TITLE.to_lowercase(),
        times::in_full(first.at, zone),
        times::in_full(last.at, zone),
        first.open.shown(),
        most.open.shown(),
        last.open.shown()
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::course::Level;

    fn course(open: impl Fn(u64) -> Level) -> Vec<Point> {
        let start: Moment = "2026-03-02T09:00:00Z".parse().unwrap();
        (0..=120)
            .map(|hour| Point {
                at: start.plus(chrono::TimeDelta::hours(hour)),
                open: open(hour.unsigned_abs()),
            })
            .collect()
    }

    fn decoded(png: &[u8]) -> Vec<u8> {
        let mut reader = png::Decoder::new(std::io::Cursor::new(png))
            .read_info()
            .unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut pixels).unwrap();
        assert_eq!((info.width, info.height), SIZE);
        assert_eq!(info.color_type, png::ColorType::Rgb);
        pixels
    }

    #[test]
    fn the_same_figures_give_the_same_bytes_and_others_do_not() {
        let falling = |hour: u64| Level::Count(9_000 - 60 * hour);
        let draw = |course: &[Point]| picture(course, chrono_tz::Europe::London).unwrap().unwrap();
        let (png, words) = draw(&course(falling));
        assert_eq!(draw(&course(falling)), (png.clone(), words));
        assert_ne!(draw(&course(|hour| Level::Count(9_000 - 59 * hour))).0, png);
        assert!(png.len() < 200_000, "{}", png.len());
        if let Some(folder) = std::env::var_os("BELL_TEST_PICTURES") {
            std::fs::write(std::path::Path::new(&folder).join("status.png"), &png).unwrap();
        }
    }

    #[test]
    fn the_picture_is_all_paper_where_nothing_is_drawn() {
        let (png, _) = picture(&course(|_| Level::Count(40)), chrono_tz::UTC)
            .unwrap()
            .unwrap();
        let pixels = decoded(&png);
        assert_eq!(pixels[..3], [255, 255, 255]);
        assert!(
            pixels
                .chunks(3)
                .any(|pixel| pixel == [LINE.0, LINE.1, LINE.2])
        );
        assert!(pixels.chunks(3).any(|pixel| pixel == [INK.0, INK.1, INK.2]));
    }

    #[test]
    fn words_say_what_the_picture_says_and_no_small_number() {
        let (_, words) = picture(
            &course(|hour| match hour {
                0..100 => Level::Count(1_200 - 10 * hour),
                _ => Level::Few,
            }),
            chrono_tz::Europe::London,
        )
        .unwrap()
        .unwrap();
        assert_eq!(
            words,
            "A line over time: accounts that still need a new password. From 2 March 2026, 09:00 GMT to 7 March 2026, 09:00 GMT. \
             At the beginning 1,200, at most 1,200, now fewer than 5."
        );
    }

    #[test]
    fn there_is_no_picture_of_a_single_instant() {
        let all = course(|_| Level::Count(9));
        assert_eq!(picture(&all[..1], chrono_tz::UTC).unwrap(), None);
        assert_eq!(picture(&[], chrono_tz::UTC).unwrap(), None);
    }

    /// WCAG 2.2, relative luminance.
    fn luminance(colour: RGBColor) -> f64 {
        let part = |value: u8| {
            let value = f64::from(value) / 255.0;
            match value <= 0.04045 {
                true => value / 12.92,
                false => ((value + 0.055) / 1.055).powf(2.4),
            }
        };
        0.2126 * part(colour.0) + 0.7152 * part(colour.1) + 0.0722 * part(colour.2)
    }

    fn contrast(one: RGBColor, two: RGBColor) -> f64 {
        let (one, two) = (luminance(one), luminance(two));
        (one.max(two) + 0.05) / (one.min(two) + 0.05)
    }

    #[test]
    fn letters_and_line_stand_out_from_the_paper() {
        // WCAG 2.2: 4.5 for text, 3 for what has to be told apart in a graphic.
        for paper in [PAPER, BELOW] {
            assert!(contrast(INK, paper) >= 4.5);
            assert!(contrast(LINE, paper) >= 4.5);
        }
    }
}
