//! Statement: the texts that statements are drafted from, before there is an incident. Variables are filled later, from the
//! ledger; gaps in square brackets by whoever drafts.

use super::source::STATEMENT;
use super::{Constants, DEFAULT_LOCALE, Finding, Messages, lint, measure};
use crate::domain::fill::{fill, gaps};
use crate::domain::questions::unanswered;
use crate::domain::stated::NAMES;
use crate::domain::statement::MOST_CHARS;

/// Their names: the holding statement, the five states, what puts one right or takes it back, and what staff read.
pub const STATEMENT_TEMPLATES: [&str; 10] = [
    "holding",
    "investigating",
    "identified",
    "contained",
    "monitoring",
    "resolved",
    "correction",
    "withdrawal",
    "staff",
    "heads_up",
];

/// Hardest grade of a text to the public.
const PUBLIC_GRADE: f64 = 8.0;

/// Those that staff read: easier, and with the promise never to ask for a password.
fn is_for_staff(template: &str) -> bool {
    matches!(template, "staff" | "heads_up")
}

/// Those that are about an earlier statement, and answer no five questions.
fn is_about_another(template: &str) -> bool {
    matches!(template, "correction" | "withdrawal")
}

fn name(template: &str) -> String {
    format!("{STATEMENT}{template}/{DEFAULT_LOCALE}.txt")
}

/// The variables that a template may name.
pub(super) fn known_words() -> serde_json::Value {
    NAMES
        .split(',')
        .map(|name| (name.trim().to_owned(), serde_json::Value::from("")))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

/// What a gap could be filled with.
fn sample_gap(gap: &str) -> &'static str {
    match gap {
        "services" => "remote access",
        "found_when" => "On Tuesday",
        "wrong_no" => "3",
        "press_route" => "the press office",
        "from_when" => "noon on Friday",
        "campaign_ref" => "DB",
        _ => "This is one short line.",
    }
}

impl Messages {
    /// The text of a template, with its variables and gaps; none if there is no such template.
    pub fn statement_template(&self, template: &str) -> Option<&str> {
        if !STATEMENT_TEMPLATES.contains(&template) {
            return None;
        }
        self.sources
            .0
            .get(&name(template))
            .map(|source| source.text.as_str())
    }

    /// What is wrong with the templates, filled with samples.
    pub(super) fn check_statements(&self, own: Option<&Constants>) -> Vec<Finding> {
        let [(_, sample), _] = Constants::samples();
        let constants = own.unwrap_or(&sample);
        STATEMENT_TEMPLATES
            .into_iter()
            .flat_map(|template| {
                let found = match self.statement_template(template) {
                    None => vec![(3, "the template is missing".to_owned())],
                    Some(text) => check(template, text, constants),
                };
                found.into_iter().map(move |(rule, reason)| Finding {
                    file: self.sources.shown(&name(template)),
                    line: None,
                    rule,
                    reason,
                })
            })
            .collect()
    }
}

fn check(template: &str, text: &str, constants: &Constants) -> Vec<(u8, String)> {
    let mut has_promise = false;
    let filled = fill(text, NAMES, |variable| {
        has_promise |= variable.name == "next_update";
        Ok(match variable.name {
            "as_of" | "next_update" => "noon on Friday 4 July".to_owned(),
            "statement_no" => "7".to_owned(),
            // Names may be hard to read, and whoever writes a template cannot change them.
            "org" | "team" => "us".to_owned(),
            "reference" => "INC".to_owned(),
            "check_route" => constants.check_route.trim().to_owned(),
            "help_route" => constants.help_route.trim().to_owned(),
            _ => "fewer than 90".to_owned(),
        })
    });
    let filled = match filled {
        Ok(filled) => filled,
        Err(unfit) => return vec![(3, unfit.to_string())],
    };
    let gaps: Vec<String> = gaps(&filled).into_iter().map(str::to_owned).collect();
    let filled = gaps.iter().fold(filled, |text, gap| {
        text.replace(&format!("[{gap}]"), sample_gap(gap))
    });
    let mut found = Vec::new();
    if !is_about_another(template) {
        let open = unanswered(&filled, has_promise, template == "resolved");
        found.extend(
            open.into_iter()
                .map(|one| (3, format!("it leaves open {}", one.in_words()))),
        );
    }
    let lines = measure::prose(&filled);
    let hardest = match is_for_staff(template) {
        true => lint::STAFF_GRADE,
        false => PUBLIC_GRADE,
    };
    if measure::grade(&lines) > hardest {
        found.push((4, format!("it is harder to read than grade {hardest}")));
    }
    if measure::sentences(&lines)
        .iter()
        .any(|words| *words > lint::SENTENCE_WORDS)
    {
        found.push((5, "a sentence has more than 25 words".to_owned()));
    }
    if filled.chars().count() > MOST_CHARS {
        found.push((5, "it is longer than a statement may be".to_owned()));
    }
    if is_for_staff(template) && !filled.contains(lint::NEVER_ASK) {
        let text = "the promise never to ask for a password is missing";
        found.push((6, text.to_owned()));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_template_is_there_answers_the_five_questions_and_keeps_the_rules() {
        let messages = Messages::load(None).unwrap();
        assert_eq!(messages.check_statements(None), []);
        for template in STATEMENT_TEMPLATES {
            assert!(
                messages.statement_template(template).is_some(),
                "{template}"
            );
        }
        assert_eq!(messages.statement_template("../discord"), None);
    }

    #[test]
    fn a_template_that_leaves_a_question_open_stops_the_start() {
        for (text, expected) in [
            ("We know it. We are on it. Please wait.", "it leaves open"),
            ("We know {{ nobody }}.", "there is no variable \"nobody\""),
            ("We know {{ weak }} it is urgent.", "rule 2"),
        ] {
            let dir = tempfile::tempdir().unwrap();
            let file = dir.path().join(name("contained"));
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(&file, text).unwrap();
            let refused = Messages::load(Some(dir.path())).unwrap_err().to_string();
            assert!(refused.contains(expected), "{refused}");
        }
    }
}
