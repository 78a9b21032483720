//! Access letter: the full letter to all who are concerned when a service is cut, or back (`access.restricted`,
//! `access.restored`).

use serde::Serialize;

use super::access::{self, AccessWords, BadAccess};
use super::constants::{self, Shape};
use super::source::LETTER;
use super::{
    AccessFacts, BadValue, Constants, DEFAULT_LOCALE, Finding, Messages, RenderError, Rendered,
    lint, stopped,
};
use crate::domain::access::Change;

/// What a letter says beyond what all channels say.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AccessLetter<'a> {
    /// What all channels say.
    pub facts: AccessFacts<'a>,
    /// Phrase after "this affects", or "this is for": "everybody who works from home".
    pub who: &'a str,
    /// A sentence that says why it is cut, if there is one to be said.
    pub why: Option<&'a str>,
    /// A sentence about work inside the buildings.
    pub inside: Option<&'a str>,
    /// What the notice is found by on the intranet: the published part of a reference.
    pub campaign_ref: &'a str,
}

#[derive(Serialize)]
pub(super) struct LetterWords<'a> {
    #[serde(flatten)]
    access: AccessWords<'a>,
    who: &'a str,
    why_line: &'a str,
    inside_line: &'a str,
    campaign_ref: &'a str,
    signatory: &'a str,
}

impl<'a> LetterWords<'a> {
    pub(super) fn new(letter: &AccessLetter<'a>, constants: &'a Constants) -> Self {
        Self {
            access: AccessWords::new(&letter.facts, constants),
            who: letter.who.trim(),
            why_line: letter.why.unwrap_or_default().trim(),
            inside_line: letter.inside.unwrap_or_default().trim(),
            campaign_ref: letter.campaign_ref,
            signatory: &constants.signatory,
        }
    }
}

/// Facts to check a template with.
pub(super) const fn sample(change: Change) -> AccessLetter<'static> {
    AccessLetter {
        facts: access::sample(change),
        who: "all staff who work from home",
        why: Some("Someone is trying to get in to our accounts."),
        inside: Some("You can still work as normal inside our buildings."),
        campaign_ref: "DB-2507",
    }
}

/// The name of the template for a change.
pub(super) fn name(change: Change) -> String {
    let folder = match change {
        Change::Restricted => "access_restricted",
        Change::Restored => "access_restored",
    };
    format!("{LETTER}{folder}/{DEFAULT_LOCALE}.txt")
}

/// The change that a template is for.
pub(super) fn change_of(template: &str) -> Option<Change> {
    Change::ALL
        .into_iter()
        .find(|change| name(*change) == template)
}

impl Messages {
    /// The letter to all who are concerned, in plain text only: it goes to many, and has no reader of its own.
    pub fn access_letter(
        &self,
        change: Change,
        letter: &AccessLetter<'_>,
        constants: &Constants,
    ) -> Result<Rendered, RenderError> {
        check_facts(letter)?;
        access::check_facts(&letter.facts)?;
        let whole = self
            .env
            .get_template(&name(change))
            .and_then(|template| template.render(LetterWords::new(letter, constants)))
            .map_err(|error| stopped(&error))?;
        let (subject, text) = whole
            .strip_prefix("Subject: ")
            .and_then(|rest| rest.split_once("\n\n"))
            .ok_or(BadAccess::Rule {
                rule: 7,
                reason: "it does not begin with its subject and an empty line",
            })?;
        match lint::plain_letter(subject, text, &constants.check_route).first() {
            Some((rule, reason)) => Err(BadAccess::Rule {
                rule: *rule,
                reason,
            }
            .into()),
            None => Ok(Rendered {
                subject: subject.trim().to_owned(),
                text: format!("{}\n", text.trim_end()),
                html: String::new(),
            }),
        }
    }

    /// What is wrong with the two templates, with every sample.
    pub(super) fn check_access_letters(&self, own: Option<&Constants>) -> Vec<Finding> {
        let [(_, sample_constants), _] = Constants::samples();
        let constants = own.unwrap_or(&sample_constants);
        Change::ALL
            .into_iter()
            .filter_map(|change| {
                let error = self
                    .access_letter(change, &sample(change), constants)
                    .err()?;
                let (rule, reason) = match error {
                    RenderError::Access(BadAccess::Rule { rule, reason }) => {
                        (rule, reason.to_owned())
                    }
                    error => (3, error.to_string()),
                };
                Some(Finding {
                    file: self.sources.shown(&name(change)),
                    line: None,
                    rule,
                    reason,
                })
            })
            .collect()
    }
}

fn check_facts(letter: &AccessLetter<'_>) -> Result<(), RenderError> {
    let sentences = [("why", letter.why), ("inside", letter.inside)];
    let sentences = sentences
        .into_iter()
        .filter_map(|(fact, text)| Some((fact, text?, Shape::Sentence)));
    for (fact, text, shape) in [("who", letter.who, Shape::Phrase)]
        .into_iter()
        .chain(sentences)
    {
        constants::check(text, shape).map_err(|bad| BadAccess::Fact { fact, bad })?;
    }
    let is_reference = (2..=12).contains(&letter.campaign_ref.len())
        && letter
            .campaign_ref
            .bytes()
            .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'-');
    if !is_reference {
        let bad = BadValue::Rule(7, "a reference is capitals, digits and \"-\": DB-2507");
        return Err(BadAccess::Fact {
            fact: "reference",
            bad,
        }
        .into());
    }
    Ok(())
}
