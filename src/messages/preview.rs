//! Preview: every message with every sample as files that a mail program and a browser open.

use std::fmt::Write;
use std::path::Path;

use chrono_tz::Tz;

use super::access;
use super::access_letter;
use super::letter::{self, Envelope};
use super::text::{HeadsUpWords, SAMPLES};
use super::{Constants, Messages, MessagesError, Personal, RenderError, StatusContext};
use crate::domain::access::Change;
use crate::domain::notice::NoticeKind;
use crate::domain::{CampaignId, EmailAddress, Moment};

impl Messages {
    /// Writes every message × locale × sample to `dir` as .eml, .html and .txt, and an index.html. With `constants` they
    /// take the place of the sample ones; kinds for which they are not set up are left out. Returns how many letters.
    pub fn preview(
        &self,
        dir: &Path,
        constants: Option<&Constants>,
    ) -> Result<usize, MessagesError> {
        std::fs::create_dir_all(dir).map_err(|source| write_error(dir, source))?;
        let mut index = String::from(
            "<!doctype html>\n<html lang=\"en-GB\">\n<meta charset=\"utf-8\">\n<title>Messages</title>\n<h1>Messages</h1>\n<ul>\n",
        );
        let mut written = 0;
        for locale in self.locales() {
            for kind in NoticeKind::ALL {
                for (sample, theirs, personal) in Personal::samples(kind) {
                    let letter =
                        match self.render(kind, locale, constants.unwrap_or(&theirs), &personal) {
                            Ok(letter) => letter,
                            Err(RenderError::Fact { bad, .. }) if !bad.is_personal() => continue,
                            Err(error) => return Err(broken(kind, locale, &error)),
                        };
                    let name = format!("{kind}.{locale}.{sample}");
                    let eml = letter::build(&letter, &envelope(kind, locale, &personal)?)?;
                    put(&dir.join(format!("{name}.eml")), &eml)?;
                    put(&dir.join(format!("{name}.html")), letter.html.as_bytes())?;
                    put(&dir.join(format!("{name}.txt")), letter.text.as_bytes())?;
                    // Names are made of kinds, locales and samples: nothing in them needs escaping.
                    let _ = writeln!(
                        index,
                        "<li>{name}: <a href=\"{name}.html\">HTML</a>, <a href=\"{name}.txt\">text</a>, <a href=\"{name}.eml\">mail</a></li>"
                    );
                    written += 1;
                }
            }
        }
        for (name, text) in self.preview_texts(constants)? {
            put(&dir.join(&name), text.as_bytes())?;
            let _ = writeln!(index, "<li><a href=\"{name}\">{name}</a></li>");
        }
        for (sample, status) in StatusContext::samples() {
            let text = self
                .render_status(&status)
                .map_err(|error| broken_status(&error))?;
            put(&dir.join(format!("status.{sample}.md")), text.as_bytes())?;
            let _ = writeln!(
                index,
                "<li><a href=\"status.{sample}.md\">status.{sample}</a></li>"
            );
        }
        index.push_str("</ul>\n</html>\n");
        put(&dir.join("index.html"), index.as_bytes())?;
        Ok(written)
    }

    /// Every text message × locale × sample, the announcement and the access notices, by the names of their files.
    pub(super) fn preview_texts(
        &self,
        constants: Option<&Constants>,
    ) -> Result<Vec<(String, String)>, MessagesError> {
        let mut texts = Vec::new();
        for locale in self.locales() {
            for kind in SAMPLES {
                for (sample, theirs, personal) in Personal::samples(kind) {
                    let constants = constants.unwrap_or(&theirs);
                    match self.render_text(kind, locale, constants, &personal) {
                        Ok(text) => {
                            let name = format!("sms.{kind}.{locale}.{sample}.txt");
                            texts.push((name, format!("{text}\n")));
                        }
                        Err(RenderError::Fact { bad, .. }) if !bad.is_personal() => {}
                        Err(error) => return Err(broken(kind, locale, &error)),
                    }
                }
            }
        }
        let [(_, sample), _] = Constants::samples();
        let constants = constants.unwrap_or(&sample);
        let text = self
            .render_heads_up(&HeadsUpWords::sample(constants))
            .map_err(|error| broken_status(&error))?;
        texts.push(("chat.heads_up.txt".to_owned(), format!("{text}\n")));
        for (change, name) in [
            (Change::Restricted, "chat.access_restricted.txt"),
            (Change::Restored, "chat.access_restored.txt"),
        ] {
            let text = self
                .render_access(change, &access::sample(change), constants)
                .map_err(|error| broken_status(&error))?;
            texts.push((name.to_owned(), format!("{text}\n")));
        }
        for (change, name) in [
            (Change::Restricted, "letter.access_restricted.txt"),
            (Change::Restored, "letter.access_restored.txt"),
        ] {
            let letter = self
                .access_letter(change, &access_letter::sample(change), constants)
                .map_err(|error| broken_status(&error))?;
            let text = format!("Subject: {}\n\n{}", letter.subject, letter.text);
            texts.push((name.to_owned(), text));
        }
        Ok(texts)
    }
}

/// The envelope of a sample letter: addresses of example domains, a fixed date.
pub(super) fn envelope(
    kind: NoticeKind,
    locale: &str,
    personal: &Personal,
) -> Result<Envelope, MessagesError> {
    let address = |text: &str| {
        EmailAddress::parse(text).map_err(|_| letter::LetterError::Address("sample address"))
    };
    let to = address("amina.clarke@westbridge.example")?;
    let id = |kind: NoticeKind| {
        letter::message_id(
            b"a sample, not a key",
            &letter::MessageIdParts {
                campaign: CampaignId(1),
                about: &[1],
                kind,
                sequence: 1,
                template: &[0; 32],
                to: &to,
                domain: "notices.westbridge.example",
            },
        )
    };
    let first = id(NoticeKind::first(personal.category))?;
    let later = !kind.is_first() && kind.is_to_holder();
    Ok(Envelope {
        from_name: "Westbridge Digital Security".to_owned(),
        from: address("security@notices.westbridge.example")?,
        reply_to: address("helpdesk@westbridge.example")?,
        to_name: personal.full_name.clone(),
        message_id: id(kind)?,
        in_reply_to: later.then(|| first.clone()),
        references: if later { vec![first] } else { Vec::new() },
        to,
        date: Moment::from_micros(1_751_360_400_000_000),
        zone: Tz::Europe__London,
        language: locale.to_owned(),
        private: true,
        automatic: true,
        plain_only: false,
    })
}

fn put(path: &Path, bytes: &[u8]) -> Result<(), MessagesError> {
    std::fs::write(path, bytes).map_err(|source| write_error(path, source))
}

fn write_error(path: &Path, source: std::io::Error) -> MessagesError {
    MessagesError::Write {
        file: path.display().to_string(),
        source,
    }
}

fn broken(kind: NoticeKind, locale: &str, error: &RenderError) -> MessagesError {
    MessagesError::Broken(vec![super::Finding {
        file: format!("{kind} ({locale})"),
        line: None,
        rule: 3,
        reason: error.to_string(),
    }])
}

fn broken_status(error: &RenderError) -> MessagesError {
    MessagesError::Broken(vec![super::Finding {
        file: "status".to_owned(),
        line: None,
        rule: 3,
        reason: error.to_string(),
    }])
}
