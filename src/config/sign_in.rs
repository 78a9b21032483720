//! How we sign in at the relay: the keys `user`, `auth`, `password_…` and `token_…` of `[mail.relay]`.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;
use serde::Serialize;

use super::hashed;
use super::secret::{PASSWORD, secret};
use super::section::{Parsed, Read, Section, Told, Value};
use super::values::{DAY, choice, duration, line, path};

/// Who signs in, and with what.
#[derive(Debug, Clone, Serialize)]
pub struct SignIn {
    /// As the relay knows it.
    pub user: String,
    /// What proves it.
    pub proof: Proof,
}

/// What proves who we are.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Proof {
    /// A password.
    Password(#[serde(skip)] SecretString),
    /// A token, fetched when it is needed.
    Token {
        /// How it is said.
        bearer: Bearer,
        /// Where it comes from.
        source: TokenSource,
        /// How long it is used for new connections.
        #[serde(serialize_with = "hashed::span")]
        lifetime: Duration,
    },
}

/// How a token is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Bearer {
    /// Google's and Microsoft's own mechanism.
    Xoauth2,
    /// The standard one.
    OauthBearer,
}

/// Where a token comes from.
#[derive(Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenSource {
    /// A file that holds nothing else, and that somebody renews.
    File(#[serde(serialize_with = "hashed::path")] PathBuf),
    /// A program and its arguments.
    Command(Vec<String>),
}

impl fmt::Debug for TokenSource {
    /// Without the arguments: one may be a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
            Self::Command(words) => f.debug_tuple("Command").field(&words.first()).finish(),
        }
    }
}

#[derive(Clone, Copy)]
enum Auth {
    Password,
    Token(Bearer),
}

const AUTHS: &[(&str, Auth)] = &[
    ("password", Auth::Password),
    ("xoauth2", Auth::Token(Bearer::Xoauth2)),
    ("oauthbearer", Auth::Token(Bearer::OauthBearer)),
];

/// What stands there, each key for itself.
pub(super) struct Keys {
    user: Read<Option<String>>,
    auth: Read<Auth>,
    password: Read<Option<SecretString>>,
    token_file: Read<Option<PathBuf>>,
    token_command: Read<Option<Vec<String>>>,
    lifetime: Read<Duration>,
}

pub(super) fn keys(own: &Section<'_>) -> Keys {
    let user = own.optional("user", line);
    let password = secret(own, &PASSWORD);
    let auth = own.or("auth", choice(AUTHS), Auth::Password);
    let refused = own.refuse(
        "token",
        "a token does not belong in this file; remove it, and name its place with token_file or token_command",
    );
    let token_file = own.optional("token_file", path);
    let token_command = command(own);
    Keys {
        user,
        auth,
        password,
        token_file: refused.and(token_file),
        token_command,
        lifetime: own.or(
            "token_lifetime",
            duration(Duration::ZERO, DAY),
            Duration::from_secs(300),
        ),
    }
}

/// The key `token_command`: a program and its arguments.
pub(super) fn command(own: &Section<'_>) -> Read<Option<Vec<String>>> {
    match own.list("token_command", word)? {
        Some(words) if words.first().is_none_or(String::is_empty) => Err(own.wrong(
            "token_command",
            "it names no program; write for instance [\"/usr/local/bin/relay-token\"]",
        )),
        words => Ok(words),
    }
}

/// One word of a command; an argument may be empty. Errors do not quote it.
fn word(value: &Value<'_>) -> Parsed<String> {
    let text = value
        .raw
        .as_str()
        .ok_or_else(|| value.not("a program and its arguments, each in quotes"))?;
    (!text.chars().any(char::is_control))
        .then(|| text.to_owned())
        .ok_or_else(|| "a word of it holds a control character; remove it".to_owned())
}

impl Keys {
    /// What they mean together: a user and what proves it belong together, and there is one proof.
    pub(super) fn sign_in(self, own: &Section<'_>) -> Read<Option<SignIn>> {
        let auth = self.auth?;
        let source = source(own, self.token_file, self.token_command);
        let lifetime = self.lifetime?;
        let bearer = match auth {
            Auth::Password => return password(own, self.user, self.password, &source?),
            Auth::Token(bearer) => bearer,
        };
        if self.password?.is_some() {
            return Err(own.wrong(
                "auth",
                "there is a password too; remove it, or write auth = \"password\"",
            ));
        }
        let user = self.user?;
        let source = source?.ok_or_else(|| {
            own.wrong(
                "auth",
                "there is no token for it; add token_file or token_command",
            )
        })?;
        let user = user.ok_or_else(|| own.missing("user", "\"bell\""))?;
        Ok(Some(SignIn {
            user,
            proof: Proof::Token {
                bearer,
                source,
                lifetime,
            },
        }))
    }
}

fn source(
    own: &Section<'_>,
    file: Read<Option<PathBuf>>,
    command: Read<Option<Vec<String>>>,
) -> Read<Option<TokenSource>> {
    match (file?, command?) {
        (Some(_), Some(_)) => {
            Err(own.wrong("token_command", "token_file is there too; keep one of them"))
        }
        (Some(file), None) => Ok(Some(TokenSource::File(file))),
        (None, command) => Ok(command.map(TokenSource::Command)),
    }
}

fn password(
    own: &Section<'_>,
    user: Read<Option<String>>,
    password: Read<Option<SecretString>>,
    source: &Option<TokenSource>,
) -> Read<Option<SignIn>> {
    let key = match source {
        Some(TokenSource::File(_)) => Some("token_file"),
        Some(TokenSource::Command(_)) => Some("token_command"),
        None => None,
    };
    if let Some(key) = key {
        return Err(own.wrong(
            key,
            "a token needs auth = \"xoauth2\" or \"oauthbearer\"; add it, or remove the token",
        ));
    }
    match (user, password) {
        (Ok(Some(_)), Ok(None)) => Err(own.wrong(
            "user",
            "there is no password for it; add password_env or password_file, or remove it",
        )),
        (Ok(None), Ok(Some(_))) => Err(own.missing("user", "\"bell\"")),
        (Ok(Some(user)), Ok(Some(password))) => Ok(Some(SignIn {
            user,
            proof: Proof::Password(password),
        })),
        (Ok(None), Ok(None)) => Ok(None),
        (Err(Told), _) | (_, Err(Told)) => Err(Told),
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;
    use crate::config::{Config, EXAMPLE, RelayWay};

    fn read(keys: &str) -> Result<Option<SignIn>, String> {
        let text = EXAMPLE.replacen(
            "kind = \"folder\"",
            &format!("kind = \"smtp\"\nhost = \"mx.parl.example\"\n{keys}"),
            1,
        );
        let env = |name: &str| (name == "BELL_RELAY_PASSWORD").then(|| "s3ntinel".to_owned());
        let file = std::path::Path::new("/etc/bell/config.toml");
        let config = Config::from_text(&text, file, &env).map_err(|wrong| wrong.to_string())?;
        match config.mail.relay.way {
            RelayWay::Smtp(smtp) => Ok(smtp.sign_in),
            RelayWay::Folder(_) => Err("a folder".into()),
        }
    }

    #[test]
    fn a_password_or_a_token_proves_who_we_are() {
        assert!(read("").unwrap().is_none());
        let with = read("user = \"bell\"\npassword_env = \"BELL_RELAY_PASSWORD\"").unwrap();
        let Some(SignIn {
            user,
            proof: Proof::Password(password),
        }) = with
        else {
            panic!("no password")
        };
        assert_eq!(
            (user.as_str(), password.expose_secret()),
            ("bell", "s3ntinel")
        );

        let file = read("user = \"bell\"\nauth = \"xoauth2\"\ntoken_file = \"token\"").unwrap();
        let Some(SignIn {
            proof:
                Proof::Token {
                    bearer,
                    source,
                    lifetime,
                },
            ..
        }) = file
        else {
            panic!("no token")
        };
        assert_eq!(bearer, Bearer::Xoauth2);
        assert_eq!(source, TokenSource::File("/etc/bell/token".into()));
        assert_eq!(lifetime, Duration::from_secs(300));

        let command = read(
            "user = \"bell\"\nauth = \"oauthbearer\"\ntoken_command = [\"/bin/token\", \"s3ntinel\", \"\"]\ntoken_lifetime = \"0 s\"",
        )
        .unwrap();
        let shown = format!("{command:?}");
        assert!(
            shown.contains("/bin/token") && !shown.contains("s3ntinel"),
            "{shown}"
        );
        let Some(SignIn {
            proof: Proof::Token { source, .. },
            ..
        }) = command
        else {
            panic!("no token")
        };
        let words = ["/bin/token", "s3ntinel", ""].map(str::to_owned);
        assert_eq!(source, TokenSource::Command(words.into()));
    }

    #[test]
    fn what_does_not_fit_together_is_told_with_what_to_do() {
        for (keys, expected) in [
            (
                "user = \"bell\"\nauth = \"xoauth2\"",
                "mail.relay.auth: there is no token for it; add token_file or token_command",
            ),
            (
                "auth = \"xoauth2\"\ntoken_file = \"token\"",
                "mail.relay.user: it is missing; add for instance user = \"bell\"",
            ),
            (
                "user = \"bell\"\nauth = \"xoauth2\"\ntoken_file = \"token\"\ntoken_command = [\"x\"]",
                "mail.relay.token_command: token_file is there too; keep one of them",
            ),
            (
                "user = \"bell\"\nauth = \"xoauth2\"\ntoken_file = \"token\"\npassword_env = \"BELL_RELAY_PASSWORD\"",
                "mail.relay.auth: there is a password too; remove it, or write auth = \"password\"",
            ),
            (
                "user = \"bell\"\npassword_env = \"BELL_RELAY_PASSWORD\"\ntoken_file = \"token\"",
                "mail.relay.token_file: a token needs auth = \"xoauth2\" or \"oauthbearer\"; add it, or remove the token",
            ),
            (
                "user = \"bell\"\nauth = \"oauth\"",
                "mail.relay.auth: \"oauth\" is not known; did you mean ",
            ),
            (
                "user = \"bell\"\nauth = \"xoauth2\"\ntoken = \"s3ntinel\"",
                "mail.relay.token: a token does not belong in this file; remove it",
            ),
            (
                "user = \"bell\"\nauth = \"xoauth2\"\ntoken_command = \"s3ntinel\"",
                "mail.relay.token_command: this is text; write a list in square brackets",
            ),
            (
                "user = \"bell\"\nauth = \"xoauth2\"\ntoken_command = []",
                "mail.relay.token_command: it names no program; write for instance [\"/usr/local/bin/relay-token\"]",
            ),
            (
                "user = \"bell\"\nauth = \"xoauth2\"\ntoken_command = [\"s3ntinel\\n\"]",
                "mail.relay.token_command: a word of it holds a control character; remove it",
            ),
            (
                "user = \"bell\"\nauth = \"xoauth2\"\ntoken_file = \"token\"\ntoken_lifetime = \"2 days\"",
                "mail.relay.token_lifetime: \"2 days\" is out of range; use 0 s to 1 day",
            ),
        ] {
            let told = read(keys).expect_err(keys);
            assert!(told.contains(expected), "{keys}\n{told}");
            assert!(!told.contains("s3ntinel"), "{told}");
        }
    }
}
