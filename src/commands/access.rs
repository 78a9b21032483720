//! `bell access …`: thin words for the desk.

use super::{Said, misused, operator};
use crate::app::App;
use crate::cli::{Access as Command, Cli};
use crate::desk::access::{self, LetterTo};
use crate::domain::access::AccessNotice;
use crate::messages::{AccessFacts, Advice};

pub(super) async fn run(cli: &Cli, app: &App, command: &Command) -> anyhow::Result<Said> {
    let by = operator(cli, app)?;
    let (about, advice, notice) = match command {
        Command::Restricted {
            about,
            instead,
            next_update,
            override_it: _,
            reason,
        } => {
            let advice = Advice::Restricted {
                instead,
                next_update: *next_update,
            };
            let notice = match reason {
                Some(reason) => AccessNotice::overridden(&about.channels, &about.cut, reason),
                None => AccessNotice::restricted(&about.channels, &about.cut),
            };
            (about, advice, notice)
        }
        Command::Restored { about, first_steps } => {
            let notice = AccessNotice::restored(&about.channels, &about.cut);
            (about, Advice::Restored { first_steps }, notice)
        }
    };
    let notice = notice.map_err(|lacks| misused(lacks.to_string()))?;
    let facts = AccessFacts {
        services: &about.services,
        from: about.from,
        advice,
    };
    let letter = match (&about.letter, &about.who, &about.reference) {
        (Some(file), Some(who), Some(reference)) => Some(LetterTo {
            file,
            who,
            why: about.why.as_deref(),
            inside: about.inside.as_deref(),
            campaign_ref: reference,
        }),
        _ => None,
    };
    Said::both(&access::publish(app, &notice, &facts, letter.as_ref(), &by).await?)
}
