//! Http: one question and its answer: a token along with it, waiting where the service asks for it, and a limit to all.

use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderValue, LINK, RETRY_AFTER};
use reqwest::{Response, StatusCode, Url};
use secrecy::ExposeSecret;
use zeroize::Zeroizing;

use super::sign_in::SignIn;
use super::{LARGEST, Manners, Said, ServiceError};
use crate::domain::Moment;

/// How often one question is asked.
const TRIES: u32 = 3;
/// What is read of a refusal.
const REFUSAL: usize = 64 * 1024;

/// One answer.
pub(super) struct Answer {
    /// All of it.
    pub body: Zeroizing<Vec<u8>>,
    /// Where its header says that it goes on.
    pub next: Option<String>,
}

/// Asks one service.
pub(super) struct Http {
    client: reqwest::Client,
    manners: Manners,
    sign_in: SignIn,
    token: Option<HeaderValue>,
}

impl Http {
    pub fn new(manners: Manners, sign_in: SignIn) -> Result<Self, ServiceError> {
        let timeout = manners.timeout;
        let mut builder = reqwest::Client::builder();
        for certificate in certificates(manners.ca.as_deref())? {
            builder = builder.add_root_certificate(certificate);
        }
        // A proxy from the environment could be anybody's.
        builder = builder.no_proxy();
        if let Some(proxy) = &manners.proxy {
            builder = builder.proxy(reqwest::Proxy::all(proxy).map_err(|_| ServiceError::Proxy)?);
        }
        let client = builder
            .use_native_tls()
            .timeout(timeout)
            .connect_timeout(timeout.min(Duration::from_secs(20)) / 2)
            // It could take the secret elsewhere.
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("division-bell/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|_| ServiceError::Setup)?;
        Ok(Self {
            client,
            manners,
            sign_in,
            token: None,
        })
    }

    /// Asks for what is at `url`. The answer is a whole one, with status 200, or an error.
    pub async fn get(&mut self, url: &Url, headers: &HeaderMap) -> Result<Answer, ServiceError> {
        let (mut tries, mut is_renewed) = (0, false);
        loop {
            let token = self.token().await?;
            let mut question = self.client.get(url.clone()).headers(headers.clone());
            if let Some(header) = self.sign_in.header() {
                question = question.header(header, token);
            }
            let failure = match question.send().await {
                Err(error) => broken(&error),
                Ok(answer) => match answer.status() {
                    StatusCode::OK => match whole(answer).await {
                        Err(ServiceError::Silent) => ServiceError::Silent,
                        done => return done,
                    },
                    // A token may end before its time; a second refusal is meant.
                    StatusCode::UNAUTHORIZED if !is_renewed && self.sign_in.can_renew() => {
                        (is_renewed, self.token) = (true, None);
                        continue;
                    }
                    StatusCode::TOO_MANY_REQUESTS => {
                        self.pause(self.asked_wait(answer.headers())).await?;
                        continue;
                    }
                    StatusCode::GONE => return Err(ServiceError::Gone),
                    status if status.is_server_error() => {
                        if answer.headers().contains_key(RETRY_AFTER) && tries + 1 < TRIES {
                            self.pause(self.asked_wait(answer.headers())).await?;
                        }
                        ServiceError::Broken {
                            status: status.as_u16(),
                        }
                    }
                    _ => return Err(refused(answer, false).await),
                },
            };
            tries += 1;
            if tries >= TRIES || !can_pass(&failure) {
                return Err(failure);
            }
            self.pause(Duration::from_millis(250 << tries)).await?;
        }
    }

    /// Sends a form and takes the answer: how a token is asked for.
    async fn post(&mut self, url: &Url, form: String) -> Result<Answer, ServiceError> {
        let mut tries = 0;
        loop {
            let question = self
                .client
                .post(url.clone())
                .header("content-type", "application/x-www-form-urlencoded")
                .body(form.clone());
            let failure = match question.send().await {
                Err(error) => broken(&error),
                Ok(answer) => match answer.status() {
                    StatusCode::OK => return whole(answer).await,
                    StatusCode::TOO_MANY_REQUESTS => {
                        self.pause(self.asked_wait(answer.headers())).await?;
                        continue;
                    }
                    status if status.is_server_error() => ServiceError::Broken {
                        status: status.as_u16(),
                    },
                    _ => return Err(refused(answer, true).await),
                },
            };
            tries += 1;
            if tries >= TRIES || !can_pass(&failure) {
                return Err(failure);
            }
            self.pause(Duration::from_millis(250 << tries)).await?;
        }
    }

    async fn token(&mut self) -> Result<HeaderValue, ServiceError> {
        if let Some(token) = &self.token {
            return Ok(token.clone());
        }
        let now = self.manners.clock.now();
        let secret = match self.sign_in.question(now).await? {
            None => self.sign_in.given().await?,
            Some((url, form)) => {
                let answer = self.post(&url, form).await?;
                SignIn::answer(&answer.body)?
            }
        };
        let mut token =
            HeaderValue::from_str(secret.expose_secret()).map_err(|_| ServiceError::NoToken)?;
        token.set_sensitive(true);
        self.token = Some(token.clone());
        Ok(token)
    }

    /// How long the service asks us to wait: at least a second.
    fn asked_wait(&self, headers: &HeaderMap) -> Duration {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let until = |at: Moment| at.since(self.manners.clock.now()).to_std().ok();
        let after = text(RETRY_AFTER.as_str()).and_then(|after| match after.trim().parse() {
            Ok(seconds) => Some(Duration::from_secs(seconds)),
            Err(_) => {
                let at = chrono::DateTime::parse_from_rfc2822(after.trim()).ok()?;
                until(at.to_utc().into())
            }
        });
        let reset = || {
            let seconds: i64 = text("x-rate-limit-reset")?.trim().parse().ok()?;
            until(Moment::from_micros(seconds.checked_mul(1_000_000)?))
        };
        after
            .or_else(reset)
            .unwrap_or_default()
            .max(Duration::from_secs(1))
    }

    async fn pause(&mut self, span: Duration) -> Result<(), ServiceError> {
        let Some(left) = self.manners.patience.checked_sub(span) else {
            return Err(ServiceError::Throttled {
                seconds: span.as_secs().max(1),
            });
        };
        self.manners.patience = left;
        tokio::time::sleep(span).await;
        Ok(())
    }
}

fn certificates(ca: Option<&[u8]>) -> Result<Vec<reqwest::Certificate>, ServiceError> {
    let Some(pem) = ca else { return Ok(Vec::new()) };
    let all = native_tls::Certificate::stack_from_pem(pem).map_err(|_| ServiceError::Ca)?;
    if all.is_empty() {
        return Err(ServiceError::Ca);
    }
    let der = |one: &native_tls::Certificate| one.to_der().map_err(|_| ServiceError::Ca);
    let all = all
        .iter()
        .map(|one| reqwest::Certificate::from_der(&der(one)?).map_err(|_| ServiceError::Ca));
    all.collect()
}

/// Whether it may be better in a moment.
const fn can_pass(failure: &ServiceError) -> bool {
    matches!(
        failure,
        ServiceError::Unreachable | ServiceError::Silent | ServiceError::Broken { .. }
    )
}

/// What a question without an answer means.
fn broken(error: &reqwest::Error) -> ServiceError {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(one) = cause {
        if one.is::<native_tls::Error>() {
            return ServiceError::Tls;
        }
        cause = one.source();
    }
    match error.is_connect() && !error.is_timeout() {
        true => ServiceError::Unreachable,
        false => ServiceError::Silent,
    }
}

async fn refused(answer: Response, signing_in: bool) -> ServiceError {
    let code = answer.status();
    let status = code.as_u16();
    if code.is_redirection() {
        return ServiceError::Redirected { status };
    }
    let said = match body(answer, REFUSAL).await {
        Ok(body) => Said::of(&body),
        Err(_) => Said::default(),
    };
    match signing_in {
        true => ServiceError::SignIn { status, said },
        false => ServiceError::Refused { status, said },
    }
}

async fn whole(answer: Response) -> Result<Answer, ServiceError> {
    let next = answer
        .headers()
        .get_all(LINK)
        .iter()
        .filter_map(|link| link.to_str().ok())
        .find_map(next_of);
    let body = body(answer, LARGEST).await?;
    Ok(Answer { body, next })
}

async fn body(mut answer: Response, most: usize) -> Result<Zeroizing<Vec<u8>>, ServiceError> {
    let announced = answer.content_length().unwrap_or(0);
    let announced = usize::try_from(announced).unwrap_or(usize::MAX);
    if announced > most {
        return Err(ServiceError::TooLarge);
    }
    let mut body = Zeroizing::new(Vec::with_capacity(announced.min(most)));
    loop {
        match answer.chunk().await {
            Ok(None) => return Ok(body),
            Ok(Some(chunk)) if body.len() + chunk.len() <= most => body.extend_from_slice(&chunk),
            Ok(Some(_)) => return Err(ServiceError::TooLarge),
            Err(_) => return Err(ServiceError::Silent),
        }
    }
}

/// The address that a `Link` names as the next: `<https://…>; rel="next"`, one of several perhaps.
fn next_of(links: &str) -> Option<String> {
    let mut rest = links;
    while let Some((_, after)) = rest.split_once('<') {
        let (address, after) = after.split_once('>')?;
        let (parameters, after) = match after.find('<') {
            Some(at) => after.split_at(at),
            None => (after, ""),
        };
        let is_next = parameters
            .split([';', ','])
            .map(str::trim)
            .any(|parameter| matches!(parameter, "rel=next" | "rel=\"next\""));
        if is_next {
            return Some(address.to_owned());
        }
        rest = after;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page_is_found_among_links() {
        for (links, expected) in [
            (
                "<https://a.example/1>; rel=\"next\"",
                Some("https://a.example/1"),
            ),
            (
                "<https://a.example/?a=1,2>; rel=\"self\", <https://a.example/?after=x,y>; rel=\"next\"",
                Some("https://a.example/?after=x,y"),
            ),
            ("<https://a.example/>; rel=\"self\"", None),
            ("<https://a.example/>; title=\"next\"", None),
            ("https://a.example/; rel=next", None),
            ("<https://a.example/", None),
            ("", None),
        ] {
            assert_eq!(next_of(links).as_deref(), expected, "{links}");
        }
    }

    #[test]
    fn a_refusal_is_quoted_only_in_words_that_are_known() {
        for (body, expected) in [
            (
                r#"{"error": "invalid_client", "error_description": "s3ntinel"}"#,
                ", invalid_client",
            ),
            (
                r#"{"error": {"code": "Authorization_RequestDenied"}}"#,
                ", Authorization_RequestDenied",
            ),
            (r#"{"errorCode": "E0000011"}"#, ", E0000011"),
            (
                r#"{"error": {"code": 403, "status": "PERMISSION_DENIED"}}"#,
                ", PERMISSION_DENIED",
            ),
            (r#"{"error": "s3ntinel"}"#, ""),
            ("<html>s3ntinel", ""),
        ] {
            assert_eq!(Said::of(body.as_bytes()).to_string(), expected);
        }
    }
}
