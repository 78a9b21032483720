//! The communications office of the demo: a statement that one drafts and another approves, and a promise that is kept.

use chrono::TimeDelta;

use super::Play;
use crate::desk::incident;
use crate::desk::roles::Declined;
use crate::desk::statement::{self, Body, NewDraft};
use crate::domain::IncidentId;
use crate::domain::audience::Audience;
use crate::domain::incident::IncidentState;

/// When more is promised, from the start; and when it is said.
pub(super) const PROMISED: TimeDelta = TimeDelta::hours(28);
pub(super) const KEPT: TimeDelta = TimeDelta::hours(26);

const TEXT: &str = "WHAT WE KNOW

An audit found {{ accounts }} accounts with a password that is easy to guess or that is on a list of stolen ones. We know of \
    {{ compromised }} accounts that somebody else has used; nobody can sign in to those now.

WHAT WE DO NOT KNOW YET

We do not know yet how the stolen passwords got out.

WHAT WE ARE DOING

We are writing to each person concerned, by name.

WHAT WE NEED YOU TO DO

You do not need to do anything unless we write to you by name. To check that a letter is ours, {{ check_route }}.

WHEN YOU WILL HEAR MORE

We will tell you more by {{ next_update }}.";

impl Play {
    /// A statement to staff: drafted by cleo, approved by ben exactly as it is, posted once.
    pub(super) async fn statement(&mut self) -> anyhow::Result<()> {
        let app = &self.app;
        let new = NewDraft {
            incident: IncidentId(1),
            audience: Audience::Staff,
            channels: &[],
            text: Body::Text(TEXT),
        };
        let drafted = statement::draft(app, &new, "cleo").await?;
        let seen = statement::preview(app, drafted.id, "ben").await?;
        let figures: Vec<String> = seen
            .wording
            .figures
            .iter()
            .map(|figure| format!("{} is {:?}", figure.name, figure.shown))
            .collect();
        let figures = figures.join(", ");
        let text = format!("{} to staff drafted by cleo; {figures}", drafted.id);
        self.tell("statement", text);
        match statement::approve(&self.app, drafted.id, Some(&seen.hash), "ben").await {
            Ok(_) => {}
            // With one's own files the guard may find something.
            Err(error) if error.is::<Declined>() => {
                self.tell("statement", format!("not approved: {error}"));
                return Ok(());
            }
            Err(error) => return Err(error),
        }
        if let Err(error) = statement::publish(&self.app, drafted.id, "cleo").await {
            anyhow::ensure!(error.is::<Declined>(), error);
            self.tell("statement", format!("not published: {error}"));
            return Ok(());
        }
        let posted = self.step("statements").await?;
        let text = format!(
            "{} approved by ben with these figures, published by cleo: {posted}",
            drafted.id
        );
        self.tell("statement", text);
        Ok(())
    }

    /// What was promised is said in time: the incident moves on.
    pub(super) async fn keep_the_promise(&mut self) -> anyhow::Result<()> {
        let moved = incident::move_to(
            &self.app,
            IncidentId(1),
            IncidentState::Contained,
            None,
            "cleo",
        )
        .await?;
        let told = self.step("announce").await?;
        let text = format!(
            "{} is contained, as promised in time; {told}",
            moved.reference
        );
        self.tell("incident", text);
        Ok(())
    }
}
