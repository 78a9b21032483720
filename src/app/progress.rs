//! Progress: how far long work is, on a terminal; silent elsewhere.

use std::io::IsTerminal;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Tells how far a piece of work is. Cheap to share; the one that says nothing costs nothing.
#[derive(Clone, Debug, Default)]
pub struct Progress {
    on_terminal: bool,
}

/// One piece of work.
#[derive(Debug)]
pub struct Bar(Option<ProgressBar>);

impl Progress {
    /// Says nothing: the service, the demo, tests.
    pub const fn silent() -> Self {
        Self { on_terminal: false }
    }

    /// Bars on standard error, if that is a terminal.
    pub fn terminal() -> Self {
        Self {
            on_terminal: std::io::stderr().is_terminal(),
        }
    }

    /// Begins a piece of work of `total` steps.
    pub fn begin(&self, what: &'static str, total: u64) -> Bar {
        if !self.on_terminal || total == 0 {
            return Bar(None);
        }
        let style = ProgressStyle::with_template(
            "{msg} {bar:30} {human_pos} of {human_len}, {per_sec}, {eta} left",
        )
        .unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr_with_hz(4))
            .with_style(style)
            .with_message(what);
        Bar(Some(bar))
    }
}

impl Bar {
    /// Some more of it is done.
    pub fn advance(&self, steps: u64) {
        if let Some(bar) = &self.0 {
            bar.inc(steps);
        }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}
