//! What the office needs besides texts of its own: nudges, templates, figures of a department, withdrawals; and what anybody
//! may ask.

use division_bell::desk::statement::{Body, NewDraft};
use division_bell::desk::{incident, statement as texts};
use division_bell::domain::audience::Audience;
use division_bell::domain::{IncidentId, StatementId};

use super::*;
use crate::support::discord::guild::{button, words};
use crate::support::flow::{five, staff};

const APPROVER: Who = Who {
    user: 35,
    roles: &[26],
};

#[tokio::test]
async fn what_somebody_should_know_is_told_in_the_desks_channel_once() {
    let guild = Guild::start().await;
    let bell = bell(&guild, None).await;
    incident::open(&bell.app, "Weak passwords", None, "carol")
        .await
        .unwrap();
    let new = NewDraft {
        incident: IncidentId(1),
        audience: Audience::Staff,
        channels: &[],
        text: Body::Text("Hello."),
    };
    texts::draft(&bell.app, &new, "carol").await.unwrap();
    texts::send_back(&bell.app, StatementId(1), "say *more*", "carol")
        .await
        .unwrap();
    let bot = Running::start(&bell.app);
    let told = words(&guild.posted(DESK).await);
    assert_eq!(
        told,
        "For the operator carol: statement 1 was sent back: say \\*more\\*"
    );
    bot.stop().await;
    // What was told is not told by whoever comes next; a second message would stay unasserted.
    let bot = Running::start(&bell.app);
    guild.has_identified(2).await;
    let help = guild.slash(&CAROL, "help", &[]);
    guild.said(help).await;
    assert_eq!(
        bell.count("SELECT COUNT(*) FROM nudges WHERE carried_at IS NULL")
            .await,
        0
    );
    bot.stop().await;
}

#[tokio::test]
async fn a_template_is_laid_out_with_its_gaps_and_cannot_be_approved_before_they_are_filled() {
    let (guild, _bell, bot) = at_work().await;
    let incident = [("title", "Sign-in trouble"), ("next_update", "15:00")];
    let open = guild.slash(&CAROL, "incident open", &incident);
    guild.said(open).await;
    let draft = guild.slash(
        &CAROL,
        "statement draft",
        &[
            ("incident", "1"),
            ("audience", "press"),
            ("template", "identified"),
        ],
    );
    let said = guild.said(draft).await;
    assert!(said.starts_with("Statement 1 is kept"), "{said}");
    let at_desk = guild.posted(DESK).await;
    let seen = words(&at_desk);
    assert!(seen.contains("Still to be filled in"), "{seen}");
    assert!(
        seen.contains("It goes nowhere by itself: its readers have no channel"),
        "{seen}"
    );
    let pressed = guild.presses(&APPROVER, &button(&at_desk, "Approve"));
    let said = guild.said(pressed).await;
    assert!(said.contains("gaps of the template are left"), "{said}");
    bot.stop().await;
}

#[tokio::test]
async fn what_is_out_is_taken_back_by_a_second_text_that_two_people_answer_for() {
    let (guild, bell, bot) = at_work().await;
    let incident = [("title", "Weak passwords"), ("next_update", "15:00")];
    let open = guild.slash(&CAROL, "incident open", &incident);
    guild.said(open).await;
    let sent = guild.fills_in(
        &CAROL,
        "st:draft:1:staff",
        &[("text", super::statement::TEXT)],
    );
    guild.said(sent).await;
    let at_desk = guild.posted(DESK).await;
    let pressed = guild.presses(&APPROVER, &button(&at_desk, "Approve"));
    guild.said(pressed).await;
    let publish = guild.slash(&CAROL, "statement publish", &[("statement", "1")]);
    guild.said(publish).await;

    let withdraw = guild.slash(&CAROL, "statement withdraw", &[("statement", "1")]);
    let form = guild.answer(withdraw).await;
    let back = form["data"]["custom_id"].as_str().unwrap();
    let sent = guild.fills_in(
        &CAROL,
        back,
        &[("text", "The figures were another house's.")],
    );
    assert!(guild.said(sent).await.starts_with("Statement 2 is kept"));
    let at_desk = guild.posted(DESK).await;
    let pressed = guild.presses(&APPROVER, &button(&at_desk, "Approve"));
    guild.said(pressed).await;
    let publish = guild.slash(&CAROL, "statement publish", &[("statement", "2")]);
    guild.said(publish).await;
    let history = guild.slash(&CAROL, "statement history", &[("statement", "1")]);
    let said = guild.said(history).await;
    assert!(said.contains("is withdrawn"), "{said}");
    assert_eq!(ledger(&bell, "statement.published").await.len(), 2);
    bot.stop().await;
}

#[tokio::test]
async fn a_department_has_its_figures_and_a_small_one_has_none() {
    let (guild, bell, bot) = at_work().await;
    let mut people = Vec::new();
    let mut found = Vec::new();
    let names: Vec<String> = (0..8).map(|nth| format!("reader{nth}")).collect();
    for (nth, sam) in names.iter().enumerate() {
        let mut one = staff(sam, &format!("{sam}@parl.example"), "Rosa Reader");
        if nth >= 6 {
            one.department = "Chamber".to_owned();
        }
        people.push(one);
        found.push((sam.as_str(), "weak", "2026-03-01T08:00:00Z"));
    }
    bell.people(&people).await;
    bell.audit("first", &found).await;
    // Of eight six are here; said so, everybody knew the two that are elsewhere.
    for (name, count) in [("library", "**5–7**"), ("Chamber", "**<5**")] {
        let asked = guild.slash(&READER, "reset progress", &[("department", name)]);
        let said = guild.said(asked).await.replace('\\', "");
        let line = said
            .lines()
            .find(|line| line.starts_with("Accounts that need"))
            .unwrap_or_else(|| panic!("{said}"));
        assert!(line.ends_with(count), "{name}: {said}");
    }
    bot.stop().await;
}

#[tokio::test]
async fn anybody_in_the_server_may_ask_whether_a_letter_is_ours_and_learns_no_more() {
    let (guild, bell, bot) = at_work().await;
    bell.people(&five()).await;
    bell.audit("first", &[("abaraa", "weak", "2026-03-01T08:00:00Z")])
        .await;
    bell.campaign().await;
    let references = bell.column("SELECT reference FROM threads").await;
    let [reference] = &references[..] else {
        panic!("{references:?}")
    };
    // Queued is not sent.
    let asked = guild.slash(&NOBODY, "verify", &[("code", reference)]);
    assert!(guild.said(asked).await.starts_with("Not ours: "));
    bell.at("2026-03-02T09:00:00Z");
    bell.deliver().await;
    let typed = reference.to_lowercase().replace('-', " - ");
    let asked = guild.slash(&NOBODY, "verify", &[("code", &typed)]);
    let said = guild.said(asked).await;
    assert!(
        said.starts_with("We sent a letter with this reference on 2 March 2026"),
        "{said}"
    );
    assert!(said.contains("it proves nothing alone"), "{said}");
    for strange in ["DB-2603-ZZZZ", "'; DROP TABLE threads; --", "x"] {
        let asked = guild.slash(&NOBODY, "verify", &[("code", strange)]);
        let said = guild.said(asked).await;
        assert!(said.starts_with("Not ours: "), "{said}");
    }
    // Elsewhere the answer is the usual one.
    let asked = guild.slash_in(None, &NOBODY, "verify", &[("code", reference)]);
    assert!(guild.said(asked).await.contains("not in direct messages"));
    // Whoever tries them one by one has to wait, and others need not.
    let mut last = String::new();
    for _ in 0..8 {
        let asked = guild.slash(&NOBODY, "verify", &[("code", "DB-2603-ZZZZ")]);
        last = guild.said(asked).await;
    }
    assert!(last.contains("please wait ten minutes"), "{last}");
    let asked = guild.slash(&CAROL, "verify", &[("code", reference)]);
    assert!(guild.said(asked).await.starts_with("We sent a letter"));
    bot.stop().await;
}
