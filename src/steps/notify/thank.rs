//! Thanks: said once a reset is proven, to every address held for the person.

use std::collections::HashMap;

use super::say::{Drafts, Say, Templates, is_personal, personal};
use crate::app::App;
use crate::domain::case::CaseState;
use crate::domain::notice::NoticeKind;
use crate::domain::rate::release;
use crate::domain::{Destination, Moment};
use crate::steps::plan::labels;
use crate::store::{CaseRow, Tx};

/// Queues the thanks for cases that closed with a proven reset: once, to every address held for the person, if they had
/// been told at all.
pub(in crate::steps) async fn thank(
    app: &App,
    tx: &mut Tx,
    closed: &[CaseRow],
    now: Moment,
) -> anyhow::Result<u64> {
    let mut by_thread: HashMap<i64, Vec<&CaseRow>> = HashMap::new();
    for case in closed
        .iter()
        .filter(|case| matches!(case.state, CaseState::Notified { .. }))
    {
        if let Some(thread) = case.thread {
            by_thread.entry(thread).or_default().push(case);
        }
    }
    let ids: Vec<i64> = by_thread.keys().copied().collect();
    let threads = tx.threads_by_id(&ids).await?;
    let said = tx.said(&ids, NoticeKind::Done).await?;
    let accounts = tx.accounts(closed.iter().map(|case| case.account)).await?;
    let persons = tx
        .persons(threads.iter().map(|thread| thread.person))
        .await?;
    let mut templates = Templates::default();
    let mut drafts = Drafts::default();
    for thread in &threads {
        let (Some(cases), Some(person)) = (by_thread.get(&thread.id), persons.get(&thread.person))
        else {
            continue;
        };
        let mut personal = personal(app, thread, person, labels(cases, &accounts)?, None)?;
        personal.changed_at = cases.iter().filter_map(|case| case.safe_at).max();
        let locale = app
            .letters
            .messages
            .locale(person.language.as_deref())
            .to_owned();
        let calendar = app.calendar_in(Some(&thread.zone));
        let due_at = release(NoticeKind::Done, thread.category, &calendar, now).at(now);
        let seq = said.get(&thread.id).copied().unwrap_or(0) + 1;
        // Whoever reads their mailbox for them learns that there was a task, and no more.
        let own = person.address.clone().filter(|_| !person.is_read_by_others);
        let own = own.map(Destination::Mail);
        let second = person.second_address.clone().map(Destination::SecondMail);
        for to in own.iter().chain(&second) {
            let say = Say {
                thread,
                kind: NoticeKind::Done,
                seq,
                to,
                locale: &locale,
                personal: &personal,
                due_at,
                now,
            };
            match say.draft(app, tx, &mut templates, &mut drafts).await {
                Ok(_) => {}
                Err(error) if is_personal(&error) => {
                    tracing::warn!(person.id = %person.id, "thanks about these facts cannot be written: {error:#}")
                }
                Err(error) => return Err(error),
            }
        }
    }
    drafts.queue(tx, now).await
}
