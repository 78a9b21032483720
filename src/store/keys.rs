//! Keys: who may enter the page: operators' passwords and second factors, their sessions, and tokens for programs. Of what
//! people type and browsers and programs hold there are only hashes here.

use serde::Serialize;

use super::{StoreError, Tx, expect_one, on};
use crate::domain::Moment;

/// What an operator signs in with.
#[derive(Clone, PartialEq, Eq)]
pub struct Credential {
    /// Argon2id, as a PHC text.
    pub password: String,
    /// The second factor's secret, base 32; none: not set up, and nobody signs in.
    pub totp: Option<String>,
    /// The latest of its codes that was used, as its step; an earlier one is not taken.
    pub totp_step: i64,
}

impl std::fmt::Debug for Credential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Credential(…)")
    }
}

/// A browser in which somebody has signed in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Session {
    /// Who: folded, or as an identity provider calls them.
    pub operator: String,
    /// The roles that it vouches for, as JSON; none: those of the config.
    pub roles: Option<String>,
    /// When it began.
    pub began_at: Moment,
    /// When it was last used, to the minute.
    pub seen_at: Moment,
    /// When it is over, used or not.
    pub ends_at: Moment,
}

/// A program that may read figures.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct ApiToken {
    /// What it is for.
    pub name: String,
    /// Who made it.
    pub made_by: String,
    /// When.
    pub made_at: Moment,
    /// When it was last used, to the minute.
    pub used_at: Option<Moment>,
}

impl Tx {
    /// Sets an operator's password, and ends their sessions. `operator` is folded.
    pub async fn set_password(
        &mut self,
        operator: &str,
        password: &str,
        by: &str,
        now: Moment,
    ) -> Result<(), StoreError> {
        on!(self, db => sqlx::query(
            "INSERT INTO credentials (operator, password, set_at, totp, totp_step) VALUES ($1, $2, $3, NULL, 0)
             ON CONFLICT (operator) DO UPDATE SET password = excluded.password, set_at = excluded.set_at",
        ).bind(operator).bind(password).bind(now.micros()).execute(db).await.map(|_| ()))?;
        self.end_sessions_of(operator).await?;
        let thing = format!("operator:{operator}");
        self.note(now, by, "operator.password", Some(&thing), None)
            .await
    }

    /// Sets an operator's second factor, and ends their sessions. They have to have a password.
    pub async fn set_totp(
        &mut self,
        operator: &str,
        secret: &str,
        by: &str,
        now: Moment,
    ) -> Result<(), StoreError> {
        let changed = on!(self, db => sqlx::query("UPDATE credentials SET totp = $2, totp_step = 0, set_at = $3 WHERE operator = $1")
            .bind(operator).bind(secret).bind(now.micros()).execute(db).await.map(|done| done.rows_affected()))?;
        expect_one(changed, "credentials", 0)?;
        self.end_sessions_of(operator).await?;
        let thing = format!("operator:{operator}");
        self.note(now, by, "operator.totp", Some(&thing), None)
            .await
    }

    /// Takes an operator's password and second factor away, and ends their sessions. Whether there were any.
    pub async fn revoke_operator(
        &mut self,
        operator: &str,
        by: &str,
        now: Moment,
    ) -> Result<bool, StoreError> {
        let gone = on!(self, db => sqlx::query("DELETE FROM credentials WHERE operator = $1")
            .bind(operator).execute(db).await.map(|done| done.rows_affected()))?;
        self.end_sessions_of(operator).await?;
        let thing = format!("operator:{operator}");
        self.note(now, by, "operator.revoked", Some(&thing), None)
            .await?;
        Ok(gone > 0)
    }

    async fn end_sessions_of(&mut self, operator: &str) -> Result<(), StoreError> {
        on!(self, db => sqlx::query("DELETE FROM sessions WHERE operator = $1").bind(operator).execute(db).await.map(|_| ()))?;
        Ok(())
    }

    /// What an operator signs in with, if they can.
    pub async fn credential(&mut self, operator: &str) -> Result<Option<Credential>, StoreError> {
        let row: Option<(String, Option<String>, i64)> = on!(self, db => sqlx::query_as(
            "SELECT password, totp, totp_step FROM credentials WHERE operator = $1",
        ).bind(operator).fetch_optional(db).await)?;
        Ok(row.map(|(password, totp, totp_step)| Credential {
            password,
            totp,
            totp_step,
        }))
    }

    /// Uses up a code of the second factor; false: it, or a later one, was used before.
    pub async fn use_totp(&mut self, operator: &str, step: i64) -> Result<bool, StoreError> {
        let changed = on!(self, db => sqlx::query("UPDATE credentials SET totp_step = $2 WHERE operator = $1 AND totp_step < $2")
            .bind(operator).bind(step).execute(db).await.map(|done| done.rows_affected()))?;
        Ok(changed == 1)
    }

    /// Begins a session; `hash` is of what the browser holds. Sessions that are over are dropped.
    pub async fn begin_session(
        &mut self,
        hash: &str,
        operator: &str,
        roles: Option<&str>,
        ends_at: Moment,
        now: Moment,
    ) -> Result<(), StoreError> {
        on!(self, db => sqlx::query("DELETE FROM sessions WHERE ends_at <= $1").bind(now.micros()).execute(db).await.map(|_| ()))?;
        on!(self, db => sqlx::query("INSERT INTO sessions (hash, operator, began_at, seen_at, ends_at, roles) VALUES ($1, $2, $3, $3, $4, $5)")
            .bind(hash).bind(operator).bind(now.micros()).bind(ends_at.micros()).bind(roles).execute(db).await.map(|_| ()))?;
        Ok(())
    }

    /// A session by the hash of what the browser holds, however old.
    pub async fn session(&mut self, hash: &str) -> Result<Option<Session>, StoreError> {
        let row: Option<(String, Option<String>, i64, i64, i64)> = on!(self, db => sqlx::query_as(
            "SELECT operator, roles, began_at, seen_at, ends_at FROM sessions WHERE hash = $1",
        ).bind(hash).fetch_optional(db).await)?;
        Ok(
            row.map(|(operator, roles, began_at, seen_at, ends_at)| Session {
                operator,
                roles,
                began_at: Moment::from_micros(began_at),
                seen_at: Moment::from_micros(seen_at),
                ends_at: Moment::from_micros(ends_at),
            }),
        )
    }

    /// Writes down that a session was used.
    pub async fn see_session(&mut self, hash: &str, now: Moment) -> Result<(), StoreError> {
        on!(self, db => sqlx::query("UPDATE sessions SET seen_at = $2 WHERE hash = $1").bind(hash).bind(now.micros()).execute(db).await.map(|_| ()))?;
        Ok(())
    }

    /// Ends a session.
    pub async fn end_session(&mut self, hash: &str) -> Result<(), StoreError> {
        on!(self, db => sqlx::query("DELETE FROM sessions WHERE hash = $1").bind(hash).execute(db).await.map(|_| ()))?;
        Ok(())
    }

    /// Keeps a token; false: there is one of this name.
    pub async fn add_token(
        &mut self,
        name: &str,
        hash: &str,
        by: &str,
        now: Moment,
    ) -> Result<bool, StoreError> {
        let added = on!(self, db => sqlx::query(
            "INSERT INTO api_tokens (name, hash, made_by, made_at) VALUES ($1, $2, $3, $4) ON CONFLICT (name) DO NOTHING",
        ).bind(name).bind(hash).bind(by).bind(now.micros()).execute(db).await.map(|done| done.rows_affected()))?;
        if added == 1 {
            let thing = format!("token:{name}");
            self.note(now, by, "token.made", Some(&thing), None).await?;
        }
        Ok(added == 1)
    }

    /// All tokens, by name.
    pub async fn tokens(&mut self) -> Result<Vec<ApiToken>, StoreError> {
        let rows: Vec<(String, String, i64, Option<i64>)> = on!(self, db => sqlx::query_as(
            "SELECT name, made_by, made_at, used_at FROM api_tokens ORDER BY name",
        ).fetch_all(db).await)?;
        Ok(rows.into_iter().map(token).collect())
    }

    /// The token of this hash.
    pub async fn token(&mut self, hash: &str) -> Result<Option<ApiToken>, StoreError> {
        let row: Option<(String, String, i64, Option<i64>)> = on!(self, db => sqlx::query_as(
            "SELECT name, made_by, made_at, used_at FROM api_tokens WHERE hash = $1",
        ).bind(hash).fetch_optional(db).await)?;
        Ok(row.map(token))
    }

    /// Writes down that a token was used.
    pub async fn see_token(&mut self, name: &str, now: Moment) -> Result<(), StoreError> {
        on!(self, db => sqlx::query("UPDATE api_tokens SET used_at = $2 WHERE name = $1").bind(name).bind(now.micros()).execute(db).await.map(|_| ()))?;
        Ok(())
    }

    /// Takes a token away; whether there was one.
    pub async fn revoke_token(
        &mut self,
        name: &str,
        by: &str,
        now: Moment,
    ) -> Result<bool, StoreError> {
        let gone = on!(self, db => sqlx::query("DELETE FROM api_tokens WHERE name = $1")
            .bind(name).execute(db).await.map(|done| done.rows_affected()))?;
        if gone == 1 {
            let thing = format!("token:{name}");
            self.note(now, by, "token.revoked", Some(&thing), None)
                .await?;
        }
        Ok(gone == 1)
    }
}

fn token((name, made_by, made_at, used_at): (String, String, i64, Option<i64>)) -> ApiToken {
    ApiToken {
        name,
        made_by,
        made_at: Moment::from_micros(made_at),
        used_at: used_at.map(Moment::from_micros),
    }
}
