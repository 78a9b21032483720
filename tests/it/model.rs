//! The model: whatever audits, directories, operators, clocks and crashes do in whatever order, the laws hold.
//!
//! No case closes without proof; nobody is written to about what is over; nobody gets a fourth reminder; every open case has
//! a next step or an owner; and the ledger tells of each case where it is.

use chrono::TimeDelta;
use division_bell::domain::Moment;
use division_bell::domain::case::CaseState;
use division_bell::domain::evidence::Grade;
use division_bell::domain::reply::{Heard, OutOfReach, Reply};
use division_bell::steps::audit_steps::audit_steps;
use division_bell::steps::{calls, confirm, exempt, plan};
use division_bell::store::Said;
use proptest::prelude::*;

use crate::support::flow::{Bell, Setup, Staff, databases, staff};

const PEOPLE: usize = 8;

/// What a directory says about one account.
#[derive(Clone, Copy, Debug)]
enum Word {
    /// Changed now.
    Changed,
    /// Changed long ago.
    Old,
    /// Changed in the future.
    Ahead,
    /// It does not say.
    Silent,
    /// It has to be changed at the next sign-in.
    MustChange,
    Disabled,
}

/// Something that happens.
#[derive(Clone, Debug)]
enum Act {
    /// An audit of what was true so many hours ago.
    Audit(Vec<(usize, u8)>, i64),
    Evidence(Vec<(usize, Word)>),
    /// So many hours go by.
    Later(i64),
    /// The staff list is read again without these people, and without the addresses of those.
    Directory(Vec<usize>, Vec<usize>),
    /// Whoever is to be told is, by a campaign that two people answer for.
    Campaign,
    /// What the schedule does each minute.
    Tick,
    /// A worker leases so many, begins so many of them, and dies.
    Dies(usize, usize),
    Exempt(usize, i64),
    Snooze(usize, i64),
    Told(usize),
    Missed(usize),
    Says(usize, u8),
    Contained(usize),
    Withdrawn(usize),
    /// The process starts anew.
    Restart,
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let who = 0..PEOPLE;
    let words = prop_oneof![
        4 => Just(Word::Changed),
        2 => Just(Word::Old),
        1 => Just(Word::Ahead),
        1 => Just(Word::Silent),
        1 => Just(Word::MustChange),
        1 => Just(Word::Disabled),
    ];
    let some = || prop::collection::vec(0..PEOPLE, 0..3);
    let act = prop_oneof![
        4 => (prop::collection::vec((who.clone(), 0..4_u8), 1..5), 0..48_i64).prop_map(|(lines, ago)| Act::Audit(lines, ago)),
        4 => prop::collection::vec((who.clone(), words), 1..4).prop_map(Act::Evidence),
        6 => (1..60_i64).prop_map(Act::Later),
        1 => (some(), some()).prop_map(|(gone, mute)| Act::Directory(gone, mute)),
        4 => Just(Act::Campaign),
        8 => Just(Act::Tick),
        1 => (0..6_usize, 0..4_usize).prop_map(|(all, some)| Act::Dies(all, some)),
        1 => (who.clone(), 1..20_i64).prop_map(|(who, days)| Act::Exempt(who, days)),
        1 => (who.clone(), 1..7_i64).prop_map(|(who, days)| Act::Snooze(who, days)),
        1 => who.clone().prop_map(Act::Told),
        1 => who.clone().prop_map(Act::Missed),
        1 => (who.clone(), 0..3_u8).prop_map(|(who, what)| Act::Says(who, what)),
        2 => who.clone().prop_map(Act::Contained),
        1 => who.prop_map(Act::Withdrawn),
        1 => Just(Act::Restart),
    ];
    prop::collection::vec(act, 5..40)
}

fn sam(who: usize) -> String {
    format!("user{who}")
}

fn crowd() -> Vec<Staff> {
    (0..PEOPLE)
        .map(|nth| {
            let name = sam(nth);
            staff(
                &name,
                &format!("{name}@parl.example"),
                &format!("User Number {nth}"),
            )
        })
        .collect()
}

async fn tick(bell: &Bell) {
    bell.notify().await;
    bell.deliver().await;
    bell.notify().await;
}

async fn campaign(bell: &Bell) {
    if let Some(draft) = plan::draft(&bell.app, "ann").await.unwrap() {
        bell.approve(draft.id).await.unwrap();
    }
}

/// The open case of somebody, if there is one.
async fn open(bell: &Bell, who: usize) -> Option<division_bell::store::CaseRow> {
    let cases = bell.cases_of(&sam(who)).await;
    cases
        .into_iter()
        .find(|case| !matches!(case.state, CaseState::Closed { .. }))
}

async fn audit(bell: &Bell, nth: usize, lines: &[(usize, u8)], hours_ago: i64) {
    let as_of = bell.now().minus(TimeDelta::hours(hours_ago)).to_string();
    let lines: Vec<(String, &str)> = lines
        .iter()
        .map(|(who, what)| {
            let verdict = ["weak", "attacked", "breached", "compromised"][usize::from(*what)];
            (sam(*who), verdict)
        })
        .collect();
    let lines: Vec<(&str, &str, &str)> = lines
        .iter()
        .map(|(who, what)| (who.as_str(), *what, as_of.as_str()))
        .collect();
    bell.audit(&format!("audit{nth}"), &lines).await;
}

async fn evidence(bell: &Bell, lines: &[(usize, Word)]) {
    let now = bell.now();
    let mut text = "account,changed_at,must_change,disabled\n".to_owned();
    for (who, word) in lines {
        let at = |at: Moment| at.to_string();
        let (changed, must, disabled) = match word {
            Word::Changed => (at(now), "no", "no"),
            Word::Old => (at(now.minus(TimeDelta::days(200))), "no", "no"),
            Word::Ahead => (at(now.plus(TimeDelta::days(2))), "no", "no"),
            Word::Silent => (String::new(), "no", "no"),
            Word::MustChange => (at(now), "yes", "no"),
            Word::Disabled => (String::new(), "no", "yes"),
        };
        text.push_str(&format!(
            "PARL\\{},{changed},{must},{disabled}\n",
            sam(*who)
        ));
    }
    let path = bell.write("in/evidence.csv", text);
    let file = std::fs::File::options().append(true).open(path).unwrap();
    file.set_modified(now.utc().into()).unwrap();
    let confirmed = confirm::confirm(&bell.app, None, None).await.unwrap();
    assert!(confirmed.failed.is_empty(), "{confirmed:?}");
}

async fn dies(bell: &Bell, all: usize, some: usize) {
    let (now, worker) = (bell.now(), "a worker that died");
    let mut tx = bell.app.store.begin().await.unwrap();
    let claims = tx
        .claim(all, worker, now.plus(TimeDelta::minutes(15)), now)
        .await
        .unwrap();
    let begin: Vec<_> = claims
        .iter()
        .take(some)
        .map(|claim| (claim.id, claim.thread))
        .collect();
    tx.begin_attempts(&begin, worker, now).await.unwrap();
    tx.commit().await.unwrap();
}

async fn happens(bell: &mut Bell, nth: usize, act: &Act) {
    let now = bell.now();
    match act {
        Act::Audit(lines, ago) => audit(bell, nth, lines, *ago).await,
        Act::Evidence(lines) => evidence(bell, lines).await,
        Act::Later(hours) => {
            let until = now.plus(TimeDelta::hours(*hours));
            while bell.now() < until {
                bell.advance(TimeDelta::hours(3).min(until.since(bell.now())));
                tick(bell).await;
            }
        }
        Act::Directory(gone, mute) => {
            let mut all = crowd();
            for who in mute {
                all[*who].mail = String::new();
            }
            let mut nth = 0;
            all.retain(|_| {
                nth += 1;
                !gone.contains(&(nth - 1))
            });
            bell.people(&all).await;
        }
        Act::Campaign => campaign(bell).await,
        Act::Tick => tick(bell).await,
        Act::Dies(all, some) => dies(bell, *all, *some).await,
        Act::Restart => {
            let text = bell.text.clone();
            bell.restart_with(text).await;
        }
        Act::Exempt(who, _)
        | Act::Snooze(who, _)
        | Act::Told(who)
        | Act::Missed(who)
        | Act::Says(who, _)
        | Act::Contained(who)
        | Act::Withdrawn(who) => {
            if let Some(case) = open(bell, *who).await {
                by_hand(bell, &case, act, now).await;
            }
        }
    }
}

/// What an operator does about an open case.
async fn by_hand(bell: &Bell, case: &division_bell::store::CaseRow, act: &Act, now: Moment) {
    let app = &bell.app;
    let days = |days: i64| now.plus(TimeDelta::days(days));
    let mut tx = app.store.begin().await.unwrap();
    match act {
        Act::Exempt(_, n) => {
            drop(tx);
            return exempt::exempt(app, case.id, days(*n), "trial", "ann", "ben")
                .await
                .unwrap();
        }
        Act::Snooze(_, n) => {
            drop(tx);
            if case.claim.category != division_bell::domain::finding::Category::Compromised {
                exempt::snooze(app, case.id, days(*n), "leave", "ann")
                    .await
                    .unwrap();
            }
            return;
        }
        Act::Told(_) => tx
            .tell_case(case.id, now, "phone", "ann", now)
            .await
            .unwrap(),
        Act::Missed(_) => {
            let deadline = calls::deadline_of(app, case, now);
            tx.miss_case(case, OutOfReach::Absent, deadline, "ann", now)
                .await
                .unwrap();
        }
        Act::Says(_, what) => {
            let said = Said {
                said: Reply::ALL[usize::from(*what)],
                by_way: Heard::Phone,
                said_at: now,
                noted_by: "ann".to_owned(),
                grade: Grade::D,
            };
            tx.add_reply(case.id, &said, now).await.unwrap();
        }
        Act::Contained(_) => tx
            .contain_case(case.id, now, "blocked", "ann", now)
            .await
            .unwrap(),
        Act::Withdrawn(_) => {
            tx.withdraw_case(case.id, "a test", "ann", now)
                .await
                .unwrap();
            let threads: Vec<i64> = case.thread.into_iter().collect();
            tx.end_threads(&threads, now).await.unwrap();
        }
        _ => {}
    }
    tx.commit().await.unwrap();
}

/// Everybody does their work for some hours; then nothing is forgotten.
async fn all_is_done(bell: &Bell) {
    for _ in 0..3 {
        campaign(bell).await;
        bell.advance(TimeDelta::hours(1));
        tick(bell).await;
    }
    let audited = audit_steps(&bell.app, Vec::new(), false).await.unwrap();
    assert!(audited.is_good(), "{audited}");
}

async fn none(bell: &Bell, what: &str, sql: &str) {
    let rows = bell.rows(sql).await;
    assert!(rows.is_empty(), "{what}: {rows:?}");
}

async fn laws(bell: &Bell) {
    none(
        bell,
        "closed without proof",
        "SELECT c.id, c.closed_as, e.grade FROM cases c LEFT JOIN evidence e ON e.id = c.evidence_id
         WHERE c.state = 'closed' AND c.closed_as <> 'withdrawn' AND (e.id IS NULL OR e.grade NOT IN ('A', 'B'))",
    )
    .await;
    none(
        bell,
        "closed, and no reason is kept",
        "SELECT id FROM cases WHERE state = 'closed' AND closed_reason IS NULL",
    )
    .await;
    none(
        bell,
        "told about what was over",
        "SELECT x.id, x.kind FROM attempts a JOIN deliveries x ON x.id = a.delivery_id WHERE x.kind <> 'notice.done' AND a.outcome <> 'not_started'
             AND NOT EXISTS (SELECT 1 FROM cases c WHERE c.thread_id = x.thread_id AND (c.closed_at IS NULL OR c.closed_at >= a.started_at))",
    )
    .await;
    none(
        bell,
        "more than three reminders",
        "SELECT thread_id, COUNT(*) FROM deliveries WHERE kind LIKE 'reminder.%' GROUP BY thread_id HAVING COUNT(*) > 3",
    )
    .await;
    none(
        bell,
        "thanked for what is not done",
        "SELECT x.id FROM deliveries x WHERE x.kind = 'notice.done' AND NOT EXISTS (SELECT 1 FROM cases c WHERE c.thread_id = x.thread_id AND c.closed_as = 'reset')",
    )
    .await;
    none(
        bell,
        "a manager was told of somebody who was not reached",
        "SELECT x.id FROM deliveries x WHERE x.kind = 'escalation.manager' AND NOT EXISTS (SELECT 1 FROM cases c WHERE c.thread_id = x.thread_id AND c.notice_at IS NOT NULL AND c.notice_at <= x.queued_at)",
    )
    .await;
    none(
        bell,
        "two open cases of one account",
        "SELECT account_id FROM cases WHERE state <> 'closed' GROUP BY account_id HAVING COUNT(*) > 1",
    )
    .await;
    none(
        bell,
        "told twice and not marked",
        "SELECT x.id FROM deliveries x WHERE NOT x.possible_duplicate AND (SELECT COUNT(*) FROM attempts a WHERE a.delivery_id = x.id AND a.outcome IN ('accepted', 'in_doubt')) > 1",
    )
    .await;
    bell.books().await;
}

async fn on(store: Option<String>, acts: &[Act]) {
    let mut bell = Bell::with(Setup {
        store,
        ..Setup::default()
    })
    .await;
    bell.people(&crowd()).await;
    for (nth, act) in acts.iter().enumerate() {
        happens(&mut bell, nth, act).await;
    }
    laws(&bell).await;
    bell.people(&crowd()).await;
    all_is_done(&bell).await;
    laws(&bell).await;
}

fn rounds() -> u32 {
    std::env::var("BELL_MODEL")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(6)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: rounds(), max_shrink_iters: 80, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_in_whatever_order_the_laws_hold(acts in acts()) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(async {
            for store in databases().await {
                on(store, &acts).await;
            }
        });
    }
}

/// A crowd to whom all this has happened.
async fn after(acts: &[Act]) -> Bell {
    let mut bell = Bell::with(Setup::default()).await;
    bell.people(&crowd()).await;
    for (nth, act) in acts.iter().enumerate() {
        happens(&mut bell, nth, act).await;
    }
    bell
}

#[tokio::test]
async fn a_case_that_turns_out_to_be_worse_goes_on_being_reminded_as_its_ladder_was_frozen() {
    let bell = after(&[
        Act::Audit(vec![(0, 1)], 0),
        Act::Campaign,
        Act::Later(1),
        Act::Audit(vec![(0, 2)], 0),
        Act::Later(52),
    ])
    .await;
    let kinds = bell.column("SELECT kind FROM deliveries ORDER BY id").await;
    assert_eq!(kinds, ["notice.attacked", "reminder.1", "reminder.2"]);
    all_is_done(&bell).await;
    laws(&bell).await;
}

#[tokio::test]
async fn an_account_that_turns_out_to_be_compromised_is_reminded_no_more_and_not_forgotten() {
    let bell = after(&[
        Act::Audit(vec![(7, 1)], 0),
        Act::Campaign,
        Act::Later(30),
        Act::Audit(vec![(7, 3)], 0),
        Act::Contained(7),
        Act::Later(30),
    ])
    .await;
    let kinds = bell.column("SELECT kind FROM deliveries ORDER BY id").await;
    assert_eq!(kinds, ["notice.attacked", "reminder.1"]);
    all_is_done(&bell).await;
    laws(&bell).await;
}
