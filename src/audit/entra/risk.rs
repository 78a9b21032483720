//! Microsoft Entra ID Protection, Graph v1.0 `riskyUsers` and `riskDetections`; the diagnostic settings' stream of both; and
//! the tables that the PowerShell module and its extractors write of them.
//!
//! The same user or detection comes more than once, in a stream many times: all are folded by id, and the newest state
//! wins, so that a risk that was remediated later is no finding. A risk that was dismissed, or a user that was called safe,
//! is no finding and closes none. Times are UTC, whatever the source's zone: the module writes what Graph said.

use std::collections::HashMap;
use std::io::Read;

use chrono_tz::Tz;

use crate::audit::culture::{Dated, Ordered, Settled};
use crate::audit::decode::Bytes;
use crate::audit::detect::{Head, Look, Refusal, Shape};
use crate::audit::json::{self, End, Node, Piece};
use crate::audit::table::{self, Fault, Row};
use crate::audit::{AuditError, ReadOptions, Sink, SkipReason, first_sign};
use crate::domain::finding::{AuditRow, RejectReason, Severity, Weakness};
use crate::domain::identity::{Key, KeyKind};
use crate::domain::moment::Moment;

/// Users and detections that are kept apart until the end of the file.
const MAX_KEPT: usize = 200_000;

const SHAPE: json::Shape = json::Shape {
    arrays: &["value"],
    wanted: &[
        "@odata.nextlink",
        "error",
        "code",
        "category",
        "properties",
        "id",
        "isdeleted",
        "risklevel",
        "riskstate",
        "riskdetail",
        "risktype",
        "riskeventtype",
        "risklastupdateddatetime",
        "lastupdateddatetime",
        "activity",
        "activitydatetime",
        "detecteddatetime",
        "userid",
        "userprincipalname",
    ],
};

pub(in crate::audit) fn look(head: &Head<'_>) -> Look {
    let table = head.table_with(&["risklevel", "userprincipalname"]);
    match &table {
        Look::Yes { .. } if head.has_column("riskstate") || head.has_column("riskeventtype") => {
            table
        }
        Look::Yes { .. } => Look::no(
            60,
            "it has neither a column \"riskstate\" nor \"riskeventtype\"",
        ),
        // A stream or a list, or one page of it.
        Look::No { .. } if head.shape == Shape::Lines => table,
        Look::No { .. } => head.json_with(&["riskState", "userPrincipalName"]),
    }
}

pub(in crate::audit) fn read(
    input: impl Read,
    options: &ReadOptions<'_>,
    sink: &mut Sink<'_>,
) -> Result<(), AuditError> {
    let mut bytes = Bytes::open(input, None, options.code_page)?;
    let mut kept = Kept::default();
    match first_sign(&mut bytes)? {
        None => return Err(Refusal::Empty.into()),
        Some(b'{' | b'[') => of_json(bytes, &mut kept, sink)?,
        Some(_) => of_table(bytes, options, &mut kept, sink)?,
    }
    kept.hand_out(sink)
}

/// A user or a detection at one time.
struct State {
    line: u64,
    keys: Vec<Key>,
    verdict: Verdict,
    updated: Option<Moment>,
}

/// What it comes to.
enum Verdict {
    Finding(Box<AuditRow>),
    Skip(SkipReason),
}

/// The newest state of each.
#[derive(Default)]
struct Kept {
    at: HashMap<String, usize>,
    states: Vec<State>,
}

impl Kept {
    /// Keeps the newer of two states of one id; `again` says what the other one is.
    fn add(
        &mut self,
        id: String,
        state: State,
        again: SkipReason,
        sink: &mut Sink<'_>,
    ) -> Result<(), AuditError> {
        let Some(before) = self.at.get(&id).and_then(|at| self.states.get_mut(*at)) else {
            if self.states.len() >= MAX_KEPT {
                return Err(AuditError::TooManyAtOnce);
            }
            self.at.insert(id, self.states.len());
            self.states.push(state);
            return Ok(());
        };
        let older = if state.updated > before.updated {
            std::mem::replace(before, state)
        } else {
            state
        };
        sink.skip(older.line, again)
    }

    fn hand_out(self, sink: &mut Sink<'_>) -> Result<(), AuditError> {
        for state in self.states {
            match state.verdict {
                Verdict::Finding(row) => sink.row(AuditRow {
                    keys: state.keys,
                    ..*row
                })?,
                Verdict::Skip(reason) => sink.skip(state.line, reason)?,
            }
        }
        Ok(())
    }
}

fn of_json<R: Read>(
    bytes: Bytes<R>,
    kept: &mut Kept,
    sink: &mut Sink<'_>,
) -> Result<(), AuditError> {
    let end = json::pieces(bytes, &SHAPE, &mut |piece| match piece {
        Piece::Around(node) => {
            sink.summary.incomplete |= node.text_of("@odata.nextlink").is_some();
            Ok(())
        }
        Piece::Record(node) if node.get("error").is_something() => Err(Refusal::ErrorAnswer.into()),
        Piece::Record(node) => {
            sink.record();
            let line = sink.summary.records;
            match of_record(&node, line) {
                Ok(Found::Skip(reason)) => sink.skip(line, reason),
                Ok(Found::State(id, state, again)) => kept.add(id, state, again, sink),
                Err(reason) => sink.reject(line, reason),
            }
        }
    })?;
    if end == End::Cut {
        sink.record();
        sink.reject(sink.summary.records, RejectReason::Truncated)?;
    }
    Ok(())
}

enum Found {
    Skip(SkipReason),
    State(String, State, SkipReason),
}

/// A record of Graph, or one of the stream with Graph's record in it.
fn of_record(node: &Node, line: u64) -> Result<Found, RejectReason> {
    let inner = node.get("properties");
    if let Some(category) = node.text_of("category")
        && inner.is_something()
    {
        let known = ["RiskyUsers", "UserRiskEvents"];
        if !known
            .iter()
            .any(|known| category.eq_ignore_ascii_case(known))
        {
            return Ok(Found::Skip(SkipReason::OtherCategory));
        }
        return of_properties(inner, line);
    }
    of_properties(node, line)
}

fn of_properties(node: &Node, line: u64) -> Result<Found, RejectReason> {
    let date = |name: &str| match node.text_of(name) {
        None => Ok(None),
        Some(text) => match Dated::read(text, Tz::UTC) {
            Some(Dated::At(at)) => Ok(Some(at)),
            Some(Dated::Either(..)) | None => Err(RejectReason::BadDate),
        },
    };
    let text = |name: &str| node.text_of(name);
    // Where a stream has both, the newer member tells the truth that the older calls generic.
    let kind = text("riskeventtype").or_else(|| text("risktype"));
    let facts = Facts {
        id: text("id"),
        user: text("userid"),
        upn: text("userprincipalname"),
        deleted: node.is_true("isdeleted"),
        state: text("riskstate"),
        level: text("risklevel"),
        kind,
        signin: text("activity").is_none_or(|activity| activity.eq_ignore_ascii_case("signin")),
    };
    let dates = [
        date("risklastupdateddatetime")?.or(date("lastupdateddatetime")?),
        date("activitydatetime")?,
        date("detecteddatetime")?,
    ];
    facts.state(line, dates)
}

/// What one record says, whoever wrote it.
struct Facts<'a> {
    id: Option<&'a str>,
    user: Option<&'a str>,
    upn: Option<&'a str>,
    deleted: bool,
    state: Option<&'a str>,
    level: Option<&'a str>,
    /// A detection has a type, a user has none.
    kind: Option<&'a str>,
    signin: bool,
}

impl Facts<'_> {
    /// `dates` are those of the last update, of the activity, and of the detection.
    fn state(&self, line: u64, dates: [Option<Moment>; 3]) -> Result<Found, RejectReason> {
        let [updated, ..] = dates;
        let user = if self.kind.is_some() {
            self.user
        } else {
            self.id
        };
        let keys: Vec<Key> = [(KeyKind::Upn, self.upn), (KeyKind::ObjectId, user)]
            .into_iter()
            .filter_map(|(kind, text)| Key::new(kind, text?))
            .collect();
        let id = self.id.or(user).or(self.upn).ok_or(RejectReason::NoKey)?;
        if keys.is_empty() {
            return Err(RejectReason::NoKey);
        }
        let verdict = match self.skip() {
            Some(reason) => Verdict::Skip(reason),
            None => Verdict::Finding(Box::new(self.finding(line, dates))),
        };
        let again = if self.kind.is_some() {
            SkipReason::Duplicate
        } else {
            SkipReason::Superseded
        };
        let id = format!("{}{}", u8::from(self.kind.is_some()), id);
        let state = State {
            line,
            keys,
            verdict,
            updated,
        };
        Ok(Found::State(id, state, again))
    }

    fn skip(&self) -> Option<SkipReason> {
        if self.deleted {
            return Some(SkipReason::Deleted);
        }
        // The module's table of detections has no state.
        let state = match (self.state, self.kind) {
            (None, Some(_)) => return None,
            (None, None) => return Some(SkipReason::UnknownState),
            (Some(state), _) => state.to_ascii_lowercase(),
        };
        match state.as_str() {
            "atrisk" | "confirmedcompromised" => None,
            "remediated" => Some(SkipReason::Remediated),
            "dismissed" => Some(SkipReason::Dismissed),
            "confirmedsafe" => Some(SkipReason::ConfirmedSafe),
            "none" => Some(SkipReason::NoRisk),
            _ => Some(SkipReason::UnknownState),
        }
    }

    fn finding(&self, line: u64, [updated, active, detected]: [Option<Moment>; 3]) -> AuditRow {
        let confirmed = self
            .state
            .is_some_and(|state| state.eq_ignore_ascii_case("confirmedCompromised"));
        let level = severity(self.level);
        let (weakness, severity, at) = match self.kind {
            None if confirmed => (Weakness::Confirmed, Severity::High, updated),
            None => (Weakness::RiskUser, level, updated),
            Some(kind) if kind.eq_ignore_ascii_case("leakedCredentials") => {
                // The provider compared with the hash of that moment.
                (Weakness::LeakedCredentials, Severity::High, detected)
            }
            Some(kind) if kind.eq_ignore_ascii_case("passwordSpray") => {
                (Weakness::PasswordAccepted, level, active)
            }
            Some(kind) if kind.eq_ignore_ascii_case("adminConfirmedUserCompromised") => {
                (Weakness::Confirmed, Severity::High, active)
            }
            Some(_) if self.signin => (Weakness::RiskSignin, level, active),
            Some(_) => (Weakness::RiskSignin, level, detected.or(active)),
        };
        let detail = match (weakness, self.kind) {
            (Weakness::RiskSignin, Some(kind)) => Some(kind.chars().take(200).collect()),
            _ => None,
        };
        AuditRow {
            line,
            keys: Vec::new(),
            weakness,
            detail,
            severity: Some(severity),
            bad_as_of: at.or(detected).or(updated),
            discovered_at: detected,
            baseline: None,
            history_unless_known: false,
        }
    }
}

/// The level that the provider gives. Without a licence it is hidden, and counts as the one in the middle.
fn severity(level: Option<&str>) -> Severity {
    match level.map(str::to_ascii_lowercase).as_deref() {
        Some("low") => Severity::Low,
        Some("high") => Severity::High,
        _ => Severity::Medium,
    }
}

/// Where the tables' columns are.
struct Columns {
    id: Option<usize>,
    user: Option<usize>,
    upn: usize,
    deleted: Option<usize>,
    state: Option<usize>,
    level: usize,
    kind: Option<usize>,
    activity: Option<usize>,
    dates: [Option<usize>; 3],
}

/// A row of a table, while the order of its dates is not known.
struct Held {
    line: u64,
    id: Option<String>,
    user: Option<String>,
    upn: Option<String>,
    deleted: bool,
    state: Option<String>,
    level: Option<String>,
    kind: Option<String>,
    signin: bool,
}

fn of_table<R: Read>(
    bytes: Bytes<R>,
    options: &ReadOptions<'_>,
    kept: &mut Kept,
    sink: &mut Sink<'_>,
) -> Result<(), AuditError> {
    let mut waiting: Ordered<(std::rc::Rc<Held>, usize)> =
        Ordered::new(Tz::UTC, options.date_order);
    let columns = |head: &table::TableHead| {
        Ok(Columns {
            id: head.find("id"),
            user: head.find("userid"),
            upn: table::needed(head.find("userprincipalname"), head, "UserPrincipalName")?,
            deleted: head.find("isdeleted"),
            state: head.find("riskstate"),
            level: table::needed(head.find("risklevel"), head, "RiskLevel")?,
            kind: head.any(&["riskeventtype", "risktype"]),
            activity: head.find("activity"),
            dates: [
                head.any(&["risklastupdateddatetime", "lastupdateddatetime"]),
                head.find("activitydatetime"),
                head.find("detecteddatetime"),
            ],
        })
    };
    let mut rows: Vec<Settled<(std::rc::Rc<Held>, usize)>> = Vec::new();
    table::rows(bytes, sink, columns, &mut |columns, row, _| {
        let held = std::rc::Rc::new(held(columns, row)?);
        let mut dates = [None; 3];
        for (date, at) in dates.iter_mut().zip(columns.dates) {
            if let Some(text) = row.text(at)? {
                *date = Some(Dated::read(&text, Tz::UTC).ok_or(RejectReason::BadDate)?);
            }
        }
        for (nth, date) in dates.into_iter().enumerate() {
            rows.extend(waiting.push((std::rc::Rc::clone(&held), nth), date));
        }
        if waiting.is_full() {
            return Err(Fault::File(AuditError::DateOrder));
        }
        if rows.len() > 3 * MAX_KEPT {
            return Err(Fault::File(AuditError::TooManyAtOnce));
        }
        Ok(())
    })?;
    rows.extend(waiting.end()?);
    // Three dates a row, always in their order.
    for row in rows.chunks(3) {
        let Some(((held, _), _)) = row.first() else {
            continue;
        };
        let mut dates = [None; 3];
        for ((_, nth), at) in row {
            if let Some(date) = dates.get_mut(*nth) {
                *date = *at;
            }
        }
        let facts = Facts {
            id: held.id.as_deref(),
            user: held.user.as_deref(),
            upn: held.upn.as_deref(),
            deleted: held.deleted,
            state: held.state.as_deref(),
            level: held.level.as_deref(),
            kind: held.kind.as_deref(),
            signin: held.signin,
        };
        match facts.state(held.line, dates) {
            Ok(Found::Skip(reason)) => sink.skip(held.line, reason)?,
            Ok(Found::State(id, state, again)) => kept.add(id, state, again, sink)?,
            Err(reason) => sink.reject(held.line, reason)?,
        }
    }
    Ok(())
}

fn held(columns: &Columns, row: &Row<'_>) -> Result<Held, RejectReason> {
    Ok(Held {
        line: row.line,
        id: row.text(columns.id)?,
        user: row.text(columns.user)?,
        upn: row.text(Some(columns.upn))?,
        deleted: row.is_true(columns.deleted)?,
        state: row.text(columns.state)?,
        level: row.text(Some(columns.level))?,
        kind: row.text(columns.kind)?,
        signin: row
            .text(columns.activity)?
            .is_none_or(|activity| activity.eq_ignore_ascii_case("signin")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::tests::{outcomes, read_all};
    use crate::audit::{DateOrder, Format, Item, Summary};

    fn of(text: &str) -> Result<(Vec<Item>, Summary), AuditError> {
        read_all(Format::EntraRisk, text.as_bytes(), &ReadOptions::default())
    }

    fn times(items: &[Item]) -> Vec<String> {
        let rows = items.iter().filter_map(|item| match item {
            Item::Row(row) => Some(row.bad_as_of.map_or("-".into(), |at| at.to_string())),
            Item::Reject(_) | Item::Skipped(_) | Item::Attempt(_) => None,
        });
        rows.collect()
    }

    #[test]
    fn the_newest_state_of_a_user_wins_in_whatever_order_they_come() {
        let at_risk = r#"{"id":"1","userPrincipalName":"a@b.example","riskState":"atRisk","riskLevel":"high","riskLastUpdatedDateTime":"2026-02-14T6:11:09Z"}"#;
        let healed = r#"{"id":"1","userPrincipalName":"a@b.example","riskState":"Remediated","riskLevel":"none","riskLastUpdatedDateTime":"2026-02-16T6:11:09Z"}"#;
        for text in [
            format!("{at_risk}\n{healed}\n"),
            format!("[{healed},{at_risk}]"),
        ] {
            let (items, _) = of(&text).unwrap();
            assert_eq!(outcomes(&items), ["superseded", "remediated"], "{text}");
        }
    }

    #[test]
    fn the_table_of_the_module_decides_the_order_of_its_dates_once() {
        let head = "#TYPE x\n\"Id\",\"IsDeleted\",\"RiskLastUpdatedDateTime\",\"RiskLevel\",\"RiskState\",\"UserPrincipalName\"\n";
        let row = |id: u8, date: &str| {
            format!("\"{id}\",\"False\",\"{date}\",\"High\",\"AtRisk\",\"u{id}@b.example\"\n")
        };
        let text = format!(
            "{head}{}{}",
            row(1, "2/3/2026 1:00:00 AM"),
            row(2, "2/14/2026 1:00:00 PM")
        );
        assert_eq!(
            times(&of(&text).unwrap().0),
            ["2026-02-03T01:00:00Z", "2026-02-14T13:00:00Z"]
        );
        let undecided = format!("{head}{}", row(1, "2/3/2026 1:00:00"));
        let refused = of(&undecided).unwrap_err().to_string();
        assert!(refused.contains("date_order"), "{refused}");
        let options = ReadOptions {
            date_order: Some(DateOrder::DayFirst),
            ..ReadOptions::default()
        };
        let (items, _) = read_all(Format::EntraRisk, undecided.as_bytes(), &options).unwrap();
        assert_eq!(times(&items), ["2026-03-02T01:00:00Z"]);
    }

    #[test]
    fn a_detection_is_dated_by_what_it_is() {
        let detection = |kind: &str, activity: &str| {
            let text = format!(
                r#"{{"value":[{{"id":"9","riskEventType":"{kind}","activity":"{activity}","riskLevel":"medium","activityDateTime":"2026-02-05T01:00:00Z","detectedDateTime":"2026-02-06T01:00:00Z","userId":"u","userPrincipalName":"a@b.example"}}]}}"#
            );
            let (items, _) = of(&text).unwrap();
            (outcomes(&items)[0], times(&items)[0].clone())
        };
        let (signin, detected) = ("2026-02-05T01:00:00Z", "2026-02-06T01:00:00Z");
        for (kind, activity, weakness, at) in [
            (
                "leakedCredentials",
                "user",
                "compromised/leaked_credentials",
                detected,
            ),
            (
                "PasswordSpray",
                "signin",
                "compromised/password_accepted",
                signin,
            ),
            ("generic", "signin", "compromised/risk_signin", signin),
            ("anythingNew", "user", "compromised/risk_signin", detected),
        ] {
            assert_eq!(
                detection(kind, activity),
                (weakness, at.to_owned()),
                "{kind}"
            );
        }
    }

    #[test]
    fn records_of_wrong_types_are_rejected_and_the_rest_is_read() {
        let (items, _) = of(
            r#"[{"id":[],"riskState":7},{"id":{"a":1},"userPrincipalName":null},5,null,
                {"id":"1","userPrincipalName":"a@b.example","riskState":{"x":1},"riskLevel":9},
                {"id":"2","userPrincipalName":"a@b.example","riskState":"atRisk","riskLastUpdatedDateTime":"yesterday"},
                {"id":"3","userPrincipalName":"c@b.example","riskState":"atRisk","riskLevel":1e300}]"#,
        )
        .unwrap();
        assert_eq!(
            outcomes(&items),
            [
                "no_key",
                "no_key",
                "no_key",
                "no_key",
                "bad_date",
                "unknown_state",
                "compromised/risk_user"
            ]
        );
    }

    #[test]
    fn a_page_that_names_the_next_one_is_incomplete_and_an_error_is_no_result() {
        let (_, summary) =
            of(r#"{"value":[],"@odata.nextLink":"https://x.example/?$skiptoken=1"}"#).unwrap();
        assert!(summary.incomplete);
        assert!(!of(r#"{"value":[]}"#).unwrap().1.incomplete);
        let refused = of(r#"{"error":{"code":"InvalidAuthenticationToken","message":"x"}}"#);
        assert!(
            refused
                .unwrap_err()
                .to_string()
                .contains("error that the service answered")
        );
    }
}
