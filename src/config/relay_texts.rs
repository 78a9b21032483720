//! What the relay writes where its codes do not tell: `[mail.relay.texts]`, beside the phrases that are built in.

use super::section::{Parsed, Read, Section, Value};
use super::values::line;
use crate::domain::delivery::RelayTexts;

pub(super) fn relay_texts(relay: &Section<'_>) -> Read<RelayTexts> {
    let own = relay.section("texts");
    let beside = |key, mut built_in: Vec<String>| {
        let more = own.list(key, phrase)?;
        built_in.extend(more.into_iter().flatten());
        Ok(built_in)
    };
    let built_in = RelayTexts::default();
    let too_many_connections = beside("too_many_connections", built_in.too_many_connections);
    let quota = beside("quota", built_in.quota);
    let rate = beside("rate", built_in.rate);
    let unauthenticated = beside("unauthenticated", built_in.unauthenticated);
    let too_many_recipients = beside("too_many_recipients", built_in.too_many_recipients);
    own.finish()?;
    Ok(RelayTexts {
        too_many_connections: too_many_connections?,
        quota: quota?,
        rate: rate?,
        unauthenticated: unauthenticated?,
        too_many_recipients: too_many_recipients?,
    })
}

/// A part of a reply, whatever its case. One that is too short would be found in replies that mean something else.
fn phrase(value: &Value<'_>) -> Parsed<String> {
    let text = line(value)?.to_lowercase();
    if text.contains('@') {
        return Err(
            "addresses are taken out of replies before they are read; leave it out of the phrase"
                .into(),
        );
    }
    if text.chars().count() < 5 {
        return Err("it is too short to tell one reply from another; use 5 letters or more".into());
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, EXAMPLE};

    fn read(keys: &str) -> Result<RelayTexts, String> {
        let text = EXAMPLE.replacen(
            "[mail.relay.texts]",
            &format!("[mail.relay.texts]\n{keys}"),
            1,
        );
        let file = std::path::Path::new("config.toml");
        let config = Config::from_text(&text, file, &|_| None);
        config
            .map(|config| config.mail.relay.texts)
            .map_err(|wrong| wrong.to_string())
    }

    #[test]
    fn a_site_adds_phrases_to_those_that_are_built_in() {
        assert_eq!(read("").unwrap(), RelayTexts::default());
        let texts = read("quota = [\"Outbound allowance\", \"too much today\"]").unwrap();
        let mut expected = RelayTexts::default();
        expected.quota.push("outbound allowance".into());
        expected.quota.push("too much today".into());
        assert_eq!(texts, expected);
    }

    #[test]
    fn a_phrase_that_would_be_found_everywhere_or_nowhere_is_refused() {
        for (keys, expected) in [
            (
                "rate = [\"slow\"]",
                "mail.relay.texts.rate: it is too short",
            ),
            ("rate = [\" \"]", "mail.relay.texts.rate: it is empty"),
            (
                "rate = [\"for a@parl.example\"]",
                "mail.relay.texts.rate: addresses are taken out",
            ),
            (
                "rate = \"too fast\"",
                "mail.relay.texts.rate: this is text; write a list",
            ),
            (
                "rates = [\"too fast\"]",
                "mail.relay.texts.rates: there is no such key here; did you mean rate?",
            ),
        ] {
            let told = read(keys).expect_err(keys);
            assert!(told.contains(expected), "{told}");
        }
    }
}
