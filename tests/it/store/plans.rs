//! Plans: how SQLite would go about each statement of `src/store`, read from the source itself.
//!
//! A hundred thousand rows are looked up, not looked through; a set of rows is opened once, and the tables follow it; a page
//! is read in its order, and not sorted out of all.

use std::collections::BTreeMap;
use std::path::Path;

use division_bell::store::Store;
use sqlx::Row;

use super::sqlite;

/// Statements that look through a whole table, or sort all that they find, each with the words it is known by and why that
/// is right.
const LOOKS_THROUGH: &[(&str, &str)] = &[
    (
        "SELECT COUNT(DISTINCT c.account_id)",
        "the figures are about all cases",
    ),
    (
        "SELECT COUNT(*) FROM campaigns WHERE reference LIKE",
        "a few campaigns a year",
    ),
    ("FROM campaigns ORDER BY id", "a few campaigns a year"),
    ("FROM audits WHERE imported_at", "a few audits a month"),
    ("FROM incidents ORDER BY id DESC", "a few incidents a year"),
    ("FROM awareness WHERE noted_at", "a few incidents a year"),
    (
        "INSERT INTO delegates (person_id, delegate_id, noted_at, noted_by) SELECT o.id",
        "once a listing, about those who have a delegate",
    ),
    (
        "DELETE FROM delegates WHERE noted_by",
        "once a listing, about everybody",
    ),
    (
        "FROM posts WHERE CAST",
        "a few incidents a year, with a few messages each",
    ),
    (
        "SELECT c.category, COUNT(DISTINCT c.account_id)",
        "the figures are about all cases",
    ),
    (
        "SELECT span, CAST(SUM(opened)",
        "a picture is about all cases; a few a day",
    ),
    ("FROM nudges WHERE carried_at IS NULL", "a few an incident"),
    (
        "FROM statement_posts p JOIN statements s",
        "a few statements a year",
    ),
    (
        "DELETE FROM interactions WHERE claimed_at",
        "those of the last minutes: a few",
    ),
    (
        "FROM persons p LEFT JOIN named_persons n",
        "a guard is about everybody's name",
    ),
    (
        "FROM statements s JOIN statement_posts p",
        "a few statements a year",
    ),
    ("INSERT INTO statements (", "a few statements a year"),
    ("FROM statements WHERE $1 = 0", "a few statements a year"),
    (
        "FROM statements WHERE state = 'published'",
        "a few statements a year",
    ),
    (
        "FROM statements WHERE state = 'draft'",
        "a few statements a year",
    ),
    (
        "FROM d CROSS JOIN ledger l WHERE l.thing = d.thing",
        "the story of one incident, asked for by people",
    ),
    (
        "FROM statement_posts WHERE state NOT IN",
        "a few statements a year",
    ),
    ("SELECT COUNT(*) FROM incidents", "a few incidents a year"),
    (
        "SELECT state, COUNT(*) FROM deliveries",
        "the state of the whole outbox, asked for by people",
    ),
    (
        "FROM tasks WHERE done_at IS NULL",
        "the work of human beings, in the order it came up",
    ),
    (
        "UPDATE persons SET manager_id",
        "once a listing, about everybody",
    ),
    (
        "UPDATE persons SET left_at",
        "once a listing, about everybody",
    ),
    (
        "UPDATE mailboxes SET owner_id",
        "once a listing, about everybody",
    ),
    (
        "FROM rejects r JOIN audits a",
        "a report is about all audits",
    ),
    (
        "FROM evidence_reads r WHERE r.id IN",
        "a report is about all that closed a case",
    ),
    (
        "FROM campaigns c WHERE c.approved_at",
        "a few campaigns a year",
    ),
    ("FROM incidents WHERE opened_at", "a few incidents a year"),
    (
        "FROM ledger WHERE case_id IS NULL",
        "a report is about the whole ledger",
    ),
    (
        "FROM holds h LEFT JOIN",
        "only while a text is held: what waits for it is counted",
    ),
    ("FROM ways_left_out", "a few decisions a year"),
    ("FROM templates WHERE kept_at", "a few texts"),
    ("WITH back AS", "a report is about all letters"),
    ("FROM tasks WHERE opened_at", "a report is about all tasks"),
    (
        "FROM persons p WHERE p.left_at IS NULL AND EXISTS",
        "a staff-wide notice is about everybody",
    ),
    ("FROM alarms WHERE cleared_at IS NULL ORDER", "a few alarms"),
    (
        "FROM tasks k JOIN cases c ON c.id = k.case_id AND c.state = 'notified'",
        "open work only, by its own index",
    ),
    (
        "UPDATE tasks SET done_at = $2, done_by = 'bell' WHERE kind = 'reach'",
        "once after an outage, and only if the look before it found something",
    ),
    (
        "LEFT JOIN tasks k ON k.case_id = c.id AND k.kind = 'reach'",
        "whom nobody has reached: an operator asks, and all open cases are looked at",
    ),
    (
        "exempt_until IS NOT NULL OR snoozed_until IS NOT NULL",
        "what rests: an operator asks, and all open cases are looked at",
    ),
    (
        "SELECT DISTINCT t.id, t.first_at, t.deadline_at",
        "what is queued or under way is looked at, and nothing once all is sent",
    ),
    (
        "LEFT JOIN text_fates f ON",
        "texts of the last days whose fate is open: a few",
    ),
    (
        "SELECT COALESCE(a.holder_id, a.owner_id) FROM account_keys",
        "the few accounts that bear one name",
    ),
    (
        "AND l.act = 'case.hand_over_due'",
        "all that are overdue are looked at; of them, those told by hand are a few",
    ),
    (
        "FROM seals WHERE made_at <= $1",
        "the newest by then is found from the end",
    ),
    (
        "WHERE id IN (SELECT x.id FROM deliveries x JOIN threads t",
        "once a night, about all letters",
    ),
    (
        "UPDATE escalations SET manager_id = NULL",
        "once a night, about all escalations",
    ),
    ("WITH own AS", "once a night, about everybody"),
    (
        "DELETE FROM runs WHERE due_at",
        "once a night, about what the schedule did",
    ),
    (
        "FROM bindings WHERE account_id",
        "names that operators bound: a few",
    ),
    ("FROM bindings x WHERE", "names that operators bound: a few"),
    (
        "UPDATE bindings SET account_id",
        "names that operators bound: a few",
    ),
    ("UPDATE delegates SET delegate_id", "a few delegates"),
    (
        "FROM mailboxes WHERE owner_id IS NULL AND id NOT IN",
        "when somebody who has left is forgotten",
    ),
    ("FROM sqlite_master", "the tables that there are"),
    ("FROM _sqlx_migrations", "one row a migration"),
    (
        "FROM attempts WHERE outcome IS NOT NULL GROUP BY outcome",
        "metrics are about all attempts, and counted every ten seconds at most",
    ),
    (
        "SELECT category, COUNT(*), COUNT(*) FILTER",
        "the figures are about all cases",
    ),
    ("DELETE FROM sessions", "those who are signed in: a few"),
    ("FROM api_tokens ORDER BY name", "a few tokens"),
    (
        "WHERE c.state <> 'closed' AND c.exempt_until >",
        "the exempt are few",
    ),
];

/// A statement as it stands in the source, and the columns of its set if it is about one.
#[derive(Debug, PartialEq)]
struct Statement {
    set: Option<Vec<String>>,
    sql: String,
}

/// String literals, names and signs: as much of Rust as is needed to find SQL in it.
#[derive(Clone, Debug, PartialEq)]
enum Token {
    Text(String),
    Name(String),
    Sign(char),
}

fn tokens(source: &str) -> Vec<Token> {
    let mut found = Vec::new();
    let mut rest = source.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '/' if rest.peek() == Some(&'/') => while rest.next().is_some_and(|c| c != '\n') {},
            // A character, not a lifetime.
            '\'' => {
                let mut ahead = rest.clone();
                let first = ahead.next();
                if first == Some('\\') || ahead.next() == Some('\'') {
                    rest.next();
                    while rest.next().is_some_and(|c| c != '\'') {}
                }
            }
            '"' => found.push(Token::Text(literal(&mut rest))),
            c if c.is_alphanumeric() || c == '_' => {
                let mut name = String::from(c);
                while let Some(c) = rest.next_if(|c| c.is_alphanumeric() || *c == '_') {
                    name.push(c);
                }
                found.push(Token::Name(name));
            }
            c if c.is_whitespace() => {}
            c => found.push(Token::Sign(c)),
        }
    }
    found
}

/// The rest of a string literal.
fn literal(rest: &mut std::iter::Peekable<std::str::Chars<'_>>) -> String {
    let mut text = String::new();
    while let Some(c) = rest.next() {
        match c {
            '"' => break,
            '\\' => match rest.next() {
                Some('\n') => while rest.next_if(|c| c.is_whitespace()).is_some() {},
                Some('n') => text.push('\n'),
                Some(c) => text.push(c),
                None => break,
            },
            c => text.push(c),
        }
    }
    text
}

/// A macro of our own: its parameters, and what it becomes.
struct Macro {
    parameters: Vec<String>,
    body: Vec<Token>,
}

/// Takes `macro_rules!` out of the tokens, and puts what it stands for where it is called.
fn expanded(tokens: Vec<Token>) -> Vec<Token> {
    let mut macros: BTreeMap<String, Macro> = BTreeMap::new();
    let (mut out, mut at) = (Vec::new(), 0);
    while at < tokens.len() {
        let name = match &tokens[at] {
            Token::Name(name) if tokens.get(at + 1) == Some(&Token::Sign('!')) => name.as_str(),
            Token::Name(_) | Token::Sign(_) | Token::Text(_) => "",
        };
        if name == "macro_rules" {
            let Some(Token::Name(name)) = tokens.get(at + 2) else {
                break;
            };
            let (whole, end) = group(&tokens, at + 3);
            let (parameters, rest) = group(whole, 0);
            let (body, _) = group(whole, rest + 2);
            let parameters = parameters
                .windows(2)
                .filter(|two| two[0] == Token::Sign('$'))
                .map(|two| word(&two[1]))
                .collect();
            let body = body.to_vec();
            macros.insert(name.clone(), Macro { parameters, body });
            at = end;
        } else if let Some(known) = macros.get(name) {
            let (given, end) = group(&tokens, at + 2);
            out.extend(filled(known, &arguments(given)));
            at = end;
        } else {
            out.push(tokens[at].clone());
            at += 1;
        }
    }
    out
}

fn word(token: &Token) -> String {
    match token {
        Token::Name(text) | Token::Text(text) => text.clone(),
        Token::Sign(c) => c.to_string(),
    }
}

/// What is between the bracket at `at` and the one that closes it, and where it goes on.
fn group(tokens: &[Token], at: usize) -> (&[Token], usize) {
    let (mut depth, mut end) = (0, at);
    while let Some(token) = tokens.get(end) {
        match token {
            Token::Sign('(' | '[' | '{') => depth += 1,
            Token::Sign(')' | ']' | '}') => depth -= 1,
            Token::Sign(_) | Token::Name(_) | Token::Text(_) => {}
        }
        end += 1;
        if depth == 0 {
            break;
        }
    }
    (tokens.get(at + 1..end - 1).unwrap_or_default(), end)
}

/// Arguments, apart at the commas that are in no bracket.
fn arguments(tokens: &[Token]) -> Vec<&[Token]> {
    let (mut all, mut depth, mut start) = (Vec::new(), 0, 0);
    for (at, token) in tokens.iter().enumerate() {
        match token {
            Token::Sign('(' | '[' | '{') => depth += 1,
            Token::Sign(')' | ']' | '}') => depth -= 1,
            Token::Sign(',') if depth == 0 => {
                all.push(&tokens[start..at]);
                start = at + 1;
            }
            Token::Sign(_) | Token::Name(_) | Token::Text(_) => {}
        }
    }
    all.push(&tokens[start..]);
    all
}

fn filled(known: &Macro, given: &[&[Token]]) -> Vec<Token> {
    let (mut out, mut at) = (Vec::new(), 0);
    while let Some(token) = known.body.get(at) {
        let place = known
            .body
            .get(at + 1)
            .filter(|_| *token == Token::Sign('$'))
            .and_then(|name| known.parameters.iter().position(|own| *own == word(name)));
        match place {
            Some(place) => {
                out.extend(given.get(place).unwrap_or(&&[][..]).iter().cloned());
                at += 2;
            }
            None => {
                out.push(token.clone());
                at += 1;
            }
        }
    }
    out
}

/// The one column of a list.
const VALUE: &str = "value";

/// Every SQL text of a source file. `concat!` is put together, and the columns of a set are read.
fn statements(source: &str) -> Vec<Statement> {
    let tokens = expanded(tokens(source));
    let (mut found, mut set, mut at) = (Vec::new(), None, 0);
    while at < tokens.len() {
        match &tokens[at] {
            Token::Name(name) if name == "on" || name == "fn" => set = None,
            Token::Name(name) if name == "on_set" => set = Some(columns(&tokens[at..])),
            // A list is a set of bare values.
            Token::Name(name) if name == "on_list" => set = Some(vec![VALUE.to_owned()]),
            Token::Name(name) if name == "concat" => {
                let (parts, end) = group(&tokens, at + 2);
                let texts = parts.iter().filter_map(|token| match token {
                    Token::Text(part) => Some(part.as_str()),
                    Token::Name(_) | Token::Sign(_) => None,
                });
                found.push((set.take(), texts.collect()));
                at = end - 1;
            }
            Token::Text(text) => found.push((set.take(), text.clone())),
            Token::Name(_) | Token::Sign(_) => {}
        }
        at += 1;
    }
    found
        .into_iter()
        // How a set is opened is `on_set!` itself, and no statement.
        .filter(|(_, text)| !text.starts_with("WITH d AS "))
        // What a `QueryBuilder` goes on from is no whole statement, and rows that are put in look nothing up.
        .filter(|(_, text)| {
            !text.starts_with("INSERT ") || text.contains("VALUES") || text.contains("SELECT ")
        })
        .filter(|(_, text)| {
            ["SELECT ", "INSERT ", "UPDATE ", "DELETE ", "WITH "]
                .iter()
                .any(|start| text.starts_with(start))
        })
        .map(|(set, sql)| Statement { set, sql })
        .collect()
}

/// The names in the first brackets: `[id bigint, act text]`.
fn columns(tokens: &[Token]) -> Vec<String> {
    let inside = tokens
        .iter()
        .skip_while(|token| **token != Token::Sign('['))
        .skip(1)
        .take_while(|token| **token != Token::Sign(']'));
    inside
        .filter_map(|token| match token {
            Token::Name(name) => Some(name.clone()),
            Token::Text(_) | Token::Sign(_) => None,
        })
        .step_by(2)
        .collect()
}

/// As `on_set!` opens a set on SQLite.
fn whole(statement: &Statement) -> String {
    match &statement.set {
        None => statement.sql.clone(),
        Some(columns) if *columns == [VALUE] => format!(
            "WITH d AS (SELECT value FROM json_each($1)) {}",
            statement.sql
        ),
        Some(columns) => {
            let columns: String = columns
                .iter()
                .map(|column| format!(", value->>'{column}' AS {column}"))
                .collect();
            format!(
                "WITH d AS (SELECT NULL AS unused{columns} FROM jsonb_each($1)) {}",
                statement.sql
            )
        }
    }
}

/// What is wrong with a plan: its lines, each with the number of the line it is a part of.
fn objections(sql: &str, plan: &[(i64, String)]) -> Vec<String> {
    let mut found = Vec::new();
    let mut begun: Vec<i64> = Vec::new();
    for (parent, line) in plan {
        let is_loop = line.starts_with("SCAN ") || line.starts_with("SEARCH ");
        let is_first = !begun.contains(parent);
        if is_loop {
            begun.push(*parent);
        }
        let is_set = line.starts_with("SCAN json_each") || line.starts_with("SCAN jsonb_each");
        if is_set && !is_first {
            found.push(format!("opens the set again for each row: {line}"));
        }
        // An index that holds just the rows that are wanted is as good as a search.
        let is_partial = [
            "deliveries_due",
            "deliveries_leased",
            "threads_due",
            "cases_unplanned",
            "cases_reset",
            "findings_unmatched",
            "ledger_walks",
            "legal_holds_open",
        ]
        .iter()
        .any(|index| line.contains(&format!("INDEX {index}")));
        let table = line
            .strip_prefix("SCAN ")
            .and_then(|rest| rest.split_whitespace().next());
        // Tables that the statement does not name refer to its own: they are looked through only if a key of ours was
        // missing already, which no transaction of ours allows.
        let is_table = table.is_some_and(|table| {
            !["json_each", "jsonb_each", "d", "CONSTANT", "picked"].contains(&table)
                && !table.starts_with('(')
                && format!("{sql} ").contains(&format!(" {table} "))
        });
        if is_table && !is_partial {
            found.push(format!("looks through a table: {line}"));
        }
        if line.contains("AUTOMATIC") {
            found.push(format!("makes an index for this once: {line}"));
        }
        // Page after page of a large table would each sort all that is left of it.
        let is_page = *parent == 0
            && sql
                .trim_end()
                .rsplit(')')
                .next()
                .is_some_and(|end| end.contains(" LIMIT "));
        if is_page && line.contains("TEMP B-TREE FOR ORDER BY") {
            found.push(format!("sorts all for a page of it: {line}"));
        }
    }
    found
}

fn source() -> Vec<Statement> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store");
    crate::layers::files_below(&folder)
        .iter()
        .flat_map(|path| statements(&std::fs::read_to_string(path).unwrap()))
        .collect()
}

#[tokio::test]
async fn every_statement_looks_up_what_it_wants() {
    let folder = tempfile::tempdir().unwrap();
    let store = sqlite(folder.path()).await;
    let Store::Sqlite(pool) = &store else {
        unreachable!()
    };
    let all = source();
    assert!(all.len() > 100, "only {} statements were found", all.len());
    let mut wrong = Vec::new();
    let mut excused = Vec::new();
    for statement in &all {
        let sql = whole(statement);
        if sql.contains("FOR SHARE")
            || sql.contains("FOR UPDATE")
            || sql.contains("json_to_recordset")
            || sql.contains("pg_advisory")
            || sql.contains("FROM pg_")
        {
            continue; // PostgreSQL's own.
        }
        let rows = sqlx::query(sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}")))
            .fetch_all(pool)
            .await
            .unwrap_or_else(|error| panic!("{sql}: {error}"));
        let plan: Vec<(i64, String)> = rows.iter().map(|row| (row.get(1), row.get(3))).collect();
        let objections = objections(&sql, &plan);
        if objections.is_empty() {
            continue;
        }
        match LOOKS_THROUGH.iter().find(|(words, _)| sql.contains(words)) {
            Some((words, _)) => excused.push(*words),
            None => wrong.push(format!("{sql}\n    {}", objections.join("\n    "))),
        }
    }
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
    let stale: Vec<_> = LOOKS_THROUGH
        .iter()
        .filter(|(words, _)| !excused.contains(words))
        .collect();
    assert!(stale.is_empty(), "these need no excuse any more: {stale:?}");
    store.close().await;
}

#[test]
fn sql_is_found_in_rust() {
    let source = r#"
        macro_rules! columns { () => { "c.id, \
            c.state" }; }
        let c = 'x'; let quote = '"'; fn f<'a>(x: &'a str) {}
        // "SELECT in a comment"
        on!(self, db => sqlx::query("SELECT 1 WHERE a = $1").bind(x));
        on_set!(self, &sets, [id bigint, act text], "INSERT INTO t SELECT id FROM d", sqlx::query)
        on_set!(self, &sets, [id bigint], concat!("SELECT ", columns!(), " FROM d JOIN cases c ON c.id = d.id"), x)
        on!(self, db => sqlx::query(concat!("SELECT ", columns!(), " FROM cases c")))
        macro_rules! moving { ($set:literal, $x:expr) => { f(concat!("UPDATE t SET ", $set, " WHERE a = 1"), $x) }; }
        moving!("a = 2", g(1, [2, 3]));
        .expect("no such word");
    "#;
    let statement = |set: Option<&[&str]>, sql: &str| Statement {
        set: set.map(|names| names.iter().map(|name| (*name).to_owned()).collect()),
        sql: sql.to_owned(),
    };
    assert_eq!(
        statements(source),
        [
            statement(None, "SELECT 1 WHERE a = $1"),
            statement(Some(&["id", "act"]), "INSERT INTO t SELECT id FROM d"),
            statement(
                Some(&["id"]),
                "SELECT c.id, c.state FROM d JOIN cases c ON c.id = d.id"
            ),
            statement(None, "SELECT c.id, c.state FROM cases c"),
            statement(None, "UPDATE t SET a = 2 WHERE a = 1"),
        ]
    );
}

#[test]
fn a_bad_plan_is_objected_to() {
    let line = |parent: i64, text: &str| (parent, text.to_owned());
    let good = [
        line(0, "SCAN json_each VIRTUAL TABLE INDEX 1:"),
        line(0, "SEARCH cases USING INTEGER PRIMARY KEY (rowid=?)"),
    ];
    assert_eq!(objections("", &good), [""; 0]);
    let backwards = [
        line(
            0,
            "SEARCH a USING INDEX sqlite_autoindex_accounts_1 (realm=?)",
        ),
        line(0, "SCAN json_each VIRTUAL TABLE INDEX 1:"),
    ];
    assert_eq!(objections("", &backwards).len(), 1);
    assert_eq!(
        objections("FROM cases WHERE", &[line(0, "SCAN cases")]).len(),
        1
    );
    assert_eq!(
        objections(
            "JOIN y x ON",
            &[line(0, "SCAN x USING AUTOMATIC COVERING INDEX (id=?)")]
        )
        .len(),
        2
    );
}
