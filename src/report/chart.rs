//! The burn-down chart: open accounts of each category over time, as inline SVG that reads without colour.
//!
//! Each line has its own dash, its own marker and its name at its end. Plotters draws in colours that stand for
//! classes; they are then replaced by those classes, so that the page's style sheet (light, dark, print) rules.

use chrono::{Days, NaiveTime, TimeZone, Timelike};
use chrono_tz::Tz;
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::ReportError;
use super::times;
use crate::domain::finding::Category;
use crate::domain::moment::Moment;
use crate::domain::report::{BurnDown, BurnPoint, Cell};

/// Size in CSS pixels; the page scales it.
const SIZE: (u32, u32) = (920, 400);
/// The plot's edges.
const LEFT: i32 = 52;
const RIGHT: i32 = 716;
const TOP: i32 = 68;
const BOTTOM: i32 = 352;
/// Names at the ends of lines stay this far apart.
const LINE_HEIGHT: i32 = 19;
/// Markers along a line, at most.
const MARKERS: usize = 7;

/// The colours that stand for classes.
const STAND_INS: [(RGBColor, &str); 7] = [
    (RGBColor(1, 0, 161), "weak"),
    (RGBColor(1, 0, 162), "attacked"),
    (RGBColor(1, 0, 163), "breached"),
    (RGBColor(1, 0, 164), "compromised"),
    (RGBColor(1, 0, 165), "ink"),
    (RGBColor(1, 0, 166), "grid"),
    (RGBColor(1, 0, 167), "mark"),
];
const INK: RGBColor = STAND_INS[4].0;
const GRID: RGBColor = STAND_INS[5].0;
const MARK: RGBColor = STAND_INS[6].0;

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Drawn<'a> = Result<(), DrawingAreaErrorKind<<SVGBackend<'a> as DrawingBackend>::ErrorType>>;

/// The chart, and the words that stand for it; none if there is nothing to draw yet.
pub fn draw(burn: &BurnDown, zone: Tz) -> Result<Option<String>, ReportError> {
    let (Some(first), Some(last)) = (burn.points.first(), burn.points.last()) else {
        return Ok(None);
    };
    if burn.points.len() < 2 {
        return Ok(None);
    }
    let frame = Frame {
        first: first.at.micros(),
        last: last.at.micros(),
        top: top(burn),
    };
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        let drawn = grid(&area, &frame)
            .and_then(|()| days(&area, &frame, zone))
            .and_then(|()| deadlines(&area, &frame, burn, zone))
            .and_then(|()| lines(&area, &frame, burn))
            .and_then(|()| area.present());
        drawn.map_err(|error| ReportError::Chart(error.to_string()))?;
    }
    Ok(Some(with_classes(&svg, &words(burn, zone))))
}

/// Where times and counts lie on the picture.
pub(super) struct Frame {
    pub(super) first: i64,
    pub(super) last: i64,
    pub(super) top: u64,
}

impl Frame {
    fn x(&self, at: i64) -> i32 {
        let share = (at.saturating_sub(self.first)) as f64 / (self.last - self.first).max(1) as f64;
        LEFT + (share * f64::from(RIGHT - LEFT)).round() as i32
    }

    fn y(&self, count: f64) -> i32 {
        BOTTOM - (count / self.top as f64 * f64::from(BOTTOM - TOP)).round() as i32
    }
}

/// Where a cell is drawn: a small number at its middle, one of a range at the middle of that.
fn height(cell: Cell) -> Option<f64> {
    match cell {
        Cell::Count(count) => Some(count as f64),
        Cell::Few => Some(2.5),
        Cell::Between(low, high) => Some((low as f64 + high as f64) / 2.0),
        Cell::Hidden => None,
    }
}

/// The categories that have anything to draw, severest first.
fn drawn(burn: &BurnDown) -> Vec<Category> {
    let mut all = Category::ALL.to_vec();
    all.reverse();
    all.retain(|category| {
        let mut cells = burn.points.iter().map(|point| cell(point, *category));
        cells.any(|cell| height(cell).is_some_and(|height| height > 0.0))
    });
    all
}

fn cell(point: &BurnPoint, category: Category) -> Cell {
    point
        .open
        .get(category as usize)
        .copied()
        .unwrap_or(Cell::Hidden)
}

/// The smallest round number above everything.
fn top(burn: &BurnDown) -> u64 {
    let cells = burn.points.iter().flat_map(|point| point.open);
    let most = cells.filter_map(height).fold(0.0, f64::max).ceil() as u64;
    let step = step(most);
    most.div_ceil(step).max(1) * step
}

/// The distance between grid lines: 1, 2 or 5 times a power of ten, for about five lines.
pub(super) fn step(most: u64) -> u64 {
    let mut power = 1;
    loop {
        for factor in [1, 2, 5] {
            if most <= factor * power * 5 {
                return factor * power;
            }
        }
        match power.checked_mul(10).filter(|power| *power < u64::MAX / 25) {
            Some(next) => power = next,
            None => return power,
        }
    }
}

fn text(colour: RGBColor, size: i32, h: HPos, v: VPos) -> TextStyle<'static> {
    let mut style = ("inherit", size).into_font().color(&colour);
    style.pos = Pos::new(h, v);
    style
}

fn grid<'a>(area: &Area<'a>, frame: &Frame) -> Drawn<'a> {
    let step = step(frame.top);
    let style = text(INK, 16, HPos::Right, VPos::Center);
    let mut count = 0;
    while count <= frame.top {
        let y = frame.y(count as f64);
        let colour = if count == 0 { INK } else { GRID };
        area.draw(&PathElement::new(vec![(LEFT, y), (RIGHT, y)], colour))?;
        let label = crate::domain::report::cell::grouped(count);
        area.draw(&Text::new(label, (LEFT - 8, y), style.clone()))?;
        count += step;
    }
    Ok(())
}

/// Ticks at local midnights, or at full hours if the whole chart is shorter than two days.
fn days<'a>(area: &Area<'a>, frame: &Frame, zone: Tz) -> Drawn<'a> {
    let style = text(INK, 16, HPos::Center, VPos::Top);
    for (at, label) in ticks(frame, zone) {
        let x = frame.x(at.micros());
        area.draw(&PathElement::new(vec![(x, BOTTOM), (x, BOTTOM + 5)], INK))?;
        area.draw(&Text::new(label, (x, BOTTOM + 9), style.clone()))?;
    }
    Ok(())
}

pub(super) fn ticks(frame: &Frame, zone: Tz) -> Vec<(Moment, String)> {
    const HOUR: i64 = 3_600_000_000;
    let inside = |at: &Moment| (frame.first..=frame.last).contains(&at.micros());
    let hours = (frame.last - frame.first) / HOUR;
    let first = times::local(Moment::from_micros(frame.first), zone);
    if hours < 48 {
        let every = [1, 2, 3, 6]
            .into_iter()
            .find(|every| hours / every <= 8)
            .unwrap_or(12);
        let start = frame.first - frame.first.rem_euclid(HOUR);
        return (0..=hours + 1)
            .map(|hour| Moment::from_micros(start + hour * HOUR))
            .filter(inside)
            .filter(|at| i64::from(times::local(*at, zone).hour()) % every == 0)
            .map(|at| (at, times::day_and_hour(at, zone)))
            .step_by(if every < 3 { 2 } else { 1 })
            .collect();
    }
    let every = [1, 2, 3, 7, 14, 28, 91, 182]
        .into_iter()
        .find(|every| hours / 24 / every <= 8)
        .map_or(365, i64::unsigned_abs);
    let mut found = Vec::new();
    let mut date = first.date_naive();
    while let Some(next) = date.checked_add_days(Days::new(every)) {
        let midnight = zone
            .from_local_datetime(&date.and_time(NaiveTime::MIN))
            .earliest();
        if let Some(at) = midnight.map(|at| Moment::from(at.to_utc())) {
            if at.micros() > frame.last {
                break;
            }
            if inside(&at) {
                found.push((at, times::day(at, zone)));
            }
        }
        date = next;
    }
    found
}

/// A thin upright line where most cases of a category fall due, if that has come.
fn deadlines<'a>(area: &Area<'a>, frame: &Frame, burn: &BurnDown, zone: Tz) -> Drawn<'a> {
    let mut marks: Vec<_> = burn
        .deadlines
        .iter()
        .filter(|mark| drawn(burn).contains(&mark.category))
        .filter(|mark| (frame.first..=frame.last).contains(&mark.at.micros()))
        .collect();
    marks.sort_by_key(|mark| mark.at);
    for (row, mark) in marks.into_iter().enumerate() {
        let x = frame.x(mark.at.micros());
        let y = 10 + 15 * i32::try_from(row).unwrap_or(0);
        area.draw(&PathElement::new(vec![(x, y - 5), (x, BOTTOM)], MARK))?;
        let words = format!(
            "{} due {}",
            mark.category,
            times::day_and_hour(mark.at, zone)
        );
        let (h, x) = if x > (LEFT + RIGHT) / 2 {
            (HPos::Right, x - 5)
        } else {
            (HPos::Left, x + 5)
        };
        area.draw(&Text::new(words, (x, y), text(INK, 15, h, VPos::Center)))?;
    }
    Ok(())
}

fn lines<'a>(area: &Area<'a>, frame: &Frame, burn: &BurnDown) -> Drawn<'a> {
    let mut names = Vec::new();
    for category in drawn(burn) {
        let Some((colour, _)) = STAND_INS.get(category as usize) else {
            continue;
        };
        let path: Vec<(i32, i32)> = burn
            .points
            .iter()
            .filter_map(|point| {
                let height = height(cell(point, category))?;
                Some((frame.x(point.at.micros()), frame.y(height)))
            })
            .collect();
        let width = if category == Category::Compromised {
            3
        } else {
            2
        };
        area.draw(&PathElement::new(path.clone(), colour.stroke_width(width)))?;
        // Markers stand at other places on each line, so that lines that run together can be told apart.
        let every = path.len().div_ceil(MARKERS).max(1);
        for spot in path
            .iter()
            .skip(every * category as usize / 4)
            .step_by(every)
        {
            marker(area, category, *colour, *spot)?;
        }
        if let Some(spot) = path.last() {
            marker(area, category, *colour, *spot)?;
            let now = burn
                .points
                .last()
                .map_or(Cell::Hidden, |point| cell(point, category));
            names.push((spot.1, category, *colour, format!("{category}: {now}")));
        }
    }
    names.sort_by_key(|name| (name.0, std::cmp::Reverse(name.1)));
    for (y, spot, (_, category, colour, name)) in apart(names) {
        let leader = vec![(RIGHT + 7, spot), (RIGHT + 20, y)];
        area.draw(&PathElement::new(leader, GRID))?;
        marker(area, category, colour, (RIGHT + 28, y))?;
        let style = text(colour, 18, HPos::Left, VPos::Center);
        area.draw(&Text::new(name, (RIGHT + 38, y), style))?;
    }
    Ok(())
}

type Name = (i32, Category, RGBColor, String);

/// Moves names up and down until none covers another: where each goes, where its line ends, and the name.
fn apart(names: Vec<Name>) -> Vec<(i32, i32, Name)> {
    let count = i32::try_from(names.len()).unwrap_or(0);
    let mut floor = TOP;
    let mut placed: Vec<(i32, i32, Name)> = Vec::new();
    for (place, name) in (0i32..).zip(names) {
        // Room must remain below for those that follow.
        let ceiling = BOTTOM - (count - 1 - place) * LINE_HEIGHT;
        let y = name.0.clamp(floor.min(ceiling), ceiling);
        floor = y + LINE_HEIGHT;
        placed.push((y, name.0, name));
    }
    placed
}

/// A square, a cross, a triangle and a disc.
fn marker<'a>(
    area: &Area<'a>,
    category: Category,
    colour: RGBColor,
    (x, y): (i32, i32),
) -> Drawn<'a> {
    match category {
        Category::Weak => area.draw(&Rectangle::new(
            [(x - 4, y - 4), (x + 4, y + 4)],
            colour.filled(),
        )),
        Category::Attacked => area.draw(&Cross::new((x, y), 4, colour.stroke_width(2))),
        Category::Breached => area.draw(&TriangleMarker::new((x, y), 6, colour.filled())),
        Category::Compromised => area.draw(&Circle::new((x, y), 5, colour.filled())),
    }
}

/// What the chart says, for those who do not see it.
fn words(burn: &BurnDown, zone: Tz) -> String {
    let (Some(first), Some(last)) = (burn.points.first(), burn.points.last()) else {
        return String::new();
    };
    let mut words = format!(
        "From {} to {}.",
        times::in_full(first.at, zone),
        times::in_full(last.at, zone)
    );
    for category in drawn(burn) {
        let cells = burn.points.iter().map(|point| cell(point, category));
        let most = cells
            .filter(|cell| height(*cell).is_some())
            .max_by(|one, two| {
                height(*one)
                    .unwrap_or(0.0)
                    .total_cmp(&height(*two).unwrap_or(0.0))
            });
        words.push_str(&format!(
            " {}: at most {} open, now {}.",
            capitalised(category.word()),
            most.unwrap_or(Cell::Hidden),
            cell(last, category)
        ));
    }
    words
}

/// With a capital.
pub fn capitalised(word: &str) -> String {
    let mut letters = word.chars();
    match letters.next() {
        Some(first) => first.to_uppercase().chain(letters).collect(),
        None => String::new(),
    }
}

/// Colours become classes, fixed sizes go, and title and description come in.
fn with_classes(svg: &str, words: &str) -> String {
    let mut drawn = svg.to_owned();
    for (colour, class) in STAND_INS {
        let hex = format!("#{:02X}{:02X}{:02X}", colour.0, colour.1, colour.2);
        drawn = drawn
            .replace(
                &format!("fill=\"none\" opacity=\"1\" stroke=\"{hex}\""),
                &format!("class=\"line {class}\""),
            )
            .replace(
                &format!("fill=\"{hex}\" stroke=\"none\""),
                &format!("class=\"area {class}\""),
            )
            .replace(
                &format!("stroke=\"{hex}\""),
                &format!("class=\"line {class}\""),
            )
            .replace(
                &format!("fill=\"{hex}\""),
                &format!("class=\"area {class}\""),
            );
    }
    let drawn = drawn
        .replace(" opacity=\"1\"", "")
        .replace(" font-family=\"inherit\"", "");
    let Some((_, body)) = drawn.split_once(">\n") else {
        return drawn;
    };
    format!(
        "<svg class=\"chart\" viewBox=\"0 0 {} {}\" xmlns=\"http://www.w3.org/2000/svg\" role=\"img\" \
         aria-labelledby=\"chart-title chart-words\">\n<title id=\"chart-title\">Open accounts over time, by \
         category</title>\n<desc id=\"chart-words\">{}</desc>\n{}",
        SIZE.0,
        SIZE.1,
        escaped(words),
        body.trim_end()
    )
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::report::DeadlineMark;

    fn burn(days: i64, open: impl Fn(i64) -> [Cell; 4]) -> BurnDown {
        let start: Moment = "2026-03-20T09:00:00Z".parse().unwrap();
        let at = |day: i64| start.plus(chrono::TimeDelta::days(day));
        BurnDown {
            points: (0..=days)
                .map(|day| BurnPoint {
                    at: at(day),
                    open: open(day),
                })
                .collect(),
            deadlines: vec![DeadlineMark {
                category: Category::Weak,
                at: at(3),
            }],
        }
    }

    fn some(weak: u64, compromised: u64) -> [Cell; 4] {
        [
            Cell::Count(weak),
            Cell::Count(0),
            Cell::Count(0),
            Cell::Count(compromised),
        ]
    }

    #[test]
    fn the_chart_reads_without_colour() {
        let svg = draw(
            &burn(20, |day| some(90 - day as u64, 30)),
            chrono_tz::Europe::London,
        );
        let svg = svg.unwrap().unwrap();
        for part in [
            "class=\"line weak\"",
            "class=\"line compromised\"",
            ">\nweak: 70\n",
            ">\ncompromised: 30\n",
            "weak due 23 Mar 09:00",
        ] {
            assert!(svg.contains(part), "{part}: {svg}");
        }
        assert!(!svg.contains('#'), "a colour of its own is left");
        assert!(!svg.contains("attacked"), "there is nothing to draw of it");
        assert!(svg.contains("<desc id=\"chart-words\">From 20 March 2026, 09:00 GMT to 9 April 2026, 10:00 BST. Compromised: at most 30 open, now 30. Weak: at most 90 open, now 70.</desc>"), "{svg}");
    }

    #[test]
    fn what_is_withheld_is_not_drawn_to_scale() {
        let few = draw(
            &burn(5, |_| {
                [Cell::Few, Cell::Count(40), Cell::Count(0), Cell::Hidden]
            }),
            chrono_tz::UTC,
        );
        let few = few.unwrap().unwrap();
        assert!(few.contains(">\nweak: &lt;5\n"));
        assert!(!few.contains("compromised"));
    }

    #[test]
    fn the_same_figures_give_the_same_picture() {
        let draw = || draw(&burn(9, |day| some(day as u64, 7)), chrono_tz::UTC).unwrap();
        assert_eq!(draw(), draw());
    }

    #[test]
    fn there_is_no_chart_of_a_single_instant() {
        assert_eq!(
            draw(&burn(0, |_| some(3, 3)), chrono_tz::UTC).unwrap(),
            None
        );
        assert_eq!(draw(&BurnDown::default(), chrono_tz::UTC).unwrap(), None);
    }

    #[test]
    fn names_never_cover_one_another_nor_leave_the_picture() {
        for ends in [
            [100, 101, 102, 103],
            [350, 351, 352, 352],
            [68, 68, 68, 68],
            [70, 200, 205, 352],
        ] {
            let names = ends
                .map(|y| (y, Category::Weak, INK, String::new()))
                .to_vec();
            let placed: Vec<i32> = apart(names).iter().map(|name| name.0).collect();
            assert!(
                placed.windows(2).all(|two| two[1] - two[0] >= LINE_HEIGHT),
                "{placed:?}"
            );
            assert!(
                placed.iter().all(|y| (TOP..=BOTTOM).contains(y)),
                "{placed:?}"
            );
        }
    }

    #[test]
    fn grid_lines_lie_at_round_numbers() {
        for (most, step_is) in [
            (0, 1),
            (4, 1),
            (9, 2),
            (23, 5),
            (140, 50),
            (9_000, 2_000),
            (1_000_000, 200_000),
        ] {
            assert_eq!(step(most), step_is, "{most}");
        }
        assert!(step(u64::MAX) > 1);
    }

    #[test]
    fn ticks_are_local_midnights_and_few() {
        for days in [2, 7, 30, 90, 700] {
            let burn = burn(days, |_| some(1, 1));
            let frame = Frame {
                first: burn.points[0].at.micros(),
                last: burn.points.last().unwrap().at.micros(),
                top: 1,
            };
            let ticks = ticks(&frame, chrono_tz::Europe::London);
            assert!((1..=10).contains(&ticks.len()), "{days}: {ticks:?}");
            for (at, _) in ticks {
                assert_eq!(times::local(at, chrono_tz::Europe::London).hour(), 0);
            }
        }
    }
}
