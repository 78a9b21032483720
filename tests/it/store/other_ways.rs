//! Texts, printed letters, announcements, and whom a way did not reach.

use chrono::TimeDelta;
use division_bell::domain::campaign::CampaignState::{Paused, Running, Stopped};
use division_bell::domain::campaign::{Announced, Place};
use division_bell::domain::delivery::Outcome;
use division_bell::domain::notice::NoticeKind;
use division_bell::domain::person::DirectoryEntry;
use division_bell::domain::text::Fate;
use division_bell::domain::{CampaignId, Destination, Mobile, Room, Way};
use division_bell::store::{
    Finished, OtherDelivery, OtherDraft, TaskKind, Thread, ThreadState, Tried, Undelivered,
};

use super::bed::{accepted, at, ended, entry, realm};
use super::{Bed, both};

fn number() -> Destination {
    Destination::Sms(Mobile::parse("+447700900123").unwrap())
}

fn room() -> Destination {
    Destination::Letter(Room::new("Room 4.12").unwrap())
}

async fn threads(bed: &Bed, campaign: CampaignId) -> Vec<Thread> {
    let mut tx = bed.read().await;
    tx.threads(campaign, ThreadState::Running, 0, 99)
        .await
        .unwrap()
}

/// Queues a first notice by another way in each of these threads; gives how many are new.
async fn queue(bed: &Bed, threads: &[Thread], to: &Destination) -> u64 {
    let mut tx = bed.tx().await;
    let template = tx
        .keep_template("template-2", "notice.weak", "en-GB", "{}", at(2))
        .await
        .unwrap();
    let drafts: Vec<OtherDraft> = threads
        .iter()
        .map(|thread| OtherDraft {
            thread: thread.id,
            kind: NoticeKind::Weak,
            seq: 1,
            to: to.clone(),
            template,
            facts: "{}".to_owned(),
            letter_hash: "letter-2".to_owned(),
            queued_at: at(3),
            priority: 3,
            due_at: at(3),
        })
        .collect();
    let new = tx.queue_other(&drafts).await.unwrap();
    assert_eq!(tx.queue_other(&[]).await.unwrap(), 0);
    tx.commit().await.unwrap();
    new
}

async fn claim(bed: &Bed, hour: i64) -> Vec<OtherDelivery> {
    let mut tx = bed.tx().await;
    let until = at(hour).plus(TimeDelta::hours(1));
    let claims = tx
        .claim_texts(9, "worker-1", until, at(hour))
        .await
        .unwrap();
    tx.commit().await.unwrap();
    claims
}

fn finished(text: &OtherDelivery, outcome: Outcome, then: Undelivered, hour: i64) -> Finished {
    Finished {
        delivery: text.id,
        thread: text.thread,
        kind: text.kind,
        attempt: text.attempt,
        started_at: at(hour),
        ended_at: at(hour),
        cause: division_bell::domain::delivery::Cause::Accepted,
        outcome,
        stage: division_bell::domain::delivery::Stage::Dot,
        code: Some(201),
        reply: None,
        then,
    }
}

#[tokio::test]
async fn an_announcement_is_on_record_with_its_earliest_moment_and_its_place() {
    both(async |bed| {
        let (campaign, _) = bed.drafted(1).await;
        let mut tx = bed.tx().await;
        assert_eq!(
            tx.announced(campaign.id).await.unwrap(),
            Announced::default()
        );
        for (place, hour) in [
            (Place::Chat, 3),
            (Place::Intranet, 2),
            (Place::Chat, 1),
            (Place::Chat, 5),
        ] {
            tx.announce_campaign(campaign.id, place, at(hour), "ann", at(6))
                .await
                .unwrap();
        }
        tx.skip_announcement(campaign.id, "the chat is down", "ann", at(7))
            .await
            .unwrap();
        let announced = tx.announced(campaign.id).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(
            announced.posted,
            [(Place::Chat, at(1)), (Place::Intranet, at(2))]
        );
        assert_eq!(announced.skipped_at, Some(at(7)));
        let acts = bed.ledger().await;
        let count = |act: &str| acts.iter().filter(|one| *one == act).count();
        assert_eq!(
            (
                count("campaign.announced"),
                count("campaign.announcement_skipped")
            ),
            (4, 1)
        );
    })
    .await;
}

#[tokio::test]
async fn a_text_is_claimed_by_no_mail_and_recorded_like_one() {
    both(async |bed| {
        let (campaign, cases) = bed.running(2).await;
        let mails = bed.claim(9, at(3)).await;
        let refused: Vec<_> = mails
            .iter()
            .map(|mail| ended(mail, Outcome::FailRecipient, Undelivered::Refused, at(3)))
            .collect();
        bed.record(&refused, at(3)).await;
        let threads = threads(&bed, campaign.id).await;
        assert_eq!(queue(&bed, &threads, &number()).await, 2);
        assert_eq!(queue(&bed, &threads, &number()).await, 0, "once is enough");
        assert_eq!(bed.claim(9, at(4)).await, []);
        assert_eq!(
            bed.read().await.others_due(Way::Sms, at(4)).await.unwrap(),
            2
        );
        assert_eq!(
            bed.read()
                .await
                .others_due(Way::Letter, at(4))
                .await
                .unwrap(),
            0
        );
        assert_eq!(claim(&bed, 2).await, [], "not before it is due");
        let texts = claim(&bed, 4).await;
        assert_eq!(texts.len(), 2);
        assert_eq!(texts[0].to, Mobile::parse("+447700900123").unwrap());
        assert_eq!((texts[0].attempts, texts[0].possible_duplicate), (0, false));
        assert_eq!(claim(&bed, 4).await, [], "nobody has it twice");
        bed.record(
            &[
                finished(&texts[0], Outcome::Accepted, Undelivered::No, 4),
                finished(&texts[1], Outcome::InDoubt, Undelivered::Again(at(5)), 4),
            ],
            at(4),
        )
        .await;
        let told: Vec<_> = bed.read().await.stories(cases[0]).await.unwrap();
        assert_eq!(told[1].recipient.to_string(), "+***23");
        let again = claim(&bed, 6).await;
        assert_eq!(again.len(), 1);
        assert!(again[0].possible_duplicate);
        // What became of the one that was taken is asked for until it is known.
        let underway = async |hour: i64| {
            let mut tx = bed.read().await;
            tx.texts_underway(at(0), at(hour), 9).await.unwrap()
        };
        assert_eq!(underway(6).await, [texts[0].id]);
        let mut tx = bed.tx().await;
        tx.keep_fate(texts[0].id, Fate::Underway, at(6))
            .await
            .unwrap();
        tx.commit().await.unwrap();
        assert_eq!(underway(6).await, []);
        assert_eq!(underway(7).await, [texts[0].id]);
        let mut tx = bed.tx().await;
        tx.keep_fate(texts[0].id, Fate::Arrived, at(7))
            .await
            .unwrap();
        tx.commit().await.unwrap();
        assert_eq!(underway(9).await, []);
    })
    .await;
}

#[tokio::test]
async fn what_is_queued_by_another_way_stands_still_with_its_campaign_and_ends_with_it() {
    both(async |bed| {
        let (campaign, _) = bed.running(1).await;
        let all = threads(&bed, campaign.id).await;
        let move_to = async |from, to| {
            let mut tx = bed.tx().await;
            tx.move_campaign(campaign.id, &[from], to, "ann", None, at(3))
                .await
                .unwrap();
            tx.commit().await.unwrap();
        };
        move_to(Running, Paused).await;
        assert_eq!(queue(&bed, &all, &number()).await, 1);
        assert_eq!(claim(&bed, 4).await, []);
        move_to(Paused, Running).await;
        assert_eq!(claim(&bed, 4).await.len(), 1);
        move_to(Running, Stopped).await;
        assert_eq!(queue(&bed, &all, &room()).await, 0, "it is over");
    })
    .await;
}

#[tokio::test]
async fn letters_are_handed_out_once_by_building_and_end_with_their_tick_sheet() {
    both(async |bed| {
        let (campaign, cases) = bed.running(3).await;
        let mut tx = bed.tx().await;
        let entries: Vec<DirectoryEntry> = (1..=3)
            .map(|n| DirectoryEntry {
                building: (n < 3).then(|| format!("House {n}")),
                ..entry(n)
            })
            .collect();
        tx.sync_people(&realm(), &entries, at(1)).await.unwrap();
        tx.commit().await.unwrap();
        let all = threads(&bed, campaign.id).await;
        assert_eq!(queue(&bed, &all, &room()).await, 3);
        let hand_out = async |building: Option<&'static str>, again: bool| {
            let mut tx = bed.tx().await;
            let out = tx.hand_out_letters(building, again, at(4)).await.unwrap();
            tx.commit().await.unwrap();
            out.into_iter()
                .map(|letter| letter.building.unwrap_or_default())
                .collect::<Vec<_>>()
        };
        assert_eq!(hand_out(Some("House 9"), false).await, [""; 0]);
        assert_eq!(hand_out(Some("House 2"), false).await, ["House 2"]);
        assert_eq!(hand_out(None, false).await, ["House 1", ""]);
        assert_eq!(hand_out(None, false).await, [""; 0]);
        assert_eq!(hand_out(Some("House 1"), true).await, ["House 1"]);
        assert_eq!(hand_out(None, true).await.len(), 3);
        assert_eq!(claim(&bed, 9).await, []);
        let mut tx = bed.tx().await;
        // A sheet may name a letter twice.
        let wanted = [
            all[0].reference.as_str(),
            all[0].reference.as_str(),
            "DB-0000-XXXX",
        ]
        .map(str::to_owned);
        let found = tx.outstanding_letters(&wanted).await.unwrap();
        assert_eq!(found.len(), 1);
        let letter = &found[&all[0].reference];
        assert_eq!(
            (letter.state.as_str(), letter.handed_out_at),
            ("handed_out", Some(at(4)))
        );
        assert_eq!(
            (letter.thread, letter.cases.as_slice()),
            (all[0].id, &cases[..1])
        );
        assert!(tx.end_letter(letter.id, true, at(5)).await.unwrap());
        assert!(
            !tx.end_letter(letter.id, false, at(6)).await.unwrap(),
            "it is over"
        );
        let found = tx.outstanding_letters(&wanted).await.unwrap();
        assert_eq!(found[&all[0].reference].state, "accepted");
        tx.commit().await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn threads_whose_notice_ended_in_vain_are_found_and_no_others() {
    both(async |bed| {
        let (campaign, cases) = bed.running(4).await;
        let all = threads(&bed, campaign.id).await;
        let mails = bed.claim(9, at(3)).await;
        let ends = [
            (Outcome::FailRecipient, Undelivered::Refused),
            (Outcome::DeferRecipient, Undelivered::Expired),
            (Outcome::InDoubt, Undelivered::Stopped),
        ];
        let mut records: Vec<_> = mails
            .iter()
            .zip(ends)
            .map(|(mail, (outcome, then))| ended(mail, outcome, then, at(3)))
            .collect();
        records.push(accepted(&mails[3], at(3)));
        bed.record(&records, at(3)).await;
        let in_vain = async |after: i64| {
            let mut tx = bed.read().await;
            let found = tx.threads_in_vain(after, 9).await.unwrap();
            found.iter().map(|thread| thread.id).collect::<Vec<_>>()
        };
        // One in doubt is a human being's to decide, and one that arrived has arrived.
        assert_eq!(in_vain(0).await, [all[0].id, all[1].id]);
        assert_eq!(in_vain(all[0].id).await, [all[1].id]);
        let tried = bed
            .read()
            .await
            .tried(&[all[0].id, all[3].id])
            .await
            .unwrap();
        let one = |state: &str| {
            vec![Tried {
                way: Way::Mail,
                state: state.to_owned(),
            }]
        };
        assert_eq!(tried[&all[0].id], one("refused"));
        assert_eq!(tried[&all[3].id], one("accepted"));

        let mut tx = bed.tx().await;
        let reach = |reason| (cases[0], TaskKind::Reach, reason, None);
        tx.open_tasks(&[reach("refused")], at(4)).await.unwrap();
        tx.take_another_way(&[(cases[0], Way::Sms)], at(5))
            .await
            .unwrap();
        tx.take_another_way(&[], at(5)).await.unwrap();
        tx.keep_message_ids(&[(all[0].id, "<a@b> <c@d>".to_owned())])
            .await
            .unwrap();
        assert_eq!(tx.tasks(9).await.unwrap(), []);
        tx.open_tasks(&[reach("no_address")], at(6)).await.unwrap();
        tx.take_another_way(&[(cases[0], Way::Letter)], at(7))
            .await
            .unwrap();
        assert_eq!(
            tx.tasks(9).await.unwrap().len(),
            1,
            "another task is another matter"
        );
        tx.commit().await.unwrap();
        assert_eq!(
            threads(&bed, campaign.id).await[0].message_ids,
            "<a@b> <c@d>"
        );
        assert_eq!(queue(&bed, &all[..1], &number()).await, 1);
        assert_eq!(
            in_vain(0).await,
            [all[1].id],
            "one that is under way is not in vain"
        );
    })
    .await;
}

#[tokio::test]
async fn a_way_that_is_left_out_loses_its_queue_in_that_campaign() {
    both(async |bed| {
        let (campaign, cases) = bed.running(2).await;
        let all = threads(&bed, campaign.id).await;
        let mut tx = bed.tx().await;
        assert_eq!(tx.drop_left_out(at(3)).await.unwrap(), 0);
        tx.leave_out_way(campaign.id, Way::Sms, "no contract", "ann", at(3))
            .await
            .unwrap();
        assert_eq!(tx.drop_left_out(at(3)).await.unwrap(), 0);
        for _ in 0..2 {
            tx.leave_out_way(campaign.id, Way::Mail, "mail is down", "ann", at(3))
                .await
                .unwrap();
        }
        assert_eq!(
            tx.ways_left_out().await.unwrap(),
            [(campaign.id, Way::Mail), (campaign.id, Way::Sms)]
        );
        assert_eq!(tx.drop_left_out(at(3)).await.unwrap(), 2);
        tx.commit().await.unwrap();
        assert_eq!(bed.states().await, "dropped 2");
        let in_vain = bed.read().await.threads_in_vain(0, 9).await.unwrap();
        assert_eq!(in_vain.len(), all.len());

        let mut tx = bed.tx().await;
        tx.override_containment(cases[0], "they are abroad", "cem", at(4))
            .await
            .unwrap();
        assert!(
            tx.override_containment(division_bell::domain::CaseId(99), "x", "cem", at(4))
                .await
                .is_err()
        );
        tx.commit().await.unwrap();
        assert_eq!(bed.case(cases[0]).await.contain_override_at, Some(at(4)));
        assert_eq!(bed.case(cases[0]).await.contained_at, None);
        assert!(
            bed.acts(cases[0])
                .await
                .contains(&"case.containment_overridden".to_owned())
        );
    })
    .await;
}

#[tokio::test]
async fn a_second_address_that_is_the_same_mailbox_is_none() {
    both(async |bed| {
        let mail = super::bed::mail;
        let twin = DirectoryEntry {
            aliases: vec![mail("Ada.Abara@parl.example")],
            second_mail: Some(mail("ada.abara@PARL.example")),
            ..entry(1)
        };
        let mut tx = bed.tx().await;
        tx.sync_people(&realm(), &[twin], at(0)).await.unwrap();
        let ids = tx
            .person_ids(division_bell::domain::PersonId(0), 9)
            .await
            .unwrap();
        let facts = tx.persons(ids.iter().copied()).await.unwrap();
        assert_eq!(facts[&ids[0]].second_address, None);
    })
    .await;
}
