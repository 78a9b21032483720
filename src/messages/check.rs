//! Check: the eight rules on every text, with every sample or with the organisation's own words.

use super::access::{self, AccessWords};
use super::access_letter::{self, LetterWords};
use super::context::Words;
use super::source::{self, HEADS_UP, STATEMENT, STATUS};
use super::{
    BadFact, BadValue, Constants, DEFAULT_LOCALE, Finding, Messages, PARTS, Personal, RenderError,
    StatusContext, lint, statement, status, text,
};
use crate::domain::notice::NoticeKind;

impl Messages {
    /// Everything that the eight rules find, with the organisation's own constants in place of the sample ones.
    pub fn check(&self, constants: &Constants) -> Vec<Finding> {
        let mut findings: Vec<_> = constants
            .problems()
            .into_iter()
            .map(|(name, bad)| Finding {
                file: format!("constants: {name}"),
                line: None,
                rule: match bad {
                    BadValue::Rule(rule, _) => rule,
                    BadValue::NoEvidence => 8,
                    _ => 3,
                },
                reason: bad.to_string(),
            })
            .collect();
        findings.extend(self.check_sources());
        if findings.is_empty() {
            findings = self.check_samples(Some(constants));
        }
        findings
    }

    /// Rules that a source breaks by itself, whatever it is filled with; each with its line.
    pub(super) fn check_sources(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        for (name, source) in &self.sources.0 {
            findings.extend(self.unknown_words(name));
            let html = name.ends_with(".html");
            let own = if html {
                source::own_html_words(&source.text)
            } else {
                source::own_words(&source.text)
            };
            for (nth, line) in own.lines().enumerate() {
                let broken = lint::words(line)
                    .into_iter()
                    .chain(lint::claims(line))
                    .map(|(rule, reason)| (rule, reason.to_owned()));
                findings.extend(broken.map(|(rule, reason)| Finding {
                    file: source.shown.clone(),
                    line: Some(nth + 1),
                    rule,
                    reason,
                }));
            }
            if html {
                let lines = source.text.lines().enumerate();
                findings.extend(lines.flat_map(|(nth, line)| {
                    lint::markup(line)
                        .into_iter()
                        .map(move |(rule, reason)| Finding {
                            file: source.shown.clone(),
                            line: Some(nth + 1),
                            rule,
                            reason: reason.to_owned(),
                        })
                }));
            }
        }
        findings
    }

    /// Names that a template uses and that no context has, also in a branch that no sample takes.
    fn unknown_words(&self, name: &str) -> Vec<Finding> {
        let Ok(template) = self.env.get_template(name) else {
            return Vec::new();
        };
        let known = if name == STATUS {
            StatusContext::samples()
                .iter()
                .filter_map(|(_, status)| status::StatusWords::new(status).ok())
                .filter_map(|words| serde_json::to_value(words).ok())
                .next()
        } else if name.starts_with(HEADS_UP) {
            let [(_, constants), _] = Constants::samples();
            serde_json::to_value(text::HeadsUpWords::sample(&constants)).ok()
        } else if let Some(change) = access::change_of(name) {
            let [(_, constants), _] = Constants::samples();
            let facts = access::sample(change);
            serde_json::to_value(AccessWords::new(&facts, &constants)).ok()
        } else if let Some(change) = access_letter::change_of(name) {
            let [(_, constants), _] = Constants::samples();
            let letter = access_letter::sample(change);
            serde_json::to_value(LetterWords::new(&letter, &constants)).ok()
        } else if name.starts_with(STATEMENT) {
            Some(statement::known_words())
        } else {
            Personal::samples(NoticeKind::Weak)
                .first()
                .and_then(|(_, constants, personal)| {
                    let words =
                        Words::new(NoticeKind::Weak, DEFAULT_LOCALE, constants, personal).ok()?;
                    serde_json::to_value(words).ok()
                })
        };
        let mut unknown: Vec<_> = template
            .undeclared_variables(false)
            .into_iter()
            .filter(|word| known.as_ref().is_none_or(|known| known.get(word).is_none()))
            .collect();
        unknown.sort_unstable();
        unknown
            .into_iter()
            .map(|word| {
                let reason = format!("there is no variable \"{word}\"");
                self.sources
                    .finding(name, (3, reason), |line| line.contains(&word))
            })
            .collect()
    }

    /// Rules that only a whole letter can break.
    pub(super) fn check_samples(&self, own: Option<&Constants>) -> Vec<Finding> {
        let mut findings = Vec::new();
        for locale in &self.locales {
            for kind in NoticeKind::ALL {
                for (sample, constants, personal) in Personal::samples(kind) {
                    let constants = own.unwrap_or(&constants);
                    let found = self.check_sample(kind, locale, constants, &personal);
                    findings.extend(found.into_iter().map(|(part, rule, reason)| {
                        let name = source::name(kind, locale, part);
                        Finding {
                            file: format!("{} (sample {sample})", self.sources.shown(&name)),
                            line: None,
                            rule,
                            reason,
                        }
                    }));
                }
            }
        }
        findings.extend(self.check_texts(own));
        findings.extend(self.check_access(own));
        findings.extend(self.check_access_letters(own));
        findings.extend(self.check_statements(own));
        for (sample, status) in StatusContext::samples() {
            if let Err(error) = self.render_status(&status) {
                findings.push(Finding {
                    file: format!("{} (sample {sample})", self.sources.shown(STATUS)),
                    line: None,
                    rule: 3,
                    reason: error.to_string(),
                });
            }
        }
        findings
    }

    /// The part, the rule and the reason of whatever one letter breaks.
    fn check_sample(
        &self,
        kind: NoticeKind,
        locale: &str,
        constants: &Constants,
        personal: &Personal,
    ) -> Vec<(&'static str, u8, String)> {
        let [subject, text, html] = PARTS;
        match self.render(kind, locale, constants, personal) {
            Ok(letter) => lint::letter(
                &letter.subject,
                &letter.text,
                &letter.html,
                &constants.check_route,
            )
            .into_iter()
            .map(|(part, (rule, reason))| {
                let part = match part {
                    lint::Part::Subject => subject,
                    lint::Part::Text => text,
                    lint::Part::Html => html,
                };
                (part, rule, reason.to_owned())
            })
            .collect(),
            // A kind that this organisation has not set up is refused when it is used.
            Err(RenderError::Fact {
                bad: BadFact::NoConstant(_),
                ..
            }) => Vec::new(),
            Err(RenderError::Rule {
                rule: 7, reason, ..
            }) => vec![(subject, 7, reason.to_owned())],
            Err(RenderError::Rule { rule, reason, .. }) => vec![(text, rule, reason.to_owned())],
            Err(error) => vec![(text, 3, error.to_string())],
        }
    }
}
