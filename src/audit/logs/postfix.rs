//! Postfix 2.10 to 3.9: what its SMTP servers say of SASL authentication.
//!
//! Older versions leave the name out; the reason may then look like one, and is the prompt in base64. The name is the
//! last thing in the line, and what somebody typed.

/// What a line says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Said<'a> {
    /// As typed.
    pub(super) name: &'a str,
    /// Address.
    pub(super) from: &'a str,
    /// Whether the password was right.
    pub(super) right: bool,
}

/// What a server of Postfix said; none if it is nothing about a password.
pub(super) fn read(message: &str) -> Option<Said<'_>> {
    if let Some(warning) = message.strip_prefix("warning: ") {
        let (from, rest) = bracketed(warning)?;
        let (_, rest) = rest.split_once(": SASL ")?;
        let (_, reason) = rest.split_once(" authentication failed: ")?;
        let (reason, name) = reason.split_once(", sasl_username=")?;
        // The server's own faults are no attack.
        let fault = ["Connection lost to", "Invalid authentication mechanism"];
        if fault.iter().any(|fault| reason.starts_with(fault)) {
            return None;
        }
        return said(name, from, false);
    }
    let (_, client) = message.split_once(": client=")?;
    let (from, rest) = bracketed(client)?;
    let (_, name) = rest.split_once(", sasl_username=")?;
    let name = name.split_once(", ").map_or(name, |(name, _)| name);
    said(name, from, true)
}

fn said<'a>(name: &'a str, from: &'a str, right: bool) -> Option<Said<'a>> {
    let name = name.trim();
    (!name.is_empty()).then_some(Said { name, from, right })
}

/// `host[ADDRESS]` and what follows.
fn bracketed(text: &str) -> Option<(&str, &str)> {
    let (_, rest) = text.split_once('[')?;
    rest.split_once(']')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_names_an_account_only_where_postfix_does() {
        for (message, expected) in [
            (
                "warning: unknown[203.0.113.7]: SASL LOGIN authentication failed: UGFzc3dvcmQ6",
                None,
            ),
            (
                "warning: unknown[203.0.113.7]: SASL PLAIN authentication failed: (reason unavailable), sasl_username=ada@b.example",
                Some(("ada@b.example", "203.0.113.7", false)),
            ),
            (
                "warning: host.example[2001:db8::1]:55729: SASL LOGIN authentication failed: authentication failure, sasl_username=coxc",
                Some(("coxc", "2001:db8::1", false)),
            ),
            (
                "warning: unknown[203.0.113.7]: SASL LOGIN authentication failed: x, sasl_username=a, sasl_username=b",
                Some(("a, sasl_username=b", "203.0.113.7", false)),
            ),
            (
                "warning: unknown[203.0.113.7]: SASL LOGIN authentication failed: Connection lost to authentication server, sasl_username=a",
                None,
            ),
            (
                "warning: unknown[203.0.113.7]: SASL LOGIN authentication failed: Invalid authentication mechanism",
                None,
            ),
            (
                "3FA4E00001: client=unknown[192.0.2.200], sasl_method=PLAIN, sasl_username=rosa@b.example, sasl_sender=x",
                Some(("rosa@b.example", "192.0.2.200", true)),
            ),
            ("3FA4E00001: client=unknown[192.0.2.200]", None),
            ("warning: [[[", None),
            ("", None),
        ] {
            let seen = read(message).map(|said| (said.name, said.from, said.right));
            assert_eq!(seen, expected, "{message}");
        }
    }
}
