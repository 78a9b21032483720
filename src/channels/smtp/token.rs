//! Token: fetched from a file or a program, kept for a while, and fetched anew when the relay refuses it.

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::conversation::Ended;
use crate::domain::delivery::Stage;
use crate::token::{NoToken, TokenSource};

/// A token, kept for as long as it is said to be good.
pub(super) struct Tokens {
    source: TokenSource,
    lifetime: Duration,
    /// Locked while it is fetched, so that several connections at once fetch it once.
    kept: Mutex<Option<(SecretString, Instant)>>,
}

impl Tokens {
    pub(super) fn new(source: TokenSource, lifetime: Duration) -> Self {
        Self {
            source,
            lifetime,
            kept: Mutex::default(),
        }
    }

    /// The token, fetched anew when older than its lifetime.
    pub(super) async fn current(&self) -> Result<SecretString, Ended> {
        self.unless(|_, since| since.elapsed() < self.lifetime)
            .await
    }

    /// A token in place of one that was refused. None if it is the same: to repeat it would only lock the account.
    pub(super) async fn in_place_of(
        &self,
        refused: &SecretString,
    ) -> Result<Option<SecretString>, Ended> {
        let differs = |token: &SecretString| token.expose_secret() != refused.expose_secret();
        let token = self.unless(|token, _| differs(token)).await?;
        Ok(Some(token).filter(differs))
    }

    async fn unless(
        &self,
        is_good: impl Fn(&SecretString, &Instant) -> bool,
    ) -> Result<SecretString, Ended> {
        let mut kept = self.kept.lock().await;
        if let Some((token, since)) = &*kept
            && is_good(token, since)
        {
            return Ok(token.clone());
        }
        *kept = None;
        let token = self.fetch().await?;
        *kept = Some((token.clone(), Instant::now()));
        Ok(token)
    }

    async fn fetch(&self) -> Result<SecretString, Ended> {
        self.source.fetch().await.map_err(|none| match none {
            NoToken::Wrong(what) => wrong(&what),
            NoToken::NotNow(what) => not_now(&what),
        })
    }
}

/// An operator has to act.
fn wrong(what: &str) -> Ended {
    Ended::ours(Stage::Auth, 535, &format!("5.7.8 not signed in: {what}"))
}

/// It may be better next time.
fn not_now(what: &str) -> Ended {
    Ended::ours(Stage::Auth, 454, &format!("4.7.0 not signed in: {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::delivery::{Outcome, RelayTexts, outcome};

    fn shell(script: &str) -> TokenSource {
        TokenSource::Command(["sh", "-c", script].map(str::to_owned).into())
    }

    fn means(ended: &Ended) -> Outcome {
        outcome(ended.stage, &ended.answer, &RelayTexts::default())
    }

    async fn current(source: TokenSource) -> Result<String, Ended> {
        let tokens = Tokens::new(source, Duration::from_secs(300));
        let token = tokens.current().await?;
        Ok(token.expose_secret().to_owned())
    }

    #[tokio::test]
    async fn a_token_is_what_a_file_holds_or_a_program_prints() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("token");
        std::fs::write(&file, "tok.en-1\n").unwrap();
        assert_eq!(current(TokenSource::File(file)).await.unwrap(), "tok.en-1");
        assert_eq!(
            current(shell("echo ' tok.en-2 '")).await.unwrap(),
            "tok.en-2"
        );
    }

    #[tokio::test]
    async fn what_is_no_token_holds_the_relay_and_a_program_that_fails_only_defers_it() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("token");
        std::fs::write(&file, "sentinel one\ntwo\n").unwrap();
        for (source, expected) in [
            (TokenSource::File(file), Outcome::HoldRelay),
            (
                TokenSource::File(dir.path().join("none")),
                Outcome::HoldRelay,
            ),
            (TokenSource::File(dir.path().into()), Outcome::HoldRelay),
            (
                TokenSource::Command(vec!["/no/such/program".into()]),
                Outcome::HoldRelay,
            ),
            (shell("true"), Outcome::HoldRelay),
            (shell("printf 'sentinel\\001'"), Outcome::HoldRelay),
            (
                shell("head -c 9000 /dev/zero | tr '\\0' a"),
                Outcome::HoldRelay,
            ),
            (
                shell("echo sentinel >&2; echo sentinel; exit 3"),
                Outcome::DeferRelay,
            ),
        ] {
            let shown = format!("{source:?}");
            let ended = current(source).await.unwrap_err();
            assert_eq!(means(&ended), expected, "{shown}: {ended:?}");
            assert!(!format!("{ended:?}").contains("sentinel"), "{ended:?}");
        }
    }

    #[tokio::test]
    async fn a_token_is_kept_for_its_lifetime_and_replaced_at_once_when_refused() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("token");
        std::fs::write(&file, "first").unwrap();
        let kept = Tokens::new(TokenSource::File(file.clone()), Duration::from_secs(300));
        let first = kept.current().await.unwrap();
        // As long as nothing better is there, it is not said again.
        assert!(kept.in_place_of(&first).await.unwrap().is_none());
        std::fs::write(&file, "second").unwrap();
        assert_eq!(kept.current().await.unwrap().expose_secret(), "first");
        let second = kept.in_place_of(&first).await.unwrap().unwrap();
        assert_eq!(second.expose_secret(), "second");
        // Another connection that was refused with the old one takes what is there.
        std::fs::remove_file(&file).unwrap();
        let again = kept.in_place_of(&first).await.unwrap().unwrap();
        assert_eq!(again.expose_secret(), "second");
        let short = Tokens::new(TokenSource::File(file.clone()), Duration::ZERO);
        std::fs::write(&file, "third").unwrap();
        assert_eq!(short.current().await.unwrap().expose_secret(), "third");
        std::fs::write(&file, "fourth").unwrap();
        assert_eq!(short.current().await.unwrap().expose_secret(), "fourth");
    }
}
