//! Open cases → whether every step that was due about them was taken, once. Changes nothing but an alarm.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::app::App;
use crate::channels::heartbeat;
use crate::domain::CaseId;
use crate::domain::self_audit::{Excuse, Gap, Grace, judge};

/// Cases that are looked at together.
const PAGE: i64 = 1_000;

/// Gaps that are listed; the rest is counted.
const LISTED: usize = 100;

/// The alarm of whatever was forgotten.
pub const ALARM: &str = "steps";

/// A case that was forgotten, and in what.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct Forgotten {
    /// Which.
    pub case: CaseId,
    /// In what.
    pub gap: Gap,
}

/// What the self-audit came to.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Audited {
    /// Open cases that were looked at.
    pub cases: u64,
    /// Steps that were due and taken.
    pub taken: u64,
    /// Steps that were due and rightly not taken, by reason.
    pub excused: BTreeMap<Excuse, u64>,
    /// How often each kind of gap was found.
    pub gaps: BTreeMap<Gap, u64>,
    /// The first hundred of them.
    pub forgotten: Vec<Forgotten>,
    /// Letters of a worker that died, which nobody has taken back.
    pub stale_leases: u64,
    /// Steps that the schedule did not run.
    pub not_run: Vec<&'static str>,
}

impl Audited {
    /// Nothing was forgotten.
    pub fn is_good(&self) -> bool {
        self.gaps.is_empty() && self.stale_leases == 0 && self.not_run.is_empty()
    }

    /// How many things were forgotten.
    fn count(&self) -> u64 {
        self.gaps.values().sum::<u64>() + self.stale_leases + self.not_run.len() as u64
    }
}

impl std::fmt::Display for Audited {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let excused: u64 = self.excused.values().sum();
        write!(
            f,
            "{} open cases: {} steps taken, {excused} rightly left out, {} forgotten",
            self.cases,
            self.taken,
            self.count()
        )?;
        for (gap, count) in &self.gaps {
            write!(f, "\n  {count} × {}: {}", gap.word(), gap.text())?;
            let cases: Vec<String> = self
                .forgotten
                .iter()
                .filter(|one| one.gap == *gap)
                .take(10)
                .map(|one| one.case.to_string())
                .collect();
            write!(f, " (cases {})", cases.join(", "))?;
        }
        if self.stale_leases > 0 {
            write!(
                f,
                "\n  {} letters of a worker that died: `bell deliver` takes them back",
                self.stale_leases
            )?;
        }
        for name in &self.not_run {
            write!(
                f,
                "\n  the schedule did not run {name}: is `bell serve` running?"
            )?;
        }
        Ok(())
    }
}

/// Looks at every open case. Raises an alarm if something was forgotten, and clears it if not; after a good round, the
/// heartbeat goes out if `beat`.
/// `not_run` are the steps that the schedule did not run.
pub async fn audit_steps(
    app: &App,
    not_run: Vec<&'static str>,
    beat: bool,
) -> anyhow::Result<Audited> {
    let now = app.clock.now();
    let mut audited = Audited {
        not_run,
        ..Audited::default()
    };
    let mut tx = app.store.read().await?;
    let grace = Grace {
        held_back: app.config.rates().is_limited() || !tx.holds().await?.is_empty(),
        ..Grace::default()
    };
    audited.stale_leases = tx.stale_leases(now.minus(grace.step)).await?;
    let mut after = CaseId(0);
    loop {
        let page = tx.watched(after, PAGE).await?;
        let Some(last) = page.last() else { break };
        after = last.case;
        for case in &page {
            let verdict = judge(case, &grace, now);
            audited.cases += 1;
            audited.taken += verdict.taken;
            for (why, count) in verdict.excused {
                *audited.excused.entry(why).or_default() += count;
            }
            for gap in verdict.gaps {
                *audited.gaps.entry(gap).or_default() += 1;
                if audited.forgotten.len() < LISTED {
                    audited.forgotten.push(Forgotten {
                        case: case.case,
                        gap,
                    });
                }
            }
        }
    }
    drop(tx);
    if audited.is_good() {
        app.alarms.clear(ALARM).await;
        if beat && let Some(url) = &app.config.alarm.heartbeat {
            heartbeat::beat(url.url()).await?;
        }
    } else {
        let text = format!(
            "{} steps were forgotten; `bell audit-steps` lists them",
            audited.count()
        );
        app.alarms.raise(ALARM, &text).await;
    }
    Ok(audited)
}
