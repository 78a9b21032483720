//! Who reads a statement: each audience on its own channels, and no text on another's.

use division_bell::desk::statement::{self, Body, Edit};

use super::*;

/// Staff read on two channels, the press on one, and nobody is known to read on the last.
const ROOMS: &str = r#"
[[chat]]
name = "intranet"
kind = "folder"
folder = "intranet"

[[chat]]
name = "press-room"
kind = "folder"
folder = "press"

[[chat]]
name = "hall"
kind = "folder"
folder = "hall"

[[audience]]
name = "staff"
channels = ["status", "intranet"]

[[audience]]
name = "press"
channels = ["press-room"]
"#;

async fn draft(desk: &Desk, audience: Audience, channels: &[&str]) -> anyhow::Result<Statement> {
    let channels: Vec<String> = channels.iter().map(|&name| name.to_owned()).collect();
    let new = NewDraft {
        incident: desk.incident,
        audience,
        channels: &channels,
        text: Body::Text(TEXT),
    };
    statement::draft(desk.app(), &new, WRITER).await
}

async fn out(desk: &Desk, id: StatementId) {
    statement::approve(desk.app(), id, None, APPROVER)
        .await
        .unwrap();
    statement::publish(desk.app(), id, WRITER).await.unwrap();
}

/// How many messages a folder has.
fn said(desk: &Desk, folder: &str) -> usize {
    let files = crate::support::files(&desk.bell.path(folder));
    files.len()
}

#[tokio::test]
async fn each_audience_reads_its_statement_on_all_of_its_channels_and_nobody_elses() {
    let desk = Desk::with(ROOMS).await;
    let press = draft(&desk, Audience::Press, &[]).await.unwrap();
    assert_eq!(press.channels, ["press-room"]);
    out(&desk, press.id).await;
    assert_eq!(desk.post().await.posted, 1);
    assert_eq!(
        ["press", "discord", "intranet", "hall"].map(|folder| said(&desk, folder)),
        [1, 0, 0, 0]
    );
    let staff = draft(&desk, Audience::Staff, &[]).await.unwrap();
    assert_eq!(staff.channels, ["intranet", "status"]);
    out(&desk, staff.id).await;
    assert_eq!(desk.post().await.posted, 2);
    let one = draft(&desk, Audience::Staff, &["status"]).await.unwrap();
    out(&desk, one.id).await;
    assert_eq!(desk.post().await.posted, 1);
    assert_eq!(
        ["press", "discord", "intranet", "hall"].map(|folder| said(&desk, folder)),
        [1, 2, 1, 0]
    );
    // A correction goes wherever what it puts right went, and marks it there.
    let correction = statement::correct(desk.app(), staff.id, "It was fewer.", WRITER)
        .await
        .unwrap();
    out(&desk, correction.id).await;
    let after = desk.post().await;
    assert_eq!((after.posted, after.marked), (2, 2), "{after:?}");
}

#[tokio::test]
async fn a_text_cannot_be_sent_where_others_read_or_nobody_is_known_to() {
    let desk = Desk::with(ROOMS).await;
    let no = declined(draft(&desk, Audience::Press, &["status"]).await);
    assert!(
        no.contains("it was approved for press, and staff read there"),
        "{no}"
    );
    let no = declined(draft(&desk, Audience::Press, &["hall"]).await);
    assert!(
        no.contains("no [[audience]] of the config has this channel"),
        "{no}"
    );
    let no = declined(draft(&desk, Audience::Press, &["lobby"]).await);
    assert!(
        no.contains("there are: status, intranet, press-room, hall"),
        "{no}"
    );
    let mine = draft(&desk, Audience::Staff, &["status"]).await.unwrap();
    let edit = Edit {
        channels: Some(&["press-room".to_owned()]),
        ..Edit::default()
    };
    let no = declined(statement::edit(desk.app(), mine.id, &edit, WRITER).await);
    assert!(no.contains("press read there"), "{no}");
    let edit = Edit {
        audience: Some(Audience::Press),
        ..Edit::default()
    };
    let edited = statement::edit(desk.app(), mine.id, &edit, WRITER)
        .await
        .unwrap();
    assert_eq!(edited.channels, ["press-room"]);
}

#[tokio::test]
async fn a_channel_that_others_read_by_the_time_of_posting_does_not_get_the_text() {
    let mut desk = Desk::with(ROOMS).await;
    let staff = draft(&desk, Audience::Staff, &["intranet"]).await.unwrap();
    out(&desk, staff.id).await;
    let other = format!("{MORE}{ROOMS}")
        .replace("[\"status\", \"intranet\"]", "[\"status\"]")
        .replace("[\"press-room\"]", "[\"press-room\", \"intranet\"]");
    desk.bell.restart_with(&other).await;
    let posted = desk.post().await;
    assert_eq!((posted.posted, posted.waiting.len()), (0, 1), "{posted:?}");
    assert!(posted.waiting[0].contains("press read there"), "{posted:?}");
    assert_eq!(said(&desk, "intranet"), 0);
    // Nor does one that the config has no more, and somebody hears of it.
    desk.bell.restart_with(MORE).await;
    let posted = desk.post().await;
    assert_eq!((posted.posted, posted.waiting.len()), (0, 1), "{posted:?}");
    assert!(
        posted.waiting[0].contains("waits for intranet, which is no channel"),
        "{posted:?}"
    );
}

#[tokio::test]
async fn a_text_that_a_channel_would_cut_is_not_approved() {
    let desk = Desk::with("").await;
    // Each star takes two characters there.
    let stars = format!("{TEXT} {}", "*".repeat(2_200));
    let id = desk.draft(&stars).await;
    let seen = statement::preview(desk.app(), id, APPROVER).await.unwrap();
    assert_eq!(seen.too_long_for, ["status"]);
    let no = declined(statement::approve(desk.app(), id, None, APPROVER).await);
    assert!(no.contains("too long to be shown whole on status"), "{no}");
}
