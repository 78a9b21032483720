//! Progress: how far long work is: a bar on a terminal, a plain line now and then elsewhere, with the rate and what is left.

use std::io::IsTerminal;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Where no terminal is, a line is written no more often than this.
const LINES_EVERY: Duration = Duration::from_secs(10);

/// Where progress is told.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Where {
    /// Nowhere.
    #[default]
    Nowhere,
    /// A bar on a terminal.
    Terminal,
    /// Lines on standard error.
    Lines,
}

/// Tells how far a piece of work is. Cheap to share; the one that says nothing costs nothing.
#[derive(Clone, Debug, Default)]
pub struct Progress {
    at: Where,
}

/// One piece of work.
#[derive(Debug)]
pub struct Bar(Kind);

#[derive(Debug)]
enum Kind {
    Silent,
    Drawn(ProgressBar),
    Lines(Mutex<Lines>),
}

#[derive(Debug)]
struct Lines {
    what: &'static str,
    total: u64,
    done: u64,
    began: Instant,
    told: Instant,
}

impl Progress {
    /// Says nothing: the service, the demo, tests.
    pub const fn silent() -> Self {
        Self { at: Where::Nowhere }
    }

    /// On standard error: a bar if that is a terminal, else lines.
    pub fn terminal() -> Self {
        let at = if std::io::stderr().is_terminal() {
            Where::Terminal
        } else {
            Where::Lines
        };
        Self { at }
    }

    /// Begins a piece of work of `total` steps.
    pub fn begin(&self, what: &'static str, total: u64) -> Bar {
        if total == 0 {
            return Bar(Kind::Silent);
        }
        Bar(match self.at {
            Where::Nowhere => Kind::Silent,
            Where::Terminal => Kind::Drawn(drawn(what, total)),
            Where::Lines => {
                let now = Instant::now();
                Kind::Lines(Mutex::new(Lines {
                    what,
                    total,
                    done: 0,
                    began: now,
                    told: now,
                }))
            }
        })
    }
}

fn drawn(what: &'static str, total: u64) -> ProgressBar {
    let style = ProgressStyle::with_template(
        "{msg} {bar:30} {human_pos} of {human_len}, {per_sec}, {eta} left",
    )
    .unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr_with_hz(4))
        .with_style(style)
        .with_message(what)
}

impl Lines {
    fn advance(&mut self, steps: u64, now: Instant) -> Option<String> {
        self.done += steps;
        if now.duration_since(self.told) < LINES_EVERY {
            return None;
        }
        self.told = now;
        let seconds = now.duration_since(self.began).as_secs_f64();
        let rate = self.done as f64 / seconds.max(0.001);
        let left = self.total.saturating_sub(self.done) as f64 / rate.max(0.001);
        Some(format!(
            "bell: {} {} of {}, {rate:.0} a second, {} left",
            self.what,
            self.done,
            self.total,
            indicatif::HumanDuration(Duration::from_secs_f64(left.min(1e9)))
        ))
    }
}

impl Bar {
    /// Some more of it is done.
    pub fn advance(&self, steps: u64) {
        match &self.0 {
            Kind::Silent => {}
            Kind::Drawn(bar) => bar.inc(steps),
            Kind::Lines(lines) => {
                let mut lines = lines.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(line) = lines.advance(steps, Instant::now()) {
                    eprintln!("{line}");
                }
            }
        }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        if let Kind::Drawn(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_tells_the_rate_and_what_is_left_now_and_then() {
        let began = Instant::now();
        let mut lines = Lines {
            what: "delivering",
            total: 9_000,
            done: 0,
            began,
            told: began,
        };
        assert_eq!(lines.advance(10, began + Duration::from_secs(1)), None);
        let line = lines.advance(290, began + Duration::from_secs(10)).unwrap();
        assert_eq!(
            line,
            "bell: delivering 300 of 9000, 30 a second, 5 minutes left"
        );
        assert_eq!(lines.advance(1, began + Duration::from_secs(11)), None);
    }
}
