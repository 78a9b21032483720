//! Printed letters → the internal post, and the tick sheet → people who were told.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use chrono::{NaiveDate, NaiveDateTime, NaiveTime, TimeDelta};
use serde::Serialize;

use crate::app::App;
use crate::domain::address::fold;
use crate::domain::way::HandedOver;
use crate::domain::{DeliveryId, Moment};
use crate::report::letters::{Sheet, render_letters, render_tick_csv, render_tick_sheet};

/// Where people without a building on record are.
const NO_BUILDING: &str = "No building on record";

/// A tick sheet is a few kilobytes; what is larger is another file.
const LARGEST: u64 = 8 << 20;

/// What was printed.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Printed {
    /// Letters.
    pub letters: u64,
    /// The files, by building: the letters, the tick sheet to print, the tick sheet to fill in.
    pub files: Vec<PathBuf>,
    /// Letters that do not come out as they were queued: somebody should look.
    pub unwritable: Vec<DeliveryId>,
}

impl std::fmt::Display for Printed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.letters == 0 && self.unwritable.is_empty() {
            return f.write_str("no letters to print");
        }
        write!(f, "{} letters are ready to print", self.letters)?;
        for file in &self.files {
            write!(f, "\n  {}", file.display())?;
        }
        for id in &self.unwritable {
            write!(
                f,
                "\n  delivery {id} cannot be written as it was queued: tell its reader in person"
            )?;
        }
        write!(
            f,
            "\nthey hold names: keep the folder to yourself, and remove it when the round is done"
        )
    }
}

/// Writes the letters that wait for the internal post, by building, and marks them as handed out. Said `again`, those
/// that are out already are written once more.
pub async fn hand_out(
    app: &App,
    out: &Path,
    building: Option<&str>,
    again: bool,
    by: &str,
) -> anyhow::Result<Printed> {
    if let Some(why) = app.mute().await? {
        bail!(why);
    }
    let now = app.clock.now();
    std::fs::create_dir_all(out).with_context(|| format!("making {}", out.display()))?;
    ensure!(
        !std::fs::metadata(out)?.permissions().readonly(),
        "{} cannot be written to; name another folder",
        out.display()
    );
    let mut tx = app.store.begin().await?;
    let letters = tx.hand_out_letters(building, again, now).await?;
    if !letters.is_empty() {
        let detail = format!("{{\"letters\":{},\"again\":{again}}}", letters.len());
        tx.note(now, by, "letters.handed_out", None, Some(&detail))
            .await?;
    }
    tx.commit().await?;
    let mut printed = Printed::default();
    let mut rounds: BTreeMap<String, Vec<Sheet>> = BTreeMap::new();
    for letter in &letters {
        let words = match app.letters.write_page(&app.store, letter).await {
            Ok(words) => words,
            Err(error) => {
                tracing::error!(delivery.id = %letter.id, "{error:#}");
                printed.unwritable.push(letter.id);
                continue;
            }
        };
        let round = letter
            .building
            .clone()
            .unwrap_or_else(|| NO_BUILDING.to_owned());
        rounds.entry(round).or_default().push(Sheet {
            reference: letter.reference.clone(),
            name: letter.name.expose().to_owned(),
            department: letter.department.clone(),
            room: letter.room.expose().to_owned(),
            date: day(app, letter.queued_at),
            subject: words.subject,
            text: words.text,
        });
        printed.letters += 1;
    }
    for (nth, (building, mut sheets)) in rounds.into_iter().enumerate() {
        sheets.sort_by_cached_key(|sheet| (fold(&sheet.room), fold(&sheet.name)));
        let files = write(app, out, nth + 1, &building, &sheets, now).with_context(
            || "the letters are marked as handed out; write them once more with --again",
        )?;
        printed.files.extend(files);
    }
    Ok(printed)
}

fn day(app: &App, at: Moment) -> String {
    app.calendar.local(at).format("%-d %B %Y").to_string()
}

fn write(
    app: &App,
    out: &Path,
    nth: usize,
    building: &str,
    sheets: &[Sheet],
    now: Moment,
) -> anyhow::Result<[PathBuf; 3]> {
    let organisation = &app.config.organisation.name;
    let date = day(app, now);
    let stem = format!(
        "{}-{nth:02}-{}",
        now.utc().format("%Y%m%dT%H%M%S"),
        slug(building)
    );
    let files = [
        (
            "letters.html",
            render_letters(organisation, building, &date, sheets)?,
        ),
        (
            "round.html",
            render_tick_sheet(organisation, building, &date, sheets)?,
        ),
        ("round.csv", render_tick_csv(sheets)?),
    ];
    let mut written = files.iter().map(|(name, text)| {
        let path = out.join(format!("{stem}.{name}"));
        // Names and reasons stand in them: for their owner's eyes, and never in place of another file.
        std::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .and_then(|mut file| file.write_all(text.as_bytes()))
            .with_context(|| format!("writing {}", path.display()))?;
        anyhow::Ok(path)
    });
    let mut next = || written.next().context("three files")?;
    Ok([next()?, next()?, next()?])
}

/// As much of a building's name as a file name may hold.
fn slug(building: &str) -> String {
    let safe: String = building
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() {
                c.to_ascii_lowercase()
            } else {
                '-'
            }
        })
        .take(40)
        .collect();
    safe.trim_matches('-').to_owned()
}

/// What a tick sheet told.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Ticked {
    /// Letters that were handed over.
    pub told: u64,
    /// The open cases that they told of.
    pub cases: u64,
    /// Letters that could not be handed over: the next way follows.
    pub not_told: u64,
    /// Lines that say nothing yet.
    pub blank: u64,
    /// Lines that could not be used, and why.
    pub rejects: Vec<BadLine>,
}

/// A line of a tick sheet that could not be used. Never quotes it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct BadLine {
    /// From 1.
    pub line: u64,
    /// Why.
    pub reason: &'static str,
}

impl std::fmt::Display for Ticked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} letters handed over, telling of {} cases; {} not handed over, {} not filled in yet",
            self.told, self.cases, self.not_told, self.blank
        )?;
        for bad in &self.rejects {
            write!(f, "\n  line {}: {}", bad.line, bad.reason)?;
        }
        Ok(())
    }
}

/// One line of a tick sheet that says something.
struct Tick {
    line: u64,
    reference: String,
    told: bool,
    /// When, and whether only the day is known.
    at: Option<(Moment, bool)>,
    by: bool,
}

/// Takes a tick sheet in: whoever has their letter in hand was told. What cannot be used costs its line only.
pub async fn told(app: &App, file: &Path, by: &str) -> anyhow::Result<Ticked> {
    let size = std::fs::metadata(file)
        .with_context(|| format!("reading {}", file.display()))?
        .len();
    ensure!(
        size <= LARGEST,
        "{} is no tick sheet: it is larger than 8 MB",
        file.display()
    );
    let bytes = std::fs::read(file).with_context(|| format!("reading {}", file.display()))?;
    let mut ticked = Ticked::default();
    let ticks =
        read(app, &bytes, &mut ticked).with_context(|| format!("reading {}", file.display()))?;
    let now = app.clock.now();
    let mut tx = app.store.begin().await?;
    let references: Vec<String> = ticks.iter().map(|tick| tick.reference.clone()).collect();
    let letters = tx.outstanding_letters(&references).await?;
    let mut seen = std::collections::HashSet::new();
    for tick in &ticks {
        let mut reject = |reason| {
            ticked.rejects.push(BadLine {
                line: tick.line,
                reason,
            });
        };
        if !seen.insert(&tick.reference) {
            reject("this reference is there twice; the first line counts");
            continue;
        }
        let letter = match letters.get(&tick.reference) {
            None => {
                reject("no letter of this reference was handed out");
                continue;
            }
            Some(letter) if letter.state != "handed_out" => {
                reject("the letter of this reference is not out any more, or not yet");
                continue;
            }
            Some(letter) => letter,
        };
        let (at, day_only) = tick.at.unwrap_or((now, false));
        // A day without a time of day may have begun before the letter went out on it.
        let earliest = letter.handed_out_at.map(|out| {
            if day_only {
                out.minus(TimeDelta::days(1))
            } else {
                out
            }
        });
        if at > now || earliest.is_some_and(|earliest| at < earliest) {
            reject("the date is before the letter was handed out, or in the future");
            continue;
        }
        let at = letter.handed_out_at.map_or(at, |out| at.max(out));
        if !tx.end_letter(letter.id, tick.told, at).await? {
            reject("the letter of this reference is not out any more, or not yet");
            continue;
        }
        if !tick.told {
            ticked.not_told += 1;
            continue;
        }
        ticked.told += 1;
        let how = if tick.by && tick.at.is_some() {
            HandedOver::Signed
        } else {
            HandedOver::Ticked
        };
        for case in &letter.cases {
            tx.tell_case(*case, at, how.word(), by, now).await?;
            ticked.cases += 1;
        }
    }
    let detail = format!(
        "{{\"told\":{},\"not_told\":{},\"rejected\":{}}}",
        ticked.told,
        ticked.not_told,
        ticked.rejects.len()
    );
    tx.note(now, by, "letters.told", None, Some(&detail))
        .await?;
    tx.commit().await?;
    ticked.rejects.sort_by_key(|bad| bad.line);
    Ok(ticked)
}

/// What a spreadsheet put between the cells of this table.
pub(super) fn delimiter_of(text: &str) -> u8 {
    let head = text.lines().next().unwrap_or_default();
    [b';', b'\t']
        .into_iter()
        .find(|mark| head.contains(char::from(*mark)))
        .unwrap_or(b',')
}

/// Reads the lines of a tick sheet as a spreadsheet may have saved it: with commas, semicolons or tabs.
fn read(app: &App, bytes: &[u8], ticked: &mut Ticked) -> anyhow::Result<Vec<Tick>> {
    let text = String::from_utf8_lossy(bytes);
    // The reader's count of lines stands still between a carriage return and its line feed.
    let text = text.trim_start_matches('\u{FEFF}').replace("\r\n", "\n");
    let mut rows = csv::ReaderBuilder::new()
        .delimiter(delimiter_of(&text))
        .flexible(true)
        .from_reader(text.as_bytes());
    let header: Vec<String> = rows.headers()?.iter().map(fold).collect();
    let place = |name: &str| header.iter().position(|own| own == name);
    let (Some(reference), Some(told)) = (place("reference"), place("told")) else {
        anyhow::bail!("it has no columns \"reference\" and \"told\"; is this the round's CSV file?")
    };
    let (date, by) = (place("date"), place("by"));
    let mut ticks = Vec::new();
    for row in rows.records() {
        let row = match row {
            Ok(row) => row,
            Err(error) => {
                let line = error.position().map_or(0, csv::Position::line);
                ticked.rejects.push(BadLine {
                    line,
                    reason: "this is no line of a table",
                });
                continue;
            }
        };
        let line = row.position().map_or(0, csv::Position::line);
        let cell = |at: Option<usize>| at.and_then(|at| row.get(at)).unwrap_or_default().trim();
        let mut reject = |reason| ticked.rejects.push(BadLine { line, reason });
        let told = match fold(cell(Some(told))).as_str() {
            "" => {
                ticked.blank += 1;
                continue;
            }
            "yes" | "y" | "true" | "1" | "x" | "✓" | "✔" => true,
            "no" | "n" | "false" | "0" => false,
            _ => {
                reject("told is neither yes nor no");
                continue;
            }
        };
        let at = match cell(date) {
            "" => None,
            text => match when(app, text) {
                Some(at) => Some(at),
                None => {
                    reject("the date cannot be read; write it as 2026-03-02 or 2026-03-02 14:30");
                    continue;
                }
            },
        };
        ticks.push(Tick {
            line,
            reference: cell(Some(reference))
                .trim_start_matches('\'')
                .to_uppercase(),
            told,
            at,
            by: !cell(by).is_empty(),
        });
    }
    Ok(ticks)
}

/// A moment of the site's time, and whether only its day is given. Day before month, where the year comes last.
pub(super) fn when(app: &App, text: &str) -> Option<(Moment, bool)> {
    if let Ok(at) = text.parse::<Moment>() {
        return Some((at, false));
    }
    for form in ["%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M", "%d/%m/%Y %H:%M"] {
        if let Ok(at) = NaiveDateTime::parse_from_str(text, form) {
            return Some((app.calendar.moment(at), false));
        }
    }
    for form in ["%Y-%m-%d", "%d/%m/%Y", "%d.%m.%Y"] {
        if let Ok(day) = NaiveDate::parse_from_str(text, form) {
            return Some((app.calendar.moment(day.and_time(NaiveTime::MIN)), true));
        }
    }
    None
}
