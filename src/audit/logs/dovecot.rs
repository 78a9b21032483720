//! Dovecot 2.2 to 2.4: lines of the login processes, and of the authentication ones that name an attempt first.
//!
//! With `auth_verbose_passwords` the lines hold the password, plain or hashed, at their end: nothing behind the verdict is
//! ever looked at. Names are what somebody typed; Dovecot lets only letters, digits and `.-_@` through unless told otherwise.

/// Attempts that one line may stand for: Dovecot hangs up long before.
const MOST: u32 = 10_000;

/// What a line says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Said<'a> {
    /// A connection ended after that many failures.
    Failures {
        /// As typed.
        name: &'a str,
        /// Address.
        from: &'a str,
        /// How many.
        times: u32,
        /// The connection, if the line names it.
        session: Option<&'a str>,
        /// Whether the line is whole for certain.
        closed: bool,
    },
    /// Signed in.
    SignedIn {
        /// As typed.
        name: &'a str,
        /// Address.
        from: &'a str,
        /// Whether the line is whole for certain.
        closed: bool,
    },
    /// One wrong password, or one unknown name; most likely counted again when the connection ends.
    Verdict {
        /// As typed.
        name: &'a str,
        /// Address.
        from: &'a str,
        /// The connection, if the line names it.
        session: Option<&'a str>,
        /// Nobody has that name.
        unknown: bool,
    },
}

/// What a process of Dovecot said; none if it is nothing about a password.
pub(super) fn read<'a>(process: &'a str, message: &'a str) -> Option<Said<'a>> {
    let message = ["Info: ", "Warning: ", "Error: ", "Debug: "]
        .iter()
        .find_map(|level| message.strip_prefix(level))
        .unwrap_or(message);
    let name = process.split(['(', '<']).next().unwrap_or_default();
    if name.ends_with("-login") {
        return login(message);
    }
    if matches!(name, "auth" | "auth-worker") {
        return verdict(process, message);
    }
    None
}

fn login(message: &str) -> Option<Said<'_>> {
    let (before, after) = message.split_once("user=<")?;
    let (name, after) = after.split_once('>')?;
    let from = after.split_once(", rip=")?.1;
    let from = from.split([',', ' ']).next()?;
    let session = after
        .split_once("session=<")
        .and_then(|(_, session)| session.split_once('>'));
    let closed = session.is_some();
    let session = session.map(|(session, _)| session);
    if name.is_empty() {
        return None;
    }
    if before.starts_with("Login: ") {
        return Some(Said::SignedIn { name, from, closed });
    }
    let ended = ["Disconnected", "Aborted login", "Login aborted"];
    if !ended.iter().any(|start| before.starts_with(start)) {
        return None;
    }
    let count = before.split_once("(auth failed, ")?.1;
    let count: u32 = count.split(' ').next()?.parse().ok()?;
    Some(Said::Failures {
        name,
        from,
        times: count.min(MOST),
        session,
        closed,
    })
}

/// `auth-worker(1811): sql(NAME,ADDRESS,<ID>): Password mismatch`, or `auth(NAME,ADDRESS,sasl:login)<1811><ID>: sql: …`.
fn verdict<'a>(process: &'a str, message: &'a str) -> Option<Said<'a>> {
    const WRONG: [&str; 2] = [
        "Password mismatch",
        "pam_authenticate() failed: Authentication failure",
    ];
    const UNKNOWN: [&str; 3] = ["unknown user", "Unknown user", "User unknown"];
    // The newer form names the account in the process, and the driver alone in the message.
    let (inside, behind, said) = match process.strip_prefix("auth(") {
        Some(inside) => {
            let (inside, behind) = inside.split_once(')')?;
            let (_, said) = message.split_once(": ")?;
            (inside, behind, said)
        }
        None => {
            let (driver, said) = message.split_once("): ")?;
            // A worker says first for which connection it speaks.
            if driver.starts_with("conn unix:") {
                let (_, rest) = said.split_once(": ")?;
                let (driver, said) = rest.split_once("): ")?;
                (driver.split_once('(')?.1, "", said)
            } else {
                (driver.split_once('(')?.1, "", said)
            }
        }
    };
    let starts = |all: &[&str]| all.iter().any(|start| said.starts_with(start));
    let unknown = match (starts(&WRONG), starts(&UNKNOWN)) {
        (true, _) => false,
        (false, true) => true,
        (false, false) => return None,
    };
    let (name, rest) = inside.split_once(',')?;
    let from = rest.split(',').next()?;
    let named = rest.split(',').next_back();
    let session = named
        .and_then(|session| session.strip_prefix('<'))
        .and_then(|session| session.strip_suffix('>'))
        .or_else(|| {
            let (_, session) = behind.strip_suffix('>')?.rsplit_once('<')?;
            Some(session)
        });
    (!name.is_empty()).then_some(Said::Verdict {
        name,
        from,
        session,
        unknown,
    })
}

/// Whether a word is one of Dovecot's processes, where its own log file leaves out which program wrote it.
pub(super) fn is_process(word: &str) -> bool {
    let name = word.split(['(', '<']).next().unwrap_or_default();
    matches!(
        name,
        "imap-login"
            | "pop3-login"
            | "managesieve-login"
            | "submission-login"
            | "auth"
            | "auth-worker"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(line: &str) -> Option<String> {
        let (process, message) = line.split_once(": ").unwrap();
        Some(match read(process, message)? {
            Said::Failures {
                name,
                from,
                times,
                session,
                ..
            } => {
                format!(
                    "{times} of {name} from {from} in {}",
                    session.unwrap_or("-")
                )
            }
            Said::SignedIn { name, from, .. } => format!("{name} in from {from}"),
            Said::Verdict {
                name,
                from,
                session,
                unknown,
            } => {
                format!("{name} from {from} in {} {unknown}", session.unwrap_or("-"))
            }
        })
    }

    #[test]
    fn every_form_names_who_and_from_where() {
        for (line, expected) in [
            (
                "imap-login: Disconnected: Connection closed (auth failed, 2 attempts in 8 secs): user=<ada@b.example>, method=PLAIN, rip=203.0.113.7, lip=192.0.2.25, TLS, session=<s1>",
                Some("2 of ada@b.example from 203.0.113.7 in s1"),
            ),
            (
                "imap-login: Info: Aborted login (auth failed, 3 attempts): user=<ada>, method=CRAM-MD5, rip=2001:db8::1, lip=::1, TLS",
                Some("3 of ada from 2001:db8::1 in -"),
            ),
            (
                "imap-login: Login aborted: Connection closed (auth failed, 4 attempts in 20 secs) (auth_failed): user=<ada>, method=PLAIN, rip=203.0.113.7, lip=192.0.2.25, session=<s/+1>",
                Some("4 of ada from 203.0.113.7 in s/+1"),
            ),
            (
                "pop3-login: Login: user=<ada>, method=PLAIN, rip=203.0.113.7, lip=192.0.2.25, mpid=1, session=<s1>",
                Some("ada in from 203.0.113.7"),
            ),
            (
                "auth-worker(1811): sql(ada,203.0.113.7,<s2>): Password mismatch (given password: FAKE): unknown user)",
                Some("ada from 203.0.113.7 in s2 false"),
            ),
            (
                "auth-worker(9): conn unix:auth-worker (pid=1,uid=1): auth-worker<3>: sql(ada,203.0.113.7,<s2>): Password mismatch",
                Some("ada from 203.0.113.7 in s2 false"),
            ),
            (
                "auth: passwd-file(jo,203.0.113.81): unknown user (given password: FAKE)",
                Some("jo from 203.0.113.81 in - true"),
            ),
            (
                "auth(kasia,203.0.113.82,sasl:login)<1811><s10>: Info: sql: Password mismatch (given password: FAKE-Given: 2)",
                Some("kasia from 203.0.113.82 in s10 false"),
            ),
            (
                "imap-login: Disconnected (no auth attempts in 2 secs): user=<>, rip=203.0.113.80, lip=x",
                None,
            ),
            (
                "imap-login: Disconnected (auth failed, 5 attempts in 30 secs): user=<>, rip=203.0.113.80, lip=x",
                None,
            ),
            (
                "imap-login: Aborted login (tried to use disallowed plaintext auth): user=<x>, rip=203.0.113.80, lip=x",
                None,
            ),
            (
                "imap-login: Disconnected (auth failed, 99999999999 attempts): user=<x>, rip=203.0.113.80, lip=x",
                None,
            ),
            ("imap(ada): Logged out in=1 out=2", None),
            ("auth: Error: sql(ada): Password query failed", None),
        ] {
            assert_eq!(of(line).as_deref(), expected, "{line}");
        }
    }
}
