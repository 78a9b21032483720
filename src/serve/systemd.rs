//! What systemd hears from us: that we are ready, that we are alive, that we are stopping. Without systemd nothing is said.

use std::time::Duration;

use sd_notify::NotifyState;

/// All parts run.
pub(super) fn ready() {
    say(NotifyState::Ready);
}

/// Nothing new is begun.
pub(super) fn stopping() {
    say(NotifyState::Stopping);
}

/// That we are alive. Said by the loop that watches over all parts, so that a runtime that stands still says nothing.
pub(super) fn alive() {
    say(NotifyState::Watchdog);
}

/// How often systemd wants to hear that we are alive: twice in each of its `WatchdogSec`. None: it does not ask.
pub(super) fn beat() -> Option<Duration> {
    let mut micros = 0;
    let is_asked = sd_notify::watchdog_enabled(false, &mut micros);
    (is_asked && micros > 0).then(|| Duration::from_micros(micros / 2))
}

fn say(state: NotifyState<'_>) {
    // Whoever started us may be gone; that is nothing to stop for.
    if let Err(error) = sd_notify::notify(false, &[state]) {
        tracing::debug!("systemd does not hear us: {error}");
    }
}
