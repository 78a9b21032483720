//! Keys: who may enter the page: an operator with a password and a second factor, a browser in which they have signed in, and
//! programs with a token. Who they are and what they may do says the config's `[[operator]]` list alone.

use std::sync::LazyLock;

use anyhow::{Context, ensure};
use argon2::Argon2;
use argon2::password_hash::{PasswordHash, PasswordHasher, PasswordVerifier, SaltString};
use chrono::TimeDelta;
use data_encoding::{BASE32_NOPAD, BASE64URL_NOPAD, HEXLOWER};
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;

use super::tries::Tries;
use crate::app::App;
use crate::config::{Role, VOUCHED};
use crate::domain::address::fold;
use crate::domain::{Moment, totp};
use crate::store::{ApiToken, Session};

/// A password that somebody chose has so many characters at least.
const SHORTEST: usize = 14;
/// What is longer is no password, and would only be hashed for long.
const LONGEST: usize = 256;
/// Tries to sign in by one address, or as one operator, within [`SPAN`].
const TRIES: u32 = 10;
const SPAN: TimeDelta = TimeDelta::minutes(10);
/// So many passwords are looked at at once: each takes 19 MiB while it is.
static LOOKING: Semaphore = Semaphore::const_new(2);
/// That a session or a token was used is written down by one at a time: who waits for SQLite's one write lock holds a
/// connection meanwhile, and there are few.
static SEEING: Semaphore = Semaphore::const_new(1);
/// What the password of somebody who has none is compared with, so that the answer takes as long.
static NOBODYS: LazyLock<String> = LazyLock::new(|| hashed(&fresh(16)).unwrap_or_default());

/// How often somebody tries to sign in.
pub fn tries() -> Tries {
    Tries::new(TRIES, SPAN)
}

/// What somebody types who wants to sign in. Prints nothing of it.
pub struct Typed {
    /// Their name, as the config has it.
    pub name: String,
    /// Their password.
    pub password: String,
    /// The code that their phone shows.
    pub code: String,
}

impl std::fmt::Debug for Typed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Typed(…)")
    }
}

/// What came of it.
#[derive(Clone, PartialEq, Eq)]
pub enum SignedIn {
    /// They are who they say. The text is what their browser holds from now on.
    Welcome(String),
    /// Something was wrong; what, is not told.
    No,
    /// Too many tries.
    Later,
}

/// The operator of this name, as the config writes it.
fn operator<'a>(app: &'a App, name: &str) -> Option<&'a str> {
    let folded = fold(name);
    app.config
        .operators
        .iter()
        .map(|operator| operator.name.as_str())
        .find(|own| fold(own) == folded)
}

fn known<'a>(app: &'a App, name: &str) -> anyhow::Result<&'a str> {
    operator(app, name).with_context(|| {
        format!("{name:?} is no operator; the config's [[operator]] list says who is")
    })
}

/// A password that nobody has chosen: so many bytes of chance, in letters and figures that are hard to mix up.
fn fresh(bytes: usize) -> String {
    let chance: [u8; 32] = rand::random();
    let text = BASE32_NOPAD.encode(chance.get(..bytes).unwrap_or(&chance));
    let groups: Vec<String> = text
        .to_lowercase()
        .as_bytes()
        .chunks(4)
        .map(|group| String::from_utf8_lossy(group).into_owned())
        .collect();
    groups.join("-")
}

fn hashed(password: &str) -> anyhow::Result<String> {
    let wrong =
        |error: argon2::password_hash::Error| anyhow::anyhow!("hashing a password: {error}");
    let salt = SaltString::encode_b64(&rand::random::<[u8; 16]>()).map_err(wrong)?;
    let hash = Argon2::default().hash_password(password.as_bytes(), &salt);
    Ok(hash.map_err(wrong)?.to_string())
}

/// Whether a password is the one of this hash. Away from the runtime: it takes a while on purpose.
async fn is_right(password: String, hash: String) -> anyhow::Result<bool> {
    let place = LOOKING.acquire().await;
    let right = tokio::task::spawn_blocking(move || {
        PasswordHash::new(&hash).is_ok_and(|hash| {
            Argon2::default()
                .verify_password(password.as_bytes(), &hash)
                .is_ok()
        })
    })
    .await
    .context("looking at a password")?;
    drop(place);
    Ok(right)
}

/// Gives an operator a password: the one that they chose, or a fresh one, which is the answer. Their sessions end.
pub async fn set_password(
    app: &App,
    name: &str,
    chosen: Option<&str>,
    by: &str,
) -> anyhow::Result<Option<String>> {
    let name = known(app, name)?;
    let (password, made) = match chosen {
        Some(chosen) => {
            let length = chosen.chars().count();
            ensure!(
                (SHORTEST..=LONGEST).contains(&length) && fold(chosen) != fold(name),
                "a password has {SHORTEST} to {LONGEST} characters, and is not the name"
            );
            (chosen.to_owned(), None)
        }
        None => {
            let made = fresh(15);
            (made.clone(), Some(made))
        }
    };
    let hash = hashed(&password)?;
    let mut tx = app.store.begin().await?;
    tx.set_password(&fold(name), &hash, by, app.clock.now())
        .await?;
    tx.commit().await?;
    Ok(made)
}

/// A second factor, for its bearer's eyes only.
pub struct Factor {
    /// To be typed into an app.
    pub secret: String,
    /// The same as an address that apps take, also from a picture.
    pub uri: String,
}

/// Gives an operator who has a password a fresh second factor. Their sessions end.
pub async fn set_totp(app: &App, name: &str, by: &str) -> anyhow::Result<Factor> {
    let name = known(app, name)?;
    let secret = BASE32_NOPAD.encode(&rand::random::<[u8; 20]>());
    let mut tx = app.store.begin().await?;
    ensure!(
        tx.credential(&fold(name)).await?.is_some(),
        "{name:?} has no password yet: bell operator password {name}"
    );
    tx.set_totp(&fold(name), &secret, by, app.clock.now())
        .await?;
    tx.commit().await?;
    let issuer = percent(&format!("Division Bell {}", app.config.organisation.name));
    let uri = format!(
        "otpauth://totp/{issuer}:{}?secret={secret}&issuer={issuer}",
        percent(name)
    );
    Ok(Factor { secret, uri })
}

/// As an address writes it.
fn percent(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                char::from(byte).to_string()
            }
            other => format!("%{other:02X}"),
        })
        .collect()
}

/// Takes both away from an operator, or from somebody who is none any more; whether there was anything. Their sessions end.
pub async fn revoke(app: &App, name: &str, by: &str) -> anyhow::Result<bool> {
    let mut tx = app.store.begin().await?;
    let gone = tx.revoke_operator(&fold(name), by, app.clock.now()).await?;
    tx.commit().await?;
    Ok(gone)
}

/// Lets somebody in whose password and code are right. `from` is only counted.
pub async fn sign_in(
    app: &App,
    tries: &Tries,
    typed: Typed,
    from: &str,
    lasts: TimeDelta,
) -> anyhow::Result<SignedIn> {
    let now = app.clock.now();
    let folded = fold(&typed.name);
    let (by_address, by_name) = (format!("from {from}"), format!("as {folded}"));
    // Both are counted, whichever is used up.
    let admitted = [&by_address, &by_name].map(|who| tries.admits(who, now));
    if admitted.contains(&false) {
        return Ok(SignedIn::Later);
    }
    let name = operator(app, &typed.name);
    let credential = match name {
        Some(_) => app.store.read().await?.credential(&folded).await?,
        None => None,
    };
    let hash = credential
        .as_ref()
        .map_or_else(|| NOBODYS.clone(), |own| own.password.clone());
    let password: String = typed.password.chars().take(LONGEST).collect();
    let is_right = is_right(password, hash).await?;
    let step = credential.and_then(|own| {
        let secret = BASE32_NOPAD.decode(own.totp?.as_bytes()).ok()?;
        totp::step_of(&secret, &typed.code, own.totp_step, now)
    });
    let (Some(name), true, Some(step)) = (name, is_right, step) else {
        if let Some(name) = name {
            note(app, name, "web.sign_in_refused").await?;
        }
        return Ok(SignedIn::No);
    };
    let browser = chance();
    let mut tx = app.store.begin().await?;
    if !tx.use_totp(&folded, step).await? {
        // Somebody else was faster with the same code.
        return Ok(SignedIn::No);
    }
    tx.begin_session(&fingerprint(&browser), &folded, None, now.plus(lasts), now)
        .await?;
    tx.note(now, name, "web.signed_in", None, None).await?;
    tx.commit().await?;
    for who in [&by_address, &by_name] {
        tries.forget(who);
    }
    Ok(SignedIn::Welcome(browser))
}

/// Lets somebody in for whom an identity provider vouches, with these roles. The answer is what their browser holds.
pub async fn vouched(
    app: &App,
    name: &str,
    roles: &[Role],
    lasts: TimeDelta,
) -> anyhow::Result<String> {
    let now = app.clock.now();
    let clean: String = name.chars().filter(|c| !c.is_control()).take(100).collect();
    let name = format!("{VOUCHED}{}", clean.trim());
    ensure!(
        name.len() > VOUCHED.len() && !roles.is_empty(),
        "nobody is let in without a name and a role"
    );
    let words: Vec<&str> = roles.iter().map(|role| role.word()).collect();
    let words = serde_json::to_string(&words)?;
    let browser = chance();
    let mut tx = app.store.begin().await?;
    tx.begin_session(
        &fingerprint(&browser),
        &name,
        Some(&words),
        now.plus(lasts),
        now,
    )
    .await?;
    tx.note(now, &name, "web.signed_in", None, Some(&words))
        .await?;
    tx.commit().await?;
    Ok(browser)
}

/// 256 bits of chance, for a browser to hold.
pub fn chance() -> String {
    BASE64URL_NOPAD.encode(&rand::random::<[u8; 32]>())
}

async fn note(app: &App, by: &str, act: &str) -> anyhow::Result<()> {
    let mut tx = app.store.begin().await?;
    tx.note(app.clock.now(), by, act, None, None).await?;
    Ok(tx.commit().await?)
}

/// What is kept of what a browser or a program holds.
fn fingerprint(held: &str) -> String {
    HEXLOWER.encode(&Sha256::digest(held.as_bytes()))
}

/// What a form has to bring along to be from our own page: made from what the browser holds, which no other site can read.
pub fn form_token(browser: &str) -> String {
    let Ok(mut mac) = <Hmac<Sha256> as Mac>::new_from_slice(browser.as_bytes()) else {
        return String::new();
    };
    mac.update(b"division bell form");
    HEXLOWER.encode(&mac.finalize().into_bytes())
}

/// Whether a form brought the right one.
pub fn is_own_form(browser: &str, brought: &str) -> bool {
    totp::is_same(form_token(browser).as_bytes(), brought.as_bytes())
}

/// Who has signed in with what a browser holds: their name as the config has it, if it still has it, and the session is not
/// over.
pub async fn who(app: &App, browser: &str, idle: TimeDelta) -> anyhow::Result<Option<String>> {
    let now = app.clock.now();
    let hash = fingerprint(browser);
    let Some(session) = app.store.read().await?.session(&hash).await? else {
        return Ok(None);
    };
    if is_over(&session, idle, now) {
        return Ok(None);
    }
    let name = match &session.roles {
        Some(words) => {
            app.guests.admit(&session.operator, roles(words));
            session.operator.as_str()
        }
        None => match operator(app, &session.operator) {
            Some(name) => name,
            None => return Ok(None),
        },
    };
    if now.since(session.seen_at) >= TimeDelta::minutes(1) {
        see(app, Used::Session(hash), now);
    }
    Ok(Some(name.to_owned()))
}

/// The roles of a session, as they were when it began.
fn roles(words: &str) -> Vec<Role> {
    let words: Vec<String> = serde_json::from_str(words).unwrap_or_default();
    [
        Role::Security,
        Role::Approver,
        Role::Communications,
        Role::Compliance,
        Role::IncidentLead,
    ]
    .into_iter()
    .filter(|role| words.iter().any(|word| word == role.word()))
    .collect()
}

/// Writes down that something was used, some time. Nobody waits for it, and it may be left out.
fn see(app: &App, used: Used, now: Moment) {
    let Ok(place) = SEEING.try_acquire() else {
        return;
    };
    let store = app.store.clone();
    tokio::spawn(async move {
        let seen = async {
            let mut tx = store.begin().await?;
            match &used {
                Used::Session(hash) => tx.see_session(hash, now).await?,
                Used::Token(name) => tx.see_token(name, now).await?,
            }
            tx.commit().await
        };
        if let Err(error) = seen.await {
            tracing::debug!("that a key was used is not written down: {error}");
        }
        drop(place);
    });
}

/// What was used.
enum Used {
    /// By its hash.
    Session(String),
    /// By its name.
    Token(String),
}

fn is_over(session: &Session, idle: TimeDelta, now: Moment) -> bool {
    now >= session.ends_at || now.since(session.seen_at) >= idle
}

/// Ends the session of a browser.
pub async fn sign_out(app: &App, browser: &str) -> anyhow::Result<()> {
    let mut tx = app.store.begin().await?;
    tx.end_session(&fingerprint(browser)).await?;
    Ok(tx.commit().await?)
}

/// A token for a program that reads figures; none: there is one of this name. It is told once.
pub async fn new_token(app: &App, name: &str, by: &str) -> anyhow::Result<Option<String>> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    ensure!(
        (1..=64).contains(&name.len()) && name.chars().all(is_word),
        "a token's name is up to 64 letters, figures, dashes, dots and underscores"
    );
    let token = format!(
        "bell_{}",
        BASE64URL_NOPAD.encode(&rand::random::<[u8; 32]>())
    );
    let mut tx = app.store.begin().await?;
    let added = tx
        .add_token(name, &fingerprint(&token), by, app.clock.now())
        .await?;
    tx.commit().await?;
    Ok(added.then_some(token))
}

/// All tokens.
pub async fn tokens(app: &App) -> anyhow::Result<Vec<ApiToken>> {
    Ok(app.store.read().await?.tokens().await?)
}

/// Takes a token away; whether there was one.
pub async fn revoke_token(app: &App, name: &str, by: &str) -> anyhow::Result<bool> {
    let mut tx = app.store.begin().await?;
    let gone = tx.revoke_token(name, by, app.clock.now()).await?;
    tx.commit().await?;
    Ok(gone)
}

/// The token that a program shows, if it is one of ours.
pub async fn token(app: &App, shown: &str) -> anyhow::Result<Option<ApiToken>> {
    let now = app.clock.now();
    let found = app.store.read().await?.token(&fingerprint(shown)).await?;
    if let Some(own) = &found
        && own
            .used_at
            .is_none_or(|at| now.since(at) >= TimeDelta::minutes(1))
    {
        see(app, Used::Token(own.name.clone()), now);
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_password_is_kept_as_argon2id_and_known_again() {
        let hash = hashed("correct horse battery").unwrap();
        assert!(
            hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
            "{hash}"
        );
        assert_ne!(hash, hashed("correct horse battery").unwrap());
        let look = |typed: &str| is_right(typed.to_owned(), hash.clone());
        assert!(look("correct horse battery").await.unwrap());
        assert!(!look("correct horse batterx").await.unwrap());
        assert!(
            !is_right(String::new(), "nonsense".to_owned())
                .await
                .unwrap()
        );
    }

    #[test]
    fn fresh_passwords_differ_and_are_long() {
        let one = fresh(15);
        assert_eq!(one.len(), 24 + 5);
        assert_ne!(one, fresh(15));
    }

    #[test]
    fn a_form_is_its_own_browsers_only() {
        assert!(is_own_form("a", &form_token("a")));
        assert!(!is_own_form("a", &form_token("b")));
        assert!(!is_own_form("a", ""));
    }

    #[test]
    fn an_address_for_apps_has_no_blanks() {
        assert_eq!(percent("Division Bell Zoë"), "Division%20Bell%20Zo%C3%AB");
    }
}
