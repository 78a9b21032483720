//! Rest: the few calls by which the bot answers, over our own HTTP client: serenity's loses how long Discord asks us to
//! wait, or waits without end.

use std::time::Duration;

use reqwest::header::{
    AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER, USER_AGENT,
};
use reqwest::{Method, StatusCode, Url};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use super::asked::Ticket;

/// Discord's own address.
const DISCORD: &str = "https://discord.com";

/// How long one call may take.
const CALL_LIMIT: Duration = Duration::from_secs(10);

/// How often one call is made.
const TRIES: u32 = 4;

/// The longest wait that Discord may ask for before we give up on this call.
const LONGEST_WAIT: Duration = Duration::from_secs(20);

/// What is read of an answer.
const LARGEST: usize = 4 << 20;

/// Discord's code for an interaction that it no longer knows: three seconds, or fifteen minutes, are over.
const TOO_LATE: i64 = 10062;
/// For one that has its first answer.
const ANSWERED: i64 = 40060;

/// Why a call was in vain.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// The token is none, or none any more. No other call will do better.
    #[error(
        "discord does not know the bot's token; make a new one there, put it where the config says, and restart"
    )]
    Token,
    /// It may do better later.
    #[error("discord does not answer, or asks us to come back later")]
    Later,
    /// Somebody waited too long for it.
    #[error("discord has given up waiting for this answer")]
    TooLate,
    /// It will do no better.
    #[error("discord refused (status {status}, code {code}): {}", advice(*.status, *.code))]
    Never {
        /// The answer's status.
        status: u16,
        /// Discord's own code; 0 if it gave none.
        code: i64,
    },
    /// The settings cannot be used at all.
    #[error("{0}")]
    Settings(&'static str),
}

fn advice(status: u16, code: i64) -> &'static str {
    match (status, code) {
        (_, 50001) => {
            "the bot is not in this server or channel, or was invited without the scope applications.commands"
        }
        (_, 50013) => "the bot lacks a permission; give it the ones that the example config names",
        (_, 10003 | 10004) => "there is no such server or channel; check the ids in [discord.bot]",
        (_, 30034) => "too many commands were made today; it goes on tomorrow",
        _ => "look up its code in Discord's list, and tell the people who make Division Bell",
    }
}

/// The way to Discord's REST.
pub struct Rest {
    client: reqwest::Client,
    base: Url,
    is_own: bool,
    token: SecretString,
}

impl std::fmt::Debug for Rest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rest").finish_non_exhaustive()
    }
}

impl Rest {
    /// `base` stands in for Discord's own address.
    pub fn new(token: &SecretString, base: Option<&str>) -> Result<Self, Trouble> {
        let bare = token.expose_secret().trim();
        if bare.is_empty() || !bare.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Trouble::Settings(
                "the bot's token holds characters that no token has; copy it anew",
            ));
        }
        let token = SecretString::from(bare.to_owned());
        let base_url = Url::parse(base.unwrap_or(DISCORD))
            .map_err(|_| Trouble::Settings("discord.api_base is no address"))?;
        Ok(Self {
            client: client()?,
            base: base_url,
            is_own: base.is_some(),
            token,
        })
    }

    /// Where the gateway is.
    pub async fn gateway(&self) -> Result<String, Trouble> {
        let answer = self.call(Method::GET, &["gateway"], None).await?;
        let address = answer
            .get("url")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let url = Url::parse(address).ok();
        // The token goes there.
        let is_safe = url.as_ref().is_some_and(|url| {
            let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
            let is_here = host
                .parse::<std::net::IpAddr>()
                .is_ok_and(|address| address.is_loopback());
            url.scheme() == "wss" || self.is_own && url.scheme() == "ws" && is_here
        });
        match is_safe && !address.contains('?') {
            true => Ok(address.trim_end_matches('/').to_owned()),
            false => Err(Trouble::Later),
        }
    }

    /// The commands that a server has of ours.
    pub async fn commands(&self, application: u64, guild: u64) -> Result<Value, Trouble> {
        let (application, guild) = (application.to_string(), guild.to_string());
        let path = ["applications", &application, "guilds", &guild, "commands"];
        self.call(Method::GET, &path, None).await
    }

    /// Replaces all of them.
    pub async fn register(
        &self,
        application: u64,
        guild: u64,
        commands: &Value,
    ) -> Result<(), Trouble> {
        let (application, guild) = (application.to_string(), guild.to_string());
        let path = ["applications", &application, "guilds", &guild, "commands"];
        self.call(Method::PUT, &path, Some(commands))
            .await
            .map(|_| ())
    }

    /// The first answer. One that is there already is as good: a call whose answer was lost is made again.
    pub async fn answer(&self, ticket: &Ticket, body: &Value) -> Result<(), Trouble> {
        let id = ticket.id.to_string();
        let path = ["interactions", &id, &ticket.token, "callback"];
        match self.call(Method::POST, &path, Some(body)).await {
            Err(Trouble::Never { code: ANSWERED, .. }) => Ok(()),
            other => other.map(|_| ()),
        }
    }

    /// Replaces the first answer.
    pub async fn replace(
        &self,
        application: u64,
        ticket: &Ticket,
        body: &Value,
    ) -> Result<(), Trouble> {
        let application = application.to_string();
        let path = [
            "webhooks",
            &application,
            &ticket.token,
            "messages",
            "@original",
        ];
        self.call(Method::PATCH, &path, Some(body))
            .await
            .map(|_| ())
    }

    /// A further answer beside the first.
    pub async fn follow_up(
        &self,
        application: u64,
        ticket: &Ticket,
        body: &Value,
    ) -> Result<(), Trouble> {
        let application = application.to_string();
        let path = ["webhooks", &application, &ticket.token];
        self.call(Method::POST, &path, Some(body)).await.map(|_| ())
    }

    /// A message in a channel. The body's nonce makes repeating it harmless for some minutes.
    pub async fn post(&self, channel: u64, body: &Value) -> Result<(), Trouble> {
        let channel = channel.to_string();
        let path = ["channels", &channel, "messages"];
        self.call(Method::POST, &path, Some(body)).await.map(|_| ())
    }

    /// One call, made again where Discord asks for it, or where repeating it does no harm.
    async fn call(
        &self,
        method: Method,
        path: &[&str],
        body: Option<&Value>,
    ) -> Result<Value, Trouble> {
        let mut url = self.base.clone();
        url.path_segments_mut()
            .map_err(|()| Trouble::Settings("discord.api_base is no address"))?
            .pop_if_empty()
            .extend(["api", "v10"])
            .extend(path);
        let text = body.map(Value::to_string);
        for nth in 1..=TRIES {
            let mut request = self
                .client
                .request(method.clone(), url.clone())
                .header(AUTHORIZATION, self.authorization()?);
            if let Some(text) = &text {
                request = request
                    .header(CONTENT_TYPE, "application/json")
                    .body(text.clone());
            }
            let wait = match request.send().await {
                Ok(response) => {
                    let (status, headers) = (response.status(), response.headers().clone());
                    let body = whole(response).await;
                    match (status, body) {
                        (status, Some(body)) if status.is_success() => return Ok(body),
                        // An answer that broke off.
                        (status, None) if status.is_success() => pause(nth),
                        (StatusCode::UNAUTHORIZED, _) => return Err(Trouble::Token),
                        (StatusCode::TOO_MANY_REQUESTS, body) => {
                            asked_for(&headers, body.as_ref())?
                        }
                        (status, _) if status.is_server_error() => pause(nth),
                        (status, body) => return Err(refused(status, body.as_ref())),
                    }
                }
                Err(error) if error.is_builder() => {
                    return Err(Trouble::Settings("discord.api_base is no address"));
                }
                Err(_) => pause(nth),
            };
            if nth < TRIES {
                tokio::time::sleep(wait).await;
            }
        }
        Err(Trouble::Later)
    }

    fn authorization(&self) -> Result<HeaderValue, Trouble> {
        let mut value = HeaderValue::from_str(&format!("Bot {}", self.token.expose_secret()))
            .map_err(|_| Trouble::Settings("the bot's token holds characters that no token has"))?;
        value.set_sensitive(true);
        Ok(value)
    }

    /// The token and the address, for serenity.
    pub(super) fn way(&self) -> (&SecretString, Option<&str>) {
        (&self.token, self.is_own.then_some(self.base.as_str()))
    }
}

/// A client with limits, and no way around the address that it is given.
pub(super) fn client() -> Result<reqwest::Client, Trouble> {
    let mut headers = HeaderMap::new();
    headers.insert(
        USER_AGENT,
        HeaderValue::from_static(concat!(
            "DiscordBot (https://example.org/division-bell, ",
            env!("CARGO_PKG_VERSION"),
            ")"
        )),
    );
    reqwest::Client::builder()
        .use_native_tls()
        .timeout(CALL_LIMIT)
        // A proxy from the environment would see the token; a redirect could take it elsewhere.
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .default_headers(headers)
        .build()
        .map_err(|_| Trouble::Settings("the HTTP client cannot be set up"))
}

/// All of an answer as JSON, null for an empty one; none if it breaks off, is too large, or is no JSON.
async fn whole(mut response: reqwest::Response) -> Option<Value> {
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.ok()? {
        if bytes.len() + chunk.len() > LARGEST {
            return None;
        }
        bytes.extend_from_slice(&chunk);
    }
    match bytes.is_empty() {
        true => Some(json!(null)),
        false => serde_json::from_slice(&bytes).ok(),
    }
}

fn pause(nth: u32) -> Duration {
    Duration::from_millis(250 << nth.min(4))
}

/// How long a 429 asks us to wait: the body is finer than the header.
fn asked_for(headers: &HeaderMap, body: Option<&Value>) -> Result<Duration, Trouble> {
    let from_body = body.and_then(|body| body.get("retry_after")?.as_f64());
    let from_header = || {
        let text = headers.get(RETRY_AFTER)?.to_str().ok()?;
        text.trim().parse::<f64>().ok()
    };
    let seconds = from_body.or_else(from_header).unwrap_or(1.0);
    match Duration::try_from_secs_f64(seconds) {
        Ok(wait) if wait <= LONGEST_WAIT => Ok(wait),
        Ok(_) | Err(_) => Err(Trouble::Later),
    }
}

fn refused(status: StatusCode, body: Option<&Value>) -> Trouble {
    let code = body
        .and_then(|body| body.get("code")?.as_i64())
        .unwrap_or_default();
    match code {
        TOO_LATE => Trouble::TooLate,
        code => Trouble::Never {
            status: status.as_u16(),
            code,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_that_discord_asks_for_is_kept_and_bounded() {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, HeaderValue::from_static("2"));
        let body = json!({ "retry_after": 0.25 });
        for (body, expected) in [
            (Some(&body), Ok(Duration::from_millis(250))),
            (None, Ok(Duration::from_secs(2))),
            (Some(&json!({ "retry_after": -1.0 })), Err(Trouble::Later)),
            (Some(&json!({ "retry_after": 1e300 })), Err(Trouble::Later)),
            (Some(&json!("slow")), Ok(Duration::from_secs(2))),
        ] {
            assert_eq!(asked_for(&headers, body), expected);
        }
    }

    #[test]
    fn the_token_is_never_shown() {
        let token = SecretString::from("s3ntinel".to_owned());
        let rest = Rest::new(&token, None).unwrap();
        assert!(!format!("{rest:?}").contains("s3ntinel"));
        for bad in ["", "a b", "a\nb", "tökén"] {
            let token = SecretString::from(bad.to_owned());
            assert!(matches!(Rest::new(&token, None), Err(Trouble::Settings(_))));
        }
    }
}
