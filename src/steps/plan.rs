//! Open cases → who would be told what, when, and why not; and the draft of a campaign that tells them.

mod references;

use std::collections::{BTreeMap, HashMap};

use anyhow::Context;
use data_encoding::HEXLOWER;
use serde::Serialize;
use sha2::{Digest, Sha256};

use self::references::References;
use super::pace::{Gathered, Outlook, foresee};
use crate::app::App;
use crate::domain::campaign::ContentHash;
use crate::domain::finding::Category;
use crate::domain::notice::NoticeKind;
use crate::domain::policy::{Decision, Reader, Tellable, WhyNot, Work, decide};
use crate::domain::rate::{Expected, release, when};
use crate::domain::{CaseId, Destination, Moment, PersonId, Way};
use crate::messages::account_label;
use crate::store::{AccountFacts, Campaign, CaseRow, PersonFacts, TaskKind, ThreadDraft, Tx};

/// People who are looked at together.
const BATCH: i64 = 500;

/// What telling everybody would come to.
#[derive(Clone, PartialEq, Debug, Default, Serialize)]
pub struct Plan {
    /// When it was made.
    pub as_of: Option<Moment>,
    /// People who would be written to, by first notice.
    pub told: BTreeMap<String, u64>,
    /// Of them, those who would not be written to by mail, by way.
    pub by_other_ways: BTreeMap<&'static str, u64>,
    /// Open cases that those notices are about.
    pub cases: u64,
    /// People (or, for the operators, cases) who would not, by reason.
    pub not_told: BTreeMap<&'static str, u64>,
    /// What to do about each reason.
    pub why_not: BTreeMap<&'static str, &'static str>,
    /// When the first letters may go: the next working hours, or now.
    pub first_at: Option<Moment>,
    /// When they would all be gone, if they went now, behind what is queued already.
    pub forecast: Option<Expected>,
    /// The same in words, in the site's zone.
    pub in_words: Vec<String>,
    /// When the last person of each first notice would be told, in words.
    pub last_told: BTreeMap<String, String>,
    /// What an approver should think about first.
    pub warnings: Vec<String>,
    /// The first hundred, one by one. Names and addresses mask themselves.
    pub people: Vec<Planned>,
}

/// One person of a plan.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Planned {
    /// Who.
    pub person: Option<PersonId>,
    /// Their name, masked when printed.
    pub name: Option<crate::domain::PersonName>,
    /// What about.
    pub cases: Vec<CaseId>,
    /// The first notice they would get.
    pub kind: Option<NoticeKind>,
    /// By which way.
    pub way: Option<Way>,
    /// Where, masked when printed.
    pub to: Option<Destination>,
    /// When it may go.
    pub at: Option<Moment>,
    /// When the new password would be wanted.
    pub deadline_at: Option<Moment>,
    /// Why they would not get one.
    pub why_not: Option<WhyNot>,
}

impl Plan {
    /// How many people would be written to.
    pub fn people_told(&self) -> u64 {
        self.told.values().sum()
    }
}

impl std::fmt::Display for Plan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} people would be told about {} cases",
            self.people_told(),
            self.cases
        )?;
        for (kind, count) in &self.told {
            write!(f, "\n  {count:>6}  {kind}")?;
            if let Some(last) = self.last_told.get(kind) {
                write!(f, ", the last of them {last}")?;
            }
        }
        for (way, count) in &self.by_other_ways {
            write!(f, "\n  {count:>6}  of them by {way}")?;
        }
        for (reason, count) in &self.not_told {
            write!(
                f,
                "\n  {count:>6}  not told: {}",
                self.why_not.get(reason).unwrap_or(reason)
            )?;
        }
        if let Some(at) = self.first_at {
            write!(
                f,
                "\nthe first letters may go at {at}, once a second operator has approved"
            )?;
        }
        for line in &self.in_words {
            write!(f, "\n{line}")?;
        }
        for warning in &self.warnings {
            write!(f, "\nwarning: {warning}")?;
        }
        Ok(())
    }
}

/// What was found for one person.
pub(super) struct Found {
    pub person: Option<PersonFacts>,
    pub cases: Vec<CaseRow>,
    pub decision: Decision,
}

/// Says what would happen now; writes nothing.
pub async fn plan(app: &App) -> anyhow::Result<Plan> {
    let now = app.clock.now();
    let mut plan = Plan {
        as_of: Some(now),
        ..Plan::default()
    };
    let mut tx = app.store.read().await?;
    let mut gathered = Gathered::new(app);
    let mut deadlines = BTreeMap::new();
    let mut after = PersonId(-1);
    while let Some((found, last)) = next(app, &mut tx, after, now).await? {
        after = last;
        for one in &found {
            plan.add(app, one, &mut gathered, &mut deadlines, now);
        }
    }
    if plan.people_told() > 0 {
        let outlook = foresee(app, &mut tx, &gathered, now).await?;
        let staff = tx.staff_count().await?;
        plan.look_ahead(app, &outlook, staff, deadlines, now);
    }
    Ok(plan)
}

impl Plan {
    fn look_ahead(
        &mut self,
        app: &App,
        outlook: &Outlook,
        staff: u64,
        deadlines: BTreeMap<NoticeKind, Moment>,
        now: Moment,
    ) {
        let expected = &outlook.expected;
        self.in_words = outlook.lines(app, "people", now);
        self.last_told = expected
            .shares
            .iter()
            .filter_map(|share| {
                let last = when(&app.calendar, share.last_at?, now);
                Some((share.kind.word().to_owned(), last))
            })
            .collect();
        let deadlines: Vec<(NoticeKind, Moment)> = deadlines.into_iter().collect();
        self.warnings = expected.warnings(&outlook.meter, staff, &deadlines, &app.calendar, now);
        self.forecast = Some(expected.clone());
    }

    fn add(
        &mut self,
        app: &App,
        found: &Found,
        gathered: &mut Gathered,
        deadlines: &mut BTreeMap<NoticeKind, Moment>,
        now: Moment,
    ) {
        let mut planned = Planned {
            person: found.person.as_ref().map(|person| person.id),
            name: found.person.as_ref().map(|person| person.name.clone()),
            cases: found.cases.iter().map(|case| case.id).collect(),
            kind: None,
            way: None,
            to: None,
            at: None,
            deadline_at: None,
            why_not: None,
        };
        match &found.decision {
            Decision::Tell { telling, about } => {
                let calendar = app.calendar_in(
                    found
                        .person
                        .as_ref()
                        .and_then(|person| person.time_zone.as_deref()),
                );
                let (kind, category, to) = (telling.kind(), telling.category(), telling.to());
                let at = first_at(category, &calendar, now);
                *self.told.entry(kind.word().to_owned()).or_default() += 1;
                if !to.way().is_mail() {
                    *self.by_other_ways.entry(to.way().word()).or_default() += 1;
                }
                self.cases += about.len() as u64;
                self.first_at = Some(self.first_at.map_or(at, |first| first.min(at)));
                (planned.kind, planned.to, planned.at) = (Some(kind), Some(to.clone()), Some(at));
                planned.way = Some(to.way());
                let deadline = app.ladder(category).schedule(at, &calendar).deadline;
                planned.deadline_at = Some(deadline);
                if let Destination::Mail(to) | Destination::SecondMail(to) = to {
                    gathered.add(kind, category, calendar.zone(), to);
                }
                let first = deadlines.entry(kind).or_insert(deadline);
                *first = deadline.min(*first);
            }
            Decision::Not(why) => {
                let count = if found.person.is_some() {
                    1
                } else {
                    found.cases.len() as u64
                };
                *self.not_told.entry(why.word()).or_default() += count;
                self.why_not.insert(why.word(), why.text());
                planned.why_not = Some(*why);
            }
        }
        if self.people.len() < 100 {
            self.people.push(planned);
        }
    }
}

/// When a first notice may go: compromised at any hour, all others in working time.
pub(super) fn first_at(
    category: Category,
    calendar: &crate::domain::calendar::Calendar,
    now: Moment,
) -> Moment {
    release(NoticeKind::first(category), category, calendar, now).at(now)
}

/// The next people after `after` with open cases that no campaign has, and what is to be done about them.
async fn next(
    app: &App,
    tx: &mut Tx,
    after: PersonId,
    now: Moment,
) -> anyhow::Result<Option<(Vec<Found>, PersonId)>> {
    let cases = tx.unplanned(after, BATCH).await?;
    let number = |case: &CaseRow| case.person.map_or(0, |id| id.0);
    let Some(last) = cases.iter().map(number).max() else {
        return Ok(None);
    };
    let persons = tx
        .persons(
            cases
                .iter()
                .filter_map(|case| case.person)
                .collect::<std::collections::BTreeSet<_>>(),
        )
        .await?;
    let mut by_person: BTreeMap<i64, Vec<CaseRow>> = BTreeMap::new();
    for case in cases {
        by_person.entry(number(&case)).or_default().push(case);
    }
    let found = by_person
        .into_iter()
        .map(|(id, mut cases)| {
            cases.sort_by_key(|case| (std::cmp::Reverse(case.claim.category), case.id));
            let person = persons.get(&PersonId(id)).cloned();
            let decision = decide(
                person.as_ref().map(reader).as_ref(),
                &cases.iter().map(tellable).collect::<Vec<_>>(),
                &app.config.ways,
                now,
            );
            Found {
                person,
                cases,
                decision,
            }
        })
        .collect();
    Ok(Some((found, PersonId(last))))
}

pub(super) fn reader(person: &PersonFacts) -> Reader {
    Reader {
        address: person.address.clone(),
        second_address: person.second_address.clone(),
        mobile: person.mobile.clone(),
        room: person.room.clone(),
        is_read_by_others: person.is_read_by_others,
        not_by: Vec::new(),
        enabled: person.enabled,
        left: person.left,
    }
}

fn tellable(case: &CaseRow) -> Tellable {
    Tellable {
        category: case.claim.category,
        route: case.route,
        standing: case.standing,
        contained_at: case.contained_at,
        contain_override_at: case.contain_override_at,
        exempt_until: case.rests_until(),
    }
}

/// Drafts a campaign that tells everybody who can be told; opens the work of human beings for all others. None if there
/// is nobody to tell.
pub async fn draft(app: &App, author: &str) -> anyhow::Result<Option<Campaign>> {
    let now = app.clock.now();
    let mut tx = app.store.begin().await?;
    let mut drafting: Option<Drafting> = None;
    let mut after = PersonId(-1);
    while let Some((found, last)) = next(app, &mut tx, after, now).await? {
        after = last;
        work_of(app, &mut tx, &found, now).await?;
        let tell: Vec<Found> = found
            .into_iter()
            .filter(|one| matches!(one.decision, Decision::Tell { .. }))
            .collect();
        if tell.is_empty() {
            continue;
        }
        if drafting.is_none() {
            let campaign = tx
                .draft_campaign(&app.config.campaign.reference_prefix, author, now)
                .await?;
            drafting = Some(Drafting::new(campaign));
        }
        if let Some(drafting) = &mut drafting {
            drafting.add(app, &mut tx, &tell).await?;
        }
    }
    let Some(drafting) = drafting else {
        tx.commit().await?;
        return Ok(None);
    };
    let id = drafting.campaign.id;
    tx.end_draft(id, &drafting.content.finish(), drafting.people, author, now)
        .await?;
    let campaign = tx.campaign(id).await?;
    tx.commit().await?;
    Ok(campaign)
}

/// Those who are not written to are not forgotten: somebody is asked to act, and the clock runs.
async fn work_of(app: &App, tx: &mut Tx, found: &[Found], now: Moment) -> anyhow::Result<()> {
    let mut tasks = Vec::new();
    for one in found {
        let Decision::Not(why) = one.decision else {
            continue;
        };
        let Some(work) = why.work() else { continue };
        let kind = match work {
            Work::Reach => TaskKind::Reach,
            Work::Contain => TaskKind::Contain,
            Work::Operators => TaskKind::Operators,
        };
        let calendar = app.calendar_in(
            one.person
                .as_ref()
                .and_then(|person| person.time_zone.as_deref()),
        );
        tasks.extend(one.cases.iter().map(|case| {
            let deadline = app
                .ladder(case.claim.category)
                .schedule(now, &calendar)
                .deadline;
            (case.id, kind, why.word(), Some(deadline))
        }));
    }
    tx.open_tasks(&tasks, now).await?;
    Ok(())
}

struct Drafting {
    campaign: Campaign,
    content: ContentHash,
    people: u64,
    references: References,
}

impl Drafting {
    fn new(campaign: Campaign) -> Self {
        Self {
            campaign,
            content: ContentHash::default(),
            people: 0,
            references: References::new(),
        }
    }

    async fn add(&mut self, app: &App, tx: &mut Tx, tell: &[Found]) -> anyhow::Result<()> {
        let accounts = tx
            .accounts(
                tell.iter()
                    .flat_map(|one| &one.cases)
                    .map(|case| case.account),
            )
            .await?;
        let mut drafts = Vec::with_capacity(tell.len());
        for one in tell {
            let (Some(person), Decision::Tell { telling, about }) = (&one.person, &one.decision)
            else {
                continue;
            };
            let (kind, category, to) = (telling.kind(), telling.category(), telling.to());
            let cases: Vec<&CaseRow> = about.iter().filter_map(|at| one.cases.get(*at)).collect();
            let reference = format!("{}-{}", self.campaign.reference, self.references.next());
            let ladder = app.ladder(category).to_json();
            let zone = person
                .time_zone
                .clone()
                .filter(|zone| zone.parse::<chrono_tz::Tz>().is_ok())
                .unwrap_or_else(|| app.calendar.zone().name().to_owned());
            let content = content(app, kind, person, to, &cases, &accounts, &ladder, &zone)?;
            self.content.add(&reference, &content);
            drafts.push(ThreadDraft {
                person: person.id,
                reference,
                kind,
                category,
                content_hash: content,
                ladder,
                zone,
                cases: cases.iter().map(|case| case.id).collect(),
            });
        }
        self.people += drafts.len() as u64;
        tx.add_threads(self.campaign.id, &drafts).await?;
        Ok(())
    }
}

/// The hash of one person's recipient and text: what an approval is bound to, person by person.
#[expect(
    clippy::too_many_arguments,
    reason = "everything that the reader will see, named one by one"
)]
pub(super) fn content(
    app: &App,
    kind: NoticeKind,
    person: &PersonFacts,
    to: &Destination,
    cases: &[&CaseRow],
    accounts: &HashMap<crate::domain::AccountId, AccountFacts>,
    ladder: &str,
    zone: &str,
) -> anyhow::Result<String> {
    let locale = app
        .letters
        .messages
        .locale(person.language.as_deref())
        .to_owned();
    let template = match to.way() {
        Way::Sms => app.letters.text_template(kind, &locale)?,
        Way::Mail | Way::SecondMail | Way::Letter | Way::Person => {
            app.letters.template(kind, &locale)?
        }
    };
    let labels = labels(cases, accounts)?.join("\u{1f}");
    let mut hash = Sha256::new();
    for part in [
        kind.word(),
        &template.hash,
        to.way().word(),
        &to.folded(),
        person.name.expose(),
        &labels,
        ladder,
        zone,
    ] {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    Ok(HEXLOWER.encode(&hash.finalize()))
}

/// What a letter calls the accounts of these cases: each once, the severest first.
pub(super) fn labels(
    cases: &[&CaseRow],
    accounts: &HashMap<crate::domain::AccountId, AccountFacts>,
) -> anyhow::Result<Vec<String>> {
    let mut sorted: Vec<&&CaseRow> = cases.iter().collect();
    sorted.sort_by_key(|case| (std::cmp::Reverse(case.claim.category), case.id));
    let mut labels: Vec<String> = Vec::with_capacity(sorted.len());
    for case in sorted {
        let facts = accounts.get(&case.account).with_context(|| {
            format!("account {} of case {} is not there", case.account, case.id)
        })?;
        let label = account_label(facts.kind, facts.name.expose());
        if !labels.contains(&label) {
            labels.push(label);
        }
    }
    Ok(labels)
}
