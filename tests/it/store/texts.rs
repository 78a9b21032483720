//! Texts that hurt: quotes, signs of SQL and JSON, control characters, scripts of all kinds. What goes in comes out.

use division_bell::domain::PersonName;
use division_bell::domain::delivery::Verdict;
use division_bell::domain::finding::Severity;
use division_bell::domain::identity::{Key, KeyKind, LookupKind};
use division_bell::domain::person::DirectoryEntry;
use division_bell::store::{Bounce, DeliveryDraft, FindingDraft, NewAudit, ThreadState};

use super::bed::{accepted, at, claim_in, entry, lookup, mail, realm, thread};
use super::both;

/// Everything but U+0000, which no text of ours can hold: the readers drop control characters, and PostgreSQL has none.
const TEXTS: &[&str] = &[
    r#"O'Brien "Rob'; DROP TABLE persons; --"#,
    r"back\slash \n \u0041 \\",
    "100 % _ like? *glob* [a-z]",
    "$1 $2 ?1 :name @name {}",
    r#"{"reason": null, "id": 7}"#,
    "[]",
    "null",
    "true",
    "007",
    "1e309",
    "-0",
    "tab\tline\nreturn\r\u{1}\u{8}\u{1b}[31m\u{7f}\u{85}",
    "family 👨‍👩‍👧 flag 🏴󠁧󠁢󠁥󠁮󠁧󠁿 old 𐎀 max \u{10FFFF}",
    "é e\u{301} ß İ ı Å \u{212B} ﬁ",
    "עברית العربية \u{202E}evil\u{202C} \u{200B}\u{FEFF}",
    "中文 日本語 한국어 ไทย",
    "\u{FFFD}\u{FFFE}\u{E000}",
    " leading and trailing ",
    "",
];

#[tokio::test]
async fn every_text_comes_back_as_it_was() {
    both(async |bed| {
        let entries: Vec<DirectoryEntry> = TEXTS
            .iter()
            .enumerate()
            .map(|(n, text)| DirectoryEntry {
                department: (*text).to_owned(),
                sam: Some(format!("{n}{text}")),
                display_name: PersonName::new(text),
                language: Some((*text).to_owned()),
                ..entry(n)
            })
            .collect();
        let mut tx = bed.tx().await;
        tx.sync_people(&realm(), &entries, at(0)).await.unwrap();
        tx.end_sync(&realm(), true, at(0)).await.unwrap();
        for (n, entry) in entries.iter().enumerate() {
            let own = lookup(LookupKind::ObjectId, &format!("id-{n:06}"));
            let by_sam = lookup(
                LookupKind::Sam,
                &division_bell::domain::address::fold(entry.sam.as_ref().unwrap()),
            );
            let known = tx
                .known(&realm(), &[own.clone(), by_sam.clone()])
                .await
                .unwrap();
            assert_eq!(known.hits(&own), known.hits(&by_sam), "{:?}", TEXTS[n]);
            let facts = known.facts(known.hits(&own)[0]).unwrap();
            assert_eq!(
                (&facts.department, &facts.sam),
                (&entry.department, &entry.sam)
            );
            assert_eq!(facts.name, entry.display_name);
            let person = tx
                .persons(facts.holder)
                .await
                .unwrap()
                .remove(&facts.holder.unwrap())
                .unwrap();
            assert_eq!(
                (&person.name, &person.language),
                (&entry.display_name, &entry.language)
            );
        }
        tx.commit().await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn operators_may_write_what_they_like() {
    both(async |bed| {
        let (_, cases) = bed.cases(TEXTS.len()).await;
        let mut tx = bed.tx().await;
        for (text, case) in TEXTS.iter().zip(&cases) {
            tx.contain_case(*case, at(1), text, text, at(1))
                .await
                .unwrap();
            tx.tell_case(*case, at(2), text, text, at(2)).await.unwrap();
            tx.exempt_case(*case, at(9), text, text, text, at(3))
                .await
                .unwrap();
            tx.withdraw_case(*case, text, text, at(4)).await.unwrap();
            tx.note(at(5), text, text, Some(text), Some(text))
                .await
                .unwrap();
            let history = tx.case_history(*case).await.unwrap();
            for entry in &history[1..] {
                assert_eq!(entry.actor, *text);
                let detail: serde_json::Value =
                    serde_json::from_str(entry.detail.as_ref().unwrap()).unwrap();
                assert_eq!(detail["reason"], *text);
            }
            let all = tx.ledger(0, 10_000).await.unwrap();
            let last = all.last().unwrap();
            assert_eq!(
                (&last.act[..], last.thing.as_deref(), last.detail.as_deref()),
                (*text, Some(*text), Some(*text))
            );
            let incident = tx.open_incident(text, text, None, at(6)).await.unwrap();
            assert_eq!(incident.title, *text);
        }
        tx.commit().await.unwrap();
        for text in TEXTS {
            bed.store.claim_run(text, at(0), text, at(0)).await.unwrap();
            bed.store
                .end_run(text, at(0), text, false, at(1))
                .await
                .unwrap();
            let run = bed.store.latest_run(text).await.unwrap().unwrap();
            assert_eq!((&run.name[..], run.result.as_deref()), (*text, Some(*text)));
        }
    })
    .await;
}

#[tokio::test]
async fn campaigns_and_letters_may_hold_any_text() {
    both(async |bed| {
        let (people, cases) = bed.cases(TEXTS.len()).await;
        let mut tx = bed.tx().await;
        let campaign = tx.draft_campaign("DB", TEXTS[0], at(0)).await.unwrap();
        assert_eq!(campaign.author, TEXTS[0]);
        for (n, text) in TEXTS.iter().enumerate() {
            let draft = division_bell::store::ThreadDraft {
                ladder: (*text).to_owned(),
                zone: (*text).to_owned(),
                ..thread(&campaign, people[n], &[cases[n]])
            };
            tx.add_threads(campaign.id, &[draft]).await.unwrap();
        }
        tx.end_draft(campaign.id, "hash-1", 1, TEXTS[0], at(0))
            .await
            .unwrap();
        let campaign = tx.campaign(campaign.id).await.unwrap().unwrap();
        tx.approve_campaign(&campaign, TEXTS[1], at(1))
            .await
            .unwrap();
        let threads = tx
            .threads(campaign.id, ThreadState::Waiting, 0, 100)
            .await
            .unwrap();
        for (thread, text) in threads.iter().zip(TEXTS) {
            assert_eq!((&thread.ladder[..], &thread.zone[..]), (*text, *text));
            let template = tx
                .keep_template(text, text, text, text, at(1))
                .await
                .unwrap();
            let same = tx
                .keep_template(text, "other", "other", "other", at(2))
                .await
                .unwrap();
            assert_eq!(template, same);
            let kept = tx.template(template).await.unwrap();
            assert_eq!(
                kept,
                ((*text).to_owned(), (*text).to_owned(), (*text).to_owned())
            );
            let draft = DeliveryDraft {
                thread: thread.id,
                kind: thread.kind,
                seq: 1,
                // The one word among them that is of a closed set.
                channel: "mail.2".to_owned(),
                recipient: mail("o'brien%_$1{}@parl.example"),
                template,
                facts: (*text).to_owned(),
                letter_hash: (*text).to_owned(),
                queued_at: at(1),
                priority: 1,
                due_at: at(1),
            };
            assert_eq!(
                tx.queue(std::slice::from_ref(&draft), at(2)).await.unwrap(),
                1
            );
            assert_eq!(tx.queue(&[draft], at(2)).await.unwrap(), 0);
        }
        let claims = claim_in(&mut tx, 100, "worker'", at(2), at(1)).await;
        assert_eq!(claims.len(), TEXTS.len());
        for claim in &claims {
            let text = TEXTS
                .iter()
                .find(|text| **text == claim.delivery.facts)
                .unwrap();
            assert_eq!(
                (
                    &claim.delivery.channel[..],
                    &claim.delivery.letter_hash[..],
                    &claim.delivery.zone[..]
                ),
                ("mail.2", *text, *text)
            );
            let mut finished = accepted(claim, at(2));
            finished.reply = Some((*text).to_owned());
            tx.record(&[finished], at(2)).await.unwrap();
            let bounce = Bounce {
                delivery: claim.delivery.id,
                verdict: Verdict::Failed,
                status: Some((*text).to_owned()),
                reply: Some((*text).to_owned()),
                why: "bad_address",
            };
            tx.bounce(&bounce, at(3)).await.unwrap();
        }
        for (case, text) in cases.iter().zip(TEXTS) {
            let stories = tx.stories(*case).await.unwrap();
            assert_eq!(stories[0].attempts[0].reply.as_deref(), Some(*text));
            assert_eq!(stories[0].recipient.expose(), "o'brien%_$1{}@parl.example");
        }
        let empty = tx.draft_campaign("DB", "ann", at(4)).await.unwrap().id;
        tx.void_campaign(empty, TEXTS[0], at(5)).await.unwrap();
        tx.commit().await.unwrap();
        let kept = bed
            .count("SELECT COUNT(*) FROM campaigns WHERE void_reason LIKE 'O''Brien %'")
            .await;
        assert_eq!(kept, 1);
    })
    .await;
}

#[tokio::test]
async fn findings_and_reasons_may_hold_any_text() {
    both(async |bed| {
        let mut tx = bed.tx().await;
        for (n, text) in TEXTS.iter().enumerate() {
            let audit = tx
                .add_audit(&NewAudit {
                    sha256: format!("{n}{text}"),
                    source: (*text).to_owned(),
                    realm: realm(),
                    format: "mapped_csv",
                    file_name: (*text).to_owned(),
                    size_bytes: u64::MAX,
                    as_of: at(0),
                    as_of_assumed: false,
                    imported_at: at(0),
                    imported_by: (*text).to_owned(),
                })
                .await
                .unwrap();
            assert_eq!(
                tx.audit_by_hash(&format!("{n}{text}"), text).await.unwrap(),
                Some(audit)
            );
            let draft = FindingDraft {
                detail: Some((*text).to_owned()),
                key_given: (*text).to_owned(),
                severity: Severity::Low,
                ..super::audits::finding(&format!("key {n}{text}"), None, at(0))
            };
            assert!(
                tx.add_findings(audit, std::slice::from_ref(&draft), at(0))
                    .await
                    .unwrap()[0]
                    .is_new
            );
            assert!(!tx.add_findings(audit, &[draft], at(0)).await.unwrap()[0].is_new);
        }
        let audits = tx.audits(at(0)).await.unwrap();
        tx.commit().await.unwrap();
        for (audit, text) in audits.iter().zip(TEXTS) {
            assert_eq!(
                (
                    &audit.source[..],
                    &audit.file_name[..],
                    &audit.imported_by[..]
                ),
                (*text, *text, *text)
            );
            assert_eq!(audit.size_bytes, i64::MAX);
        }
        let kept = bed
            .count("SELECT COUNT(*) FROM findings WHERE detail = key_given")
            .await;
        assert_eq!(kept, TEXTS.len() as i64);
    })
    .await;
}

#[test]
fn no_key_of_an_account_can_hold_what_postgresql_refuses() {
    let key = Key::new(KeyKind::Sam, "a\u{0}da\u{7}").unwrap();
    assert_eq!(key.given, "ada");
    assert_eq!(PersonName::new("a\u{0}da").expose(), "a da");
}
