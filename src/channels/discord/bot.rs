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
use serenity::builder::CreateAttachment;
use serenity::http::{DiscordJsonError, Http, HttpBuilder, HttpError, LightMethod, Request, Route};
use serenity::model::id::{ChannelId, MessageId as DiscordMessageId};

use super::render::{self, PICTURE};
use crate::channels::chat::{Looked, MessageId, Miss, Refusal, StatusPost, is_ours};
use crate::domain::Moment;
use crate::domain::post::Trouble;

/// How long one call may take, name look-up and answer included.
const CALL_LIMIT: Duration = Duration::from_secs(10);

/// How many messages are looked through for our own.
const LOOK_BACK: u8 = 50;

/// How far our clock and Discord's may differ.
const SKEW: chrono::TimeDelta = chrono::TimeDelta::minutes(5);

/// A thread that nobody writes to folds away after a week, and unfolds with the next line.
const FOLDS_AFTER_MINUTES: u16 = 10_080;

/// Longest name of a thread.
const THREAD_NAME: usize = 100;

/// Discord's code for a thread that is there already.
const THREAD_IS_THERE: isize = 160_004;

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
    #[serde(default)]
    timestamp: String,
}

/// A thread, as far as we look at it: serenity's own type wants all of a channel in the form of 2025.
#[derive(Deserialize)]
struct Thread {
    id: String,
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

    fn is_older_than(&self, since: Moment) -> bool {
        let at: Option<Moment> = self.timestamp.parse().ok();
        at.is_some_and(|at| at < since.minus(SKEW))
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

    pub(in crate::channels) async fn say(
        &self,
        thread: Option<&MessageId>,
        post: &StatusPost,
        nonce: &str,
    ) -> Result<MessageId, Miss> {
        let body = render::created(post, nonce).map_err(|bad| Refusal::message(bad.to_string()))?;
        self.create(thread, &body, picture(post)).await
    }

    async fn create(
        &self,
        thread: Option<&MessageId>,
        body: &Value,
        files: Vec<CreateAttachment>,
    ) -> Result<MessageId, Miss> {
        let sending = self.http.send_message(self.place(thread)?, files, body);
        match self.call(sending).await {
            Ok(created) => Ok(MessageId(created.id.to_string())),
            // Not the channel: the thread was deleted.
            Err(Miss::Never(refusal))
                if thread.is_some() && refusal.trouble == Trouble::Channel =>
            {
                Err(Miss::Gone)
            }
            Err(miss) => Err(miss),
        }
    }

    pub(in crate::channels) async fn edit(
        &self,
        message: &MessageId,
        post: &StatusPost,
    ) -> Result<(), Miss> {
        self.replace(message, &render::edited(post), picture(post))
            .await
    }

    async fn replace(
        &self,
        message: &MessageId,
        body: &Value,
        files: Vec<CreateAttachment>,
    ) -> Result<(), Miss> {
        let id = DiscordMessageId::from(number(message)?);
        let sending = self.http.edit_message(self.channel, id, body, files);
        self.call(sending).await.map(|_| ())
    }

    /// A second thread below the same message is refused, and the one that is there has the message's own id.
    pub(in crate::channels) async fn thread(
        &self,
        message: &MessageId,
        name: &str,
    ) -> Result<MessageId, Miss> {
        let route = Route::ChannelMessageThreads {
            channel_id: self.channel,
            message_id: DiscordMessageId::from(number(message)?),
        };
        let name: String = name.chars().take(THREAD_NAME).collect();
        let body =
            serde_json::json!({ "name": name, "auto_archive_duration": FOLDS_AFTER_MINUTES });
        let request = Request::new(route, LightMethod::Post).body(serde_json::to_vec(&body).ok());
        let opening = self.http.fire::<Thread>(request);
        let Ok(opened) = tokio::time::timeout(self.limit, opening).await else {
            return Err(Miss::Unsure);
        };
        match opened {
            Ok(thread) => Ok(MessageId(thread.id)),
            Err(error) if code(&error) == Some(THREAD_IS_THERE) => Ok(message.clone()),
            Err(error) => Err(missed(&error)),
        }
    }

    pub(in crate::channels) async fn look(
        &self,
        thread: Option<&MessageId>,
        reference: &str,
        since: Moment,
    ) -> Result<Looked, Miss> {
        let route = Route::ChannelMessages {
            channel_id: self.place(thread)?,
        };
        let request = Request::new(route, LightMethod::Get)
            .params(Some(vec![("limit", LOOK_BACK.to_string())]));
        let messages: Vec<Seen> = self.call(self.http.fire(request)).await?;
        if let Some(ours) = messages.iter().find(|message| message.refers_to(reference)) {
            return Ok(Looked::Found(MessageId(ours.id.clone())));
        }
        // Newest first: all of them, or back to before it can have been posted.
        let is_all = messages.len() < usize::from(LOOK_BACK)
            || messages.iter().any(|message| message.is_older_than(since));
        Ok(if is_all {
            Looked::Absent
        } else {
            Looked::Perhaps
        })
    }

    /// A thread is a channel of its own.
    fn place(&self, thread: Option<&MessageId>) -> Result<ChannelId, Miss> {
        match thread {
            Some(thread) => Ok(ChannelId::from(number(thread)?)),
            None => Ok(self.channel),
        }
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
    Refusal::message("the request to Discord cannot be built: check its address")
}

fn number(id: &MessageId) -> Result<NonZeroU64, Miss> {
    id.0.parse().map_err(|_| Miss::Gone)
}

/// The words for those who do not see it stand in the message itself.
fn picture(post: &StatusPost) -> Vec<CreateAttachment> {
    let picture = post.picture.iter();
    picture
        .map(|picture| CreateAttachment::bytes(picture.png.clone(), PICTURE))
        .collect()
}

/// Discord's own code of an answer that is an error.
fn code(error: &serenity::Error) -> Option<isize> {
    match error {
        serenity::Error::Http(HttpError::UnsuccessfulRequest(answer)) => Some(answer.error.code),
        _ => None,
    }
}

/// What a status and Discord's own code mean (`topics/opcodes-and-status-codes`).
fn refused(status: u16, error: &DiscordJsonError) -> Miss {
    let (trouble, meant) = match (status, error.code) {
        (_, 10008) => return Miss::Gone,
        // Blocked for the User-Agent: waiting does not help.
        (429, 40333) => (Trouble::Permission, "discord refused"),
        (429, _) | (_, 30046 | 20022 | 20028) => return Miss::Later(None),
        (500.., _) => return Miss::Unsure,
        (401, _) => (Trouble::Token, "the bot's token is not valid"),
        (_, 50001) => (Trouble::Access, "the bot may not see the channel"),
        (403, _) | (_, 50013) => (
            Trouble::Permission,
            "the bot lacks a permission in the channel",
        ),
        (_, 10003) => (Trouble::Channel, "there is no such channel"),
        (404, NO_CODE | 0) => (Trouble::Channel, "discord refused"),
        _ => (Trouble::Message, "discord refused"),
    };
    Miss::Never(Refusal {
        trouble,
        words: words(status, error, meant),
    })
}

fn words(status: u16, error: &DiscordJsonError, meant: &str) -> String {
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
        for (status, code, trouble) in [
            (401, 0, Trouble::Token),
            (403, 50013, Trouble::Permission),
            (403, 50001, Trouble::Access),
            (404, 10003, Trouble::Channel),
            (404, -1, Trouble::Channel),
            (400, 50035, Trouble::Message),
            (429, 40333, Trouble::Permission),
            (302, -1, Trouble::Message),
        ] {
            let Miss::Never(Refusal {
                trouble: found,
                words: why,
            }) = refusal(status, code)
            else {
                panic!("{status} {code}");
            };
            assert_eq!(found, trouble, "{status} {code}");
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
            assert_eq!(
                discord.create(None, &json!({}), Vec::new()).await,
                Err(not_a_request())
            );
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
        let created = discord.create(None, &body, Vec::new()).await;
        assert_eq!(created.as_ref(), Err(miss));
        let five = MessageId("5".into());
        let edited = discord.replace(&five, &body, Vec::new()).await;
        assert_eq!(edited.as_ref(), Err(miss));
        let thread = discord.thread(&five, "a name").await;
        assert_eq!(thread.as_ref(), Err(miss));
        let looked = crate::channels::StatusChannel::Discord(discord);
        let looked = looked.find_recent("DB-1").await;
        assert_eq!(looked, Err(Miss::Later(None)));
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
            assert_eq!(asked, ["proxy.example"; 4], "{status}");
            assert_eq!(served.load(Ordering::SeqCst), 4, "{status}");
        }
    }

    #[tokio::test]
    async fn without_one_it_is_discord_that_is_asked() {
        let asked = hosts_asked(None, &Miss::Later(None)).await;
        assert_eq!(asked, ["discord.com"; 4]);
    }
}
