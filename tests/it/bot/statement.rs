//! Statements, from a form to the public: drafted by one, approved by another's button, published, put right.

use super::*;
use crate::support::discord::guild::{button, words};

const APPROVER: Who = Who {
    user: 35,
    roles: &[26],
};

pub(super) const TEXT: &str = "We know that some passwords are weak. We do not know yet how many. We are writing to everybody concerned. \
                    You do not need to do anything unless we write to you by name. We will tell you more by {{ next_update }}.";

/// An incident, and a draft about it that was written in a form; what the desk sees of it.
async fn drafted(guild: &Guild, text: &str) -> Value {
    let incident = [("title", "Weak passwords"), ("next_update", "15:00")];
    let open = guild.slash(&CAROL, "incident open", &incident);
    guild.said(open).await;
    let draft = guild.slash(
        &CAROL,
        "statement draft",
        &[("incident", "1"), ("audience", "staff")],
    );
    let form = guild.answer(draft).await;
    assert_eq!(form["type"], 9, "{form}");
    let back = form["data"]["custom_id"].as_str().unwrap();
    let sent = guild.fills_in(&CAROL, back, &[("text", text)]);
    let said = guild.said(sent).await;
    assert!(said.starts_with("Statement 1 is kept"), "{said}");
    guild.posted(DESK).await
}

async fn state(guild: &Guild) -> String {
    let history = guild.slash(&CAROL, "statement history", &[("statement", "1")]);
    let said = guild.said(history).await;
    said.lines().next().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn a_statement_is_drafted_in_a_form_approved_by_a_second_persons_button_and_published() {
    let (guild, bell, bot) = at_work().await;
    let at_desk = drafted(&guild, TEXT).await;
    assert!(words(&at_desk).contains("some passwords are weak"));
    let ok = button(&at_desk, "Approve");

    let own = guild.presses(&CAROL, &ok);
    let said = guild.said(own).await;
    assert!(said.starts_with("That did not work:"), "{said}");
    assert!(state(&guild).await.contains("is draft"));

    let pressed = guild.presses(&APPROVER, &ok);
    let first = guild.answer(pressed).await;
    assert_eq!(
        (&first["type"], &first["data"]["components"]),
        (&json!(7), &json!([])),
        "{first}"
    );
    assert!(
        words(&first["data"]).starts_with("Approved by discord:35"),
        "{first}"
    );

    // The same press once more, and by Discord itself.
    guild.again(pressed);
    let twice = guild.presses(&APPROVER, &ok);
    assert!(guild.said(twice).await.starts_with("That did not work:"));

    let publish = guild.slash(&CAROL, "statement publish", &[("statement", "1")]);
    let said = guild.said(publish).await;
    assert!(said.contains("goes out"), "{said}");
    assert!(state(&guild).await.contains("is published"));
    let approved = ledger(&bell, "statement.approved").await;
    assert_eq!(approved.len(), 1);
    assert_eq!(approved[0].0, "discord:35");
    bot.stop().await;
}

#[tokio::test]
async fn whoever_wrote_it_does_not_approve_it_whatever_their_roles() {
    let (guild, bell, bot) = at_work().await;
    let both = Who {
        user: 36,
        roles: &[25, 26],
    };
    let incident = [("title", "Weak passwords"), ("next_update", "15:00")];
    let open = guild.slash(&both, "incident open", &incident);
    guild.said(open).await;
    let sent = guild.fills_in(&both, "st:draft:1:staff", &[("text", TEXT)]);
    guild.said(sent).await;
    let at_desk = guild.posted(DESK).await;
    let pressed = guild.presses(&both, &button(&at_desk, "Approve"));
    let said = guild.said(pressed).await;
    assert!(said.contains("ask a second person"), "{said}");
    assert!(ledger(&bell, "statement.approved").await.is_empty());
    assert_eq!(ledger(&bell, "desk.refused").await[0].0, "discord:36");
    bot.stop().await;
}

#[tokio::test]
async fn a_draft_that_was_changed_meanwhile_is_not_approved_by_an_older_button() {
    let (guild, _bell, bot) = at_work().await;
    let before = drafted(&guild, TEXT).await;
    let edit = guild.slash(&CAROL, "statement edit", &[("statement", "1")]);
    let form = guild.answer(edit).await;
    let field = &form["data"]["components"][0]["components"][0];
    assert_eq!(field["value"], TEXT);
    let back = form["data"]["custom_id"].as_str().unwrap();
    let newer = format!("{TEXT} Thank you.");
    let sent = guild.fills_in(&CAROL, back, &[("text", &newer)]);
    assert!(guild.said(sent).await.contains("Thank you"));
    let after = guild.posted(DESK).await;

    let pressed = guild.presses(&APPROVER, &button(&before, "Approve"));
    let said = guild.said(pressed).await;
    assert!(said.contains("not those that you saw"), "{said}");
    let pressed = guild.presses(&APPROVER, &button(&before, "Send back"));
    let said = guild.said(pressed).await;
    assert!(said.contains("somebody has changed"), "{said}");
    // A form that was opened before somebody else's edit.
    let late = guild.fills_in(&CAROL, back, &[("text", TEXT)]);
    assert!(guild.said(late).await.contains("somebody has changed"));

    let pressed = guild.presses(&APPROVER, &button(&after, "Approve"));
    assert!(guild.said(pressed).await.starts_with("Approved by"));
    bot.stop().await;
}

#[tokio::test]
async fn a_draft_is_sent_back_with_a_reason_that_is_written_in_a_form() {
    let (guild, bell, bot) = at_work().await;
    let at_desk = drafted(&guild, TEXT).await;
    let pressed = guild.presses(&APPROVER, &button(&at_desk, "Send back"));
    let form = guild.answer(pressed).await;
    assert_eq!(form["type"], 9);
    let back = form["data"]["custom_id"].as_str().unwrap();
    let sent = guild.fills_in(&APPROVER, back, &[("reason", "Say how to get help")]);
    let said = guild.said(sent).await;
    assert!(said.contains("Say how to get help"), "{said}");
    let preview = guild.slash(&CAROL, "statement preview", &[("statement", "1")]);
    assert!(
        guild
            .said(preview)
            .await
            .contains("Sent back: Say how to get help")
    );
    assert_eq!(
        ledger(&bell, "statement.sent_back").await[0].0,
        "discord:35"
    );
    bot.stop().await;
}

#[tokio::test]
async fn a_statement_waits_for_its_time_and_is_taken_off_the_clock_again() {
    let (guild, _bell, bot) = at_work().await;
    let at_desk = drafted(&guild, TEXT).await;
    let pressed = guild.presses(&APPROVER, &button(&at_desk, "Approve"));
    guild.said(pressed).await;
    let at = [("statement", "1"), ("at", "in 2 h")];
    let schedule = guild.slash(&CAROL, "statement schedule", &at);
    let said = guild.said(schedule).await;
    assert!(said.contains("2 March 2026, 10:00"), "{said}");
    let cancel = guild.slash(&CAROL, "statement cancel", &[("statement", "1")]);
    assert!(guild.said(cancel).await.contains("is approved now"));
    bot.stop().await;
}

#[tokio::test]
async fn what_is_out_is_put_right_by_a_new_one() {
    let (guild, _bell, bot) = at_work().await;
    let at_desk = drafted(&guild, TEXT).await;
    let pressed = guild.presses(&APPROVER, &button(&at_desk, "Approve"));
    guild.said(pressed).await;
    let publish = guild.slash(&CAROL, "statement publish", &[("statement", "1")]);
    guild.said(publish).await;

    let correct = guild.slash(&CAROL, "statement correct", &[("statement", "1")]);
    let form = guild.answer(correct).await;
    let back = form["data"]["custom_id"].as_str().unwrap();
    let right = format!("{TEXT} The time was wrong before.");
    let sent = guild.fills_in(&CAROL, back, &[("text", &right)]);
    let said = guild.said(sent).await;
    assert!(said.starts_with("Statement 2 is kept"), "{said}");
    let at_desk = guild.posted(DESK).await;
    let pressed = guild.presses(&APPROVER, &button(&at_desk, "Approve"));
    let said = guild.said(pressed).await;
    assert!(said.starts_with("Approved by"), "{said}");
    let publish = guild.slash(&CAROL, "statement publish", &[("statement", "2")]);
    guild.said(publish).await;
    assert!(state(&guild).await.contains("is corrected"));

    // The approver may not publish, the reader may not draft.
    let withdraw = guild.slash(&APPROVER, "statement publish", &[("statement", "2")]);
    assert!(guild.said(withdraw).await.contains("takes the role"));
    bot.stop().await;
}

#[tokio::test]
async fn what_must_not_be_disclosed_is_shown_before_anybody_approves_it() {
    let (guild, _bell, bot) = at_work().await;
    let text = format!("{TEXT} Write to ada@parl.example, @everyone.");
    let at_desk = drafted(&guild, &text).await;
    let said = words(&at_desk);
    assert!(said.contains("It must not go out as it is"), "{said}");
    assert!(said.contains("a mail address at character"), "{said}");
    assert!(!said.contains("@everyone"), "{said}");
    bot.stop().await;
}

#[tokio::test]
async fn partners_and_promises_of_an_incident_are_kept_and_its_story_is_told() {
    let (guild, _bell, bot) = at_work().await;
    let open = guild.slash(&CAROL, "incident open", &[("title", "Weak passwords")]);
    guild.said(open).await;
    let promise = [("incident", "1"), ("next_update", "10:30")];
    let promised = guild.slash(&CAROL, "incident promise", &promise);
    assert!(
        guild
            .said(promised)
            .await
            .contains("next update by 2 March 2026, 10:30")
    );
    let partner = [
        ("incident", "1"),
        ("name", "NCSC"),
        ("contact", "Incident management"),
        ("wording", "The NCSC is helping us."),
    ];
    let added = guild.slash(&CAROL, "incident partner add", &partner);
    assert!(guild.said(added).await.contains("not cleared yet"));
    let typing = guild.types(&CAROL, "incident partner clear", "partner", "ncs");
    let found = guild.answer(typing).await;
    assert_eq!(found["data"]["choices"][0]["value"], "1");
    let clear = [("partner", "1"), ("with", "Their duty officer")];
    let cleared = guild.slash(&CAROL, "incident partner clear", &clear);
    assert!(
        guild
            .said(cleared)
            .await
            .contains("cleared on 2 March 2026")
    );
    let list = guild.slash(&CAROL, "incident partner list", &[("incident", "1")]);
    assert!(guild.said(list).await.contains("NCSC"));
    let log = guild.slash(&CAROL, "incident log", &[("incident", "1")]);
    let said = guild.said(log).await;
    assert!(said.contains("incident.opened by carol"), "{said}");
    bot.stop().await;
}
