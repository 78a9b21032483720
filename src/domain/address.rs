//! EmailAddress and PersonName: parsed at the door, compared folded, masked whenever they are printed.

use std::fmt;

use serde::{Deserialize, Serialize, Serializer};
use unicode_normalization::UnicodeNormalization;

/// An e-mail address as it was written. Printing it masks the local part; [`EmailAddress::expose`] does not.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct EmailAddress(String);

/// Why a text is no e-mail address. Never quotes the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadAddress {
    /// Nothing before or after the `@`, or no `@` at all.
    #[error("there is no \"@\" between two parts")]
    NoAt,
    /// White space, a control character, or a mark that mail addresses may not hold unquoted.
    #[error("it holds a character that no address here may hold")]
    Character,
    /// Longer than RFC 5321 allows (64 before the `@`, 254 in all).
    #[error("it is longer than mail allows")]
    TooLong,
    /// The part after the `@` is no domain name.
    #[error("what follows the \"@\" is no domain name")]
    Domain,
}

impl EmailAddress {
    /// Trims and checks `text`. Quoted local parts, comments and address literals are refused: no directory needs them.
    pub fn parse(text: &str) -> Result<Self, BadAddress> {
        let text = text.trim();
        let (local, domain) = text.rsplit_once('@').ok_or(BadAddress::NoAt)?;
        if local.is_empty() || domain.is_empty() {
            return Err(BadAddress::NoAt);
        }
        if local.len() > 64 || text.len() > 254 {
            return Err(BadAddress::TooLong);
        }
        if text.chars().any(|c| {
            c.is_whitespace() || c.is_control() || "<>()[],;:\\\"\u{FFFD}".contains(c) || is_bidi(c)
        }) || local.contains('@')
            || local.starts_with('.')
            || local.ends_with('.')
            || local.contains("..")
        {
            return Err(BadAddress::Character);
        }
        let ascii = idna::domain_to_ascii(domain).map_err(|_| BadAddress::Domain)?;
        if ascii.len() > 253
            || ascii.starts_with('-')
            || ascii
                .split('.')
                .any(|label| label.is_empty() || label.len() > 63)
        {
            return Err(BadAddress::Domain);
        }
        Ok(Self(text.to_owned()))
    }

    /// The whole address, for the one who must use it: the envelope, the `To` field, the store.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// What comes before the `@`.
    pub fn local(&self) -> &str {
        self.0.rsplit_once('@').map_or("", |(local, _)| local)
    }

    /// What comes after the `@`, as written.
    pub fn domain(&self) -> &str {
        self.0.rsplit_once('@').map_or("", |(_, domain)| domain)
    }

    /// The domain as mail servers compare it: IDNA A-labels, lower case.
    pub fn domain_ascii(&self) -> String {
        idna::domain_to_ascii(self.domain()).unwrap_or_else(|_| self.domain().to_ascii_lowercase())
    }

    /// The form in which two addresses are compared: NFC, case folded, domain in A-labels.
    pub fn folded(&self) -> String {
        format!("{}@{}", fold(self.local()), self.domain_ascii())
    }

    /// The address without the `+tag` of its local part, if it has one.
    pub fn without_tag(&self) -> Option<Self> {
        let (base, _) = self
            .local()
            .split_once('+')
            .filter(|(base, _)| !base.is_empty())?;
        Some(Self(format!("{base}@{}", self.domain())))
    }
}

/// The form in which names are compared: trimmed, NFC, lower case.
pub fn fold(text: &str) -> String {
    let text = text.trim();
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    // Lower case can decompose (İ), so normalise after it as well.
    text.nfc()
        .collect::<String>()
        .to_lowercase()
        .nfc()
        .collect()
}

/// Unicode's bidirectional controls, which could make a letter read otherwise than it is.
pub fn is_bidi(c: char) -> bool {
    matches!(c, '\u{061C}' | '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

fn masked(f: &mut fmt::Formatter<'_>, address: &str) -> fmt::Result {
    match address.rsplit_once('@') {
        Some((local, domain)) => write!(f, "{}***@{domain}", local.chars().next().unwrap_or('*')),
        None => f.write_str("***"),
    }
}

impl fmt::Display for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        masked(f, &self.0)
    }
}

impl fmt::Debug for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        masked(f, &self.0)
    }
}

impl Serialize for EmailAddress {
    /// Masked: whoever wants the whole address in a document says so with [`EmailAddress::expose`].
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.collect_str(self)
    }
}

impl TryFrom<String> for EmailAddress {
    type Error = BadAddress;

    fn try_from(text: String) -> Result<Self, BadAddress> {
        Self::parse(&text)
    }
}

/// A person's name as the directory shows it. Printing it masks all but the first letters.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct PersonName(String);

impl PersonName {
    /// Drops control and bidirectional characters, collapses white space, and cuts at 200 characters: a name goes into
    /// letters, and must not be able to change them.
    pub fn new(text: &str) -> Self {
        let clean: String = text
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .filter(|c| !is_bidi(*c))
            .collect();
        Self(
            clean
                .split_whitespace()
                .collect::<Vec<_>>()
                .join(" ")
                .chars()
                .take(200)
                .collect(),
        )
    }

    /// The whole name, for a letter to its bearer and for whoever may see names.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether there is no name at all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for PersonName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (nth, word) in self.0.split(' ').enumerate() {
            let first = word.chars().find(|c| c.is_alphanumeric()).unwrap_or('*');
            write!(f, "{}{first}***", if nth == 0 { "" } else { " " })?;
        }
        Ok(())
    }
}

impl fmt::Debug for PersonName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for PersonName {
    /// Masked, like [`EmailAddress`].
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn printing_masks_and_comparing_folds() {
        let address = EmailAddress::parse(" Ada.Abara@PARL.example ").unwrap();
        assert_eq!(address.to_string(), "A***@PARL.example");
        assert_eq!(format!("{address:?}"), "A***@PARL.example");
        assert_eq!(
            serde_json::to_string(&address).unwrap(),
            "\"A***@PARL.example\""
        );
        assert_eq!(address.folded(), "ada.abara@parl.example");
        assert_eq!(address.expose(), "Ada.Abara@PARL.example");
    }

    #[test]
    fn composed_and_decomposed_letters_are_the_same_address() {
        let composed = EmailAddress::parse("léa.lévêque@parl.example").unwrap();
        let decomposed =
            EmailAddress::parse("le\u{301}a.le\u{301}ve\u{302}que@parl.example").unwrap();
        assert_eq!(composed.folded(), decomposed.folded());
    }

    #[test]
    fn a_domain_is_compared_in_its_ascii_form() {
        let unicode = EmailAddress::parse("a@bücher.example").unwrap();
        assert_eq!(unicode.folded(), "a@xn--bcher-kva.example");
    }

    #[test]
    fn texts_that_are_no_address_are_refused_without_quoting_them() {
        for text in [
            "",
            "ada",
            "@parl.example",
            "ada@",
            "a b@parl.example",
            "a@b@c.example",
            "a\r\nBcc: x@y.example",
            "a@-b.example",
            "<a@b.example>",
            "a@b..example",
            ".a@b.example",
            "a\u{202E}b@c.example",
            "a\u{FFFD}@c.example",
        ] {
            let refused = EmailAddress::parse(text).unwrap_err();
            assert!(
                text.is_empty() || !refused.to_string().contains(text),
                "{refused}"
            );
        }
    }

    #[test]
    fn a_tag_can_be_taken_off() {
        let address = EmailAddress::parse("tess.thompson+hansard@parl.example").unwrap();
        assert_eq!(
            address.without_tag().unwrap().expose(),
            "tess.thompson@parl.example"
        );
        assert!(
            EmailAddress::parse("+x@parl.example")
                .unwrap()
                .without_tag()
                .is_none()
        );
    }

    #[test]
    fn a_name_cannot_bring_a_header_along() {
        let name = PersonName::new("Ada\r\nBcc: all@parl.example \u{202E}Abara");
        assert!(!name.expose().contains(['\r', '\n', '\u{202E}']));
        assert_eq!(PersonName::new("Ada  Abara").to_string(), "A*** A***");
    }
}
