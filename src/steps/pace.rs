//! What is to go → when it is gone: the sums behind a plan, and behind a campaign under way. Changes nothing.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use chrono_tz::Tz;
use serde::Serialize;

use crate::app::App;
use crate::domain::campaign::CampaignState;
use crate::domain::finding::Category;
use crate::domain::notice::NoticeKind;
use crate::domain::policy::Urgency;
use crate::domain::rate::{Batch, Expected, Forecast, Meter, Rates, forecast};
use crate::domain::report::cell::grouped;
use crate::domain::{EmailAddress, Moment};
use crate::store::{Campaign, Tx, Waiting};

/// Letters that go together: what goes first comes first.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Alike {
    urgency: Urgency,
    due_at: Moment,
    kind: NoticeKind,
    category: Category,
    zone: String,
    domain: String,
}

/// Letters that are gathered for a forecast.
#[derive(Clone, Debug)]
pub(super) struct Gathered {
    rates: Rates,
    /// How many are asked about, and how many only take their place.
    letters: BTreeMap<Alike, (u64, u64)>,
}

impl Gathered {
    pub(super) fn new(app: &App) -> Self {
        Self {
            rates: app.config.rates(),
            letters: BTreeMap::new(),
        }
    }

    /// One letter more that is asked about.
    pub(super) fn add(
        &mut self,
        kind: NoticeKind,
        category: Category,
        zone: Tz,
        to: &EmailAddress,
    ) {
        let domain = match self.rates.domains.as_slice() {
            [] => String::new(),
            _ => Some(to.domain_ascii())
                .filter(|name| self.rates.domain(name).is_some())
                .unwrap_or_default(),
        };
        let alike = Alike {
            urgency: Urgency::of(category, kind),
            due_at: Moment::from_micros(0),
            kind,
            category,
            zone: zone.name().to_owned(),
            domain,
        };
        self.letters.entry(alike).or_default().0 += 1;
    }

    fn add_waiting(&mut self, waiting: Vec<Waiting>, domain: &str, is_asked: bool) {
        for one in waiting {
            let alike = Alike {
                urgency: Urgency::of(one.category, one.kind),
                due_at: one.due_at,
                kind: one.kind,
                category: one.category,
                zone: one.zone,
                domain: domain.to_owned(),
            };
            let letters = self.letters.entry(alike).or_default();
            if is_asked {
                letters.0 += one.letters;
            } else {
                letters.1 += one.letters;
            }
        }
    }

    /// What is queued already takes its place; what of it is `campaign`'s is asked about.
    async fn queue(
        &mut self,
        tx: &mut Tx,
        campaign: Option<&Campaign>,
        now: Moment,
    ) -> anyhow::Result<()> {
        let id = campaign.map(|campaign| campaign.id);
        let names: Vec<String> = self
            .rates
            .domains
            .iter()
            .map(|domain| domain.name.clone())
            .collect();
        for domain in names.iter().map(Some).chain([None]) {
            let of = domain.map(String::as_str);
            let place = of.unwrap_or_default();
            self.add_waiting(tx.waiting_letters(None, of, now).await?, place, false);
            if id.is_some() {
                self.add_waiting(tx.waiting_letters(id, of, now).await?, place, true);
            }
        }
        self.count_once();
        Ok(())
    }

    /// Letters to a domain with limits were counted among all letters as well, and a campaign's own among everybody's.
    fn count_once(&mut self) {
        let special: Vec<(Alike, (u64, u64))> = self
            .letters
            .iter()
            .filter(|(alike, _)| !alike.domain.is_empty())
            .map(|(alike, letters)| (alike.clone(), *letters))
            .collect();
        for (mut alike, (asked, all)) in special {
            alike.domain.clear();
            if let Some(letters) = self.letters.get_mut(&alike) {
                letters.0 = letters.0.saturating_sub(asked);
                letters.1 = letters.1.saturating_sub(all);
            }
        }
        for (asked, all) in self.letters.values_mut() {
            *all = all.saturating_sub(*asked);
        }
    }

    fn batches(&self, app: &App) -> Vec<Batch> {
        let batch = |alike: &Alike, letters: u64, is_asked: bool| Batch {
            kind: alike.kind,
            category: alike.category,
            zone: alike.zone.parse().unwrap_or(app.calendar.zone()),
            domain: alike.domain.clone(),
            due_at: alike.due_at,
            letters,
            is_asked,
        };
        self.letters
            .iter()
            .flat_map(|(alike, (asked, others))| {
                [batch(alike, *others, false), batch(alike, *asked, true)]
            })
            .filter(|batch| batch.letters > 0)
            .collect()
    }
}

/// When letters are gone, and by which limits and what they have let through.
#[derive(Debug)]
pub(super) struct Outlook {
    pub expected: Expected,
    pub meter: Meter,
}

impl Outlook {
    /// The line, or two, that an operator reads.
    pub(super) fn lines(&self, app: &App, what: &str, now: Moment) -> Vec<String> {
        let words = self
            .expected
            .words(what, self.meter.rates(), &app.calendar, now);
        std::iter::once(words)
            .chain(self.expected.bound())
            .collect()
    }
}

/// Foresees what was gathered, behind and between what is queued already.
pub(super) async fn foresee(
    app: &App,
    tx: &mut Tx,
    new: &Gathered,
    now: Moment,
) -> anyhow::Result<Outlook> {
    let mut all = Gathered::new(app);
    all.queue(tx, None, now).await?;
    for (alike, (asked, _)) in &new.letters {
        all.letters.entry(alike.clone()).or_default().0 += asked;
    }
    outlook(app, tx, &all, now).await
}

async fn outlook(
    app: &App,
    tx: &mut Tx,
    gathered: &Gathered,
    now: Moment,
) -> anyhow::Result<Outlook> {
    let sent = if gathered.rates.is_limited() {
        tx.sent_since(Meter::since(now)).await?
    } else {
        Vec::new()
    };
    let meter = Meter::new(&gathered.rates, &sent, now);
    let asked = Forecast {
        batches: &gathered.batches(app),
        meter: &meter,
        calendar: &app.calendar,
    };
    Ok(Outlook {
        expected: forecast(&asked, now),
        meter,
    })
}

/// How far a campaign's letters are, and when the last of them will be gone.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Pace {
    /// Letters that the relay took.
    pub sent: u64,
    /// Letters that are still to go, as far as they are queued.
    pub left: u64,
    /// Letters a minute over the last hour; none if none went.
    pub per_minute: Option<f64>,
    /// When those that are left will be gone; for a campaign that is not under way yet, when its first notices would be.
    /// None while it stands still, and if nothing is left.
    pub forecast: Option<Expected>,
    /// The same in words.
    pub in_words: Vec<String>,
}

/// Says how far a campaign is.
pub async fn pace(app: &App, tx: &mut Tx, campaign: &Campaign) -> anyhow::Result<Pace> {
    let now = app.clock.now();
    let hour = now.minus(TimeDelta::hours(1));
    let gone = tx.letters_gone(campaign.id, hour).await?;
    let since = gone.first_at.map_or(hour, |first| first.max(hour));
    // A campaign that has just begun is measured over a minute at least.
    let minutes = (now.since(since).num_seconds().max(60)) as f64 / 60.0;
    let per_minute =
        (gone.recent > 0).then(|| (gone.recent as f64 / minutes * 10.0).round() / 10.0);
    let mut gathered = Gathered::new(app);
    gathered.queue(tx, Some(campaign), now).await?;
    let what = match campaign.state {
        CampaignState::Draft | CampaignState::Approved => {
            let waiting = tx.untold_threads(campaign.id).await?;
            gathered.add_waiting(waiting, "", true);
            "people"
        }
        CampaignState::Running
        | CampaignState::Paused
        | CampaignState::Stopped
        | CampaignState::Void => "letters",
    };
    let outlook = outlook(app, tx, &gathered, now).await?;
    let mut in_words = vec![progress(gone.sent, gone.left, per_minute)];
    let is_asked = outlook.expected.letters > 0;
    if is_asked {
        in_words.extend(outlook.lines(app, what, now));
    } else if campaign.state == CampaignState::Paused && gone.left > 0 {
        in_words.push("it stands still: nothing goes until somebody resumes it".to_owned());
    }
    Ok(Pace {
        sent: gone.sent,
        left: gone.left,
        per_minute,
        forecast: is_asked.then_some(outlook.expected),
        in_words,
    })
}

fn progress(sent: u64, left: u64, per_minute: Option<f64>) -> String {
    let mut text = format!("{} letters sent, {} left", grouped(sent), grouped(left));
    if let Some(rate) = per_minute {
        text.push_str(&format!("; {rate:.1} a minute over the last hour"));
    }
    text
}
