//! Where bounces are read: one way at most, and each mistake with what to do.

use super::*;

const SERVER: &str =
    "imap_host = \"imap.parl.example\"\nuser = \"bounces\"\npassword_env = \"BELL_RELAY_PASSWORD\"";

/// The example with these lines in `[mail.inbox]`.
fn with(lines: &str) -> String {
    example("##maildir = \"/var/mail/bounces\"", lines)
}

#[test]
fn a_maildir_or_a_server_or_neither() {
    assert!(read(EXAMPLE).unwrap().mail.inbox.is_none());
    let maildir = read(&with("maildir = \"bounces\"")).unwrap();
    assert!(matches!(maildir.mail.inbox, Some(Inbox::Maildir(_))));
    let imap = |lines: &str| match read(&with(&format!("{SERVER}\n{lines}")))
        .unwrap()
        .mail
        .inbox
    {
        Some(Inbox::Imap(imap)) => imap,
        other => panic!("{other:?}"),
    };
    let usual = imap("");
    assert_eq!(
        (usual.port, usual.tls, &usual.folder[..], usual.keep),
        (993, InboxTls::Implicit, "INBOX", InboxKeep::Seen)
    );
    let other =
        imap("imap_tls = \"starttls\"\nkeep = \"move: Done/2026\"\nfolder = \"Entw&APw-rfe\"");
    assert_eq!(
        (other.port, &other.folder[..], other.keep),
        (143, "Entw&APw-rfe", InboxKeep::Move("Done/2026".to_owned()))
    );
    // Where mails come from is part of what the config says; the password is not.
    let config = read(&with(SERVER)).unwrap();
    assert_ne!(config.hash(), read(EXAMPLE).unwrap().hash());
    let written = serde_json::to_string(&config).unwrap();
    assert!(!written.contains("s3ntinel") && !format!("{config:?}").contains("s3ntinel"));
}

#[test]
fn what_does_not_fit_together_is_told() {
    for (lines, error) in [
        (
            format!("maildir = \"bounces\"\n{SERVER}"),
            "mail.inbox.imap_host: maildir is there too; keep one of them",
        ),
        (
            "user = \"bounces\"".to_owned(),
            "mail.inbox.imap_host: it is missing; add for instance imap_host = \"imap.parl.example\"",
        ),
        (
            "imap_host = \"imap.parl.example\"\npassword_env = \"BELL_RELAY_PASSWORD\"".to_owned(),
            "mail.inbox.user: it is missing; add for instance user = \"bounces@parl.example\"",
        ),
        (
            "imap_host = \"imap.parl.example\"\nuser = \"bounces\"".to_owned(),
            "mail.inbox.password_env: it is missing; add for instance password_env = \"BELL_INBOX_PASSWORD\"",
        ),
        (
            format!("{SERVER}\nkeep = \"delete\""),
            "mail.inbox.keep: \"delete\" is not known; use \"seen\" or \"move:FOLDER\"",
        ),
        (
            format!("{SERVER}\nfolder = \"Entwürfe\""),
            "mail.inbox.folder: this is no folder's name",
        ),
        (
            format!("{SERVER}\nkeep = \"move:\""),
            "mail.inbox.keep: this is no folder's name",
        ),
        (
            format!("{SERVER}\nimap_tls = \"none\""),
            "mail.inbox.imap_tls: \"none\" is not known",
        ),
        (
            format!("{SERVER}\npassword = \"s3ntinel\""),
            "mail.inbox.password: a secret does not belong in this file",
        ),
    ] {
        let told = errors(&with(&lines));
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].contains(error), "{told:?}");
        assert!(!told[0].contains("s3ntinel"));
    }
}
