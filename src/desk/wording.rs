//! Wording: a statement as its readers would see it: variables filled from the ledger, the incident and the config.

use anyhow::Context;

use crate::app::App;
use crate::domain::Moment;
use crate::domain::fill::{Unfit, Variable, fill, variables};
use crate::domain::incident::IncidentState;
use crate::domain::stated::{self, Counts, NAMES, RATE_GROUP};
use crate::domain::statement::{Figure, Wording};
use crate::messages::moment_in_words;
use crate::store::{Incident, Statement, Tx};

/// What a statement's variables are filled from, as of one instant.
pub(super) struct Facts {
    /// From the ledger.
    pub counts: Counts,
    /// What it is about.
    pub incident: Incident,
    /// The instant.
    pub now: Moment,
}

impl Facts {
    /// As of now.
    pub(super) async fn of(
        tx: &mut Tx,
        statement: &Statement,
        now: Moment,
    ) -> anyhow::Result<Self> {
        let incident = tx
            .incident(statement.incident)
            .await?
            .with_context(|| format!("there is no incident {}", statement.incident))?;
        Ok(Self {
            counts: counts(tx, now).await?,
            incident,
            now,
        })
    }

    /// Whether its story is over: then nothing more is promised.
    pub(super) fn is_over(&self) -> bool {
        self.incident.state == IncidentState::Resolved
    }
}

/// All counts that a statement can name.
pub(super) async fn counts(tx: &mut Tx, now: Moment) -> anyhow::Result<Counts> {
    Ok(Counts {
        figures: tx.figures(now).await?,
        by_category: tx.accounts_by_category().await?,
    })
}

/// The words that are filled and are no counts. [`NAMES`] has them all.
const WORDS: [&str; 8] = [
    "as_of",
    "next_update",
    "statement_no",
    "reference",
    "org",
    "team",
    "check_route",
    "help_route",
];

/// Whether each variable of a text is one.
pub(super) fn check_names(body: &str) -> Result<(), Unfit> {
    for variable in variables(body, NAMES)? {
        if stated::by_name(variable.name).is_none() && !WORDS.contains(&variable.name) {
            return Err(Unfit::Unknown(variable.at, NAMES));
        }
    }
    Ok(())
}

/// Whether a text says when people hear more.
pub(super) fn promises(body: &str) -> bool {
    variables(body, NAMES).is_ok_and(|all| all.iter().any(|one| one.name == "next_update"))
}

/// Fills a statement.
pub(super) fn fill_in(app: &App, statement: &Statement, facts: &Facts) -> Result<Wording, Unfit> {
    let mut figures: Vec<Figure> = Vec::new();
    let mut as_of_words = String::new();
    let text = fill(&statement.body, NAMES, |variable| {
        if let Some(stated) = stated::by_name(variable.name) {
            let figure = stated
                .figure(&facts.counts)
                .map_err(|_| Unfit::SmallGroup(variable.at, RATE_GROUP))?;
            let shown = figure.shown.clone();
            if !figures.iter().any(|one| one.name == figure.name) {
                figures.push(figure);
            }
            return Ok(shown);
        }
        let words = word(app, statement, facts, variable)?;
        if variable.name == "as_of" {
            as_of_words.clone_from(&words);
        }
        Ok(words)
    })?;
    figures.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(Wording {
        text,
        as_of_words,
        figures,
        as_of: facts.now,
        audience: statement.audience,
        channels: statement.channels.clone(),
    })
}

fn word(
    app: &App,
    statement: &Statement,
    facts: &Facts,
    variable: &Variable<'_>,
) -> Result<String, Unfit> {
    let constants = &app.letters.constants;
    Ok(match variable.name {
        "as_of" => in_words(app, facts.now),
        "next_update" => next_update(app, facts).map_err(|why| Unfit::NoValue(variable.at, why))?,
        "statement_no" => statement.id.to_string(),
        "reference" => facts.incident.reference.clone(),
        "org" => constants.org.clone(),
        "team" => constants.team.clone(),
        "check_route" => constants.check_route.trim().to_owned(),
        "help_route" => constants.help_route.trim().to_owned(),
        _ => return Err(Unfit::Unknown(variable.at, NAMES)),
    })
}

/// The promised next update in words, while it is a promise.
fn next_update(app: &App, facts: &Facts) -> Result<String, &'static str> {
    match facts.incident.next_update_at {
        None => Err(
            "no next update is promised; promise one first: bell incident promise NUMBER --at TIME",
        ),
        Some(at) if at <= facts.now => Err(
            "the promised next update has passed; promise another first: bell incident promise NUMBER --at TIME",
        ),
        Some(at) => Ok(in_words(app, at)),
    }
}

/// A moment as people say it, in the site's zone.
pub(super) fn in_words(app: &App, at: Moment) -> String {
    moment_in_words(at, app.calendar.zone())
}

/// Whether a frozen text still names the promise that stands.
pub(super) fn still_promises(app: &App, statement: &Statement, text: &str, facts: &Facts) -> bool {
    !promises(&statement.body) || next_update(app, facts).is_ok_and(|words| text.contains(&words))
}
