//! RelayTexts: the phrases by which relays tell what their codes do not.

use serde::Serialize;

/// Phrases by what they mean, in lower case; a reply whose text holds one of them means that. The built-in ones are those
/// of Exchange Online, Google and Amazon; a site adds what its own relay writes.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct RelayTexts {
    /// Too many connections at once (row 7).
    pub too_many_connections: Vec<String>,
    /// A quota of messages or recipients is used up, whatever the code (row 10).
    pub quota: Vec<String>,
    /// Too fast (row 11).
    pub rate: Vec<String>,
    /// Our domain's authentication is broken; with permanent codes only (row 12).
    pub unauthenticated: Vec<String>,
    /// Too many recipients in one go; with 552 only (row 18).
    pub too_many_recipients: Vec<String>,
}

impl Default for RelayTexts {
    fn default() -> Self {
        let list = |phrases: &[&str]| phrases.iter().map(|&phrase| phrase.to_owned()).collect();
        Self {
            too_many_connections: list(&["concurrent connections limit", "sender thread limit"]),
            quota: list(&[
                "daily message quota exceeded",
                "daily smtp relay limit exceeded",
                "submissionquotaexceeded",
                "recipient rate limit",
            ]),
            rate: list(&[
                "throttling failure",
                "maximum sending rate",
                "peak smtp relay limit",
            ]),
            unauthenticated: list(&["unauthenticated", "dmarc"]),
            too_many_recipients: list(&["too many recipients"]),
        }
    }
}
