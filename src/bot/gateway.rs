//! Gateway: the line on which Discord tells what people do, by serenity, which keeps it alive, resumes it and comes back.
//!
//! No intent is asked for: whatever we serve comes without one. What comes is handed on as JSON, also what serenity cannot
//! read, as it would say nothing about that.

use std::sync::Arc;
use std::time::Duration;

use secrecy::ExposeSecret;
use serde_json::Value;
use serenity::all::{
    ClientBuilder, ConnectionStage, Context, Event, GatewayIntents, Interaction, RawEventHandler,
    ShardManager,
};
use serenity::gateway::GatewayError;
use serenity::http::HttpBuilder;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::rest::{self, Rest, Trouble};

/// What waits to be attended to; beyond that Discord's line waits.
const WAITING: usize = 256;

/// How long the line may take to be closed in good order.
const FAREWELL: Duration = Duration::from_secs(2);

/// What is heard on the line.
#[derive(Debug)]
pub enum Heard {
    /// A new session; commands are registered for this application.
    Ready(u64),
    /// The session goes on where it was.
    Back,
    /// Somebody wants something.
    Asked(Value),
    /// Discord has spoken in a form that nobody here understands.
    Strange,
    /// It is over for good.
    Over(Over),
}

/// Why the line is over for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Over {
    /// The token is none, or none any more.
    Token,
    /// Discord does not let us have what we never ask for.
    Intents,
    /// It ended, and nobody said why.
    Ended,
}

/// The line.
pub struct Line {
    heard: mpsc::Receiver<Heard>,
    manager: Arc<ShardManager>,
    running: JoinHandle<Over>,
}

impl Line {
    /// Opens the line, which from then on is kept up by itself. To be called once in a process: serenity's tries to come
    /// back do not end before the process does.
    pub async fn open(rest: &Rest) -> Result<Self, Trouble> {
        let address = rest.gateway().await?;
        let (token, base) = rest.way();
        // Whatever the base: with the limiter on, `proxy` means nothing, and discord.com is asked.
        let mut http = HttpBuilder::new(token.expose_secret())
            .client(rest::client()?)
            .ratelimiter_disabled(true);
        if let Some(base) = base {
            http = http.proxy(base);
        }
        let (told, heard) = mpsc::channel(WAITING);
        let mut client = ClientBuilder::new_with_http(http.build(), GatewayIntents::empty())
            .raw_event_handler(Ear(told))
            .await
            .map_err(|_| Trouble::Later)?;
        // serenity asks for the address itself, and takes Discord's own if it hears nothing.
        *client.ws_url.lock().await = address;
        let manager = Arc::clone(&client.shard_manager);
        let running = tokio::spawn(async move {
            match client.start().await {
                Err(serenity::Error::Gateway(
                    GatewayError::InvalidAuthentication | GatewayError::NoAuthentication,
                )) => Over::Token,
                Err(serenity::Error::Gateway(
                    GatewayError::InvalidGatewayIntents | GatewayError::DisallowedGatewayIntents,
                )) => Over::Intents,
                Ok(()) | Err(_) => Over::Ended,
            }
        });
        Ok(Self {
            heard,
            manager,
            running,
        })
    }

    /// What is heard next. Nothing comes after [`Heard::Over`].
    pub async fn next(&mut self) -> Heard {
        tokio::select! {
            over = &mut self.running => Heard::Over(over.unwrap_or(Over::Ended)),
            heard = self.heard.recv() => heard.unwrap_or(Heard::Over(Over::Ended)),
        }
    }

    /// Whether Discord hears and speaks. It takes a heartbeat or two until a silent line is found out.
    pub async fn is_up(&self) -> bool {
        let runners = self.manager.runners.lock().await;
        runners
            .values()
            .any(|runner| runner.stage == ConnectionStage::Connected)
    }

    /// Says good-bye, so that Discord shows us as gone at once.
    pub async fn close(self) {
        let farewell = self.manager.shutdown_all();
        if tokio::time::timeout(FAREWELL, farewell).await.is_err() {
            tracing::debug!("discord was left without a good-bye");
        }
        self.running.abort();
    }
}

/// Hears everything that is said.
struct Ear(mpsc::Sender<Heard>);

#[serenity::async_trait]
impl RawEventHandler for Ear {
    async fn raw_event(&self, _: Context, event: Event) {
        let heard = match event {
            Event::Ready(event) => Heard::Ready(event.ready.application.id.get()),
            Event::Resumed(_) => Heard::Back,
            Event::InteractionCreate(event) => match written(&event.interaction) {
                Ok(asked) => Heard::Asked(asked),
                Err(_) => Heard::Strange,
            },
            Event::Unknown(event) if event.kind == "INTERACTION_CREATE" => {
                Heard::Asked(event.value)
            }
            Event::Unknown(event) if event.kind == "READY" => Heard::Strange,
            // What we did not ask for and Discord tells all the same.
            _ => return,
        };
        // Nobody listens any more: we are about to stop.
        let _ = self.0.send(heard).await;
    }
}

/// As Discord wrote it. serenity keeps the kind of it in the type, and does not write it.
fn written(interaction: &Interaction) -> serde_json::Result<Value> {
    let mut written = serde_json::to_value(interaction)?;
    let kind = serde_json::to_value(interaction.kind())?;
    if let Some(map) = written.as_object_mut() {
        map.insert("type".to_owned(), kind);
    }
    Ok(written)
}
