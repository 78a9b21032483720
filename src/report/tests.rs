//! A report of an invented attack, printed in each form and looked at.

use chrono::TimeDelta;

use super::*;
use crate::domain::finding::Category;
use crate::domain::ids::{AuditId, CaseId, PersonId};
use crate::domain::moment::Moment;
use crate::domain::notice::NoticeKind;
use crate::domain::report::*;

fn hour(hours: i64) -> Moment {
    "2026-03-16T08:00:00Z"
        .parse::<Moment>()
        .unwrap()
        .plus(TimeDelta::hours(hours))
}

/// Numbers that look like chance and are always the same.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: i64) -> i64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as i64 % below
    }
}

const DEPARTMENTS: [(&str, i64); 9] = [
    ("Chamber and Committees", 22),
    ("Communications", 9),
    ("Digital Service", 14),
    ("Estates", 17),
    ("Library & Research", 12),
    ("Members’ Staff", 40),
    ("Security", 6),
    ("Serjeant’s Office", 1),
    ("Vote Office", 3),
];

fn cases(count: i64) -> Vec<CaseFacts> {
    let mut dice = Dice(7);
    let all: i64 = DEPARTMENTS.iter().map(|(_, weight)| weight).sum();
    (1..=count)
        .map(|id| {
            let mut place = dice.roll(all);
            let (department, _) = DEPARTMENTS
                .iter()
                .find(|(_, weight)| {
                    place -= weight;
                    place < 0
                })
                .unwrap();
            one(id, department, &mut dice)
        })
        .collect()
}

fn one(id: i64, department: &str, dice: &mut Dice) -> CaseFacts {
    use Category::{Attacked, Breached, Compromised, Weak};
    let (category, wave, due, pace) = match dice.roll(100) {
        0..7 => (Compromised, 1, 26, 9),
        7..30 => (Breached, 5, 53, 25),
        30..62 => (Attacked, 7, 79, 40),
        _ => (Weak, 30, 270, 130),
    };
    let found_at = hour(-dice.roll(12));
    let told = hour(wave + dice.roll(3));
    let waited = dice.roll(pace) * dice.roll(pace) / pace * 3 + dice.roll(9);
    let reset =
        (dice.roll(100) < 88).then(|| told.plus(TimeDelta::minutes(waited * 60 + dice.roll(60))));
    let reset = reset.filter(|at| *at <= hour(300));
    let reached = dice.roll(40) != 0;
    CaseFacts {
        person: Some(PersonId(id - dice.roll(9) / 8)),
        mailboxes: 1 + u32::from(dice.roll(10) == 0),
        opened_at: hour(0),
        notice_at: reached.then_some(told),
        deadline_at: Some(hour(due)),
        reset_at: reset.filter(|_| reached),
        disabled_at: (dice.roll(30) == 0).then(|| hour(50 + dice.roll(200))),
        withdrawn: dice.roll(60) == 0,
        exempt: if dice.roll(45) == 0 {
            vec![(hour(20), hour(400))]
        } else {
            Vec::new()
        },
        undeliverable: !reached,
        recheck_pending: dice.roll(3) == 0,
        last_contact_at: reached.then(|| hour(due - 4)),
        reminders: if reached {
            vec![(1, hour(due / 2)), (2, hour(due * 3 / 4))]
        } else {
            Vec::new()
        },
        handed_over_at: (dice.roll(2) == 0).then(|| hour(due + 5)),
        restored_at: (category == Compromised).then(|| hour(60)),
        ..CaseFacts::open(CaseId(id), category, department, found_at)
    }
}

fn around() -> Surroundings {
    let letters = |accepted, refused, expired, trying, bounced, in_doubt| DeliveryFacts {
        queued: 0,
        attempted: accepted + refused + expired + trying,
        accepted,
        refused,
        expired,
        trying,
        bounced,
        in_doubt,
    };
    let hash = |byte: &str| byte.repeat(32);
    Surroundings {
        mailboxes: Some(455),
        coverage: vec![Coverage {
            source: "ad:PARL".to_owned(),
            run_at: hour(-20),
            in_scope: 8_912,
            assessed: 8_760,
            not_assessed: vec![("disabled".to_owned(), 120), ("no hash".to_owned(), 32)],
        }],
        deliveries: vec![
            (NoticeKind::Weak, letters(151, 7, 0, 0, 6, 9)),
            (NoticeKind::Attacked, letters(130, 2, 0, 0, 3, 0)),
            (NoticeKind::Breached, letters(93, 0, 0, 0, 0, 0)),
            (NoticeKind::Reminder1, letters(202, 6, 5, 0, 2, 0)),
        ],
        tasks_open: 9,
        exceptions: vec![ExceptionFacts {
            case: CaseId(12),
            reason: "long_absence".to_owned(),
            control: "sign-in blocked".to_owned(),
            requested_by: "desk-2".to_owned(),
            approved_by: "lead-1".to_owned(),
            granted_at: hour(20),
            expires_at: hour(400),
        }],
        statements: vec![StatementFacts {
            id: "S-1".to_owned(),
            kind: "public.holding".to_owned(),
            version: 1,
            sha256: hash("a1"),
            author: "comms-1".to_owned(),
            approver: "comms-2".to_owned(),
            approved_at: Some(hour(2)),
            posted_at: Some(hour(3)),
            channel: "discord".to_owned(),
            external_id: "1218".to_owned(),
            replaces: None,
        }],
        incidents: vec![IncidentFacts {
            id: "I-1".to_owned(),
            declared_at: hour(1),
            first_statement_at: Some(hour(3)),
            promises_due: 6,
            promises_missed: 1,
        }],
        clocks: vec![ClockFacts {
            name: "UK GDPR art. 33(1)".to_owned(),
            applies: Some(true),
            trigger_at: hour(1),
            due_at: hour(73),
            submitted_at: Some(hour(50)),
            reference: Some("IC-1".to_owned()),
        }],
        provenance: vec![Provenance {
            id: AuditId(1),
            name: "march-audit.csv".to_owned(),
            sha256: hash("5e"),
            size_bytes: 48_212,
            received_at: hour(-3),
            rows: 431,
            accepted: 420,
            rejected: vec![("no such account".to_owned(), 11)],
        }],
        ledger: Some(LedgerFacts {
            head: hash("9c"),
            entries: 5_120,
            first_at: hour(-40),
            last_at: hour(300),
            verified_at: Some(hour(299)),
            gaps: 0,
        }),
    }
}

fn sample(count: i64, readers: Readers, around: Surroundings) -> Report {
    let header = Header {
        organisation: "Example Parliament".to_owned(),
        scope: "Password attack of March 2026".to_owned(),
        as_of: hour(300),
        generated_at: None,
        zone: chrono_tz::Europe::London,
        product: "division-bell 0.1.0".to_owned(),
        config_sha256: "c0".repeat(32),
        templates_sha256: "7e".repeat(32),
    };
    let before = {
        let mut builder = ReportBuilder::new(hour(132), readers);
        cases(count).iter().for_each(|case| builder.case(case));
        let header = Header {
            as_of: hour(132),
            ..header.clone()
        };
        builder.finish(header, Surroundings::default(), None)
    };
    let mut builder = ReportBuilder::new(hour(300), readers);
    cases(count).iter().for_each(|case| builder.case(case));
    builder.finish(header, around, Some(&before))
}

/// Every form of a report, as one text.
fn everything(report: &Report) -> String {
    let files = render_csv(report).unwrap();
    let files = files.into_iter().map(|(name, text)| name + "\n" + &text);
    render_html(report).unwrap() + &render_json(report).unwrap() + &files.collect::<String>()
}

#[test]
fn the_same_report_gives_the_same_bytes() {
    let report = || sample(420, Readers::Wider, around());
    assert_eq!(everything(&report()), everything(&report()));
}

#[test]
fn each_form_carries_the_fingerprint_of_the_same_figures() {
    let report = sample(420, Readers::Wider, around());
    let fingerprint = fingerprint(&report).unwrap();
    let (_, about) = render_csv(&report).unwrap().remove(0);
    for text in [
        render_html(&report).unwrap(),
        render_json(&report).unwrap(),
        about,
    ] {
        assert!(text.contains(&fingerprint));
    }
    let other = sample(421, Readers::Wider, around());
    assert_ne!(super::fingerprint(&other).unwrap(), fingerprint);
}

#[test]
fn the_page_stands_alone() {
    let page = render_html(&sample(420, Readers::Wider, around())).unwrap();
    assert!(page.starts_with("<!DOCTYPE html>\n<html lang=\"en-GB\">"));
    for foreign in ["<script", "<link", "@import", "url(", "src=", "href="] {
        assert!(!page.contains(foreign), "{foreign}");
    }
    let outside = page.replace("http://www.w3.org/2000/svg", "");
    assert!(!outside.contains("http"), "the page points elsewhere");
}

#[test]
fn every_table_has_a_caption_and_its_headings_a_scope() {
    let page = render_html(&sample(420, Readers::Wider, around())).unwrap();
    let count = |text: &str| page.matches(text).count();
    assert_eq!(count("<table>"), count("<caption>"));
    assert_eq!(
        count("<table>"),
        count("; as of 28 Mar 2026 20:00 GMT</caption>")
    );
    assert_eq!(count("<th "), count("<th scope="));
    assert_eq!(count("<tr"), count("</tr>"));
    assert!(count("<table>") >= 18);
}

#[test]
fn what_comes_from_outside_is_text_and_never_markup_or_formula() {
    let mut hostile = around();
    hostile.statements[0].channel = "<script>alert(1)</script>".to_owned();
    hostile.provenance[0].name = "=HYPERLINK(\"x\")".to_owned();
    let mut report = sample(420, Readers::Restricted, hostile);
    report.header.organisation = "<b>&\"'".to_owned();
    report.by_department.rows[0].department = Some("@SUM(A1)<img>".to_owned());
    let page = render_html(&report).unwrap();
    assert!(!page.contains("<script") && !page.contains("<img") && !page.contains("<b>"));
    for (name, text) in render_csv(&report).unwrap() {
        let mut cells = csv_cells(&text);
        assert!(
            cells.all(|cell| !cell.starts_with(['=', '+', '-', '@', '\t', '\r'])),
            "{name}"
        );
    }
}

fn csv_cells(text: &str) -> impl Iterator<Item = String> {
    let mut reader = ::csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .from_reader(text.as_bytes());
    let rows: Vec<::csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    rows.into_iter()
        .flat_map(|row| row.iter().map(str::to_owned).collect::<Vec<_>>())
}

#[test]
fn every_row_of_a_csv_file_has_as_many_cells_as_its_heading() {
    for (name, text) in render_csv(&sample(420, Readers::Wider, around())).unwrap() {
        let mut reader = ::csv::Reader::from_reader(text.as_bytes());
        assert!(reader.records().all(|row| row.is_ok()), "{name}");
        assert!(name.ends_with(".csv") && !name.contains('/'), "{name}");
    }
}

#[test]
fn json_names_its_layout_and_tells_numbers_from_what_is_withheld() {
    let text = render_json(&sample(420, Readers::Wider, around())).unwrap();
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(json["schema"], "division-bell/report/1");
    let report = &json["report"];
    assert_eq!(report["readers"], "wider");
    assert_eq!(report["header"]["zone"], "Europe/London");
    assert_eq!(report["headline"][0]["key"], "made_safe");
    assert!(report["by_category"]["total"]["valid"].is_u64());
    let small = report["by_department"]["rows"].as_array().unwrap().iter();
    assert!(
        small.filter(|row| row["valid"] == "<5").count() > 0,
        "the sample has a small department"
    );
}

/// Every object in `told` has the fields that the layout names, and no other.
fn fits(told: &serde_json::Value, layout: &serde_json::Value, whole: &serde_json::Value, at: &str) {
    use serde_json::Value;
    if let Some(name) = layout["$ref"].as_str() {
        let place = name.trim_start_matches('#');
        return fits(told, whole.pointer(place).unwrap(), whole, at);
    }
    if let Some(choices) = layout["anyOf"].as_array() {
        let is_object = |choice: &&Value| {
            let place = choice["$ref"]
                .as_str()
                .unwrap_or("#")
                .trim_start_matches('#');
            let choice = if place.is_empty() {
                choice
            } else {
                whole.pointer(place).unwrap()
            };
            let named = choice["properties"].as_object();
            named.is_some_and(|named| {
                told.as_object()
                    .is_some_and(|told| named.keys().eq(told.keys()))
            })
        };
        let Some(choice) = choices.iter().find(is_object) else {
            assert!(
                !told.is_object(),
                "{at} has other fields than the layout names: {told}"
            );
            return;
        };
        return fits(told, choice, whole, at);
    }
    match told {
        Value::Object(fields) => {
            let named = layout["properties"]
                .as_object()
                .unwrap_or_else(|| panic!("{at} is no object"));
            assert!(
                named.keys().eq(fields.keys()),
                "{at}: {:?} {:?}",
                named.keys(),
                fields.keys()
            );
            for (name, value) in fields {
                fits(value, &named[name], whole, &format!("{at}.{name}"));
            }
        }
        Value::Array(items) if layout["prefixItems"].is_null() => {
            for item in items {
                fits(item, &layout["items"], whole, &format!("{at}[]"));
            }
        }
        Value::Array(items) => assert_eq!(
            items.len(),
            layout["prefixItems"].as_array().unwrap().len(),
            "{at}"
        ),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            assert!(
                layout.get("properties").is_none(),
                "{at} is an object in the layout"
            );
        }
    }
}

#[test]
fn the_layout_names_every_field_of_the_json_and_no_other() {
    let layout: serde_json::Value = serde_json::from_str(LAYOUT).unwrap();
    assert_eq!(layout["properties"]["schema"]["const"], SCHEMA);
    for readers in [Readers::Restricted, Readers::Wider] {
        let text = render_json(&sample(420, readers, around())).unwrap();
        fits(&serde_json::from_str(&text).unwrap(), &layout, &layout, "");
    }
}

#[test]
fn an_empty_report_is_still_a_report() {
    let report = sample(0, Readers::Wider, Surroundings::default());
    let page = render_html(&report).unwrap();
    assert!(page.contains("No account has had to be reset."));
    assert!(page.contains("It says nothing about: audit coverage;"));
    assert!(!page.contains("<svg"));
    render_csv(&report).unwrap();
    render_json(&report).unwrap();
}

#[test]
fn a_percentage_never_stands_without_its_two_numbers() {
    let page = render_html(&sample(420, Readers::Wider, around())).unwrap();
    let mut seen = 0;
    for (before, _) in page
        .match_indices("<span class=\"under\">(")
        .map(|(at, _)| page.split_at(at))
    {
        let cell = before.rsplit_once('>').unwrap().1.trim_end();
        assert!(
            cell.contains(" of ") || cell == "not reached" || cell.ends_with(['h', 'd', 'n', 's']),
            "{cell}"
        );
        seen += 1;
    }
    assert!(seen > 40);
}
