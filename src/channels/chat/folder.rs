//! Folder: a chat for the demo and for a first look: each message is a file with the JSON that Discord would have got.

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::super::discord::render;
use super::{Looked, MessageId, Miss, Refusal, StatusPost, is_ours};

fn path_of(dir: &Path, id: &str) -> PathBuf {
    dir.join(format!("{id}.json"))
}

fn file_trouble(error: &std::io::Error) -> Miss {
    match error.kind() {
        std::io::ErrorKind::NotFound => Miss::Gone,
        kind => Refusal::message(format!("the folder of status posts cannot be used: {kind}")),
    }
}

/// The same nonce gives the same file, for ever.
pub(super) async fn create(
    dir: &Path,
    thread: Option<&MessageId>,
    post: &StatusPost,
    nonce: &str,
) -> Result<MessageId, Miss> {
    let mut body = render::created(post, nonce).map_err(|bad| Refusal::message(bad.to_string()))?;
    if let (Some(thread), Some(map)) = (thread, body.as_object_mut()) {
        map.insert("thread".to_owned(), thread.0.clone().into());
    }
    let digest = Sha256::digest(nonce.as_bytes());
    let number = digest
        .iter()
        .take(7)
        .fold(0_u64, |sum, byte| (sum << 8) | u64::from(*byte));
    let id = MessageId(number.to_string());
    let path = path_of(dir, &id.0);
    tokio::fs::create_dir_all(dir)
        .await
        .map_err(|error| file_trouble(&error))?;
    if !tokio::fs::try_exists(&path)
        .await
        .map_err(|error| file_trouble(&error))?
    {
        write_whole(&path, post, &body).await?;
    }
    Ok(id)
}

pub(super) async fn replace(
    dir: &Path,
    message: &MessageId,
    post: &StatusPost,
) -> Result<(), Miss> {
    let number: u64 = message.0.parse().map_err(|_| Miss::Gone)?;
    let path = path_of(dir, &number.to_string());
    tokio::fs::metadata(&path)
        .await
        .map_err(|error| file_trouble(&error))?;
    write_whole(&path, post, &render::edited(post)).await
}

/// The picture first, so that the message never speaks of one that is not there.
async fn write_whole(path: &Path, post: &StatusPost, body: &serde_json::Value) -> Result<(), Miss> {
    let written = async {
        if let Some(picture) = &post.picture {
            put(&path.with_extension("png"), &picture.png).await?;
        }
        put(path, format!("{body:#}\n").as_bytes()).await
    };
    written.await.map_err(|error| file_trouble(&error))
}

async fn put(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let half = path.with_extension("part");
    tokio::fs::write(&half, bytes).await?;
    tokio::fs::rename(&half, path).await
}

pub(super) async fn look(dir: &Path, reference: &str) -> Result<Looked, Miss> {
    let mut entries = match tokio::fs::read_dir(dir).await {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Looked::Absent),
        Err(error) => return Err(file_trouble(&error)),
    };
    while let Some(entry) = entries
        .next_entry()
        .await
        .map_err(|error| file_trouble(&error))?
    {
        let path = entry.path();
        let Some(id) = path.file_stem().and_then(|stem| stem.to_str()) else {
            continue;
        };
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let bytes = tokio::fs::read(&path)
            .await
            .map_err(|error| file_trouble(&error))?;
        let body: serde_json::Value = serde_json::from_slice(&bytes).unwrap_or_default();
        let footer = body
            .pointer("/embeds/0/footer/text")
            .and_then(|text| text.as_str());
        if footer.is_some_and(|footer| is_ours(footer, reference)) {
            return Ok(Looked::Found(MessageId(id.to_owned())));
        }
    }
    Ok(Looked::Absent)
}

#[cfg(test)]
mod tests {
    use super::super::{Picture, StatusChannel};
    use super::*;

    #[tokio::test]
    async fn a_folder_keeps_one_message_a_nonce_and_edits_it_in_place() {
        let dir = tempfile::tempdir().unwrap();
        let channel = StatusChannel::File(dir.path().join("status"));
        assert_eq!(channel.find_recent("DB-1").await, Ok(None));
        let mut post = StatusPost {
            title: "Accounts".into(),
            state: "investigating".into(),
            footer_reference: "DB-1".into(),
            footer_note: Some("v1".into()),
            picture: Some(Picture {
                png: b"png".to_vec(),
                words: "it falls".into(),
            }),
            ..StatusPost::default()
        };
        let id = channel.post(&post, "st1v1").await.unwrap();
        post.state = "changed".into();
        assert_eq!(channel.post(&post, "st1v1").await.unwrap(), id);
        let file = |ending: &str| dir.path().join(format!("status/{id}.{ending}"));
        let read = || std::fs::read_to_string(file("json")).unwrap();
        assert!(read().contains("investigating") && read().contains("it falls"));
        assert_eq!(std::fs::read(file("png")).unwrap(), b"png");
        channel.edit(&id, &post).await.unwrap();
        assert!(read().contains("changed"));
        assert_eq!(channel.find_recent("DB-1").await, Ok(Some(id)));
        assert_eq!(
            channel.edit(&MessageId("5".into()), &post).await,
            Err(Miss::Gone)
        );
        assert_eq!(
            channel.edit(&MessageId("../x".into()), &post).await,
            Err(Miss::Gone)
        );
    }
}
