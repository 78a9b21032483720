//! A bot's way to one channel, through serenity's own HTTP client.
//!
//! serenity's limiter is off. It would wait without end, and while it is on serenity ignores the address that stands in for
//! Discord's. The price: how long a 429 asks us to wait is lost, so nobody may call much more often than once a minute.

use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::Value;
use serenity::http::{DiscordJsonError, Http, HttpBuilder, HttpError, LightMethod, Request, Route};
use serenity::model::id::{ChannelId, MessageId as DiscordMessageId};

use super::{MessageId, Miss, is_ours};

/// How long one call may take, name look-up and answer included.
const CALL_LIMIT: Duration = Duration::from_secs(10);

/// How many messages are looked through for our own.
const LOOK_BACK: u8 = 50;

/// serenity's code for an answer that is no error of Discord's own, such as a 429 or a gateway's page.
const NO_CODE: isize = -1;

/// What is wrong with the settings.
#[derive(Debug, thiserror::Error)]
pub enum DiscordError {
    /// Not a channel id.
    #[error("a channel is named by its id, a number")]
    Channel,
    /// No characters that a header may hold.
    #[error("the token holds characters that no token has")]
    Token,
    /// The HTTP client cannot be built.
    #[error("the HTTP client cannot be set up")]
    Client,
}

/// A bot's way to one channel.
#[derive(Clone)]
pub struct Discord {
    http: Arc<Http>,
    channel: ChannelId,
    limit: Duration,
}

impl std::fmt::Debug for Discord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Discord")
            .field("channel", &self.channel.get())
            .finish_non_exhaustive()
    }
}

/// Somebody's message, as far as we look at it. serenity's own type wants all of it in the form of 2025, and one message
/// of a newer form would hide ours.
#[derive(Deserialize)]
struct Seen {
    id: String,
    #[serde(default)]
    author: Author,
    #[serde(default)]
    embeds: Vec<Embed>,
}

#[derive(Deserialize, Default)]
struct Author {
    #[serde(default)]
    bot: bool,
}

#[derive(Deserialize)]
struct Embed {
    footer: Option<Footer>,
}

#[derive(Deserialize)]
struct Footer {
    text: String,
}

impl Seen {
    fn refers_to(&self, reference: &str) -> bool {
        let mut footers = self.embeds.iter().filter_map(|embed| embed.footer.as_ref());
        self.author.bot && footers.any(|footer| is_ours(&footer.text, reference))
    }
}

impl Discord {
    /// `base` replaces `https://discord.com`, for a test or a proxy of the organisation's own.
    pub fn new(
        token: &SecretString,
        channel: u64,
        base: Option<&str>,
    ) -> Result<Self, DiscordError> {
        Self::over(reqwest::Client::builder(), token, channel, base)
    }

    fn over(
        client: reqwest::ClientBuilder,
        token: &SecretString,
        channel: u64,
        base: Option<&str>,
    ) -> Result<Self, DiscordError> {
        let bare = token.expose_secret().trim();
        if bare.is_empty() || !bare.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(DiscordError::Token);
        }
        let channel = ChannelId::from(NonZeroU64::new(channel).ok_or(DiscordError::Channel)?);
        let client = client
            .use_native_tls()
            .timeout(CALL_LIMIT)
            // A proxy from the environment would see the token; a redirect could take it elsewhere.
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|_| DiscordError::Client)?;
        // Whatever the base: with the limiter on, `proxy` means nothing, and discord.com is asked.
        let mut http = HttpBuilder::new(bare)
            .client(client)
            .ratelimiter_disabled(true);
        if let Some(base) = base {
            http = http.proxy(base);
        }
        Ok(Self {
            http: Arc::new(http.build()),
            channel,
            limit: CALL_LIMIT,
        })
    }

    /// The same with a shorter limit for each call.
    #[must_use]
    pub fn with_limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    pub(super) async fn create(&self, body: &Value) -> Result<MessageId, Miss> {
        let sending = self.http.send_message(self.channel, Vec::new(), body);
        let created = self.call(sending).await?;
        Ok(MessageId(created.id.to_string()))
    }

    pub(super) async fn replace(&self, message: &MessageId, body: &Value) -> Result<(), Miss> {
        let id: NonZeroU64 = message.0.parse().map_err(|_| Miss::Gone)?;
        let id = DiscordMessageId::from(id);
        let sending = self.http.edit_message(self.channel, id, body, Vec::new());
        self.call(sending).await.map(|_| ())
    }

    pub(super) async fn find(&self, reference: &str) -> Result<Option<MessageId>, Miss> {
        let route = Route::ChannelMessages {
            channel_id: self.channel,
        };
        let request = Request::new(route, LightMethod::Get)
            .params(Some(vec![("limit", LOOK_BACK.to_string())]));
        let messages: Vec<Seen> =
            self.call(self.http.fire(request))
                .await
                .map_err(|miss| match miss {
                    // Reading leaves nothing behind.
                    Miss::Unsure => Miss::Later(None),
                    other => other,
                })?;
        let ours = messages
            .into_iter()
            .find(|message| message.refers_to(reference));
        Ok(ours.map(|message| MessageId(message.id)))
    }

    async fn call<T>(&self, call: impl Future<Output = serenity::Result<T>>) -> Result<T, Miss> {
        match tokio::time::timeout(self.limit, call).await {
            Ok(answered) => answered.map_err(|error| missed(&error)),
            Err(_) => Err(Miss::Unsure),
        }
    }
}

fn missed(error: &serenity::Error) -> Miss {
    match error {
        serenity::Error::Http(HttpError::UnsuccessfulRequest(answer)) => {
            refused(answer.status_code.as_u16(), &answer.error)
        }
        // Without a connection nothing can have arrived.
        serenity::Error::Http(HttpError::Request(error)) if error.is_connect() => Miss::Later(None),
        serenity::Error::Http(HttpError::Request(error)) if error.is_builder() => not_a_request(),
        serenity::Error::Http(HttpError::Url(_) | HttpError::InvalidHeader(_)) => not_a_request(),
        // A connection that broke, or an answer that is none.
        _ => Miss::Unsure,
    }
}

fn not_a_request() -> Miss {
    Miss::Never("the request to Discord cannot be built: check its address".to_owned())
}

/// What a status and Discord's own code mean (`topics/opcodes-and-status-codes`).
fn refused(status: u16, error: &DiscordJsonError) -> Miss {
    match (status, error.code) {
        (_, 10008) => Miss::Gone,
        // Blocked for the User-Agent: waiting does not help.
        (429, 40333) => Miss::Never(words(status, error)),
        (429, _) | (_, 30046 | 20022 | 20028) => Miss::Later(None),
        (500.., _) => Miss::Unsure,
        _ => Miss::Never(words(status, error)),
    }
}

fn words(status: u16, error: &DiscordJsonError) -> String {
    let meant = match (status, error.code) {
        (401, _) => "the bot's token is not valid",
        (_, 50001) => "the bot may not see the channel",
        (403, _) => "the bot lacks a permission in the channel",
        (_, 10003) => "there is no such channel",
        _ => "discord refused",
    };
    if error.code == NO_CODE {
        return format!("{meant} (status {status})");
    }
    // Discord's own words, without what could disturb a terminal or a log line.
    let said: String = error
        .message
        .chars()
        .filter(|c| !c.is_control())
        .take(200)
        .collect();
    format!("{meant} (status {status}, code {}: {said})", error.code)
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use axum::http::StatusCode;
    use reqwest::dns::{Addrs, Name, Resolve, Resolving};
    use serde_json::json;

    use super::*;

    fn token(text: &str) -> SecretString {
        SecretString::from(text.to_owned())
    }

    fn refusal(status: u16, code: i64) -> Miss {
        let error = json!({ "code": code, "message": "because\u{1b}[2J" });
        refused(status, &serde_json::from_value(error).unwrap())
    }

    #[test]
    fn each_code_with_a_branch_of_its_own_is_told_apart() {
        assert_eq!(refusal(404, 10008), Miss::Gone);
        assert_eq!(refusal(429, -1), Miss::Later(None));
        assert_eq!(refusal(429, 20028), Miss::Later(None));
        assert_eq!(refusal(400, 30046), Miss::Later(None));
        assert_eq!(refusal(503, 0), Miss::Unsure);
        for (status, code) in [
            (401, 0),
            (403, 50013),
            (403, 50001),
            (404, 10003),
            (404, -1),
            (400, 50035),
            (429, 40333),
            (302, -1),
        ] {
            let Miss::Never(why) = refusal(status, code) else {
                panic!("{status} {code}");
            };
            assert!(!why.contains('\u{1b}'), "{why}");
            assert_eq!(why.contains("because"), code != -1, "{why}");
        }
    }

    #[test]
    fn settings_that_cannot_work_are_refused_and_the_token_is_never_shown() {
        for bad in ["a\r\nb", " ", "a b", "tökén"] {
            assert!(matches!(
                Discord::new(&token(bad), 1, None),
                Err(DiscordError::Token)
            ));
        }
        assert!(matches!(
            Discord::new(&token("t"), 0, None),
            Err(DiscordError::Channel)
        ));
        let discord = Discord::new(&token("sentinel-4711"), 1, None).unwrap();
        assert!(!format!("{discord:?}{:?}", discord.http).contains("sentinel"));
    }

    #[tokio::test]
    async fn an_address_that_is_none_is_never_mended_by_waiting() {
        for base in ["", "nothing", "ftp://127.0.0.1"] {
            let discord = Discord::new(&token("t"), 1, Some(base)).unwrap();
            assert_eq!(discord.create(&json!({})).await, Err(not_a_request()));
        }
    }

    /// Knows where `proxy.example` is, and keeps every name that it is asked for.
    #[derive(Clone, Default)]
    struct Names(Arc<Mutex<Vec<String>>>);

    impl Resolve for Names {
        fn resolve(&self, name: Name) -> Resolving {
            self.0.lock().unwrap().push(name.as_str().to_owned());
            let is_proxy = name.as_str() == "proxy.example";
            Box::pin(async move {
                let here = std::iter::once(SocketAddr::from(([127, 0, 0, 1], 0)));
                let found: Option<Addrs> = is_proxy.then(|| Box::new(here) as Addrs);
                found.ok_or_else(|| "there is no such name".into())
            })
        }
    }

    /// Asks for all that we ever ask for, and says which hosts were looked up for it.
    async fn hosts_asked(base: Option<&str>, miss: &Miss) -> Vec<String> {
        let names = Names::default();
        let client = reqwest::Client::builder().dns_resolver(Arc::new(names.clone()));
        let discord = Discord::over(client, &token("t"), 1, base).unwrap();
        let body = json!({});
        assert_eq!(discord.create(&body).await.as_ref(), Err(miss));
        let edited = discord.replace(&MessageId("5".into()), &body).await;
        assert_eq!(edited.as_ref(), Err(miss));
        assert_eq!(discord.find("DB-1").await, Err(Miss::Later(None)));
        names.0.lock().unwrap().clone()
    }

    #[tokio::test]
    async fn with_an_address_of_our_own_discord_is_never_asked() {
        for (status, miss) in [
            (StatusCode::OK, Miss::Unsure),
            (StatusCode::TOO_MANY_REQUESTS, Miss::Later(None)),
            (StatusCode::BAD_GATEWAY, Miss::Unsure),
        ] {
            let served = Arc::new(AtomicUsize::new(0));
            let count = served.clone();
            // The headers that make serenity's limiter act, if it is on.
            let limits = [
                ("retry-after", "0"),
                ("x-ratelimit-limit", "1"),
                ("x-ratelimit-remaining", "0"),
                ("x-ratelimit-reset", "0"),
                ("x-ratelimit-reset-after", "0"),
                ("connection", "close"),
            ];
            let server = axum::Router::new().fallback(async move || {
                count.fetch_add(1, Ordering::SeqCst);
                (status, limits, "{\"retry_after\":0.0}")
            });
            let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0))
                .await
                .unwrap();
            let port = listener.local_addr().unwrap().port();
            tokio::spawn(async move { axum::serve(listener, server).await.unwrap() });
            let base = format!("http://proxy.example:{port}/");
            let asked = hosts_asked(Some(&base), &miss).await;
            assert_eq!(asked, ["proxy.example"; 3], "{status}");
            assert_eq!(served.load(Ordering::SeqCst), 3, "{status}");
        }
    }

    #[tokio::test]
    async fn without_one_it_is_discord_that_is_asked() {
        let asked = hosts_asked(None, &Miss::Later(None)).await;
        assert_eq!(asked, ["discord.com"; 3]);
    }
}
