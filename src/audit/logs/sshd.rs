//! OpenSSH 7 to 9.9, `sshd` and `sshd-session`: passwords, and keyboard-interactive through PAM.
//!
//! The name is whatever somebody typed and may look like the rest of the line, so that is read from its end. What PAM says
//! of the same attempt, and keys, count nothing.

/// Attempts that one line may stand for.
const MOST: u32 = 100_000;

/// What a line says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Said<'a> {
    /// As typed.
    pub(super) name: &'a str,
    /// Address.
    pub(super) from: &'a str,
    /// How it ended.
    pub(super) answer: Answered,
    /// How many.
    pub(super) times: u32,
}

/// How it ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Answered {
    /// Wrong password.
    Failed,
    /// Nobody has that name.
    NoSuchName,
    /// Signed in.
    SignedIn,
}

/// What the server said; none if it is nothing about a password.
pub(super) fn read(message: &str) -> Option<Said<'_>> {
    let (message, times) = match message.strip_prefix("message repeated ") {
        Some(rest) => {
            let (count, rest) = rest.split_once(" times: [ ")?;
            let count: u32 = count.parse().ok()?;
            (rest.strip_suffix(']')?, count.min(MOST))
        }
        None => (message, 1),
    };
    let (went_well, rest) = match message.strip_prefix("Failed ") {
        Some(rest) => (false, rest),
        None => (true, message.strip_prefix("Accepted ")?),
    };
    let rest = ["password for ", "keyboard-interactive/pam for "]
        .iter()
        .find_map(|method| rest.strip_prefix(method))?;
    let rest = rest.strip_suffix(" ssh2")?;
    let (rest, port) = rest.rsplit_once(" port ")?;
    if port.is_empty() || !port.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let (name, from) = rest.rsplit_once(" from ")?;
    let (name, answer) = match (went_well, name.strip_prefix("invalid user ")) {
        (true, _) => (name, Answered::SignedIn),
        (false, Some(name)) => (name, Answered::NoSuchName),
        (false, None) => (name, Answered::Failed),
    };
    (!name.trim().is_empty()).then_some(Said {
        name,
        from,
        answer,
        times,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_from_its_end() {
        use Answered::{Failed, NoSuchName, SignedIn};
        for (message, expected) in [
            (
                "Failed password for ada from 203.0.113.7 port 41022 ssh2",
                Some(("ada", "203.0.113.7", Failed, 1)),
            ),
            (
                "Failed password for invalid user x from 1.2.3.4 port 5 ssh2 from 203.0.113.7 port 41022 ssh2",
                Some(("x from 1.2.3.4 port 5 ssh2", "203.0.113.7", NoSuchName, 1)),
            ),
            (
                "message repeated 4 times: [ Failed password for svc from 2001:db8::1 port 41027 ssh2]",
                Some(("svc", "2001:db8::1", Failed, 4)),
            ),
            (
                "message repeated 4294967295 times: [ Failed password for svc from 203.0.113.7 port 41027 ssh2]",
                Some(("svc", "203.0.113.7", Failed, MOST)),
            ),
            (
                "Accepted keyboard-interactive/pam for ada from 203.0.113.7 port 41022 ssh2",
                Some(("ada", "203.0.113.7", SignedIn, 1)),
            ),
            (
                "message repeated 99999999999 times: [ Failed password for svc from 203.0.113.7 port 1 ssh2]",
                None,
            ),
            (
                "Failed password for invalid user  from 203.0.113.7 port 41022 ssh2",
                None,
            ),
            (
                "Failed publickey for ada from 203.0.113.7 port 50000 ssh2: ED25519 SHA256:x",
                None,
            ),
            (
                "Accepted publickey for ada from 203.0.113.7 port 50000 ssh2",
                None,
            ),
            (
                "error: PAM: Authentication failure for ada from 203.0.113.7",
                None,
            ),
            ("Invalid user admin from 203.0.113.7 port 41024", None),
            ("Failed password for ada from 203.0.113.7 po", None),
            ("", None),
        ] {
            let seen = read(message);
            let seen = seen.map(|said| (said.name, said.from, said.answer, said.times));
            assert_eq!(seen, expected, "{message}");
        }
    }
}
