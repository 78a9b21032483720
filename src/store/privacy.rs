//! Privacy: what is erased when its time is over, who is made a pseudonym, and everything about one person for that person.
//!
//! A person who is forgotten leaves their row, their cases and all that hangs on them behind, without a name, as a pseudonym:
//! figures stay what they were. If the directory still lists them, they go on in a new row that has no past.

use super::{StoreError, Tx, expect_one, ids, on, on_set};
use crate::domain::privacy::{ERASED, NO_ADDRESS, NO_NUMBER, without_sentences};
use crate::domain::seal::SealedTable;
use crate::domain::{Moment, PersonId};

/// The beginning of the key of somebody who is a pseudonym.
macro_rules! pseudonym {
    () => {
        "erased:"
    };
}

/// Whose numbers and names lead to nobody: what stands in the place of a recipient.
macro_rules! nobody {
    () => {
        "UPDATE deliveries SET recipient = CASE channel WHEN 'sms' THEN $2 WHEN 'letter' THEN $3 ELSE $4 END, facts = '{}' "
    };
}

/// A request that somebody be erased.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ErasureRequest {
    /// Its number.
    pub id: i64,
    /// Who asked for it.
    pub asked_by: String,
    /// Why.
    pub reason: String,
}

/// Why somebody cannot be forgotten now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kept {
    /// A case of theirs is open.
    OpenCase,
    /// A letter to them is under way.
    UnderWay,
    /// A legal hold says so.
    LegalHold,
    /// They are a pseudonym already, or there is nobody of that number.
    Nobody,
}

/// The accounts of the person in `$1`.
macro_rules! accounts {
    () => {
        "SELECT id FROM accounts WHERE holder_id = $1"
    };
}

/// The cases of the person in `$1`.
macro_rules! cases {
    () => {
        "SELECT id FROM cases WHERE person_id = $1 OR account_id IN (SELECT id FROM accounts WHERE holder_id = $1)"
    };
}

/// No hold is on the person whose number a column says.
macro_rules! free {
    ($person:literal) => {
        concat!(
            "NOT EXISTS (SELECT 1 FROM legal_holds h WHERE h.ended_at IS NULL AND (h.person_id IS NULL OR h.person_id = ",
            $person,
            "))"
        )
    };
}

impl Tx {
    /// Erases recipients and contexts of letters whose cases were all closed by `closed_before`, and what relays and reports
    /// said of them; `escalations` says whether those to managers and delegates or all others. How many letters.
    pub async fn purge_letters(
        &mut self,
        closed_before: Moment,
        escalations: bool,
        now: Moment,
    ) -> Result<u64, StoreError> {
        let letters: Vec<(i64,)> = on!(self, db => sqlx::query_as(concat!(
            nobody!(),
            "WHERE id IN (SELECT x.id FROM deliveries x JOIN threads t ON t.id = x.thread_id
                 WHERE x.ended_at <= $1 AND (x.kind LIKE 'escalation.%') = $5 AND x.recipient NOT IN ($2, $3, $4) AND ",
            free!("t.person_id"),
            " AND NOT EXISTS (SELECT 1 FROM cases c WHERE c.thread_id = x.thread_id AND (c.state <> 'closed' OR c.closed_at > $1)))
             RETURNING id",
        )).bind(closed_before.micros()).bind(NO_NUMBER).bind(ERASED).bind(NO_ADDRESS).bind(escalations).fetch_all(db).await)?;
        let letters: Vec<i64> = letters.into_iter().map(|(id,)| id).collect();
        self.erase_replies(&letters, now).await?;
        Ok(letters.len() as u64)
    }

    /// What relays said of letters, and what came back.
    async fn erase_replies(&mut self, letters: &[i64], now: Moment) -> Result<(), StoreError> {
        let letters = ids(letters.iter().copied());
        on_set!(
            self, &letters, [id bigint],
            "UPDATE attempts SET reply = NULL WHERE reply IS NOT NULL AND delivery_id IN (SELECT id FROM d)",
            sqlx::query, |query, db| query.execute(db).await.map(|_| ())
        )?;
        let returned: Vec<(i64,)> = on_set!(
            self, &letters, [id bigint],
            "SELECT b.id FROM bounces b WHERE b.reply IS NOT NULL AND b.delivery_id IN (SELECT id FROM d)",
            sqlx::query_as::<_, (i64,)>, |query, db| query.fetch_all(db).await
        )?;
        let rows: Vec<(i64, Option<String>)> =
            returned.into_iter().map(|(id,)| (id, None)).collect();
        self.erase_texts(SealedTable::Bounces, &rows, now).await?;
        Ok(())
    }

    /// Forgets whose manager was told of cases that were closed by `closed_before`. How many.
    pub async fn purge_escalations(&mut self, closed_before: Moment) -> Result<u64, StoreError> {
        Ok(on!(self, db => sqlx::query(concat!(
            "UPDATE escalations SET manager_id = NULL WHERE manager_id IS NOT NULL AND ended_at IS NOT NULL
                 AND case_id IN (SELECT c.id FROM cases c WHERE c.state = 'closed' AND c.closed_at <= $1 AND ",
            free!("c.person_id"),
            ")",
        )).bind(closed_before.micros()).execute(db).await.map(|done| done.rows_affected()))?)
    }

    /// People, from a number on, whose cases were all closed by `closed_before`, and who are not forgotten yet.
    pub async fn people_to_forget(
        &mut self,
        after: PersonId,
        closed_before: Moment,
        limit: i64,
    ) -> Result<Vec<PersonId>, StoreError> {
        let rows: Vec<(i64,)> = on!(self, db => sqlx::query_as(concat!(
            "WITH own AS (SELECT person_id AS id, state, closed_at FROM cases WHERE person_id IS NOT NULL
                 UNION ALL SELECT a.holder_id, c.state, c.closed_at FROM cases c JOIN accounts a ON a.id = c.account_id WHERE a.holder_id IS NOT NULL)
             SELECT o.id FROM own o JOIN persons p ON p.id = o.id WHERE p.id > $1 AND p.key NOT LIKE '",
            pseudonym!(),
            "%' AND ",
            free!("p.id"),
            " GROUP BY o.id HAVING COUNT(*) FILTER (WHERE o.state <> 'closed' OR o.closed_at > $2) = 0 ORDER BY o.id LIMIT $3",
        )).bind(after.0).bind(closed_before.micros()).bind(limit).fetch_all(db).await)?;
        Ok(rows.into_iter().map(|(id,)| PersonId(id)).collect())
    }

    /// Why somebody cannot be forgotten now; none if nothing is in the way.
    pub async fn kept(&mut self, person: PersonId) -> Result<Option<Kept>, StoreError> {
        let (people, holds, open, under_way): (i64, i64, i64, i64) = on!(self, db => sqlx::query_as(concat!(
            "SELECT (SELECT COUNT(*) FROM persons WHERE id = $1 AND key NOT LIKE '",
            pseudonym!(),
            "%'), (SELECT COUNT(*) FROM legal_holds WHERE ended_at IS NULL AND (person_id IS NULL OR person_id = $1)),
                 (SELECT COUNT(*) FROM cases WHERE state <> 'closed' AND id IN (",
            cases!(),
            ")), (SELECT COUNT(*) FROM deliveries x JOIN threads t ON t.id = x.thread_id WHERE t.person_id = $1 AND x.ended_at IS NULL)",
        )).bind(person.0).fetch_one(db).await)?;
        Ok(if people == 0 {
            Some(Kept::Nobody)
        } else if holds > 0 {
            Some(Kept::LegalHold)
        } else if open > 0 {
            Some(Kept::OpenCase)
        } else if under_way > 0 {
            Some(Kept::UnderWay)
        } else {
            None
        })
    }

    /// Makes a pseudonym of somebody of whom nothing is under way: names, addresses, keys and every sentence about them go,
    /// counts and times stay. If the directory still lists them, a new row without a past takes their place. How many
    /// sentences of the sealed record went.
    pub async fn forget_person(
        &mut self,
        person: PersonId,
        draw: impl Fn() -> String,
        now: Moment,
    ) -> Result<u64, StoreError> {
        let sentences = self.forget_sentences(person, now).await?;
        let letters: Vec<(i64,)> = on!(self, db => sqlx::query_as("SELECT x.id FROM deliveries x JOIN threads t ON t.id = x.thread_id WHERE t.person_id = $1")
            .bind(person.0).fetch_all(db).await)?;
        let letters: Vec<i64> = letters.into_iter().map(|(id,)| id).collect();
        self.erase_replies(&letters, now).await?;
        on!(self, db => sqlx::query(concat!(nobody!(), "WHERE thread_id IN (SELECT id FROM threads WHERE person_id = $1)"))
            .bind(person.0).bind(NO_NUMBER).bind(ERASED).bind(NO_ADDRESS).execute(db).await.map(|_| ()))?;
        on!(self, db => sqlx::query(concat!(
            "UPDATE findings SET key_given = $2, detail = NULL, dedupe_key = '",
            pseudonym!(),
            "' || id WHERE account_id IN (",
            accounts!(),
            ")",
        )).bind(person.0).bind(ERASED).execute(db).await.map(|_| ()))?;
        self.split_person(person, draw, now).await?;
        Ok(sentences)
    }

    async fn forget_sentences(&mut self, person: PersonId, now: Moment) -> Result<u64, StoreError> {
        // A number is no text on PostgreSQL until it is said.
        let rows: Vec<(i64, String)> = on!(self, db => sqlx::query_as(concat!(
            "SELECT id, detail FROM ledger WHERE detail IS NOT NULL AND (case_id IN (",
            cases!(),
            ") OR thing = 'person:' || CAST(CAST($1 AS BIGINT) AS TEXT)
                 OR thing IN (SELECT 'account:' || id FROM accounts WHERE holder_id = $1))",
        )).bind(person.0).fetch_all(db).await)?;
        let rows: Vec<(i64, Option<String>)> = rows
            .into_iter()
            .filter_map(|(id, detail)| Some((id, Some(without_sentences(&detail)?))))
            .collect();
        let of_ledger = self.erase_texts(SealedTable::Ledger, &rows, now).await?;
        let rows: Vec<(i64,)> = on!(self, db => sqlx::query_as(concat!("SELECT id FROM containments WHERE account_id IN (", accounts!(), ")"))
            .bind(person.0).fetch_all(db).await)?;
        let rows: Vec<(i64, Option<String>)> = rows
            .into_iter()
            .map(|(id,)| (id, Some(ERASED.to_owned())))
            .collect();
        let of_containments = self
            .erase_texts(SealedTable::Containments, &rows, now)
            .await?;
        Ok(of_ledger + of_containments)
    }

    /// The past keeps the row, the directory's person goes on in a new one, or nowhere if they have left.
    async fn split_person(
        &mut self,
        person: PersonId,
        draw: impl Fn() -> String,
        now: Moment,
    ) -> Result<(), StoreError> {
        let (key, left): (String, Option<i64>) = on!(self, db => sqlx::query_as("SELECT key, left_at FROM persons WHERE id = $1").bind(person.0).fetch_one(db).await)?;
        let changed = on!(self, db => sqlx::query("UPDATE persons SET key = $2 WHERE id = $1")
            .bind(person.0).bind(format!(concat!(pseudonym!(), "{}"), draw())).execute(db).await.map(|done| done.rows_affected()))?;
        expect_one(changed, "persons", person.0)?;
        let heir: Option<(i64,)> = match left {
            Some(_) => None,
            None => on!(self, db => sqlx::query_as(
                "INSERT INTO persons (key, display_name, department, language, time_zone, second_address, manager_mail, manager_id, joined_at, mobile, room, building, delegate_mail)
                 SELECT $2, display_name, department, language, time_zone, second_address, manager_mail, manager_id, joined_at, mobile, room, building, delegate_mail FROM persons WHERE id = $1 RETURNING id",
            ).bind(person.0).bind(key).fetch_optional(db).await)?,
        };
        let heir = heir.map(|(id,)| id);
        self.split_accounts(person, heir, draw).await?;
        self.hand_on(person, heir).await?;
        on!(self, db => sqlx::query(
            "UPDATE persons SET display_name = $2, department = '', language = NULL, time_zone = NULL, second_address = NULL, manager_mail = NULL, manager_id = NULL,
                 mobile = NULL, room = NULL, building = NULL, delegate_mail = NULL, left_at = COALESCE(left_at, $3) WHERE id = $1",
        ).bind(person.0).bind(ERASED).bind(now.micros()).execute(db).await.map(|_| ()))?;
        on!(self, db => sqlx::query(
            "UPDATE accounts SET sam = NULL, display_name = $2, department = '', owner_mail = NULL, owner_id = NULL, enabled = $4, digest = '', left_at = COALESCE(left_at, $3) WHERE holder_id = $1",
        ).bind(person.0).bind(ERASED).bind(now.micros()).bind(false).execute(db).await.map(|_| ()))?;
        // In the index of names without a key: the word is nobody's name.
        on!(self, db => sqlx::query("INSERT INTO named_persons (person_id, display_name) VALUES ($1, $2) ON CONFLICT (person_id) DO UPDATE SET display_name = excluded.display_name")
            .bind(person.0).bind(ERASED).execute(db).await.map(|_| ()))?;
        Ok(())
    }

    async fn split_accounts(
        &mut self,
        person: PersonId,
        heir: Option<i64>,
        draw: impl Fn() -> String,
    ) -> Result<(), StoreError> {
        let accounts: Vec<(i64, String)> = on!(self, db => sqlx::query_as("SELECT id, object_id FROM accounts WHERE holder_id = $1 ORDER BY id").bind(person.0).fetch_all(db).await)?;
        for (old, object) in accounts {
            on!(self, db => sqlx::query("UPDATE accounts SET object_id = $2 WHERE id = $1").bind(old).bind(format!(concat!(pseudonym!(), "{}"), draw())).execute(db).await.map(|_| ()))?;
            let Some(heir) = heir else {
                on!(self, db => sqlx::query("DELETE FROM account_keys WHERE account_id = $1").bind(old).execute(db).await.map(|_| ()))?;
                on!(self, db => sqlx::query("DELETE FROM account_mailboxes WHERE account_id = $1").bind(old).execute(db).await.map(|_| ()))?;
                on!(self, db => sqlx::query("DELETE FROM bindings WHERE account_id = $1").bind(old).execute(db).await.map(|_| ()))?;
                continue;
            };
            let (new,): (i64,) = on!(self, db => sqlx::query_as(
                "INSERT INTO accounts (realm, object_id, sam, display_name, department, kind, enabled, holder_id, owner_mail, owner_id, digest, joined_at, left_at, synced_at)
                 SELECT realm, $2, sam, display_name, department, kind, enabled, $3, owner_mail, owner_id, digest, joined_at, left_at, synced_at FROM accounts WHERE id = $1 RETURNING id",
            ).bind(old).bind(object).bind(heir).fetch_one(db).await)?;
            on!(self, db => sqlx::query("UPDATE account_keys SET account_id = $2 WHERE account_id = $1").bind(old).bind(new).execute(db).await.map(|_| ()))?;
            on!(self, db => sqlx::query("UPDATE account_mailboxes SET account_id = $2 WHERE account_id = $1").bind(old).bind(new).execute(db).await.map(|_| ()))?;
            on!(self, db => sqlx::query("UPDATE bindings SET account_id = $2 WHERE account_id = $1").bind(old).bind(new).execute(db).await.map(|_| ()))?;
        }
        Ok(())
    }

    /// What is true of the person now, and says nothing of their past.
    async fn hand_on(&mut self, person: PersonId, heir: Option<i64>) -> Result<(), StoreError> {
        for sql in [
            "UPDATE mailboxes SET owner_id = $2 WHERE owner_id = $1",
            "UPDATE persons SET manager_id = $2 WHERE manager_id = $1",
            "UPDATE accounts SET owner_id = $2 WHERE owner_id = $1",
            "UPDATE delegates SET delegate_id = $2 WHERE delegate_id = $1",
        ] {
            on!(self, db => sqlx::query(sql).bind(person.0).bind(heir).execute(db).await.map(|_| ()))?;
        }
        for sql in match heir {
            Some(_) => [
                "UPDATE delegates SET person_id = $2 WHERE person_id = $1",
                "UPDATE person_names SET person_id = $2 WHERE person_id = $1",
                "UPDATE named_persons SET person_id = $2 WHERE person_id = $1",
            ],
            None => [
                "DELETE FROM delegates WHERE person_id = $1 AND CAST($2 AS BIGINT) IS NULL",
                "DELETE FROM person_names WHERE person_id = $1 AND CAST($2 AS BIGINT) IS NULL",
                "DELETE FROM named_persons WHERE person_id = $1 AND CAST($2 AS BIGINT) IS NULL",
            ],
        } {
            on!(self, db => sqlx::query(sql).bind(person.0).bind(heir).execute(db).await.map(|_| ()))?;
        }
        // Mailboxes that nobody opens any more have an address that names somebody.
        for sql in [
            "DELETE FROM aliases WHERE mailbox_id IN (SELECT id FROM mailboxes WHERE owner_id IS NULL AND id NOT IN (SELECT mailbox_id FROM account_mailboxes))",
            "DELETE FROM mailboxes WHERE owner_id IS NULL AND id NOT IN (SELECT mailbox_id FROM account_mailboxes)",
        ] {
            if heir.is_none() {
                on!(self, db => sqlx::query(sql).execute(db).await.map(|_| ()))?;
            }
        }
        Ok(())
    }

    /// The request to erase somebody that waits for a second operator.
    pub async fn erasure_request(
        &mut self,
        person: PersonId,
    ) -> Result<Option<ErasureRequest>, StoreError> {
        let row: Option<(i64, String, String)> = on!(self, db => sqlx::query_as("SELECT id, asked_by, reason FROM erasure_requests WHERE person_id = $1 AND done_at IS NULL")
            .bind(person.0).fetch_optional(db).await)?;
        Ok(row.map(|(id, asked_by, reason)| ErasureRequest {
            id,
            asked_by,
            reason,
        }))
    }

    /// Writes down that somebody is to be erased.
    pub async fn ask_erasure(
        &mut self,
        person: PersonId,
        reason: &str,
        by: &str,
        now: Moment,
    ) -> Result<(), StoreError> {
        on!(self, db => sqlx::query("INSERT INTO erasure_requests (person_id, reason, asked_by, asked_at) VALUES ($1, $2, $3, $4)")
            .bind(person.0).bind(reason).bind(by).bind(now.micros()).execute(db).await.map(|_| ()))?;
        let thing = format!("person:{person}");
        self.note(now, by, "person.erasure_asked", Some(&thing), None)
            .await
    }

    /// Writes down that somebody was erased.
    pub async fn end_erasure(
        &mut self,
        request: i64,
        person: PersonId,
        by: &str,
        now: Moment,
    ) -> Result<(), StoreError> {
        let changed = on!(self, db => sqlx::query("UPDATE erasure_requests SET done_by = $2, done_at = $3 WHERE id = $1 AND done_at IS NULL")
            .bind(request).bind(by).bind(now.micros()).execute(db).await.map(|done| done.rows_affected()))?;
        expect_one(changed, "erasure_requests", request)?;
        let thing = format!("person:{person}");
        self.note(now, by, "person.erased", Some(&thing), None)
            .await
    }
}
