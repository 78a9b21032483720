//! The reply table, as far as a Postfix can be brought to say what stands in it: the recipient's name says what becomes of a
//! letter, and a letter that is taken stands behind each that is not.

use super::*;

fn post(nth: usize, from: &str, recipient: &str) -> Post {
    let mut post = Post::new(&format!("n{nth}"), recipient);
    if !from.is_empty() {
        post.from = from.into();
    }
    post
}

fn shown(sent: &Sent) -> (Stage, String, Outcome, Cause) {
    (sent.stage, codes(sent), sent.outcome, sent.cause)
}

use Outcome::{
    Accepted, DeferRecipient, DeferRelay, FailMessage, FailRecipient, HoldRelay, Throttle,
};
use Stage::{Data, Dot, Mail, Rcpt};

/// Row, recipient, where it is decided, what is answered there, and what it means.
const ROWS: &[(u8, &str, Stage, &str, Outcome, Cause)] = &[
    (
        5,
        "r421-4.3.2-a",
        Rcpt,
        "421 4.3.2",
        DeferRelay,
        Cause::Busy,
    ),
    (
        7,
        "r432-4.3.2-a",
        Rcpt,
        "432 4.3.2",
        Throttle,
        Cause::TooManyConnections,
    ),
    (
        7,
        "x450-4.7.0-sender.thread-a",
        Rcpt,
        "450 4.7.0",
        DeferRecipient,
        Cause::NotNow,
    ),
    (
        10,
        "r550-5.4.5-a",
        Rcpt,
        "550 5.4.5",
        Throttle,
        Cause::Quota,
    ),
    (
        10,
        "x554-5.2.0-SubmissionQuotaExceeded.x-a",
        Rcpt,
        "554 5.2.0",
        Throttle,
        Cause::Quota,
    ),
    (10, "d550-5.4.5-a", Dot, "550 5.4.5", Throttle, Cause::Quota),
    (
        11,
        "x450-4.2.1-rate.exceeded-a",
        Rcpt,
        "450 4.2.1",
        Throttle,
        Cause::Rate,
    ),
    (
        11,
        "x454-4.7.0-throttling.failure-a",
        Rcpt,
        "454 4.7.0",
        Throttle,
        Cause::Rate,
    ),
    (
        11,
        "r451-4.7.28-a",
        Rcpt,
        "451 4.7.28",
        Throttle,
        Cause::Rate,
    ),
    (
        12,
        "r550-5.7.26-a",
        Rcpt,
        "550 5.7.26",
        HoldRelay,
        Cause::Unauthenticated,
    ),
    (
        12,
        "d550-5.7.515-a",
        Dot,
        "550 5.7.515",
        HoldRelay,
        Cause::Unauthenticated,
    ),
    (
        18,
        "r452-4.5.3-a",
        Rcpt,
        "452 4.5.3",
        DeferRecipient,
        Cause::TooManyRecipients,
    ),
    (
        18,
        "x552-5.5.3-too.many-a",
        Rcpt,
        "552 5.5.3",
        FailRecipient,
        Cause::RecipientRefused,
    ),
    (
        19,
        "r452-4.3.1-a",
        Rcpt,
        "452 4.3.1",
        DeferRelay,
        Cause::Busy,
    ),
    (
        19,
        "r451-4.3.5-a",
        Rcpt,
        "451 4.3.5",
        DeferRelay,
        Cause::Busy,
    ),
    (
        20,
        "r552-5.2.2-a",
        Rcpt,
        "552 5.2.2",
        DeferRecipient,
        Cause::MailboxFull,
    ),
    (
        20,
        "d452-4.2.2-a",
        Dot,
        "452 4.2.2",
        DeferRecipient,
        Cause::MailboxFull,
    ),
    (
        21,
        "r450-4.2.1-a",
        Rcpt,
        "450 4.2.1",
        DeferRecipient,
        Cause::NotNow,
    ),
    (
        21,
        "r451-4.7.1-a",
        Rcpt,
        "451 4.7.1",
        DeferRecipient,
        Cause::NotNow,
    ),
    (
        22,
        "r550-5.1.1-a",
        Rcpt,
        "550 5.1.1",
        FailRecipient,
        Cause::BadAddress,
    ),
    (
        22,
        "unknown-a",
        Rcpt,
        "550 5.1.1",
        FailRecipient,
        Cause::BadAddress,
    ),
    // Postfix knows no 5.1.10.
    (
        22,
        "r556-5.1.10-a",
        Rcpt,
        "556 5.1.0",
        FailRecipient,
        Cause::BadAddress,
    ),
    (
        23,
        "r550-5.2.1-a",
        Rcpt,
        "550 5.2.1",
        FailRecipient,
        Cause::MailboxDisabled,
    ),
    (
        24,
        "r553-5.6.7-a",
        Rcpt,
        "553 5.6.7",
        FailRecipient,
        Cause::NeedsSmtpUtf8,
    ),
    (
        25,
        "r550-5.7.1-a",
        Rcpt,
        "550 5.7.1",
        FailRecipient,
        Cause::Policy,
    ),
    (
        26,
        "r503-5.5.1-a",
        Rcpt,
        "503 5.5.1",
        HoldRelay,
        Cause::Protocol,
    ),
    // A second try without parameters, which Postfix offers, gets the same answer.
    (
        14,
        "r501-5.5.4-a",
        Rcpt,
        "501 5.5.4",
        HoldRelay,
        Cause::Protocol,
    ),
    (
        27,
        "r550-5.0.0-a",
        Rcpt,
        "550 5.0.0",
        FailRecipient,
        Cause::RecipientRefused,
    ),
    (
        29,
        "t451-4.3.0-a",
        Data,
        "451 4.3.0",
        DeferRelay,
        Cause::Busy,
    ),
    (
        39,
        "t554-5.5.0-a",
        Data,
        "554 5.5.0",
        HoldRelay,
        Cause::Unknown,
    ),
    (31, "taken-a", Dot, "250 2.0.0", Accepted, Cause::Accepted),
    (
        32,
        "d451-4.3.0-a",
        Dot,
        "451 4.3.0",
        DeferRecipient,
        Cause::NotNow,
    ),
    (
        33,
        "d552-5.3.4-a",
        Dot,
        "552 5.3.4",
        FailMessage,
        Cause::TooLarge,
    ),
    (
        33,
        "d554-5.6.0-a",
        Dot,
        "554 5.6.0",
        FailMessage,
        Cause::ContentRefused,
    ),
    (
        34,
        "d554-5.7.1-a",
        Dot,
        "554 5.7.1",
        FailMessage,
        Cause::ContentRefused,
    ),
    (
        35,
        "d554-5.0.0-a",
        Dot,
        "554 5.0.0",
        FailRecipient,
        Cause::RecipientRefused,
    ),
];

#[tokio::test]
async fn what_a_real_relay_says_means_what_its_row_says_in_groups_and_one_by_one() {
    let postfix = Postfix::start();
    for port in [postfix.plain, postfix.simple] {
        let posts: Vec<Post> = ROWS
            .iter()
            .enumerate()
            .flat_map(|(nth, (_, recipient, ..))| {
                [
                    post(nth, "", &format!("{recipient}@parl.example")),
                    post(1000 + nth, "", "ada@parl.example"),
                ]
            })
            .collect();
        let mut session = session(Relay {
            messages_per_connection: 1000,
            ..relay(port, Protection::Nothing)
        });
        let sent = send_all(&mut session, &posts).await;
        session.close().await;
        for (pair, (row, recipient, stage, codes, outcome, cause)) in sent.chunks(2).zip(ROWS) {
            let what = format!("row {row}, {recipient}");
            assert_eq!(
                shown(&pair[0]),
                (*stage, (*codes).to_owned(), *outcome, *cause),
                "{what}"
            );
            assert_eq!(pair[1].outcome, Accepted, "behind {what}");
        }
    }
    // Those behind, and the one that is taken, by both doors.
    postfix.letters("other", 2 * (ROWS.len() + 1)).await;
}

#[tokio::test]
async fn a_sender_that_is_refused_and_a_letter_that_is_too_large_are_told_apart() {
    let postfix = Postfix::start();
    let mut large = post(3, "", "ada@parl.example");
    large.bytes = b"Subject: x\r\n\r\n0123456789\r\n".repeat(100);
    let bad = ["s550-5.7.60-x", "s450-4.3.0-x", "s553-5.1.8-x"]
        .map(|name| format!("{name}@parl.example"));
    let posts = [
        post(0, &bad[0], "ada@parl.example"),
        post(1, &bad[1], "ada@parl.example"),
        post(2, &bad[2], "ada@parl.example"),
        large,
        post(4, "", "ada@parl.example"),
    ];
    let mut by_size = session(relay(postfix.senders, Protection::Nothing));
    let sent = send_all(&mut by_size, &posts).await;
    by_size.close().await;
    let expected = [
        (Mail, "550 5.7.60", HoldRelay, Cause::SenderRefused),
        (Mail, "450 4.3.0", DeferRelay, Cause::Busy),
        (Mail, "553 5.1.8", HoldRelay, Cause::SenderRefused),
        // By the size that the relay announced: it was not sent.
        (Mail, "552 5.3.4", FailMessage, Cause::TooLarge),
        (Dot, "250 2.0.0", Accepted, Cause::Accepted),
    ];
    for (sent, (stage, codes, outcome, cause)) in sent.iter().zip(expected) {
        assert_eq!(shown(sent), (stage, codes.to_owned(), outcome, cause));
    }
    // Where no size is announced it is sent, and refused then.
    let mut session = session(relay(postfix.simple, Protection::Nothing));
    let sent = session.send(posts[3].going(), None).await;
    assert_eq!(
        shown(&sent),
        (Dot, "552 5.3.4".to_owned(), FailMessage, Cause::TooLarge)
    );
    session.close().await;
    postfix.letters("other", 1).await;
}

#[tokio::test]
async fn a_relay_that_limits_connections_and_letters_is_busy_and_nobody_is_to_blame() {
    let postfix = Postfix::start();
    let mut first = session(relay(postfix.limited, Protection::Nothing));
    let mut second = session(relay(postfix.limited, Protection::Nothing));
    first.ready().await.unwrap();
    second.ready().await.unwrap();
    let mut third = session(relay(postfix.limited, Protection::Nothing));
    let refused = third.ready().await.unwrap_err();
    assert_eq!(
        shown(&refused),
        (
            Stage::Greeting,
            "421 4.7.0".to_owned(),
            DeferRelay,
            Cause::Busy
        )
    );
    let posts: Vec<Post> = (0..4)
        .map(|nth| post(nth, "", "ada@parl.example"))
        .collect();
    let sent = send_all(&mut first, &posts).await;
    assert_eq!(outcomes(&sent[..3]), [TAKEN; 3]);
    assert_eq!(
        shown(&sent[3]),
        (Mail, "450 4.7.1".to_owned(), DeferRelay, Cause::Busy)
    );
    first.close().await;
    second.close().await;
    postfix.letters("other", 3).await;
}

#[tokio::test]
async fn a_relay_that_closes_after_a_few_errors_is_called_again_and_every_letter_has_its_own_outcome()
 {
    let postfix = Postfix::start();
    let names = [
        "ada",
        "r550-5.1.1-x",
        "bob",
        "r550-5.1.1-y",
        "r450-4.2.1-z",
        "cyd",
    ];
    let posts: Vec<Post> = names
        .iter()
        .enumerate()
        .map(|(nth, name)| post(nth, "", &format!("{name}@parl.example")))
        .collect();
    let mut session = session(relay(postfix.impatient, Protection::Nothing));
    let sent = send_all(&mut session, &posts).await;
    session.close().await;
    let refused = (Rcpt, FailRecipient);
    assert_eq!(
        outcomes(&sent),
        [
            TAKEN,
            refused,
            TAKEN,
            refused,
            (Rcpt, DeferRecipient),
            TAKEN
        ]
    );
    postfix.letters("other", 3).await;
    assert!(
        postfix.log().contains("too many errors"),
        "{}",
        postfix.log()
    );
}

#[tokio::test]
async fn a_greylisted_recipient_is_deferred_and_taken_at_the_second_try() {
    let postfix = Postfix::start();
    postfix.greylist();
    let posts: Vec<Post> = ["ada", "bob"]
        .iter()
        .enumerate()
        .map(|(nth, name)| post(nth, "", &format!("{name}@parl.example")))
        .collect();
    let mut session = session(relay(postfix.grey, Protection::Nothing));
    for sent in send_all(&mut session, &posts).await {
        assert_eq!(
            shown(&sent),
            (Rcpt, "451 4.7.1".to_owned(), DeferRecipient, Cause::NotNow)
        );
    }
    let sent = send_all(&mut session, &posts).await;
    assert_eq!(outcomes(&sent), [TAKEN; 2]);
    session.close().await;
    postfix.letters("other", 2).await;
}
