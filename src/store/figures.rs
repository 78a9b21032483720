//! The read-only sums behind the status post.

use super::{StoreError, Tx, on};
use crate::domain::Moment;
use crate::domain::course::Change;
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

    /// How many cases were opened and closed in each ten minutes, oldest first.
    pub async fn course_changes(&mut self) -> Result<Vec<Change>, StoreError> {
        /// Ten minutes.
        const SPAN: i64 = 600_000_000;
        let rows: Vec<(i64, i64, i64)> = on!(self, db => sqlx::query_as(
            "SELECT span, CAST(SUM(opened) AS BIGINT), CAST(SUM(closed) AS BIGINT) FROM (
                 SELECT opened_at / $1 AS span, 1 AS opened, 0 AS closed FROM cases WHERE COALESCE(closed_as, '') <> 'withdrawn'
                 UNION ALL SELECT closed_at / $1 AS span, 0 AS opened, 1 AS closed FROM cases WHERE closed_at IS NOT NULL AND COALESCE(closed_as, '') <> 'withdrawn'
             ) AS changes GROUP BY span ORDER BY span",
        ).bind(SPAN).fetch_all(db).await)?;
        let changes = rows.into_iter().map(|(span, opened, closed)| Change {
            at: Moment::from_micros((span + 1).saturating_mul(SPAN)),
            opened: opened.unsigned_abs(),
            closed: closed.unsigned_abs(),
        });
        Ok(changes.collect())
    }
}
