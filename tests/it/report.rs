//! The report of the demo's three weeks: true to the database, the same whenever it is asked, and silent about people.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use calamine::{Data, Reader, Xlsx};
use division_bell::app::App;
use division_bell::cli::Demo;
use division_bell::clock::Clock;
use division_bell::config::Config;
use division_bell::demo;
use division_bell::domain::Moment;
use division_bell::report::{Format, diff};
use division_bell::steps::report::{put, report, write};
use division_bell::store::Store;
use serde_json::Value;
use sqlx::{AssertSqlSafe, Connection, PgConnection, SqliteConnection};

use crate::support::postgres;

const DIRECTORY: &str = include_str!("../audits/demo/directory.csv");

/// The Monday on which the demo's first scheduled report was written; two weeks of history follow.
const FIRST_MONDAY: &str = "2026-03-09T07:00:00Z";

/// When the demo ends.
const END: &str = "2026-03-23T08:00:00Z";

/// The folder of a demo that was played to its end, once for all tests. Nobody writes into it.
fn played() -> &'static Path {
    static PLAYED: OnceLock<tempfile::TempDir> = OnceLock::new();
    PLAYED
        .get_or_init(|| {
            let dir = tempfile::tempdir().unwrap();
            let out = dir.path().to_owned();
            // A test's own runtime cannot wait for another one on its thread.
            let play = std::thread::spawn(move || {
                let options = Demo {
                    audit: None,
                    directory: None,
                    mapping: None,
                    out: Some(out),
                };
                tokio::runtime::Runtime::new()
                    .unwrap()
                    .block_on(demo::run(&options))
                    .unwrap();
            });
            play.join().unwrap();
            dir
        })
        .path()
}

fn at(text: &str) -> Moment {
    text.parse().unwrap()
}

/// The app that goes on from the demo, on a copy of its database.
async fn app(copy: &Path) -> App {
    std::fs::copy(played().join("bell.db"), copy.join("bell.db")).unwrap();
    let file = played().canonicalize().unwrap().join("bell.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    let config = Config::from_text(&text, &file, &|_| None).unwrap();
    let mut app = App::build(config, Clock::at(at(END))).await.unwrap();
    app.store.close().await;
    app.store = Store::open(&url(copy), None).await.unwrap();
    app
}

fn url(copy: &Path) -> String {
    format!("sqlite://{}", copy.join("bell.db").display())
}

/// Every form of the report as of a moment: file names and bytes.
async fn forms(app: &App, as_of: Moment) -> BTreeMap<String, Vec<u8>> {
    let dir = tempfile::tempdir().unwrap();
    let report = report(app, Some(as_of)).await.unwrap();
    for format in Format::ALL {
        let name = format!("report{}", format.extension().unwrap_or_default());
        put(app, &report, format, &dir.path().join(name)).unwrap();
    }
    // A workbook is packed: what it says is looked at as well.
    let sheets = sheets(&dir.path().join("reportxlsx"));
    let text: Vec<String> = sheets
        .iter()
        .flat_map(|(name, rows)| {
            let rows = rows.iter().flatten().map(ToString::to_string);
            std::iter::once(name.clone()).chain(rows)
        })
        .collect();
    std::fs::write(dir.path().join("workbook.txt"), text.join("\n")).unwrap();
    bytes(dir.path())
}

/// The sheets of a workbook, and their rows.
fn sheets(file: &Path) -> Vec<(String, Vec<Vec<Data>>)> {
    let mut book: Xlsx<_> = calamine::open_workbook(file).unwrap();
    let sheets = book.worksheets();
    sheets
        .into_iter()
        .map(|(name, range)| (name, range.rows().map(<[Data]>::to_vec).collect()))
        .collect()
}

fn bytes(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders: Vec<PathBuf> = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        for path in crate::support::files(&folder) {
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(dir).unwrap().display().to_string();
                found.insert(name, std::fs::read(&path).unwrap());
            }
        }
    }
    found
}

async fn json(app: &App, as_of: &str) -> Value {
    serde_json::to_value(report(app, Some(at(as_of))).await.unwrap()).unwrap()
}

async fn count(db: &mut SqliteConnection, sql: &str) -> i64 {
    let (count,): (i64,) = sqlx::query_as(AssertSqlSafe(sql.to_owned()))
        .fetch_one(db)
        .await
        .unwrap();
    count
}

#[tokio::test]
async fn a_report_of_a_past_monday_is_the_one_that_was_written_on_it() {
    let copy = tempfile::tempdir().unwrap();
    let app = app(copy.path()).await;
    for day in ["2026-03-09", "2026-03-16", "2026-03-23"] {
        let as_of = Some(at(&format!("{day}T07:00:00Z")));
        for format in Format::ALL {
            let name = match format.extension() {
                Some(extension) => format!("report-{day}.{extension}"),
                None => format!("report-{day}"),
            };
            let again = copy.path().join(&name);
            write(&app, as_of, format, &again).await.unwrap();
            let then = played().join("reports").join(&name);
            if format == Format::Csv {
                assert!(bytes(&then).len() > 15);
                assert_eq!(bytes(&then), bytes(&again), "{name}");
            } else {
                let [then, again] = [then, again].map(|file| std::fs::read(file).unwrap());
                assert!(then == again, "{name}");
            }
        }
    }
}

#[tokio::test]
async fn what_is_still_to_come_cannot_be_reported() {
    let copy = tempfile::tempdir().unwrap();
    let app = app(copy.path()).await;
    let error = report(&app, Some(at("2026-03-23T08:00:01Z"))).await;
    assert!(error.unwrap_err().to_string().contains("still to come"));
}

#[tokio::test]
async fn both_databases_give_the_same_bytes() {
    let Some(target) = postgres::database().await else {
        return;
    };
    let copy = tempfile::tempdir().unwrap();
    let mut app = app(copy.path()).await;
    let (now, then) = (
        forms(&app, at(END)).await,
        forms(&app, at(FIRST_MONDAY)).await,
    );
    app.store.close().await;
    app.store = Store::open(&target, None).await.unwrap();
    copy_rows(&url(copy.path()), &target).await;
    assert_eq!(now, forms(&app, at(END)).await);
    assert_eq!(then, forms(&app, at(FIRST_MONDAY)).await);
    assert_ne!(now, then);
    app.store.close().await;
}

/// Copies every row from SQLite to PostgreSQL.
async fn copy_rows(from: &str, to: &str) {
    let mut from = SqliteConnection::connect(from).await.unwrap();
    let mut to = PgConnection::connect(to).await.unwrap();
    let tables: Vec<(String, String)> = sqlx::query_as(
        "SELECT m.name, group_concat('''' || c.name || ''', \"' || c.name || '\"') FROM sqlite_master m, pragma_table_info(m.name) c
         WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite_%' AND m.name NOT LIKE '\\_sqlx%' ESCAPE '\\' GROUP BY m.name",
    )
    .fetch_all(&mut from)
    .await
    .unwrap();
    assert!(tables.len() > 15);
    // The order of the tables is not that of their references.
    sqlx::query("SET session_replication_role = replica")
        .execute(&mut to)
        .await
        .unwrap();
    for (table, columns) in tables {
        let (rows,): (String,) = sqlx::query_as(AssertSqlSafe(format!(
            "SELECT json_group_array(json_object({columns})) FROM {table}"
        )))
        .fetch_one(&mut from)
        .await
        .unwrap();
        // What opening the store has settled makes room for what the demo settled.
        sqlx::query(AssertSqlSafe(format!("DELETE FROM {table}")))
            .execute(&mut to)
            .await
            .unwrap();
        sqlx::query(AssertSqlSafe(format!(
            "INSERT INTO {table} OVERRIDING SYSTEM VALUE SELECT * FROM json_populate_recordset(NULL::{table}, $1::json)"
        )))
        .bind(rows)
        .execute(&mut to)
        .await
        .unwrap();
    }
    to.close().await.unwrap();
    from.close().await.unwrap();
}

#[tokio::test]
async fn the_figures_are_those_that_the_database_adds_up_to() {
    let copy = tempfile::tempdir().unwrap();
    let app = app(copy.path()).await;
    let told = json(&app, END).await;
    app.store.close().await;
    let mut db = SqliteConnection::connect(&url(copy.path())).await.unwrap();
    let end = at(END).micros();
    let valid = "FROM cases c WHERE NOT EXISTS (SELECT 1 FROM cases s WHERE s.reopens_id = c.id)";
    let all = &told["by_category"]["total"];
    for (figure, sql) in [
        (&all["valid"], format!("SELECT COUNT(*) {valid}")),
        (
            &all["told"]["numerator"],
            format!("SELECT COUNT(*) {valid} AND notice_at IS NOT NULL"),
        ),
        (
            &all["reset"]["numerator"],
            format!("SELECT COUNT(*) {valid} AND closed_as = 'reset'"),
        ),
        (
            &all["safe"]["numerator"],
            format!("SELECT COUNT(*) {valid} AND state = 'closed'"),
        ),
        (
            &all["open"],
            format!("SELECT COUNT(*) {valid} AND state <> 'closed'"),
        ),
        (
            &all["on_time"]["denominator"],
            format!("SELECT COUNT(*) {valid} AND deadline_at <= {end}"),
        ),
        (
            &all["on_time"]["numerator"],
            format!("SELECT COUNT(*) {valid} AND deadline_at <= {end} AND safe_at <= deadline_at"),
        ),
        (
            &all["overdue"],
            format!("SELECT COUNT(*) {valid} AND deadline_at < {end} AND state <> 'closed'"),
        ),
        (
            &told["units"]["people"],
            format!("SELECT COUNT(DISTINCT person_id) {valid}"),
        ),
        (
            &told["units"]["mailboxes"],
            format!(
                "SELECT SUM(n) FROM (SELECT (SELECT COUNT(*) FROM account_mailboxes m WHERE m.account_id = c.account_id) AS n {valid})"
            ),
        ),
        (
            &told["delivery"]["total"]["attempted"],
            "SELECT COUNT(DISTINCT delivery_id) FROM attempts".to_owned(),
        ),
        (
            &told["delivery"]["total"]["accepted"]["numerator"],
            "SELECT COUNT(DISTINCT delivery_id) FROM attempts WHERE outcome = 'accepted'"
                .to_owned(),
        ),
        (
            &told["delivery"]["tasks_open"],
            "SELECT COUNT(*) FROM tasks WHERE done_at IS NULL".to_owned(),
        ),
    ] {
        assert_eq!(*figure, count(&mut db, &sql).await, "{sql}");
    }
    // The overdue are fewer than five in each category, so none of them is listed one by one.
    assert_eq!(told["overdue"]["cases"].as_array().unwrap().len(), 0);
    let files = told["provenance"].as_array().unwrap();
    assert_eq!(
        files
            .iter()
            .filter(|file| file["size_bytes"] != 0)
            .map(|file| file["sha256"].as_str().unwrap())
            .collect::<Vec<_>>(),
        sqlx::query_as("SELECT sha256 FROM audits ORDER BY id")
            .fetch_all(&mut db)
            .await
            .unwrap()
            .iter()
            .map(|(hash,): &(String,)| hash.as_str())
            .collect::<Vec<_>>()
    );
    let campaign = &told["statements"][0];
    assert_eq!(
        (&campaign["author"], &campaign["approver"]),
        (&"ann".into(), &"ben".into())
    );
    assert_eq!(
        campaign["sha256"].as_str().unwrap(),
        sqlx::query_as::<_, (String,)>("SELECT content_hash FROM campaigns WHERE id = 1")
            .fetch_one(&mut db)
            .await
            .unwrap()
            .0
    );
}

#[tokio::test]
async fn no_form_names_anybody_of_the_directory() {
    let copy = tempfile::tempdir().unwrap();
    let app = app(copy.path()).await;
    let mut rows = csv::Reader::from_reader(DIRECTORY.as_bytes());
    let heads = rows.headers().unwrap().clone();
    let mut words = Vec::new();
    for row in rows.records() {
        let row = row.unwrap();
        for column in [
            "object_id",
            "sid",
            "sam",
            "upn",
            "mail",
            "display_name",
            "manager_mail",
            "second_mail",
            "aliases",
        ] {
            let place = heads.iter().position(|head| head == column).unwrap();
            let cell = row.get(place).unwrap_or_default();
            words.extend(
                cell.split(';')
                    .map(|word| word.trim().to_lowercase())
                    .filter(|word| word.len() > 3),
            );
        }
    }
    assert!(words.len() > 150);
    let forms = forms(&app, at(END)).await;
    assert!(forms.len() > 15);
    for (name, bytes) in forms {
        let text = String::from_utf8_lossy(&bytes).to_lowercase();
        for word in &words {
            assert!(!text.contains(word.as_str()), "{name} holds {word}");
        }
        let may_hold_any = ["reporthtml", "reportxlsx"].contains(&&name[..]);
        assert!(!text.contains('@') || may_hold_any, "{name}");
    }
}

/// A department whose name would be run by a spreadsheet, and one that would be run by a browser.
const HOSTILE: [&str; 2] = [
    "=HYPERLINK(\"http://evil.example\",\"x\")",
    "<script>alert(1)</script> & \"quotes\"",
];

#[tokio::test]
async fn hostile_departments_are_words_in_every_form() {
    let copy = tempfile::tempdir().unwrap();
    let app = app(copy.path()).await;
    app.store.close().await;
    let mut db = SqliteConnection::connect(&url(copy.path())).await.unwrap();
    for (department, name) in ["Finance", "Estates"].iter().zip(HOSTILE) {
        sqlx::query("UPDATE cases SET department = $2 WHERE department = $1")
            .bind(department)
            .bind(name)
            .execute(&mut db)
            .await
            .unwrap();
    }
    db.close().await.unwrap();
    let app = App {
        store: Store::open(&url(copy.path()), None).await.unwrap(),
        ..app
    };
    let forms = forms(&app, at(END)).await;
    let text = |name: &str| String::from_utf8(forms[name].clone()).unwrap();
    let page = text("reporthtml");
    assert!(!page.contains("<script"));
    assert!(page.contains("&lt;script&gt;alert(1)&lt;"));
    let table = forms
        .keys()
        .find(|name| name.ends_with("by-department.csv"))
        .unwrap();
    let mut rows = csv::Reader::from_reader(forms[table].as_slice());
    let names: Vec<String> = rows
        .records()
        .map(|row| row.unwrap().get(0).unwrap().to_owned())
        .collect();
    assert!(names.contains(&format!("'{}", HOSTILE[0])), "{names:?}");
    assert!(names.contains(&HOSTILE[1].to_owned()), "{names:?}");
    let json: Value = serde_json::from_str(&text("reportjson")).unwrap();
    let rows = json["report"]["by_department"]["rows"].as_array().unwrap();
    assert!(rows.iter().any(|row| row["department"] == HOSTILE[0]));
}

#[tokio::test]
async fn a_department_of_fewer_than_five_accounts_shows_no_number() {
    let copy = tempfile::tempdir().unwrap();
    let app = app(copy.path()).await;
    let told = json(&app, END).await;
    app.store.close().await;
    let mut db = SqliteConnection::connect(&url(copy.path())).await.unwrap();
    let sizes: Vec<(String, i64)> = sqlx::query_as(
        "SELECT department, COUNT(*) FROM cases c WHERE NOT EXISTS (SELECT 1 FROM cases s WHERE s.reopens_id = c.id) GROUP BY department",
    )
    .fetch_all(&mut db)
    .await
    .unwrap();
    let mut small = 0;
    for (department, size) in sizes {
        let rows = told["by_department"]["rows"].as_array().unwrap();
        let row = rows
            .iter()
            .find(|row| row["department"] == department.as_str())
            .unwrap();
        if size < 5 {
            small += 1;
            assert_eq!(row["valid"], "<5", "{department}");
            for part in ["safe", "on_time"] {
                assert!(row[part]["percent"].is_null(), "{department}");
                assert!(!row[part]["numerator"].is_number(), "{department}");
            }
        }
    }
    assert!(small > 0, "the demo has a small department");
}

#[tokio::test]
async fn a_folder_that_holds_no_report_is_left_alone() {
    let copy = tempfile::tempdir().unwrap();
    let app = app(copy.path()).await;
    let folder = copy.path().join("precious");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("letter.txt"), "keep me").unwrap();
    assert!(write(&app, None, Format::Csv, &folder).await.is_err());
    assert_eq!(crate::support::files(&folder).len(), 1);
    // Nothing half-written is left beside it.
    let left: Vec<_> = crate::support::files(copy.path())
        .into_iter()
        .filter(|path| path.extension().is_some_and(|end| end == "part"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
    // A report's own folder is replaced as a whole.
    let folder = copy.path().join("tables");
    for _ in 0..2 {
        write(&app, None, Format::Csv, &folder).await.unwrap();
    }
    assert!(folder.join("00-about.csv").exists());
}

#[tokio::test]
async fn the_workbook_has_real_numbers_and_instants_and_no_formula() {
    let copy = tempfile::tempdir().unwrap();
    let app = app(copy.path()).await;
    let told = json(&app, END).await;
    let file = copy.path().join("report.xlsx");
    write(&app, Some(at(END)), Format::Xlsx, &file)
        .await
        .unwrap();
    let sheets = sheets(&file);
    let of = |name: &str| {
        let found = sheets.iter().find(|(known, _)| known == name);
        &found.unwrap_or_else(|| panic!("no sheet {name}")).1
    };
    let categories = of("02-by-category");
    let last = categories.last().unwrap();
    assert_eq!(last[0].to_string(), "All");
    let accounts = told["by_category"]["total"]["valid"].as_f64();
    assert!(accounts.is_some(), "{}", told["by_category"]["total"]);
    assert!(
        last.iter()
            .any(|cell| matches!(cell, Data::Float(number) if Some(*number) == accounts)),
        "{last:?}"
    );
    let open = of("00-open-over-time");
    assert!(
        open[1..]
            .iter()
            .all(|row| matches!(row[0], Data::DateTime(_))),
        "{:?}",
        open[1]
    );
    let mut book: Xlsx<_> = calamine::open_workbook(&file).unwrap();
    for (name, _) in &sheets {
        let formulas = book.worksheet_formula(name).unwrap();
        assert_eq!(formulas.used_cells().count(), 0, "{name}");
    }
}

#[tokio::test]
async fn what_changed_between_two_moments_is_each_figure_that_did() {
    let copy = tempfile::tempdir().unwrap();
    let app = app(copy.path()).await;
    let of = async |moment: &str| report(&app, Some(at(moment))).await.unwrap();
    let (first, last) = (of(FIRST_MONDAY).await, of(END).await);
    assert_eq!(diff(&first, &first), []);
    let changes = diff(&first, &last);
    let (before, after) = (json(&app, FIRST_MONDAY).await, json(&app, END).await);
    let open = |report: &Value| report["by_category"]["total"]["open"].to_string();
    let total = changes
        .iter()
        .find(|one| one.table == "02-by-category" && one.row == "All" && one.column == "Open")
        .unwrap_or_else(|| panic!("{changes:?}"));
    assert_eq!(
        total.before.as_deref(),
        Some(&open(&before)[..]),
        "{total:?}"
    );
    assert_eq!(total.after.as_deref(), Some(&open(&after)[..]), "{total:?}");
    // Backwards it is the same the other way round.
    let back = diff(&last, &first);
    assert_eq!(back.len(), changes.len());
    for change in &changes {
        assert!(
            back.iter().any(|one| {
                (one.table, &one.row, &one.column) == (change.table, &change.row, &change.column)
                    && (&one.before, &one.after) == (&change.after, &change.before)
            }),
            "{change:?}"
        );
    }
}
