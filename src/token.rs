//! Token: one word that proves who we are, from a file that somebody renews or from a program that prints it.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use secrecy::SecretString;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Command;
use tokio::time::timeout;
use zeroize::Zeroizing;

/// Where a token comes from.
#[derive(Clone, PartialEq, Eq)]
pub enum TokenSource {
    /// A file that holds nothing else; somebody renews it.
    File(PathBuf),
    /// A program and its arguments, run without a shell; what it prints is the token.
    Command(Vec<String>),
}

impl std::fmt::Debug for TokenSource {
    /// Without the arguments: one may be a secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
            Self::Command(words) => f.debug_tuple("Command").field(&words.first()).finish(),
        }
    }
}

/// Why there is none. Without what was read or printed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoToken {
    /// An operator has to act.
    #[error("{0}")]
    Wrong(String),
    /// It may be better next time.
    #[error("{0}")]
    NotNow(String),
}

/// How long a program may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// RFC 4954 section 4 allows lines of 12288 bytes, in base64 and with a name.
const LARGEST: u64 = 8192;

impl TokenSource {
    /// Reads the file, or runs the program.
    ///
    /// # Errors
    /// If there is no token, or something else in its place. The text names the key of the config.
    pub async fn fetch(&self) -> Result<SecretString, NoToken> {
        match self {
            Self::File(path) => {
                let read = async { all_of(tokio::fs::File::open(path).await?).await };
                let bytes = read.await.map_err(|error| {
                    let kind = error.kind();
                    wrong(format!("token_file cannot be read ({kind})"))
                })?;
                token(&bytes).ok_or_else(|| wrong("token_file holds no token, or more than one"))
            }
            Self::Command(words) => run(words).await,
        }
    }
}

async fn run(words: &[String]) -> Result<SecretString, NoToken> {
    let Some((program, arguments)) = words.split_first() else {
        return Err(wrong("token_command names no program"));
    };
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        // Never read: it may hold what must not be logged.
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| {
            let kind = error.kind();
            wrong(format!("token_command cannot be started ({kind})"))
        })?;
    let Some(out) = child.stdout.take() else {
        return Err(wrong("token_command cannot be listened to"));
    };
    let ended = timeout(PATIENCE, async {
        let bytes = all_of(out).await?;
        Ok::<_, std::io::Error>((bytes, child.wait().await?))
    });
    match ended.await {
        Ok(Ok((bytes, status))) if status.success() => {
            token(&bytes).ok_or_else(|| wrong("what token_command prints is no token"))
        }
        Ok(Ok((_, status))) => {
            let status = status.code().unwrap_or(-1);
            Err(not_now(format!("token_command ended with status {status}")))
        }
        Ok(Err(_)) => Err(not_now("token_command could not be listened to")),
        Err(_) => Err(not_now("token_command did not end within 30 s")),
    }
}

/// Up to one byte more than a token may have.
async fn all_of(from: impl AsyncRead + Unpin) -> std::io::Result<Zeroizing<Vec<u8>>> {
    // Room for all of it at once: a buffer that grows would leave copies behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(LARGEST as usize + 64));
    from.take(LARGEST + 1).read_to_end(&mut bytes).await?;
    Ok(bytes)
}

/// One word of visible ASCII (RFC 6750 section 2.1 allows less).
fn token(bytes: &[u8]) -> Option<SecretString> {
    let text = std::str::from_utf8(bytes).ok()?.trim();
    let fits = !text.is_empty() && bytes.len() as u64 <= LARGEST;
    (fits && text.bytes().all(|byte| byte.is_ascii_graphic())).then(|| SecretString::from(text))
}

fn wrong(what: impl Into<String>) -> NoToken {
    NoToken::Wrong(what.into())
}

fn not_now(what: impl Into<String>) -> NoToken {
    NoToken::NotNow(what.into())
}
