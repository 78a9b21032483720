//! Names: which of some words name a person or an account of the directory, by an index that is kept beside it.

use std::collections::BTreeSet;

use serde::Serialize;

use super::{StoreError, Tx, ids, on, on_set};
use crate::domain::{PersonId, PersonName};

#[derive(Serialize)]
struct Key<'a> {
    key: &'a str,
}

impl Tx {
    /// People whose name is not in the index as it is now, `limit` at most.
    pub async fn unindexed_names(
        &mut self,
        limit: i64,
    ) -> Result<Vec<(PersonId, PersonName)>, StoreError> {
        let rows: Vec<(i64, String)> = on!(self, db => sqlx::query_as(
            "SELECT p.id, p.display_name FROM persons p LEFT JOIN named_persons n ON n.person_id = p.id
             WHERE n.person_id IS NULL OR n.display_name <> p.display_name ORDER BY p.id LIMIT $1",
        ).bind(limit).fetch_all(db).await)?;
        Ok(rows
            .into_iter()
            .map(|(id, name)| (PersonId(id), PersonName::new(&name)))
            .collect())
    }

    /// Puts people into the index, each with the keys of their name, and takes their former keys out.
    pub async fn index_names(
        &mut self,
        people: &[(PersonId, Vec<String>)],
    ) -> Result<(), StoreError> {
        #[derive(Serialize)]
        struct Row<'a> {
            id: i64,
            key: &'a str,
        }
        let all = ids(people.iter().map(|(id, _)| id.0));
        on_set!(
            self, &all, [id bigint],
            "DELETE FROM person_names WHERE person_id IN (SELECT id FROM d)",
            sqlx::query, |query, db| query.execute(db).await.map(|_| ())
        )?;
        let rows: Vec<Row<'_>> = people
            .iter()
            .flat_map(|(id, keys)| keys.iter().map(|key| Row { id: id.0, key }))
            .collect();
        on_set!(
            self, &rows, [id bigint, key text],
            "INSERT INTO person_names (key, person_id) SELECT key, id FROM d WHERE true ON CONFLICT DO NOTHING",
            sqlx::query, |query, db| query.execute(db).await.map(|_| ())
        )?;
        on_set!(
            self, &all, [id bigint],
            "INSERT INTO named_persons (person_id, display_name) SELECT p.id, p.display_name FROM d CROSS JOIN persons p WHERE p.id = d.id
             ON CONFLICT (person_id) DO UPDATE SET display_name = excluded.display_name",
            sqlx::query, |query, db| query.execute(db).await.map(|_| ())
        )?;
        Ok(())
    }

    /// Those of `keys` that somebody's name has. People who left are people still.
    pub async fn names_among(
        &mut self,
        keys: &BTreeSet<String>,
    ) -> Result<BTreeSet<String>, StoreError> {
        let asked: Vec<Key<'_>> = keys.iter().map(|key| Key { key }).collect();
        let rows: Vec<(String,)> = on_set!(
            self, &asked, [key text],
            "SELECT d.key FROM d WHERE EXISTS (SELECT 1 FROM person_names n WHERE n.key = d.key)",
            sqlx::query_as::<_, (String,)>, |query, db| query.fetch_all(db).await
        )?;
        Ok(rows.into_iter().map(|(key,)| key).collect())
    }

    /// Those of `words`, folded, by which somebody signs in: logins, principal names and the directory's ids.
    pub async fn logins_among(
        &mut self,
        words: &BTreeSet<String>,
    ) -> Result<BTreeSet<String>, StoreError> {
        let asked: Vec<Key<'_>> = words.iter().map(|key| Key { key }).collect();
        let rows: Vec<(String,)> = on_set!(
            self, &asked, [key text],
            "SELECT d.key FROM d WHERE EXISTS (SELECT 1 FROM account_keys k CROSS JOIN accounts a
                 WHERE k.kind IN ('sam', 'upn', 'object_id', 'sid') AND k.key = d.key AND a.id = k.account_id AND a.kind IN ('person', 'admin', 'shared', 'service'))",
            sqlx::query_as::<_, (String,)>, |query, db| query.fetch_all(db).await
        )?;
        Ok(rows.into_iter().map(|(key,)| key).collect())
    }
}
