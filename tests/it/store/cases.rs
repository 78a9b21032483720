//! Cases: opened by findings, moved by people, closed by evidence; each change has its line in the ledger.

use division_bell::domain::case::{CaseState, Claim, ClosedAs, Ended, Route};
use division_bell::domain::closing::ClosingReason;
use division_bell::domain::evidence::{Grade, Standing};
use division_bell::domain::figures::Figures;
use division_bell::domain::finding::{Baseline, Category, Precision, Severity};
use division_bell::domain::identity::Realm;
use division_bell::domain::{CaseId, EvidenceId, PersonId};
use division_bell::store::{
    CaseClosing, CaseOpening, CaseRow, EvidenceDraft, EvidenceRead, StoreError, TaskKind,
};

use super::bed::{Someone, at, changed, entry, opening, realm, said, weak};
use super::{Bed, both};

/// Evidence of grade A about each of these people, and its numbers in their order.
pub async fn proofs(bed: &Bed, people: &[Someone]) -> Vec<EvidenceId> {
    let mut tx = bed.tx().await;
    let read = tx
        .add_evidence_read(&EvidenceRead {
            source: "export".to_owned(),
            realm: realm(),
            file_name: "evidence.csv".to_owned(),
            sha256: "ee".to_owned(),
            observed_at: at(4),
            read_at: at(4),
        })
        .await
        .unwrap();
    let drafts: Vec<EvidenceDraft> = people
        .iter()
        .map(|who| EvidenceDraft {
            account: who.account,
            line: 2,
            grade: Grade::A,
            evidence: changed(Some(at(3)), at(4)),
        })
        .collect();
    let latest = said(&mut tx, read, &drafts).await;
    tx.commit().await.unwrap();
    people.iter().map(|who| latest[&who.account].id).collect()
}

fn closing(case: CaseId, evidence: EvidenceId, closed_as: ClosedAs) -> CaseClosing {
    CaseClosing {
        case,
        closed_as,
        safe_at: Some(at(3)),
        evidence,
        grade: Grade::A,
        reason: ClosingReason::PasswordChanged,
        standing: if closed_as == ClosedAs::Disabled {
            Standing::ClosedDisabled
        } else {
            Standing::Reset
        },
    }
}

async fn close(bed: &Bed, closings: &[CaseClosing]) {
    let mut tx = bed.tx().await;
    tx.close_cases(closings, "bell", at(5)).await.unwrap();
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn a_case_opens_with_all_that_is_known_of_it() {
    both(async |bed| {
        let who = bed.people(1).await[0];
        let claim = Claim {
            category: Category::Compromised,
            severity: Severity::Critical,
            bad_as_of: at(-3),
            baseline: Some(Baseline {
                changed_at: None,
                precision: Precision::Minute,
            }),
            found_at: at(-1),
        };
        let opening = CaseOpening {
            claim,
            standing: Standing::Touched,
            ..opening(who, at(0))
        };
        let mut tx = bed.tx().await;
        let id = tx.open_cases(&[opening], "ann", at(0)).await.unwrap()[0];
        tx.commit().await.unwrap();
        let expected = CaseRow {
            id,
            account: who.account,
            person: Some(who.person),
            route: Route::Holder,
            department: "Committees".to_owned(),
            claim,
            opened_at: at(0),
            reopens: None,
            state: CaseState::Open,
            standing: Standing::Touched,
            thread: None,
            deadline_at: None,
            not_reached: None,
            contained_at: None,
            contain_override_at: None,
            exempt_until: None,
            snoozed_until: None,
            reach_by: None,
            closed_reason: None,
            safe_at: None,
        };
        assert_eq!(bed.case(id).await, expected);
        assert_eq!(bed.read().await.case(CaseId(99)).await.unwrap(), None);
        let history = bed.read().await.case_history(id).await.unwrap();
        let entry = &history[0];
        assert_eq!(
            (history.len(), &entry.act[..], &entry.actor[..]),
            (1, "case.opened", "ann")
        );
        assert_eq!((entry.at, entry.effective_at), (at(0), Some(at(-1))));
        assert_eq!(
            entry.detail.as_deref(),
            Some("{\"category\":\"compromised\",\"mailboxes\":1}")
        );
    })
    .await;
}

#[tokio::test]
async fn numbers_come_back_in_the_order_of_the_openings() {
    both(async |bed| {
        let people = bed.people(3).await;
        let openings: Vec<CaseOpening> = people
            .iter()
            .rev()
            .map(|who| opening(*who, at(0)))
            .collect();
        let mut tx = bed.tx().await;
        let ids = tx.open_cases(&openings, "ann", at(0)).await.unwrap();
        assert_eq!(tx.open_cases(&[], "ann", at(0)).await.unwrap(), []);
        for (id, opening) in ids.iter().zip(&openings) {
            assert_eq!(
                tx.case(*id).await.unwrap().unwrap().account,
                opening.account
            );
        }
        tx.commit().await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn an_account_has_one_open_case_at_most() {
    both(async |bed| {
        let (people, cases) = bed.cases(1).await;
        let mut tx = bed.tx().await;
        let refused = tx
            .open_cases(&[opening(people[0], at(1))], "ann", at(1))
            .await;
        assert!(
            matches!(refused, Err(StoreError::Database(_))),
            "{refused:?}"
        );
        tx.rollback().await.unwrap();

        // What a closed case leaves room for is its successor.
        let proof = proofs(&bed, &people).await[0];
        close(&bed, &[closing(cases[0], proof, ClosedAs::Reset)]).await;
        let mut tx = bed.tx().await;
        let successor = CaseOpening {
            reopens: Some(cases[0]),
            ..opening(people[0], at(9))
        };
        let id = tx.open_cases(&[successor], "ann", at(9)).await.unwrap()[0];
        tx.commit().await.unwrap();
        assert_eq!(bed.case(id).await.reopens, Some(cases[0]));
        let entry = &bed.read().await.case_history(id).await.unwrap()[0];
        assert_eq!(entry.act, "case.reopened");
        let detail = format!(
            "{{\"category\":\"weak\",\"mailboxes\":1,\"reopens\":{}}}",
            cases[0]
        );
        assert_eq!(entry.detail, Some(detail));
    })
    .await;
}

#[tokio::test]
async fn a_case_that_is_joined_says_the_more_and_only_a_raise_is_told() {
    both(async |bed| {
        let (people, cases) = bed.cases(3).await;
        let proof = proofs(&bed, &people).await;
        close(&bed, &[closing(cases[2], proof[2], ClosedAs::Reset)]).await;
        let raised = Claim {
            category: Category::Breached,
            bad_as_of: at(2),
            baseline: Some(Baseline {
                changed_at: Some(at(-90)),
                precision: Precision::Second,
            }),
            ..weak(at(0))
        };
        let mut tx = bed.tx().await;
        let joins = [
            (cases[0], raised, true),
            (cases[1], weak(at(0)), false),
            (cases[2], raised, true),
        ];
        tx.join_cases(&joins, "ann", at(3)).await.unwrap();
        tx.join_cases(&[], "ann", at(3)).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(bed.case(cases[0]).await.claim, raised);
        assert_eq!(bed.case(cases[1]).await.claim, weak(at(0)));
        assert_eq!(bed.acts(cases[0]).await, ["case.opened", "case.raised"]);
        assert_eq!(bed.acts(cases[1]).await, ["case.opened"]);
        // A closed case is not joined, and the ledger does not say it was.
        assert_eq!(bed.case(cases[2]).await.claim, weak(at(0)));
        assert_eq!(
            bed.acts(cases[2]).await,
            ["case.opened", "case.closed.reset"]
        );
    })
    .await;
}

#[tokio::test]
async fn evidence_closes_a_case_once_and_ends_its_tasks() {
    both(async |bed| {
        let (people, cases) = bed.cases(2).await;
        let proof = proofs(&bed, &people).await;
        let mut tx = bed.tx().await;
        let tasks = [
            (cases[0], TaskKind::Reach, "no_address", Some(at(90))),
            (cases[1], TaskKind::Reach, "no_address", None),
        ];
        assert_eq!(tx.open_tasks(&tasks, at(1)).await.unwrap(), 2);
        tx.commit().await.unwrap();
        close(&bed, &[closing(cases[0], proof[0], ClosedAs::Reset)]).await;

        let case = bed.case(cases[0]).await;
        assert_eq!(
            case.state,
            CaseState::Closed {
                at: at(5),
                closed_as: ClosedAs::Reset
            }
        );
        assert_eq!(
            (case.standing, case.safe_at, case.not_reached),
            (Standing::Reset, Some(at(3)), None)
        );
        let open = bed.read().await.tasks(10).await.unwrap();
        assert_eq!(
            open.iter().map(|task| task.case).collect::<Vec<_>>(),
            [Some(cases[1])]
        );
        let history = bed.read().await.case_history(cases[0]).await.unwrap();
        let last = history.last().unwrap();
        assert_eq!(
            (&last.act[..], last.effective_at),
            ("case.closed.reset", Some(at(3)))
        );
        assert_eq!(
            last.detail,
            Some(format!("{{\"evidence\":{},\"grade\":\"A\",\"reason\":\"password_changed\",\"source\":\"export\"}}", proof[0]))
        );

        // One of two is closed already: neither closes, and nothing is said.
        let before = bed.ledger().await.len();
        let mut tx = bed.tx().await;
        let both = [
            closing(cases[1], proof[1], ClosedAs::Disabled),
            closing(cases[0], proof[0], ClosedAs::Reset),
        ];
        let lost = tx.close_cases(&both, "bell", at(6)).await;
        assert!(
            matches!(lost, Err(StoreError::Lost { table: "cases", .. })),
            "{lost:?}"
        );
        drop(tx);
        assert_eq!(bed.case(cases[1]).await.state, CaseState::Open);
        assert_eq!(bed.ledger().await.len(), before);
        close(&bed, &[]).await;
    })
    .await;
}

#[tokio::test]
async fn a_case_that_was_none_is_withdrawn_with_its_tasks() {
    both(async |bed| {
        let (_, cases) = bed.cases(1).await;
        let mut tx = bed.tx().await;
        tx.open_tasks(&[(cases[0], TaskKind::Reach, "no_address", None)], at(1))
            .await
            .unwrap();
        tx.withdraw_case(cases[0], "a test account", "ann", at(2))
            .await
            .unwrap();
        tx.commit().await.unwrap();
        assert_eq!(
            bed.case(cases[0]).await.state,
            CaseState::Closed {
                at: at(2),
                closed_as: ClosedAs::Withdrawn
            }
        );
        assert_eq!(bed.read().await.tasks(10).await.unwrap(), []);
        let last = bed
            .read()
            .await
            .case_history(cases[0])
            .await
            .unwrap()
            .pop()
            .unwrap();
        assert_eq!(
            (&last.act[..], &last.actor[..]),
            ("case.closed.withdrawn", "ann")
        );
        assert_eq!(
            last.detail.as_deref(),
            Some("{\"reason\":\"a test account\"}")
        );
        let mut tx = bed.tx().await;
        let lost = tx.withdraw_case(cases[0], "again", "ann", at(3)).await;
        assert!(
            matches!(lost, Err(StoreError::Lost { table: "cases", .. })),
            "{lost:?}"
        );
    })
    .await;
}

#[tokio::test]
async fn a_standing_that_changes_is_told_unless_the_case_is_closed() {
    both(async |bed| {
        let (people, cases) = bed.cases(2).await;
        let proof = proofs(&bed, &people).await;
        close(&bed, &[closing(cases[1], proof[1], ClosedAs::Reset)]).await;
        let mut tx = bed.tx().await;
        tx.restand(
            &[(cases[0], Standing::Pending), (cases[1], Standing::Open)],
            at(6),
        )
        .await
        .unwrap();
        tx.restand(&[], at(6)).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(bed.case(cases[0]).await.standing, Standing::Pending);
        assert_eq!(bed.case(cases[1]).await.standing, Standing::Reset);
        assert_eq!(bed.acts(cases[0]).await, ["case.opened", "case.standing"]);
        assert_eq!(
            bed.acts(cases[1]).await,
            ["case.opened", "case.closed.reset"]
        );
    })
    .await;
}

#[tokio::test]
async fn what_human_beings_do_is_written_down_and_ends_their_task() {
    both(async |bed| {
        let (_, cases) = bed.cases(1).await;
        let case = cases[0];
        let mut tx = bed.tx().await;
        let tasks = [
            (case, TaskKind::Contain, "compromised", Some(at(90))),
            (case, TaskKind::Reach, "refused", None),
            (case, TaskKind::Decide, "in_doubt", None),
        ];
        assert_eq!(tx.open_tasks(&tasks, at(1)).await.unwrap(), 3);
        tx.contain_case(case, at(2), "blocked", "ann", at(3))
            .await
            .unwrap();
        let kinds: Vec<String> = tx
            .tasks(10)
            .await
            .unwrap()
            .into_iter()
            .map(|task| task.kind)
            .collect();
        assert_eq!(kinds, ["reach", "decide"]);
        tx.tell_case(case, at(4), "by phone", "ben", at(5))
            .await
            .unwrap();
        let kinds: Vec<String> = tx
            .tasks(10)
            .await
            .unwrap()
            .into_iter()
            .map(|task| task.kind)
            .collect();
        assert_eq!(kinds, ["decide"]);
        // Told again later, and once more of a call that was earlier: the first contact counts.
        tx.tell_case(case, at(8), "by letter", "ben", at(8))
            .await
            .unwrap();
        tx.tell_case(case, at(1), "at the door", "ben", at(9))
            .await
            .unwrap();
        tx.exempt_case(case, at(200), "on leave", "ann", "ben", at(10))
            .await
            .unwrap();
        tx.commit().await.unwrap();

        let row = bed.case(case).await;
        assert_eq!(
            (row.contained_at, row.exempt_until),
            (Some(at(2)), Some(at(200)))
        );
        assert_eq!(
            (row.state, row.not_reached),
            (CaseState::Notified { at: at(1) }, None)
        );
        assert_eq!(row.deadline_at, Some(at(90)));
        let history = bed.read().await.case_history(case).await.unwrap();
        let acts: Vec<_> = history
            .iter()
            .map(|entry| (&entry.act[..], &entry.actor[..], entry.effective_at))
            .collect();
        assert_eq!(
            acts[4..],
            [
                ("case.contained", "ann", Some(at(2))),
                ("case.told", "ben", Some(at(4))),
                ("case.told", "ben", Some(at(8))),
                ("case.told", "ben", Some(at(1))),
                ("case.exempted", "ben", Some(at(200))),
            ]
        );
        let detail: serde_json::Value =
            serde_json::from_str(history[8].detail.as_ref().unwrap()).unwrap();
        assert_eq!(
            detail,
            serde_json::json!({ "reason": "on leave", "requested_by": "ann" })
        );
    })
    .await;
}

#[tokio::test]
async fn nobody_moves_a_case_that_is_closed_or_not_there() {
    both(async |bed| {
        let (people, cases) = bed.cases(1).await;
        let proof = proofs(&bed, &people).await;
        close(&bed, &[closing(cases[0], proof[0], ClosedAs::Reset)]).await;
        let before = bed.ledger().await;
        for case in [cases[0], CaseId(99)] {
            let mut tx = bed.tx().await;
            let refused = [
                tx.contain_case(case, at(6), "x", "ann", at(6)).await,
                tx.tell_case(case, at(6), "x", "ann", at(6)).await,
                tx.exempt_case(case, at(6), "x", "ann", "ben", at(6)).await,
                tx.withdraw_case(case, "x", "ann", at(6)).await,
            ];
            tx.commit().await.unwrap();
            for refused in refused {
                assert!(
                    matches!(refused, Err(StoreError::Lost { table: "cases", id }) if id == case.0),
                    "{refused:?}"
                );
            }
        }
        assert_eq!(bed.ledger().await, before);
    })
    .await;
}

#[tokio::test]
async fn a_task_is_opened_once_a_kind_and_never_for_a_closed_case() {
    both(async |bed| {
        let (people, cases) = bed.cases(2).await;
        let proof = proofs(&bed, &people).await;
        close(&bed, &[closing(cases[1], proof[1], ClosedAs::Reset)]).await;
        let tasks = [
            (cases[0], TaskKind::Reach, "no_address", Some(at(90))),
            (cases[0], TaskKind::Operators, "nobodys_own", None),
            (cases[1], TaskKind::Reach, "no_address", Some(at(90))),
        ];
        let mut tx = bed.tx().await;
        assert_eq!(tx.open_tasks(&tasks, at(6)).await.unwrap(), 2);
        assert_eq!(tx.open_tasks(&[], at(6)).await.unwrap(), 0);
        // Later and for another reason: the task is the same, the first deadline holds, the newest reason is shown.
        let again = [(cases[0], TaskKind::Reach, "refused", Some(at(99)))];
        assert_eq!(tx.open_tasks(&again, at(7)).await.unwrap(), 0);
        tx.commit().await.unwrap();

        let row = bed.case(cases[0]).await;
        assert_eq!(
            (row.deadline_at, row.not_reached.as_deref()),
            (Some(at(90)), Some("refused"))
        );
        let open = bed.read().await.tasks(10).await.unwrap();
        let told: Vec<_> = open
            .iter()
            .map(|task| (task.case, &task.kind[..], &task.reason[..], task.opened_at))
            .collect();
        assert_eq!(
            told,
            [
                (Some(cases[0]), "reach", "no_address", at(6)),
                (Some(cases[0]), "operators", "nobodys_own", at(6)),
            ]
        );
        assert_eq!(bed.read().await.tasks(1).await.unwrap().len(), 1);
        assert_eq!(
            bed.acts(cases[0]).await,
            ["case.opened", "case.not_reached", "case.task"]
        );
        let history = bed.read().await.case_history(cases[0]).await.unwrap();
        assert_eq!(
            history[1].detail.as_deref(),
            Some("{\"kind\":\"reach\",\"reason\":\"no_address\"}")
        );
        assert_eq!(history[1].effective_at, Some(at(90)));
        assert_eq!(bed.case(cases[1]).await.not_reached, None);
        assert_eq!(
            bed.acts(cases[1]).await,
            ["case.opened", "case.closed.reset"]
        );

        // When it is done, it can come again.
        let mut tx = bed.tx().await;
        tx.tell_case(cases[0], at(8), "by phone", "ann", at(8))
            .await
            .unwrap();
        assert_eq!(tx.open_tasks(&again, at(9)).await.unwrap(), 1);
        tx.commit().await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn deciding_gives_the_open_case_the_last_that_ended_and_the_newest_evidence() {
    both(async |bed| {
        let (people, cases) = bed.cases(4).await;
        let proof = proofs(&bed, &people[..3]).await;
        close(
            &bed,
            &[
                closing(cases[0], proof[0], ClosedAs::Reset),
                closing(cases[1], proof[1], ClosedAs::Disabled),
            ],
        )
        .await;
        let mut tx = bed.tx().await;
        let second = tx
            .open_cases(
                &[CaseOpening {
                    reopens: Some(cases[0]),
                    ..opening(people[0], at(9))
                }],
                "ann",
                at(9),
            )
            .await
            .unwrap()[0];
        tx.withdraw_case(second, "x", "ann", at(10)).await.unwrap();
        let third = tx
            .open_cases(&[opening(people[0], at(11))], "ann", at(11))
            .await
            .unwrap()[0];
        let accounts: Vec<_> = people.iter().map(|who| who.account).collect();
        let deciding = tx.deciding(&accounts).await.unwrap();
        tx.commit().await.unwrap();

        let open: Vec<_> = accounts
            .iter()
            .map(|id| deciding.open.get(id).map(|case| case.id))
            .collect();
        assert_eq!(open, [Some(third), None, Some(cases[2]), Some(cases[3])]);
        let ended: Vec<_> = accounts
            .iter()
            .map(|id| deciding.ended.get(id).copied())
            .collect();
        let withdrawn = Ended {
            id: second,
            closed_as: ClosedAs::Withdrawn,
            safe_at: None,
        };
        let disabled = Ended {
            id: cases[1],
            closed_as: ClosedAs::Disabled,
            safe_at: Some(at(3)),
        };
        assert_eq!(ended, [Some(withdrawn), Some(disabled), None, None]);
        let evidence: Vec<_> = accounts
            .iter()
            .map(|id| deciding.evidence.get(id).map(|one| one.id))
            .collect();
        assert_eq!(
            evidence,
            [Some(proof[0]), Some(proof[1]), Some(proof[2]), None]
        );
        let nobody = bed.read().await.deciding(&[]).await.unwrap();
        assert!(nobody.open.is_empty() && nobody.ended.is_empty() && nobody.evidence.is_empty());
    })
    .await;
}

#[tokio::test]
async fn cases_are_listed_by_number_person_and_realm() {
    both(async |bed| {
        let (people, cases) = bed.cases(4).await;
        let proof = proofs(&bed, &people).await;
        close(&bed, &[closing(cases[1], proof[1], ClosedAs::Reset)]).await;
        let ids = |rows: Vec<CaseRow>| rows.into_iter().map(|row| row.id).collect::<Vec<_>>();
        let mut tx = bed.read().await;
        assert_eq!(ids(tx.cases(CaseId(0), false, 100).await.unwrap()), cases);
        assert_eq!(
            ids(tx.cases(CaseId(0), true, 100).await.unwrap()),
            [cases[0], cases[2], cases[3]]
        );
        assert_eq!(
            ids(tx.cases(cases[0], false, 2).await.unwrap()),
            cases[1..3]
        );
        assert_eq!(
            ids(tx.open_cases_in(&realm(), CaseId(0), 2).await.unwrap()),
            [cases[0], cases[2]]
        );
        assert_eq!(
            ids(tx.open_cases_in(&realm(), cases[2], 9).await.unwrap()),
            [cases[3]]
        );
        assert_eq!(
            tx.open_cases_in(&Realm("unix:HOST".to_owned()), CaseId(0), 9)
                .await
                .unwrap(),
            []
        );
        let mut named = tx.names_in_open_cases(&realm()).await.unwrap();
        named.retain(|name| name.contains('@'));
        let expected = [1, 3, 4].map(|n| entry(n).mail.unwrap().folded());
        assert_eq!(named, expected.into_iter().collect());
        let elsewhere = Realm("unix:HOST".to_owned());
        assert!(tx.names_in_open_cases(&elsewhere).await.unwrap().is_empty());
        assert_eq!(
            ids(tx.cases_of_person(people[1].person).await.unwrap()),
            [cases[1]]
        );
        assert_eq!(tx.cases_of_person(PersonId(99)).await.unwrap(), []);
    })
    .await;
}

#[tokio::test]
async fn a_case_that_closed_as_disabled_is_found_while_it_is_the_last_of_its_account() {
    both(async |bed| {
        let (people, cases) = bed.cases(3).await;
        let proof = proofs(&bed, &people).await;
        close(
            &bed,
            &[
                closing(cases[0], proof[0], ClosedAs::Disabled),
                closing(cases[1], proof[1], ClosedAs::Reset),
                closing(cases[2], proof[2], ClosedAs::Disabled),
            ],
        )
        .await;
        let accounts: Vec<_> = people.iter().map(|who| who.account).collect();
        let found = bed
            .read()
            .await
            .closed_as_disabled(&accounts)
            .await
            .unwrap();
        let mut found: Vec<_> = found.into_iter().map(|row| row.id).collect();
        found.sort();
        assert_eq!(found, [cases[0], cases[2]]);
        let mut tx = bed.tx().await;
        tx.open_cases(
            &[CaseOpening {
                reopens: Some(cases[2]),
                ..opening(people[2], at(9))
            }],
            "bell",
            at(9),
        )
        .await
        .unwrap();
        tx.commit().await.unwrap();
        let found = bed
            .read()
            .await
            .closed_as_disabled(&accounts)
            .await
            .unwrap();
        assert_eq!(
            found.iter().map(|row| row.id).collect::<Vec<_>>(),
            [cases[0]]
        );
        assert_eq!(bed.read().await.closed_as_disabled(&[]).await.unwrap(), []);
    })
    .await;
}

#[tokio::test]
async fn what_no_campaign_has_comes_person_by_person_with_all_their_cases() {
    both(async |bed| {
        let people = bed.people(4).await;
        let of = |account: usize, person: Option<usize>| CaseOpening {
            person: person.map(|at| people[at].person),
            ..opening(people[account], at(0))
        };
        // One person for two accounts, one whose case nobody is told of, and one for whom there is nothing.
        let mut tx = bed.tx().await;
        let openings = [of(0, Some(2)), of(1, None), of(2, Some(2)), of(3, Some(3))];
        let cases = tx.open_cases(&openings, "ann", at(0)).await.unwrap();
        tx.commit().await.unwrap();
        let ids = |rows: &[CaseRow]| rows.iter().map(|row| row.id).collect::<Vec<_>>();
        let mut tx = bed.read().await;
        let all = tx.unplanned(PersonId(-1), 100).await.unwrap();
        assert_eq!(ids(&all), [cases[1], cases[0], cases[2], cases[3]]);
        // A page is a number of people, not of cases; nobody's cases come under person 0.
        let first = tx.unplanned(PersonId(-1), 2).await.unwrap();
        assert_eq!(ids(&first), [cases[1], cases[0], cases[2]]);
        let second = tx.unplanned(people[2].person, 2).await.unwrap();
        assert_eq!(ids(&second), [cases[3]]);
        assert_eq!(tx.unplanned(people[3].person, 2).await.unwrap(), []);
        drop(tx);

        let mut tx = bed.tx().await;
        tx.withdraw_case(cases[0], "x", "ann", at(1)).await.unwrap();
        tx.tell_case(cases[3], at(1), "by phone", "ann", at(1))
            .await
            .unwrap();
        assert_eq!(
            ids(&tx.unplanned(PersonId(0), 100).await.unwrap()),
            [cases[2]]
        );
    })
    .await;
}

#[tokio::test]
async fn figures_count_people_and_not_papers() {
    both(async |bed| {
        let figures = bed.read().await.figures(at(0)).await.unwrap();
        assert_eq!(figures, Figures::default());
        let (people, cases) = bed.cases(6).await;
        let proof = proofs(&bed, &people).await;
        let mut tx = bed.tx().await;
        let tasks = [
            (cases[2], TaskKind::Reach, "no_address", Some(at(10))),
            (cases[3], TaskKind::Contain, "compromised", Some(at(10))),
        ];
        tx.open_tasks(&tasks, at(1)).await.unwrap();
        tx.tell_case(cases[0], at(2), "by phone", "ann", at(2))
            .await
            .unwrap();
        tx.exempt_case(cases[3], at(100), "on leave", "ann", "ben", at(2))
            .await
            .unwrap();
        tx.withdraw_case(cases[5], "x", "ann", at(2)).await.unwrap();
        tx.commit().await.unwrap();
        close(
            &bed,
            &[
                closing(cases[0], proof[0], ClosedAs::Reset),
                closing(cases[1], proof[1], ClosedAs::Disabled),
            ],
        )
        .await;
        let expected = Figures {
            accounts: 5,
            people: 5,
            told: 1,
            reset: 1,
            disabled: 1,
            open: 3,
            overdue: 1,
            not_reached: 1,
        };
        assert_eq!(bed.read().await.figures(at(11)).await.unwrap(), expected);
        assert_eq!(bed.read().await.figures(at(10)).await.unwrap().overdue, 0);
        assert_eq!(bed.read().await.figures(at(101)).await.unwrap().overdue, 2);

        // A case that was proved wrong gives way to its successor.
        let mut tx = bed.tx().await;
        tx.open_cases(
            &[CaseOpening {
                reopens: Some(cases[0]),
                ..opening(people[0], at(9))
            }],
            "ann",
            at(9),
        )
        .await
        .unwrap();
        tx.commit().await.unwrap();
        let reopened = Figures {
            told: 0,
            reset: 0,
            open: 4,
            ..expected
        };
        assert_eq!(bed.read().await.figures(at(11)).await.unwrap(), reopened);
    })
    .await;
}

#[tokio::test]
async fn a_row_that_no_version_of_ours_wrote_is_named_and_not_guessed() {
    both(async |bed| {
        let (_, cases) = bed.cases(1).await;
        for (column, value) in [
            ("state", "asleep"),
            ("route", "post"),
            ("standing", "sitting"),
            ("category", "fine"),
            ("severity", "grave"),
            ("baseline", "{}"),
        ] {
            let mut tx = bed.tx().await;
            let sql = format!("UPDATE cases SET {column} = '{value}' WHERE id = {}", cases[0]);
            match &mut tx {
                division_bell::store::Tx::Sqlite(tx) => sqlx::query(sqlx::AssertSqlSafe(sql)).execute(&mut **tx).await.map(|_| ()),
                division_bell::store::Tx::Postgres(tx) => sqlx::query(sqlx::AssertSqlSafe(sql)).execute(&mut **tx).await.map(|_| ()),
            }
            .unwrap();
            let strange = tx.case(cases[0]).await.unwrap_err();
            assert!(
                matches!(strange, StoreError::Strange { table: "cases", column: told, id } if told == column && id == cases[0].0),
                "{strange:?}"
            );
            assert!(!strange.to_string().contains(value), "{strange}");
            tx.rollback().await.unwrap();
        }
        assert_eq!(bed.case(cases[0]).await.state, CaseState::Open);
    })
    .await;
}

#[tokio::test]
async fn ten_thousand_cases_open_and_close_at_once() {
    both(async |bed| {
        let (people, cases) = bed.cases(10_000).await;
        let proof = proofs(&bed, &people).await;
        let closings: Vec<CaseClosing> = cases
            .iter()
            .zip(&proof)
            .map(|(case, proof)| closing(*case, *proof, ClosedAs::Reset))
            .collect();
        close(&bed, &closings).await;
        let figures = bed.read().await.figures(at(6)).await.unwrap();
        assert_eq!((figures.reset, figures.open), (10_000, 0));
        assert_eq!(bed.count("SELECT COUNT(*) FROM ledger").await, 20_000);
    })
    .await;
}
