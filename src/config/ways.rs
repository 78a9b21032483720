//! How people are reached when mail is the victim: `[ways]`, `[sms]`.

use std::time::Duration;

use reqwest::Url;
use reqwest::header::{HeaderName, HeaderValue};
use secrecy::SecretString;
use serde::Serialize;

use super::errors::quoted;
use super::hashed;
use super::secret::{SecretKeys, secret};
use super::section::{Parsed, Read, Section, Value};
use super::values::{choice, duration, has_no_login, is_private, line, number};
use crate::domain::finding::Category;
use crate::domain::way::{Way, Ways};

const WAYS: &[(&str, Way)] = &[
    ("mail", Way::Mail),
    ("mail.2", Way::SecondMail),
    ("sms", Way::Sms),
    ("letter", Way::Letter),
    ("person", Way::Person),
];

/// `has_gateway`: whether anybody can be texted at all.
pub(super) fn ways(root: &Section<'_>, has_gateway: bool) -> Read<Ways> {
    let own = root.section("ways");
    let mut ways = Ways::default();
    let mut all = Ok(());
    for (key, category) in [
        ("weak", Category::Weak),
        ("attacked", Category::Attacked),
        ("breached", Category::Breached),
        ("compromised", Category::Compromised),
    ] {
        let order = match own.list(key, choice(WAYS)) {
            Ok(None) => continue,
            Ok(Some(order)) => order,
            Err(told) => {
                all = Err(told);
                continue;
            }
        };
        let is_default = order == ways.of(category);
        if order.contains(&Way::Sms) && !has_gateway && !is_default {
            let text = "there is no gateway for \"sms\"; add [sms] (\"bell init\" shows it), or take it out";
            all = Err(own.wrong(key, text));
        } else if let Err(bad) = ways.set(category, order) {
            all = Err(own.wrong(key, bad.to_string()));
        }
    }
    own.finish()?;
    all?;
    Ok(if has_gateway {
        ways
    } else {
        ways.without(Way::Sms)
    })
}

/// A gateway that takes texts.
#[derive(Debug, Clone, Serialize)]
pub struct Sms {
    /// Which, and how it is spoken to.
    pub kind: SmsKind,
    /// How long to wait for an answer.
    #[serde(serialize_with = "hashed::span")]
    pub timeout: Duration,
}

/// How a gateway is spoken to.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SmsKind {
    /// One request a text, described by a template.
    Template {
        /// Where it goes.
        url: String,
        /// PUT in place of POST.
        put: bool,
        /// What the body is.
        form: BodyForm,
        /// With `{{ to }}`, `{{ text }}` and `{{ reference }}`.
        body: String,
        /// Further fields of the header.
        headers: Vec<Header>,
        /// Where the answer holds the gateway's own number.
        id_pointer: Option<String>,
        /// Statuses that say that this number cannot be texted.
        refused_status: Vec<u16>,
    },
    /// GOV.UK Notify.
    Notify {
        /// Its address.
        url: String,
        /// Name, service and secret in one, as it was given out.
        #[serde(skip)]
        key: SecretString,
        /// The template that our words are put into.
        template_id: String,
        /// The placeholder in it.
        placeholder: String,
    },
}

/// What a request's body is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum BodyForm {
    /// JSON: values come quoted.
    Json,
    /// application/x-www-form-urlencoded: values come encoded.
    Form,
}

/// One field of a request's header.
#[derive(Debug, Clone, Serialize)]
pub struct Header {
    /// Its name.
    pub name: String,
    /// What goes before a secret, or all there is.
    pub text: String,
    /// What nobody may read.
    #[serde(skip)]
    pub secret: Option<SecretString>,
}

#[derive(Clone, Copy)]
enum Kind {
    Template,
    Notify,
}

const KINDS: &[(&str, Kind)] = &[("template", Kind::Template), ("notify", Kind::Notify)];
const METHODS: &[(&str, bool)] = &[("POST", false), ("PUT", true)];
const FORMS: &[(&str, BodyForm)] = &[("json", BodyForm::Json), ("form", BodyForm::Form)];

const KEY: SecretKeys = SecretKeys {
    inline: "key",
    env: "key_env",
    file: "key_file",
};

const VALUE: SecretKeys = SecretKeys {
    inline: "value",
    env: "value_env",
    file: "value_file",
};

const NOTIFY: &str = "https://api.notifications.service.gov.uk";

/// Everything is read whatever the kind, so that one may go from one to the other by one word.
pub(super) fn sms(root: &Section<'_>) -> Read<Option<Sms>> {
    let own = root.section("sms");
    if own.is_absent() {
        return Ok(None);
    }
    let kind = own.required("kind", choice(KINDS), "\"notify\"");
    let url = own.optional("url", address);
    let put = own.or("method", choice(METHODS), false);
    let form = own.or("form", choice(FORMS), BodyForm::Json);
    let body = own.optional("body", template);
    let id_pointer = own.optional("id_pointer", pointer);
    let refused_status = own.list("refused_status", number("status", 400..=499u16));
    let key = secret(&own, &KEY);
    let template_id = own.optional("template_id", line);
    let placeholder = own.or("placeholder", line, "text".to_owned());
    let second = Duration::from_secs(1);
    let timeout = own.or("timeout", duration(second, 300 * second), 30 * second);
    let headers = own
        .sections("header")
        .and_then(|all| all.into_iter().map(header).collect::<Read<Vec<_>>>());
    own.finish_after(|own| {
        let kind = match kind? {
            Kind::Template => SmsKind::Template {
                url: url?.ok_or_else(|| own.missing("url", "\"https://sms.example/messages\""))?,
                put: put?,
                form: form?,
                body: body?.ok_or_else(|| {
                    own.missing("body", "'{\"to\": {{ to }}, \"text\": {{ text }}}'")
                })?,
                headers: headers?,
                id_pointer: id_pointer?,
                refused_status: refused_status?.unwrap_or_else(|| vec![422]),
            },
            Kind::Notify => SmsKind::Notify {
                url: url?.unwrap_or_else(|| NOTIFY.to_owned()),
                key: key?.ok_or_else(|| own.missing(KEY.env, "\"BELL_NOTIFY_KEY\""))?,
                template_id: template_id?.ok_or_else(|| {
                    own.missing("template_id", "\"f33517ff-2a88-4f6e-b855-c550268ce08a\"")
                })?,
                placeholder: placeholder?,
            },
        };
        Ok(Some(Sms {
            kind,
            timeout: timeout?,
        }))
    })
}

fn header(own: Section<'_>) -> Read<Header> {
    let name = own.required("name", header_name, "\"Authorization\"");
    let text = own.optional("text", header_text);
    let before = own.optional("before", before);
    let secret = secret(&own, &VALUE);
    own.finish_after(|own| match (text?, before?, secret?) {
        (Some(text), None, None) => Ok(Header {
            name: name?,
            text,
            secret: None,
        }),
        (None, before, Some(secret)) => Ok(Header {
            name: name?,
            text: before.unwrap_or_default(),
            secret: Some(secret),
        }),
        (Some(_), _, _) => Err(own.wrong(
            "text",
            "a secret is there too; keep one of them, the other goes into before",
        )),
        (None, _, None) => Err(own.missing(VALUE.env, "\"BELL_SMS_TOKEN\"")),
    })
}

fn header_name(value: &Value<'_>) -> Parsed<String> {
    let text = line(value)?;
    match HeaderName::from_bytes(text.as_bytes()) {
        Ok(_) => Ok(text),
        Err(_) => Err(format!("{} is no name of a header's field", quoted(&text))),
    }
}

fn header_text(value: &Value<'_>) -> Parsed<String> {
    let text = line(value)?;
    HeaderValue::from_str(&text)
        .map(|_| text)
        .map_err(|_| "this cannot stand in a header; use plain letters".to_owned())
}

/// The blank at its end belongs to it.
fn before(value: &Value<'_>) -> Parsed<String> {
    let trimmed = header_text(value)?;
    let blank = value.raw.as_str().is_some_and(|text| text.ends_with(' '));
    Ok(if blank {
        format!("{trimmed} ")
    } else {
        trimmed
    })
}

/// Numbers and secrets go there, so it has to be this machine or TLS.
fn address(value: &Value<'_>) -> Parsed<String> {
    let text = line(value)?;
    let url = Url::parse(&text).ok();
    let fits = |url: &Url| is_private(url) && has_no_login(url);
    match url.as_ref().is_some_and(fits) {
        true => Ok(text),
        false => Err(
            "this is no address for people's numbers to go to; use https://, or http:// on this machine"
                .into(),
        ),
    }
}

/// Checked once here, so that a slip is told before anybody is to be texted.
fn template(value: &Value<'_>) -> Parsed<String> {
    let text = line(value)?;
    let mut env = minijinja::Environment::new();
    env.set_undefined_behavior(minijinja::UndefinedBehavior::Strict);
    let unknown = env
        .template_from_str(&text)
        .map_err(|error| format!("this is no template: {}", error.kind()))?
        .undeclared_variables(false)
        .into_iter()
        .find(|name| !["to", "text", "reference"].contains(&name.as_str()));
    if let Some(name) = unknown {
        return Err(format!(
            "there is no {{{{ {name} }}}}; known are to, text, reference"
        ));
    }
    let lacks = ["to", "text"].into_iter().find(|name| {
        !env.template_from_str(&text)
            .is_ok_and(|template| template.undeclared_variables(false).contains(*name))
    });
    match lacks {
        Some(name) => Err(format!("it lacks {{{{ {name} }}}}; add it")),
        None => Ok(text),
    }
}

fn pointer(value: &Value<'_>) -> Parsed<String> {
    let text = line(value)?;
    match text.starts_with('/') {
        true => Ok(text),
        false => Err("this is no JSON pointer; write one such as \"/id\"".into()),
    }
}
