//! Access: the words of a notice that a service is cut, or back, ready to be pasted on each of its channels.

use serde::Serialize;

use super::constants::{self, Shape};
use super::source::{ACCESS_RESTORED, ACCESS_RESTRICTED};
use super::text::one_paragraph;
use super::{
    BadValue, Constants, DEFAULT_LOCALE, Finding, Messages, RenderError, lint, measure, stopped,
    words,
};
use crate::domain::Moment;
use crate::domain::access::{AccessNotice, Change, Channel};
use crate::domain::text::{MOST_SEGMENTS, segments};

/// Longest notice, in characters.
const MOST_CHARS: usize = 600;

/// What an operator says about a service. Nothing in it is about persons.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AccessFacts<'a> {
    /// Phrase after "you cannot use": "remote access".
    pub services: &'a str,
    /// Since when, or from when on.
    pub from: Moment,
    /// What people do.
    pub advice: Advice<'a>,
}

/// What people do without the service, or with it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Advice<'a> {
    /// It is cut.
    Restricted {
        /// Sentences: what people use in its place.
        instead: &'a str,
        /// By when they hear more, also if nothing has changed.
        next_update: Moment,
    },
    /// It is back.
    Restored {
        /// Sentences: what people do when they first sign in.
        first_steps: &'a str,
    },
}

/// The words for one channel.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct AccessPost {
    /// Where they are read.
    pub channel: Channel,
    /// Ready to be pasted.
    pub text: String,
}

/// Why an access notice cannot be written. Never quotes it.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum BadAccess {
    /// A fact that may not be printed.
    #[error("the access notice's {fact}: {bad}")]
    Fact {
        /// As the template calls it.
        fact: &'static str,
        /// What is wrong with it.
        bad: BadValue,
    },
    /// The finished text breaks a rule.
    #[error("the access notice: rule {rule} of the messages: {reason}; say it in other words")]
    Rule {
        /// The rule, 1 to 8.
        rule: u8,
        /// What is wrong; never the text itself.
        reason: &'static str,
    },
}

/// The words that the templates see.
#[derive(Serialize)]
pub(super) struct AccessWords<'a> {
    from_when: String,
    services: &'a str,
    #[serde(flatten)]
    advice: AdviceWords<'a>,
    check_route: &'a str,
    help_route: &'a str,
    org: &'a str,
    team: &'a str,
}

#[derive(Serialize)]
#[serde(untagged)]
enum AdviceWords<'a> {
    Restricted {
        instead: &'a str,
        next_update: String,
    },
    Restored {
        first_steps: &'a str,
    },
}

impl<'a> AccessWords<'a> {
    pub(super) fn new(facts: &AccessFacts<'a>, constants: &'a Constants) -> Self {
        Self {
            from_when: words::moment(facts.from, constants.zone),
            services: facts.services.trim(),
            advice: match facts.advice {
                Advice::Restricted {
                    instead,
                    next_update,
                } => AdviceWords::Restricted {
                    instead: instead.trim(),
                    next_update: words::moment(next_update, constants.zone),
                },
                Advice::Restored { first_steps } => AdviceWords::Restored {
                    first_steps: first_steps.trim(),
                },
            },
            check_route: &constants.check_route,
            help_route: &constants.help_route,
            org: &constants.org,
            team: &constants.team,
        }
    }

    /// The same without names: a team's may be hard to read or in capitals, and the operator cannot change it.
    fn without_names(self) -> Self {
        Self {
            org: "us",
            team: "us",
            ..self
        }
    }
}

/// Facts to check a template with.
pub(super) const fn sample(change: Change) -> AccessFacts<'static> {
    AccessFacts {
        services: "remote access",
        from: Moment::from_micros(1_751_360_400_000_000),
        advice: match change {
            Change::Restricted => Advice::Restricted {
                instead: "You can still work as normal inside our buildings.",
                next_update: Moment::from_micros(1_751_382_000_000_000),
            },
            Change::Restored => Advice::Restored {
                first_steps: "Have your phone at hand when you first sign in.",
            },
        },
    }
}

/// The name of the template for a change.
pub(super) fn name(change: Change) -> String {
    let folder = match change {
        Change::Restricted => ACCESS_RESTRICTED,
        Change::Restored => ACCESS_RESTORED,
    };
    format!("{folder}{DEFAULT_LOCALE}.txt")
}

/// The change that a template is for.
pub(super) fn change_of(template: &str) -> Option<Change> {
    Change::ALL
        .into_iter()
        .find(|change| name(*change) == template)
}

impl Messages {
    /// The words of an access notice for each of its channels.
    pub fn access(
        &self,
        notice: &AccessNotice,
        facts: &AccessFacts<'_>,
        constants: &Constants,
    ) -> Result<Vec<AccessPost>, RenderError> {
        let text = self.render_access(notice.change(), facts, constants)?;
        notice
            .channels()
            .iter()
            .map(|channel| {
                let text = on_channel(*channel, &text, constants);
                if *channel == Channel::Sms && segments(&text) > MOST_SEGMENTS {
                    return Err(broken((5, "the text takes more than three segments")));
                }
                Ok(AccessPost {
                    channel: *channel,
                    text,
                })
            })
            .collect()
    }

    /// The words that all channels have in common. A template that asks for what the facts do not say stops.
    pub(super) fn render_access(
        &self,
        change: Change,
        facts: &AccessFacts<'_>,
        constants: &Constants,
    ) -> Result<String, RenderError> {
        check_facts(facts)?;
        let fill = |words: AccessWords<'_>| {
            self.env
                .get_template(&name(change))
                .and_then(|template| template.render(words))
                .map(|text| text.trim().to_owned())
                .map_err(|error| stopped(&error))
        };
        let text = fill(AccessWords::new(facts, constants))?;
        let measured = fill(AccessWords::new(facts, constants).without_names())?;
        rules(&text, &measured).map_or(Ok(text), |found| Err(broken(found)))
    }

    /// What is wrong with the two templates, with every sample.
    pub(super) fn check_access(&self, own: Option<&Constants>) -> Vec<Finding> {
        let [(_, sample_constants), _] = Constants::samples();
        let constants = own.unwrap_or(&sample_constants);
        Change::ALL
            .into_iter()
            .filter_map(|change| {
                let error = self
                    .render_access(change, &sample(change), constants)
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

/// Whether everything that an operator typed may be printed.
pub(super) fn check_facts(facts: &AccessFacts<'_>) -> Result<(), RenderError> {
    let advice = match facts.advice {
        Advice::Restricted { instead, .. } => ("instead", instead),
        Advice::Restored { first_steps } => ("first_steps", first_steps),
    };
    for (fact, text, shape) in [
        ("services", facts.services, Shape::Phrase),
        (advice.0, advice.1, Shape::Sentence),
    ] {
        constants::check(text, shape).map_err(|bad| BadAccess::Fact { fact, bad })?;
    }
    Ok(())
}

/// The rules that the common words can break. `measured` is the same without names.
fn rules(text: &str, measured: &str) -> Option<lint::Broken> {
    let prose = [measured.to_owned()];
    one_paragraph(text)
        .or_else(|| {
            lint::words(measured)
                .into_iter()
                .chain(lint::claims(measured))
                .next()
        })
        .or_else(|| {
            (measure::grade(&prose) > lint::STAFF_GRADE)
                .then_some((4, "it is harder to read than grade 6"))
        })
        .or_else(|| {
            measure::sentences(&prose)
                .iter()
                .any(|words| *words > lint::SENTENCE_WORDS)
                .then_some((5, "a sentence has more than 25 words"))
        })
        .or_else(|| {
            (text.chars().count() > MOST_CHARS).then_some((5, "it is longer than 600 characters"))
        })
}

/// What comes to a person by name promises never to ask for the password (rule 3.13); a mail also says how to check it.
fn on_channel(channel: Channel, text: &str, constants: &Constants) -> String {
    match channel {
        Channel::Chat | Channel::Intranet | Channel::Notice => text.to_owned(),
        Channel::Sms => format!("{text} {}", lint::NEVER_ASK),
        Channel::Mail => format!(
            "{text}\n\nTo check that this is real, {}. {}",
            constants.check_route.trim(),
            lint::NEVER_ASK
        ),
    }
}

fn broken((rule, reason): lint::Broken) -> RenderError {
    BadAccess::Rule { rule, reason }.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages() -> Messages {
        Messages::load(None).unwrap()
    }

    fn constants() -> Constants {
        let [(_, full), _] = Constants::samples();
        full
    }

    #[test]
    fn a_template_that_breaks_a_rule_stops_the_start() {
        let restricted = "From {{ from_when }} you cannot use {{ services }}. {{ instead }} More by {{ next_update }}.";
        for (change, text, expected) in [
            (
                Change::Restricted,
                format!("{restricted} This is urgent."),
                "line 1: rule 2",
            ),
            (
                Change::Restricted,
                format!("{restricted} See parl.example."),
                "line 1: rule 1",
            ),
            (
                Change::Restricted,
                format!("{restricted} {{{{ first_steps }}}}"),
                "rule 3: there is no variable \"first_steps\"",
            ),
            (
                Change::Restored,
                "You are back.\n\n{{ first_steps }}".to_owned(),
                "rule 3: it is no single paragraph",
            ),
            (
                Change::Restored,
                "Interdepartmental infrastructure modernisation necessitates participation."
                    .to_owned(),
                "rule 4",
            ),
            (
                Change::Restored,
                "You are back. ".repeat(50),
                "rule 5: it is longer than 600",
            ),
        ] {
            let dir = tempfile::tempdir().unwrap();
            let file = dir.path().join(name(change));
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(&file, &text).unwrap();
            let refused = Messages::load(Some(dir.path())).unwrap_err().to_string();
            assert!(
                refused.contains(expected),
                "expected {expected}, got {refused}"
            );
            assert!(refused.contains(&name(change)), "{refused}");
        }
    }

    #[test]
    fn an_organisation_whose_names_are_hard_to_read_can_still_say_it() {
        let hard = Constants {
            team: "INFORMATION SECURITY Operations Infrastructure Organisation".to_owned(),
            ..constants()
        };
        assert_eq!(messages().check_access(Some(&hard)), []);
    }

    #[test]
    fn a_text_of_more_than_three_segments_is_no_text() {
        let long = "You can still work at your own desk, and we are there to help you. ".repeat(4);
        let facts = AccessFacts {
            advice: Advice::Restricted {
                instead: &long,
                next_update: Moment::from_micros(1_751_382_000_000_000),
            },
            ..sample(Change::Restricted)
        };
        let write = |channels: &[Channel]| {
            let notice = AccessNotice::restricted(channels, &[]).unwrap();
            messages().access(&notice, &facts, &constants())
        };
        assert!(write(&[Channel::Chat, Channel::Notice]).is_ok());
        let refused = write(&[Channel::Chat, Channel::Sms]).unwrap_err();
        assert!(refused.to_string().contains("three segments"), "{refused}");
    }

    #[test]
    fn facts_of_one_change_are_not_told_as_the_other() {
        let notice = AccessNotice::restored(&[Channel::Chat, Channel::Notice], &[]).unwrap();
        let refused = messages().access(&notice, &sample(Change::Restricted), &constants());
        assert!(
            matches!(refused, Err(RenderError::Template { .. })),
            "{refused:?}"
        );
    }
}
