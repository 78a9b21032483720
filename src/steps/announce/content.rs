//! Content: what is said of an incident, in plain text. It has no field that could hold a name.

use chrono::TimeDelta;
use chrono_tz::Tz;

use super::in_full;
use crate::app::App;
use crate::channels::{Picture, StatusLine, StatusPost};
use crate::domain::Moment;
use crate::domain::course::{Change, Point, course};
use crate::domain::figures::Figures;
use crate::domain::incident::IncidentState;
use crate::domain::post::What;
use crate::domain::seal::Mark;
use crate::domain::timeline::{Line, Says};
use crate::messages::StatusContext;
use crate::report::picture;
use crate::store::Incident;

/// How long before an incident was opened its picture begins: the audit came first.
const BEFORE: TimeDelta = TimeDelta::days(1);

/// What every message of a pass is made of.
pub(in crate::steps) struct Facts {
    /// Newest first.
    pub incidents: Vec<Incident>,
    figures: Figures,
    changes: Vec<Change>,
    now: Moment,
    seal: Option<Mark>,
}

impl Facts {
    /// What the picture of an incident shows.
    pub(in crate::steps) fn course(&self, incident: &Incident) -> Vec<Point> {
        course(&self.changes, incident.opened_at.minus(BEFORE), self.now)
    }
}

/// As of now.
pub(in crate::steps) async fn facts(app: &App) -> anyhow::Result<Facts> {
    let now = app.clock.now();
    let mut tx = app.store.read().await?;
    Ok(Facts {
        incidents: tx.incidents().await?,
        figures: tx.figures(now).await?,
        changes: tx.course_changes().await?,
        seal: tx.newest_seal(None).await?.mark(),
        now,
    })
}

/// One message.
pub(in crate::steps) struct Content {
    /// Which.
    pub what: What,
    /// What makes it worth while to say it again.
    pub fingerprint: String,
    /// What is said.
    pub post: StatusPost,
    /// What its picture shows; it is drawn only if it is said.
    pub course: Vec<Point>,
}

impl Content {
    /// What is said, with its picture.
    pub(in crate::steps) async fn drawn(&self, app: &App) -> anyhow::Result<StatusPost> {
        let (course, zone) = (self.course.clone(), app.calendar.zone());
        let drawn = tokio::task::spawn_blocking(move || picture(&course, zone)).await??;
        Ok(StatusPost {
            picture: drawn.map(|(png, words)| Picture { png, words }),
            ..self.post.clone()
        })
    }
}

/// What a status post says.
pub(in crate::steps) struct Status {
    state: IncidentState,
    text: String,
    figures: Vec<StatusLine>,
    promise: Option<StatusLine>,
    as_of: String,
    seal: Option<Mark>,
    zone: Tz,
}

impl Status {
    /// Everything but the moment it is said, the newest seal, and the picture, which moves with them.
    pub(in crate::steps) fn fingerprint(&self) -> String {
        let lines: Vec<String> = self
            .lines()
            .map(|line| format!("{}\u{1f}{}", line.label, line.value))
            .collect();
        format!("{}\u{1e}{}", self.text, lines.join("\u{1e}"))
    }

    /// What is news by itself.
    pub(in crate::steps) fn news(&self) -> String {
        let promise = self.promise.iter().map(|line| line.value.as_str());
        format!("{}\u{1e}{}", self.state.word(), promise.collect::<String>())
    }

    fn lines(&self) -> impl Iterator<Item = &StatusLine> {
        self.figures.iter().chain(&self.promise)
    }

    /// `follows` is when the message before this one was said, if that one cannot be changed.
    pub(in crate::steps) fn post(
        &self,
        incident: &Incident,
        version: i64,
        follows: Option<Moment>,
    ) -> StatusPost {
        let note = match follows {
            Some(at) => {
                let at = at.utc().with_timezone(&self.zone);
                let at = at.format("%-d %B, %H:%M");
                format!("update {version}, {}, in place of that of {at}", self.as_of)
            }
            None => format!("update {version}, {}", self.as_of),
        };
        // An old post proves that what happened before it was not rewritten since.
        let note = match &self.seal {
            Some(seal) => format!("{note}, seal {seal}"),
            None => note,
        };
        StatusPost {
            title: incident.title.clone(),
            state: state(self.state).to_owned(),
            text: self.text.clone(),
            lines: self.lines().cloned().collect(),
            footer_reference: What::Status.reference(&incident.reference),
            footer_note: Some(note),
            picture: None,
        }
    }
}

/// A state in plain words.
const fn state(state: IncidentState) -> &'static str {
    match state {
        IncidentState::Investigating => "investigating: we are finding out what happened",
        IncidentState::Identified => "identified: we know the cause",
        IncidentState::Contained => "contained: it does not spread any more",
        IncidentState::Monitoring => "monitoring: things work again, and we watch them",
        IncidentState::Resolved => "resolved: it is over",
    }
}

/// The status post of an incident.
pub(in crate::steps) fn status(
    app: &App,
    facts: &Facts,
    incident: &Incident,
) -> anyhow::Result<Status> {
    let is_over = incident.state == IncidentState::Resolved;
    let promise = incident.next_update_at.filter(|_| !is_over);
    Ok(Status {
        state: incident.state,
        text: app.letters.messages.render_status(&StatusContext {
            state: incident.state,
            team: app.letters.constants.team.clone(),
        })?,
        figures: facts
            .figures
            .lines()
            .into_iter()
            .map(|(label, value)| labelled(label, value))
            .collect(),
        promise: promise.map(|at| labelled("Next update by", in_full(app, at))),
        as_of: in_full(app, facts.now),
        seal: facts.seal.clone(),
        zone: app.calendar.zone(),
    })
}

fn labelled(label: &str, value: String) -> StatusLine {
    StatusLine {
        label: label.to_owned(),
        value,
    }
}

/// One line of the timeline.
pub(in crate::steps) fn line(app: &App, incident: &Incident, line: &Line) -> Content {
    let said = match line.says {
        Says::Opened => state(IncidentState::Investigating).to_owned(),
        Says::State(now) => state(now).to_owned(),
        Says::Spoken(id) => format!("statement {id} published"),
        Says::Promised => "more is promised".to_owned(),
        Says::Kept { by } => format!("as promised, more was said by {}", in_full(app, by)),
    };
    let next = line
        .next_update_at
        .map(|at| format!("; next update by {}", in_full(app, at)))
        .unwrap_or_default();
    let text = format!("{}: {said}{next}", in_full(app, line.at));
    Content {
        what: line.what,
        fingerprint: text.clone(),
        post: StatusPost {
            title: text,
            footer_reference: line.what.reference(&incident.reference),
            ..StatusPost::default()
        },
        course: Vec::new(),
    }
}
