//! Cases whose last rung is reached → requests to the identity provider → proof, or a human being's work.
//!
//! A request is committed before it is made. One that may have been made or not is made again only where that is the same
//! as making it once. The directory is written only after the same set was looked at without writing.

use std::collections::HashMap;

use chrono::TimeDelta;
use serde::Serialize;

use crate::app::App;
use crate::channels::hand_over::{HandOverRequest, HandOvers, Look};
use crate::domain::hand_over::{Answer, Follows, HandOverKind, follows, set_hash};
use crate::domain::{CaseId, Moment};
use crate::store::{
    HandOver, HandOverClaim, HandOverDraft, HandOverDue, HandOverEnd, TaskKind, Tx,
};

/// Made in one go: few enough for each to be looked at right before it is made.
const BATCH: usize = 50;
/// How many are looked at as one set.
const MOST: i64 = 10_000;
/// Whoever began one has ended it by then, or is dead.
const LEASE: TimeDelta = TimeDelta::minutes(15);

/// What was handed over.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct HandedOver {
    /// Asked for, with proof.
    pub done: u64,
    /// To be tried again.
    pub again: u64,
    /// Left to human beings: the configured way does not, or will not, do it.
    pub by_hand: u64,
    /// May have been asked for or not: human beings find out.
    pub in_doubt: u64,
    /// Of these the directory may be written once somebody has looked at them: `bell hand-over --dry-run`.
    pub unrehearsed: u64,
    /// Why nothing was handed over.
    pub held: Option<String>,
}

impl std::fmt::Display for HandedOver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} handed over, {} to be tried again, {} left to human beings",
            self.done, self.again, self.by_hand
        )?;
        if self.in_doubt > 0 {
            write!(f, ", {} in doubt", self.in_doubt)?;
        }
        if self.unrehearsed > 0 {
            write!(
                f,
                "\n{} wait until somebody has looked: bell hand-over --dry-run",
                self.unrehearsed
            )?;
        }
        match &self.held {
            Some(why) => write!(f, "\n{why}"),
            None => Ok(()),
        }
    }
}

/// What would be handed over.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Rehearsal {
    /// How.
    pub kind: HandOverKind,
    /// What tells this set from any other.
    pub set: String,
    /// One for each case.
    pub would: Vec<Would>,
}

/// What would be done about one case.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Would {
    /// Which.
    pub case: CaseId,
    /// What its ladder demands.
    pub demand: &'static str,
    /// A word: `would_force`, or why not.
    pub would: &'static str,
}

impl std::fmt::Display for Rehearsal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for one in &self.would {
            writeln!(f, "case {:>7}  {:<14} {}", one.case, one.demand, one.would)?;
        }
        write!(
            f,
            "{} cases by {}; nothing was done. The set is {}",
            self.would.len(),
            self.kind.word(),
            self.set.get(..16).unwrap_or(&self.set)
        )
    }
}

/// Hands over what is due, in one pass. Does nothing where no way is configured: then it stays a human being's work.
pub async fn hand_over(app: &App) -> anyhow::Result<HandedOver> {
    let mut handed = HandedOver::default();
    let Some(way) = &app.hand_overs else {
        return Ok(handed);
    };
    handed.held = app.mute().await?;
    if handed.held.is_some() {
        return Ok(handed);
    }
    recover(app, &mut handed).await?;
    let due = due(app).await?;
    if due.is_empty() {
        return Ok(handed);
    }
    if way.kind() == HandOverKind::Ldap && !is_rehearsed(app, &due).await? {
        handed.unrehearsed = due.len() as u64;
        return Ok(handed);
    }
    let (mut able, mut unable) = (Vec::new(), Vec::new());
    for one in due {
        match way.kind().objection(one.demand, one.kind) {
            None => able.push(one),
            Some(objection) => unable.push((one, objection)),
        }
    }
    for batch in unable.chunks(BATCH) {
        let words: HashMap<CaseId, &'static str> = batch
            .iter()
            .map(|(one, objection)| (one.case, objection.word()))
            .collect();
        let batch: Vec<HandOverDue> = batch.iter().map(|(one, _)| one.clone()).collect();
        refuse(app, way.kind(), &batch, &words, &mut handed).await?;
    }
    for batch in able.chunks(BATCH) {
        hand_over_batch(app, way, batch, &mut handed).await?;
    }
    app.mute().await?;
    Ok(handed)
}

/// Looks at what would be handed over, without doing it. That somebody did is what the directory is written on.
pub async fn rehearse(app: &App, by: &str) -> anyhow::Result<Option<Rehearsal>> {
    let Some(way) = &app.hand_overs else {
        return Ok(None);
    };
    let now = app.clock.now();
    let due = due(app).await?;
    let set = hash(&due);
    let mut would = Vec::with_capacity(due.len());
    let mut asked = Vec::new();
    for one in &due {
        match way.kind().objection(one.demand, one.kind) {
            Some(objection) => would.push(Would {
                case: one.case,
                demand: one.demand.word(),
                would: objection.word(),
            }),
            None => asked.push(one),
        }
    }
    let requests: Vec<HandOverRequest> = asked
        .iter()
        .map(|one| {
            request(
                one,
                &key(one),
                one.begun.as_ref().map_or(now, |it| it.asked_at),
            )
        })
        .collect();
    let looks = way.look(&requests).await;
    let seen = looks.iter().all(|look| !matches!(look, Look::Unknown(_)));
    would.extend(asked.iter().zip(&looks).map(|(one, look)| Would {
        case: one.case,
        demand: one.demand.word(),
        would: match (way.kind(), look) {
            (HandOverKind::Ldap, look) => look.word(),
            (HandOverKind::File | HandOverKind::Webhook, _) => "would_ask",
        },
    }));
    would.sort_by_key(|one| one.case);
    // What the directory did not answer about was not looked at.
    if seen {
        let mut tx = app.store.begin().await?;
        tx.keep_rehearsal(way.kind(), &set, by, now).await?;
        tx.commit().await?;
    }
    Ok(Some(Rehearsal {
        kind: way.kind(),
        set,
        would,
    }))
}

async fn due(app: &App) -> anyhow::Result<Vec<HandOverDue>> {
    let mut tx = app.store.read().await?;
    Ok(tx.hand_overs_due(CaseId(0), MOST, app.clock.now()).await?)
}

fn hash(due: &[HandOverDue]) -> String {
    set_hash(
        due.iter()
            .map(|one| (one.case, one.object_id.as_str(), one.demand)),
    )
}

/// Whether each of these was looked at in one set: the whole of it, or what is left of it after others were done.
async fn is_rehearsed(app: &App, due: &[HandOverDue]) -> anyhow::Result<bool> {
    let mut tx = app.store.read().await?;
    let rehearsed = tx.rehearsed(HandOverKind::Ldap).await?;
    // What is tried again was written after a look already.
    let is_fresh = due.iter().any(|one| one.begun.is_none());
    Ok(!is_fresh || rehearsed.as_deref() == Some(&hash(due)))
}

/// What the other side knows a hand-over by. Made from nothing but the case, so that no crash makes a second one.
fn key(due: &HandOverDue) -> String {
    due.begun.as_ref().map_or_else(
        || format!("{}-{}", due.reference, due.case),
        |begun| begun.key.clone(),
    )
}

fn request(due: &HandOverDue, key: &str, asked_at: Moment) -> HandOverRequest {
    HandOverRequest {
        account: due.object_id.clone(),
        login: due.sam.clone().unwrap_or_default(),
        demand: due.demand,
        reference: due.reference.clone(),
        at: asked_at,
        key: key.to_owned(),
    }
}

/// Commits that these are asked for.
async fn begin(
    app: &App,
    kind: HandOverKind,
    batch: &[HandOverDue],
) -> anyhow::Result<Vec<HandOverClaim>> {
    let now = app.clock.now();
    let drafts: Vec<HandOverDraft> = batch
        .iter()
        .map(|one| HandOverDraft {
            case_id: one.case.0,
            demand: one.demand.word(),
            kind: kind.word(),
            key: key(one),
        })
        .collect();
    let mut tx = app.store.begin().await?;
    let claims = tx.begin_hand_overs(&drafts, now.plus(LEASE), now).await?;
    tx.commit().await?;
    Ok(claims)
}

/// What the configured way does not do becomes a human being's work, with the reason.
async fn refuse(
    app: &App,
    kind: HandOverKind,
    batch: &[HandOverDue],
    words: &HashMap<CaseId, &'static str>,
    handed: &mut HandedOver,
) -> anyhow::Result<()> {
    let now = app.clock.now();
    let claims = begin(app, kind, batch).await?;
    let ends: Vec<HandOverEnd> = claims
        .iter()
        .map(|claim| {
            let word = words.get(&claim.case).copied().unwrap_or("not_a_person");
            let answer = Answer::Refused { word, proof: None };
            end(claim.id, claim.case, &answer, Follows::ByHand, now)
        })
        .collect();
    let mut tx = app.store.begin().await?;
    tx.end_hand_overs(&ends, "bell", now).await?;
    tx.commit().await?;
    handed.by_hand += ends.len() as u64;
    Ok(())
}

async fn hand_over_batch(
    app: &App,
    way: &HandOvers,
    batch: &[HandOverDue],
    handed: &mut HandedOver,
) -> anyhow::Result<()> {
    let claims = begin(app, way.kind(), batch).await?;
    let by_case: HashMap<CaseId, &HandOverDue> = batch.iter().map(|one| (one.case, one)).collect();
    let (mut ours, mut requests) = (Vec::new(), Vec::new());
    for claim in &claims {
        if let Some(one) = by_case.get(&claim.case) {
            ours.push(claim);
            requests.push(request(one, &key(one), claim.asked_at));
        }
    }
    let answers = way.ask(&requests).await;
    let now = app.clock.now();
    let mut ends = Vec::with_capacity(ours.len());
    for (claim, answer) in ours.iter().zip(&answers) {
        let then = follows(way.kind(), answer, claim.tries, now);
        ends.push(end(claim.id, claim.case, answer, then, now));
        match then {
            Follows::Done => handed.done += 1,
            Follows::Again(_) => handed.again += 1,
            Follows::ByHand => handed.by_hand += 1,
            Follows::Asks => handed.in_doubt += 1,
        }
    }
    let mut tx = app.store.begin().await?;
    tx.end_hand_overs(&ends, "bell", now).await?;
    ask_about(&mut tx, &ends, now).await?;
    tx.commit().await?;
    Ok(())
}

fn end(id: i64, case: CaseId, answer: &Answer, then: Follows, now: Moment) -> HandOverEnd {
    let (outcome, proof) = match answer {
        Answer::Done { word, proof } => (*word, Some(proof.clone())),
        Answer::Refused { word, proof } => (*word, proof.clone()),
        Answer::Later { word } | Answer::InDoubt { word } => (*word, None),
    };
    let (state, next_at) = match then {
        Follows::Done => ("done", None),
        Follows::Again(at) => ("again", Some(at.micros())),
        Follows::ByHand => ("refused", None),
        Follows::Asks => ("stopped", None),
    };
    HandOverEnd {
        id,
        case_id: case.0,
        state,
        next_at,
        done_at: next_at.is_none().then_some(now.micros()),
        outcome,
        proof,
    }
}

/// What may have been asked for or not is for a human being to find out.
async fn ask_about(tx: &mut Tx, ends: &[HandOverEnd], now: Moment) -> anyhow::Result<()> {
    let tasks: Vec<_> = ends
        .iter()
        .filter(|end| end.state == "stopped")
        .map(|end| {
            (
                CaseId(end.case_id),
                TaskKind::Decide,
                "hand_over_in_doubt",
                None,
            )
        })
        .collect();
    tx.open_tasks(&tasks, now).await?;
    Ok(())
}

/// What a dead worker had begun is in doubt.
async fn recover(app: &App, handed: &mut HandedOver) -> anyhow::Result<()> {
    let now = app.clock.now();
    let lost: Vec<HandOver> = app.store.read().await?.hand_overs_in_doubt(now).await?;
    if lost.is_empty() {
        return Ok(());
    }
    let mut tx = app.store.begin().await?;
    // Looked at once more: its worker may have come back to life, or another of us been faster.
    let lost = tx.hand_overs_in_doubt(now).await?;
    let answer = Answer::InDoubt { word: "crashed" };
    let mut ends = Vec::with_capacity(lost.len());
    for one in &lost {
        let then = match follows(one.kind, &answer, one.tries, now) {
            // The crash was long ago: there is nothing to wait for.
            Follows::Again(_) => Follows::Again(now),
            then => then,
        };
        handed.in_doubt += u64::from(then == Follows::Asks);
        ends.push(end(one.id, one.case, &answer, then, now));
    }
    tx.end_hand_overs(&ends, "bell", now).await?;
    ask_about(&mut tx, &ends, now).await?;
    tx.commit().await?;
    Ok(())
}

/// What a human being says of a hand-over that was left to them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// It was done: by them, or after all.
    Done,
    /// Ask for it once more.
    Again,
}

/// Decides about one that was left to a human being; who did, and why, is in the ledger.
pub async fn decide(
    app: &App,
    id: i64,
    verdict: Verdict,
    reason: &str,
    by: &str,
) -> anyhow::Result<()> {
    let now = app.clock.now();
    let mut tx = app.store.begin().await?;
    let one = tx
        .hand_overs(id - 1, false, 1)
        .await?
        .into_iter()
        .find(|one| one.id == id);
    let Some(one) = one.filter(|one| ["refused", "stopped"].contains(&one.state.as_str())) else {
        anyhow::bail!(
            "there is no hand-over {id} that waits for a human being; `bell hand-over list` shows them"
        );
    };
    match verdict {
        Verdict::Done => {
            let answer = Answer::Done {
                word: "by_hand",
                proof: reason.to_owned(),
            };
            let ends = [end(id, one.case, &answer, Follows::Done, now)];
            tx.end_hand_overs(&ends, by, now).await?;
        }
        Verdict::Again => tx.hand_over_again(id, by, reason, now).await?,
    }
    tx.end_doubt_of_hand_over(one.case, by, now).await?;
    tx.commit().await?;
    Ok(())
}
