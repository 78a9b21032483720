//! Text: the words of a text message, and of the announcement that goes before a campaign. One paragraph each.

use minijinja::{Environment, Value};
use serde::{Deserialize, Serialize};

use super::context::Words;
use super::source::{HEADS_UP, SMS, Source, Sources};
use super::{
    BadFact, Constants, DEFAULT_LOCALE, Finding, Messages, MessagesError, Personal, RenderError,
    compile, lint, stopped, words,
};
use crate::domain::Moment;
use crate::domain::notice::NoticeKind;
use crate::domain::text::{MOST_SEGMENTS, segments};

/// Longest announcement, in characters.
const HEADS_UP_CHARS: usize = 600;

/// The samples that texts are looked at with: of the two kinds of text there are.
pub(super) const SAMPLES: [NoticeKind; 2] = [NoticeKind::Weak, NoticeKind::Compromised];

/// What a text to one person is made of but their facts, as it is kept under its hash.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    kind: NoticeKind,
    locale: String,
    sms: String,
    constants: Constants,
}

/// A text as it was when it was queued.
pub struct FrozenText {
    env: Environment<'static>,
    kind: NoticeKind,
    locale: String,
    constants: Constants,
}

impl FrozenText {
    /// Reads what [`Messages::text_document`] wrote. The caller compares the hash.
    pub fn read(document: &str) -> Result<Self, MessagesError> {
        let document: Document =
            serde_json::from_str(document).map_err(|_| MessagesError::Document)?;
        let name = name(document.kind, &document.locale).ok_or(MessagesError::Document)?;
        let mut sources = Sources::default();
        let shown = format!("stored {name}");
        let source = Source {
            text: document.sms,
            shown,
        };
        sources.0.insert(name, source);
        Ok(Self {
            env: compile(&sources)?,
            kind: document.kind,
            locale: document.locale,
            constants: document.constants,
        })
    }

    /// Writes a person's text, as [`Messages::render_text`] did when this was frozen.
    pub fn render(&self, personal: &Personal) -> Result<String, RenderError> {
        compose(
            &self.env,
            self.kind,
            &self.locale,
            &self.constants,
            personal,
        )
    }
}

/// The words that the announcement's template sees.
#[derive(Serialize)]
pub(super) struct HeadsUpWords<'a> {
    from_when: String,
    campaign_ref: &'a str,
    check_route: &'a str,
    org: &'a str,
    team: &'a str,
}

impl<'a> HeadsUpWords<'a> {
    pub(super) fn new(from: Moment, campaign_ref: &'a str, constants: &'a Constants) -> Self {
        Self {
            from_when: words::moment(from, constants.zone),
            campaign_ref,
            check_route: &constants.check_route,
            org: &constants.org,
            team: &constants.team,
        }
    }

    /// Words to check the template with.
    pub(super) fn sample(constants: &'a Constants) -> Self {
        Self::new(
            Moment::from_micros(1_751_360_400_000_000),
            "DB-2507",
            constants,
        )
    }
}

impl Messages {
    /// Writes a person's text. First notices about compromised accounts have their own, all others one together; thanks are
    /// not texted.
    pub fn render_text(
        &self,
        kind: NoticeKind,
        locale: &str,
        constants: &Constants,
        personal: &Personal,
    ) -> Result<String, RenderError> {
        compose(
            &self.env,
            kind,
            self.text_locale(kind, locale),
            constants,
            personal,
        )
    }

    /// Everything that a text is made of but the person's facts, as one text to be kept under its hash.
    pub fn text_document(
        &self,
        kind: NoticeKind,
        locale: &str,
        constants: &Constants,
    ) -> Option<String> {
        let locale = self.text_locale(kind, locale);
        let document = Document {
            kind,
            locale: locale.to_owned(),
            sms: self.sources.0.get(&name(kind, locale)?)?.text.clone(),
            constants: constants.clone(),
        };
        serde_json::to_string(&document).ok()
    }

    /// The announcement of a campaign, ready to be pasted: that notices go out from `from` on, and how to tell real ones.
    pub fn heads_up(
        &self,
        from: Moment,
        campaign_ref: &str,
        constants: &Constants,
    ) -> Result<String, RenderError> {
        self.render_heads_up(&HeadsUpWords::new(from, campaign_ref, constants))
    }

    pub(super) fn render_heads_up(&self, words: &HeadsUpWords<'_>) -> Result<String, RenderError> {
        let text = self
            .env
            .get_template(&format!("{HEADS_UP}{DEFAULT_LOCALE}.txt"))
            .and_then(|template| template.render(words))
            .map_err(|error| stopped(&error))?;
        let text = text.trim().to_owned();
        match rules(&text) {
            None if text.chars().count() > HEADS_UP_CHARS => {
                Some((5, "the announcement is longer than 600 characters"))
            }
            broken => broken,
        }
        .map_or(Ok(text), |(rule, reason)| {
            Err(RenderError::HeadsUp { rule, reason })
        })
    }

    /// A text has the locale of its letters if it is there, else British English.
    fn text_locale<'a>(&self, kind: NoticeKind, locale: &'a str) -> &'a str {
        match name(kind, locale) {
            Some(name) if self.sources.0.contains_key(&name) => locale,
            _ => DEFAULT_LOCALE,
        }
    }

    /// What is wrong with texts and announcement, with every sample.
    pub(super) fn check_texts(&self, own: Option<&Constants>) -> Vec<Finding> {
        let mut findings = Vec::new();
        let mut find = |file: String, rule, reason: String| {
            findings.push(Finding {
                file,
                line: None,
                rule,
                reason,
            });
        };
        for locale in &self.locales {
            for kind in SAMPLES {
                for (sample, constants, personal) in Personal::samples(kind) {
                    let constants = own.unwrap_or(&constants);
                    let shown = name(kind, self.text_locale(kind, locale))
                        .map(|name| format!("{} (sample {sample})", self.sources.shown(&name)))
                        .unwrap_or_default();
                    match self.render_text(kind, locale, constants, &personal) {
                        // A kind that this organisation has not set up is refused when it is used.
                        Ok(_)
                        | Err(RenderError::Fact {
                            bad: BadFact::NoConstant(_),
                            ..
                        }) => {}
                        Err(RenderError::Rule { rule, reason, .. }) => {
                            find(shown, rule, reason.to_owned());
                        }
                        Err(error) => find(shown, 3, error.to_string()),
                    }
                }
            }
        }
        let [(_, sample), _] = Constants::samples();
        let words = HeadsUpWords::sample(own.unwrap_or(&sample));
        if let Err(error) = self.render_heads_up(&words) {
            let shown = self
                .sources
                .shown(&format!("{HEADS_UP}{DEFAULT_LOCALE}.txt"));
            match error {
                RenderError::HeadsUp { rule, reason } => find(shown, rule, reason.to_owned()),
                error => find(shown, 3, error.to_string()),
            }
        }
        findings
    }
}

/// The name of the text for a kind of notice; thanks and letters to managers have none.
fn name(kind: NoticeKind, locale: &str) -> Option<String> {
    let which = match kind {
        NoticeKind::Compromised => "compromised",
        NoticeKind::Weak
        | NoticeKind::Attacked
        | NoticeKind::Breached
        | NoticeKind::Reminder1
        | NoticeKind::Reminder2
        | NoticeKind::ReminderFinal => "notice",
        NoticeKind::Done | NoticeKind::Manager | NoticeKind::Delegate => return None,
    };
    Some(format!("{SMS}{which}/{locale}.txt"))
}

fn compose(
    env: &Environment<'static>,
    kind: NoticeKind,
    locale: &str,
    constants: &Constants,
    personal: &Personal,
) -> Result<String, RenderError> {
    let words = Words::new(kind, locale, constants, personal)
        .map_err(|bad| RenderError::Fact { kind, bad })?;
    let name = name(kind, locale).ok_or(RenderError::Locale { kind })?;
    let text = env
        .get_template(&name)
        .map_err(|error| match error.kind() {
            minijinja::ErrorKind::TemplateNotFound => RenderError::Locale { kind },
            _ => stopped(&error),
        })?
        .render(Value::from_serialize(&words))
        .map_err(|error| stopped(&error))?;
    let text = text.trim().to_owned();
    match rules(&text) {
        None if segments(&text) > MOST_SEGMENTS => {
            Some((5, "the text takes more than three segments"))
        }
        broken => broken,
    }
    .map_or(Ok(text), |(rule, reason)| {
        Err(RenderError::Rule { kind, rule, reason })
    })
}

/// The rules that one paragraph can break, whoever reads it.
pub(super) fn one_paragraph(text: &str) -> Option<lint::Broken> {
    if text.contains('\n') || text.contains("  ") || text.contains(" .") {
        return Some((3, "it is no single paragraph without holes"));
    }
    // It has no subject; that rule is kept by a word that breaks none.
    lint::rendered("Text", text)
}

/// The same, and the promise that a person is owed.
fn rules(text: &str) -> Option<lint::Broken> {
    one_paragraph(text).or_else(|| {
        (!text.contains(lint::NEVER_ASK))
            .then_some((6, "the promise never to ask for a password is missing"))
    })
}
