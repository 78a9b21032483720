//! Cursors: where a source was read to is kept, one position a source.

use division_bell::store::Cursor;

use super::bed::at;
use super::both;

#[tokio::test]
async fn where_a_source_was_read_to_is_kept_until_it_is_read_again() {
    both(async |bed| {
        let first = Cursor {
            name: "evidence:dc".to_owned(),
            settings: "one".to_owned(),
            position: Some("42".to_owned()),
            swept_at: Some(at(1)),
            read_at: at(2),
        };
        let other = Cursor {
            name: "evidence:other".to_owned(),
            position: None,
            swept_at: None,
            ..first.clone()
        };
        let mut tx = bed.tx().await;
        assert_eq!(tx.cursor("evidence:dc").await.unwrap(), None);
        tx.keep_cursor(&first).await.unwrap();
        tx.keep_cursor(&other).await.unwrap();
        let later = Cursor {
            settings: "two".to_owned(),
            position: Some("43".to_owned()),
            read_at: at(3),
            ..first.clone()
        };
        tx.keep_cursor(&later).await.unwrap();
        tx.commit().await.unwrap();

        let mut tx = bed.tx().await;
        assert_eq!(tx.cursor("evidence:dc").await.unwrap(), Some(later));
        assert_eq!(tx.cursor("evidence:other").await.unwrap(), Some(other));
    })
    .await;
}
