//! Logging: what the program says about itself, to stderr, as plain lines or JSON.
//!
//! Only our own crate follows the configured level. What libraries say below `warn` (serenity its requests, sqlx its
//! statements, lettre its commands) can hold addresses, values and tokens, so it is never written, whatever the level.

use std::io::IsTerminal;

use tracing::Subscriber;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::{self, MakeWriter};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::{Log, LogFormat};

/// A log is running in this process already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a log is running already")]
pub struct AlreadyRunning;

/// Starts the process's log on stderr. Colours only where a person looks on.
pub fn start(log: &Log) -> Result<(), AlreadyRunning> {
    subscriber(log, std::io::stderr, std::io::stderr().is_terminal())
        .try_init()
        .map_err(|_| AlreadyRunning)
}

/// The log as [`start`] runs it, written to `writer`.
pub fn subscriber<W>(log: &Log, writer: W, colours: bool) -> impl Subscriber + Send + Sync + 'static
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let layer = fmt::layer().with_writer(writer);
    let layer = match log.format {
        LogFormat::Plain => layer.with_ansi(colours).boxed(),
        LogFormat::Json => layer.json().flatten_event(true).boxed(),
    };
    tracing_subscriber::registry().with(layer.with_filter(who_may_speak(log)))
}

/// Our own crate at the configured level; everybody else at `warn` or less.
fn who_may_speak(log: &Log) -> Targets {
    let ours = LevelFilter::from_level(log.level);
    Targets::new()
        .with_target("division_bell", ours)
        .with_target("bell", ours)
        .with_default(ours.min(LevelFilter::WARN))
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use tracing::Level;

    use super::*;
    use crate::domain::EmailAddress;

    #[derive(Clone, Default)]
    struct Page(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Page {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn written(log: &Log, say: impl FnOnce()) -> String {
        let page = Page::default();
        let kept = page.clone();
        let subscriber = subscriber(log, move || page.clone(), false);
        tracing::subscriber::with_default(subscriber, say);
        let bytes = kept.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn libraries_stay_at_warn_whatever_the_level() {
        let log = Log {
            level: Level::TRACE,
            format: LogFormat::Plain,
        };
        let text = written(&log, || {
            tracing::trace!(target: "division_bell::steps", "ours at trace");
            tracing::info!(target: "serenity::http::client", "a request");
            tracing::debug!(target: "sqlx::query", "a statement");
            tracing::debug!(target: "lettre::transport", "a command");
            tracing::warn!(target: "sqlx::query", "a slow statement");
        });
        assert!(text.contains("ours at trace"), "{text}");
        assert!(text.contains("a slow statement"), "{text}");
        for silent in ["a request", "a statement", "a command"] {
            assert!(!text.contains(silent), "{text}");
        }
    }

    #[test]
    fn a_lower_level_holds_for_libraries_too() {
        let log = Log {
            level: Level::ERROR,
            format: LogFormat::Plain,
        };
        let text = written(&log, || {
            tracing::warn!(target: "sqlx::query", "a slow statement");
            tracing::warn!(target: "division_bell::steps", "ours at warn");
            tracing::error!(target: "division_bell::steps", "ours at error");
        });
        assert!(text.contains("ours at error"), "{text}");
        assert!(!text.contains("slow") && !text.contains("warn"), "{text}");
    }

    #[test]
    fn json_is_one_object_a_line_and_addresses_are_masked() {
        let log = Log {
            level: Level::INFO,
            format: LogFormat::Json,
        };
        let address = EmailAddress::parse("ada.abara@parl.example").unwrap();
        let text = written(&log, || {
            tracing::info!(case.id = 7, to = %address, "told");
            tracing::info!(to = ?address, "told\nagain");
        });
        let lines: Vec<serde_json::Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[0]["case.id"], 7);
        assert_eq!(lines[0]["to"], "a***@parl.example");
        assert!(!text.contains("ada.abara"), "{text}");
    }
}
