//! The read-only sums behind the status post.

use super::{StoreError, Tx, on};
use crate::domain::Moment;
use crate::domain::figures::Figures;
use crate::domain::finding::Category;

impl Tx {
    /// The counts as they stand now.
    pub async fn figures(&mut self, now: Moment) -> Result<Figures, StoreError> {
        type Row = (i64, i64, i64, i64, i64, i64, i64, i64);
        let row: Row = on!(self, db => sqlx::query_as(
            "SELECT COUNT(DISTINCT c.account_id), COUNT(DISTINCT c.person_id), COUNT(*) FILTER (WHERE c.notice_at IS NOT NULL),
                 COUNT(*) FILTER (WHERE c.closed_as = 'reset'), COUNT(*) FILTER (WHERE c.closed_as = 'disabled'), COUNT(*) FILTER (WHERE c.state <> 'closed'),
                 COUNT(*) FILTER (WHERE c.state <> 'closed' AND c.deadline_at < $1 AND COALESCE(c.exempt_until, 0) < $1),
                 COUNT(*) FILTER (WHERE c.state <> 'closed' AND c.not_reached IS NOT NULL)
             FROM cases c WHERE COALESCE(c.closed_as, '') <> 'withdrawn' AND NOT EXISTS (SELECT 1 FROM cases s WHERE s.reopens_id = c.id AND COALESCE(s.closed_as, '') <> 'withdrawn')",
        ).bind(now.micros()).fetch_one(db).await)?;
        let n = i64::unsigned_abs;
        Ok(Figures {
            accounts: n(row.0),
            people: n(row.1),
            told: n(row.2),
            reset: n(row.3),
            disabled: n(row.4),
            open: n(row.5),
            overdue: n(row.6),
            not_reached: n(row.7),
        })
    }

    /// Accounts with a case that is not withdrawn, by category, mildest first.
    pub async fn accounts_by_category(&mut self) -> Result<[u64; 4], StoreError> {
        let rows: Vec<(String, i64)> = on!(self, db => sqlx::query_as(
            "SELECT c.category, COUNT(DISTINCT c.account_id) FROM cases c WHERE COALESCE(c.closed_as, '') <> 'withdrawn'
                 AND NOT EXISTS (SELECT 1 FROM cases s WHERE s.reopens_id = c.id AND COALESCE(s.closed_as, '') <> 'withdrawn') GROUP BY c.category",
        ).fetch_all(db).await)?;
        Ok(Category::ALL.map(|category| {
            rows.iter()
                .find(|(word, _)| word == category.word())
                .map_or(0, |(_, count)| count.unsigned_abs())
        }))
    }
}
