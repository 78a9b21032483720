//! A statement's life: drafted, approved by a second person, guarded, published, put right.

use chrono::TimeDelta;
use division_bell::desk::incident;
use division_bell::desk::statement::{self, Body, Edit};
use division_bell::domain::audience::Audience;
use division_bell::domain::guard::Leak;
use division_bell::domain::statement::StatementState;

use super::*;

#[tokio::test]
async fn a_statement_goes_from_draft_to_post_with_its_figures_frozen() {
    let desk = Desk::new().await;
    desk.bell.intake("weak-passwords.csv").await;
    let id = desk.draft(TEXT).await;
    let seen = statement::preview(desk.app(), id, APPROVER).await.unwrap();
    assert_eq!(seen.findings, []);
    assert_eq!(seen.unanswered, []);
    let figure = &seen.wording.figures[0];
    assert_eq!(figure.source, "accounts_by_category");
    assert!(figure.shown.starts_with("fewer than "), "{figure:?}");
    assert!(
        seen.wording
            .text
            .contains(&format!("We know that {} accounts", figure.shown)),
        "{}",
        seen.wording.text
    );
    assert!(seen.wording.text.contains("by 2pm on Monday 2 March."));

    let approved = statement::approve(desk.app(), id, Some(&seen.hash), APPROVER)
        .await
        .unwrap();
    assert_eq!(approved.statement.state, StatementState::Approved);
    // What happens later does not change what was approved.
    crate::support::run_sql(&desk.app().store, "UPDATE cases SET category = 'attacked'")
        .await
        .unwrap();
    statement::publish(desk.app(), id, WRITER).await.unwrap();
    assert_eq!(desk.post().await.posted, 1);
    assert_eq!(desk.post().await.posted, 0, "once");
    let posts = desk.posts();
    assert_eq!(posts.len(), 1);
    assert!(posts[0].contains(&figure.shown), "{}", posts[0]);
    assert!(posts[0].contains("/S1 · statement 1"), "{}", posts[0]);
    assert_eq!(
        desk.acts("statement.").await,
        [
            "cleo statement.drafted",
            "ben statement.approved",
            "cleo statement.published",
            "bell statement.posted"
        ]
    );
    let history = statement::history(desk.app(), id, READER).await.unwrap();
    assert_eq!(history.versions.len(), 1);
    assert_eq!(history.entries.len(), 4);
}

#[tokio::test]
async fn whoever_wrote_a_part_cannot_approve_and_an_edit_voids_the_approval() {
    let desk =
        Desk::with("\n[[operator]]\nname = \"both\"\nroles = [\"communications\", \"approver\"]\n")
            .await;
    let id = desk.approved(TEXT).await;
    let new = format!("{TEXT} Thank you.");
    let edit = Edit {
        text: Some(&new),
        ..Edit::default()
    };
    let edited = statement::edit(desk.app(), id, &edit, "both")
        .await
        .unwrap();
    assert_eq!(
        (edited.state, edited.version, edited.approval),
        (StatementState::Draft, 2, None)
    );
    let no = declined(statement::publish(desk.app(), id, WRITER).await);
    assert!(no.contains("approved by a second person"), "{no}");
    let no = declined(statement::approve(desk.app(), id, None, "both").await);
    assert!(no.contains("ask a second person"), "{no}");
    let no = declined(statement::approve(desk.app(), id, Some("other"), APPROVER).await);
    assert!(no.contains("look at the preview again"), "{no}");
    // Another audience is another thing to approve as well.
    statement::approve(desk.app(), id, None, APPROVER)
        .await
        .unwrap();
    let edit = Edit {
        audience: Some(Audience::Press),
        ..Edit::default()
    };
    let edited = statement::edit(desk.app(), id, &edit, WRITER)
        .await
        .unwrap();
    assert_eq!(edited.approval, None);
    assert_eq!(edited.channels, [""; 0], "the press has no channel here");
    statement::approve(desk.app(), id, None, APPROVER)
        .await
        .unwrap();
    assert_eq!(desk.acts("desk.").await.len(), 3, "every no is on record");
}

#[tokio::test]
async fn an_approver_sends_back_with_a_reason_and_the_author_hears_of_it() {
    let desk = Desk::new().await;
    let id = desk.approved(TEXT).await;
    let back = statement::send_back(desk.app(), id, " too\nlong ", APPROVER)
        .await
        .unwrap();
    assert_eq!(back.sent_back.as_deref(), Some("too long"));
    assert_eq!(back.approval, None);
    let nudges = division_bell::desk::nudges::due(desk.app()).await.unwrap();
    assert_eq!(nudges[0].to, "operator:cleo");
    assert_eq!(nudges[0].text, "statement 1 was sent back: too long");
    division_bell::desk::nudges::carried(desk.app(), &nudges[0])
        .await
        .unwrap();
    assert_eq!(
        division_bell::desk::nudges::due(desk.app()).await.unwrap(),
        []
    );
    // Nothing changed: it can be approved as it is.
    statement::approve(desk.app(), id, None, APPROVER)
        .await
        .unwrap();
}

#[tokio::test]
async fn an_embargo_ends_at_its_time_unless_it_is_cancelled_before() {
    let desk = Desk::new().await;
    let first = desk.approved(TEXT).await;
    let second = desk.approved(TEXT).await;
    let no = declined(statement::schedule(desk.app(), first, desk.bell.now(), WRITER).await);
    assert!(no.contains("a time to come"), "{no}");
    for id in [first, second] {
        statement::schedule(desk.app(), id, desk.hours(2), WRITER)
            .await
            .unwrap();
    }
    desk.bell.advance(TimeDelta::minutes(119));
    assert_eq!(desk.pass().await.published, 0);
    let cancelled = statement::cancel(desk.app(), second, WRITER).await.unwrap();
    assert_eq!(cancelled.state, StatementState::Approved);
    desk.bell.advance(TimeDelta::minutes(1));
    assert_eq!(desk.pass().await.published, 1);
    assert_eq!(desk.pass().await.published, 0);
    let out = desk.statement(first).await;
    assert_eq!(
        (out.state, out.published_by.as_deref(), out.published_at),
        (
            StatementState::Published,
            Some("bell"),
            Some(desk.bell.now())
        )
    );
    let kept = desk.statement(second).await;
    assert_eq!(
        (kept.state, kept.publish_at),
        (StatementState::Approved, None)
    );
    let gone = statement::cancel(desk.app(), second, WRITER).await.unwrap();
    assert_eq!(gone.state, StatementState::Cancelled);
}

#[tokio::test]
async fn an_approval_goes_stale() {
    let desk = Desk::new().await;
    let id = desk.approved(TEXT).await;
    desk.bell.advance(TimeDelta::minutes(241));
    let no = declined(statement::publish(desk.app(), id, WRITER).await);
    assert!(no.contains("too old"), "{no}");
}

#[tokio::test]
async fn a_text_with_a_name_is_refused_with_its_place_until_a_third_person_answers_for_it() {
    let desk = Desk::new().await;
    let id = desk.approved(&format!("{TEXT} Ask Jana Novakova.")).await;
    let shown = statement::preview(desk.app(), id, WRITER).await.unwrap();
    assert_eq!(shown.findings.len(), 1);
    assert_eq!(shown.findings[0].leak, Leak::Name);
    let no = declined(statement::publish(desk.app(), id, WRITER).await);
    assert!(no.contains("a person's name at character 2"), "{no}");
    assert!(!no.contains("Jana"), "{no}");
    let no = declined(statement::override_guard(desk.app(), id, "she agreed", APPROVER).await);
    assert!(no.contains("a third person"), "{no}");
    statement::override_guard(desk.app(), id, "she agreed", GUARD)
        .await
        .unwrap();
    statement::publish(desk.app(), id, WRITER).await.unwrap();
    let entries = desk.bell.tx().await.ledger(0, 1_000).await.unwrap();
    let overridden = entries
        .iter()
        .find(|entry| entry.act == "statement.guard_overridden")
        .unwrap();
    let detail = overridden.detail.as_deref().unwrap();
    assert!(
        detail.contains("she agreed") && detail.contains("a person's name at"),
        "{detail}"
    );
    assert!(
        entries
            .iter()
            .all(|entry| !entry.detail.as_deref().unwrap_or_default().contains("Jana"))
    );
}

#[tokio::test]
async fn the_guard_knows_the_whole_directory_and_who_joined_since() {
    let desk = Desk::with(
        "\n[communications]\nhold = [\"Operation Bell\"]\nlink_hosts = [\"westbridge.example\"]\n",
    )
    .await;
    for (text, leak) in [
        ("okaforc", Some(Leak::Account)),
        ("Novakova, Jana", Some(Leak::Name)),
        ("jana.novakova@westbridge.example", Some(Leak::Address)),
        ("operation bell", Some(Leak::Held)),
        ("https://westbridge.example/news", None),
        ("https://westbridge.org/news", Some(Leak::Link)),
    ] {
        let id = desk.draft(&format!("{TEXT} {text}")).await;
        let shown = statement::preview(desk.app(), id, READER).await.unwrap();
        let found: Vec<_> = shown.findings.iter().map(|one| one.leak).collect();
        assert!(
            leak.map_or(found.is_empty(), |leak| found.contains(&leak)),
            "{text}: {found:?}"
        );
    }
    let id = desk.draft(&format!("{TEXT} Zora Quill is well.")).await;
    let findings = async || {
        statement::preview(desk.app(), id, READER)
            .await
            .unwrap()
            .findings
    };
    assert_eq!(findings().await, []);
    crate::support::run_sql(
        &desk.app().store,
        "UPDATE persons SET display_name = 'Zora Quill' WHERE display_name = 'Tom Barrow'",
    )
    .await
    .unwrap();
    assert_eq!(findings().await.len(), 1);
}

#[tokio::test]
async fn what_is_out_is_corrected_or_withdrawn_by_a_new_one_and_its_post_says_so() {
    let desk = Desk::new().await;
    let id = desk.published(TEXT).await;
    desk.post().await;
    let edit = Edit {
        text: Some("x"),
        ..Edit::default()
    };
    let no = declined(statement::edit(desk.app(), id, &edit, WRITER).await);
    assert!(no.contains("never rewritten"), "{no}");

    let right = "In statement 1 we were wrong. We are sorry.";
    let correction = statement::correct(desk.app(), id, right, WRITER)
        .await
        .unwrap();
    assert_eq!(
        (correction.about, correction.audience),
        (Some(id), Audience::Staff)
    );
    let no = declined(statement::withdraw(desk.app(), id, right, WRITER).await);
    assert!(
        no.contains("statement 2 is written about it already"),
        "{no}"
    );
    statement::approve(desk.app(), correction.id, None, APPROVER)
        .await
        .unwrap();
    statement::publish(desk.app(), correction.id, WRITER)
        .await
        .unwrap();
    let posted = desk.post().await;
    assert_eq!((posted.posted, posted.marked), (1, 1), "{posted}");
    let marked = desk
        .posts()
        .into_iter()
        .find(|post| post.contains("/S1 · statement 1"))
        .unwrap();
    assert!(marked.contains("Corrected by statement 2"), "{marked}");
    assert!(marked.contains("We know that"), "its text stays: {marked}");

    let back = statement::withdraw(desk.app(), id, "We take back statement 1.", WRITER)
        .await
        .unwrap();
    statement::approve(desk.app(), back.id, None, APPROVER)
        .await
        .unwrap();
    statement::publish(desk.app(), back.id, WRITER)
        .await
        .unwrap();
    desk.post().await;
    let preview = statement::preview(desk.app(), id, READER).await.unwrap();
    assert_eq!(preview.statement.state, StatementState::Withdrawn);
    let mark = preview.mark.unwrap();
    assert!(
        mark.starts_with("Withdrawn by statement 3, 9am on Monday 2 March."),
        "{mark}"
    );
    assert_eq!(
        desk.post().await,
        division_bell::steps::statements::Posted::default()
    );
}

#[tokio::test]
async fn a_template_is_filled_before_anybody_can_approve_it() {
    let desk = Desk::new().await;
    let gaps = [("services".to_owned(), "remote access".to_owned())];
    let drafted = desk
        .try_draft(Body::Template("identified", &gaps))
        .await
        .unwrap();
    assert!(
        drafted
            .body
            .contains("the problem with remote access. [cause_line]")
    );
    let no = declined(statement::approve(desk.app(), drafted.id, None, APPROVER).await);
    assert!(no.contains("[cause_line]"), "{no}");
    let whole = drafted.body.replace("[cause_line] ", "");
    let edit = Edit {
        text: Some(&whole),
        ..Edit::default()
    };
    statement::edit(desk.app(), drafted.id, &edit, WRITER)
        .await
        .unwrap();
    statement::approve(desk.app(), drafted.id, None, APPROVER)
        .await
        .unwrap();
    statement::publish(desk.app(), drafted.id, WRITER)
        .await
        .unwrap();
    let no = declined(desk.try_draft(Body::Template("nothing", &[])).await);
    assert!(no.contains("heads_up"), "{no}");
}

#[tokio::test]
async fn a_text_answers_five_questions_and_names_a_promise_that_stands() {
    let desk = Desk::new().await;
    let id = desk.draft("We know it. We are on it.").await;
    let no = declined(statement::approve(desk.app(), id, None, APPROVER).await);
    assert!(
        no.contains("what we do not know yet") && no.contains("when they hear more"),
        "{no}"
    );

    let id = desk.approved(TEXT).await;
    incident::promise(desk.app(), desk.incident, desk.hours(9), WRITER)
        .await
        .unwrap();
    let no = declined(statement::publish(desk.app(), id, WRITER).await);
    assert!(no.contains("was changed since it was approved"), "{no}");
    for wrong in ["{{ nobody }}", "{{ weak", "a\u{200B}b", " "] {
        declined(desk.try_draft(Body::Text(wrong)).await);
    }
}
