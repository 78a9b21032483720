//! Other chats, each spoken to as it wants to be: posted once, edited where that is possible, and every answer understood.

use chrono::TimeDelta;
use division_bell::channels::{
    Looked, Mattermost, MessageId, Miss, SignedWebhook, Slack, StatusChannel, StatusLine,
    StatusPost, Teams,
};
use division_bell::clock::Clock;
use division_bell::desk::{incident, posts};
use division_bell::domain::Moment;
use division_bell::domain::incident::IncidentState;
use division_bell::domain::post::Trouble;
use division_bell::steps::announce::announce;
use secrecy::SecretString;
use serde_json::{Value, json};

use crate::support::chats::{Answer, Kind, Service, TOKEN, only};
use crate::support::flow::{Bell, Setup};

fn channel(kind: Kind, service: &Service) -> StatusChannel {
    let token = SecretString::from(TOKEN);
    let clock = Clock::at("2026-03-02T09:00:00Z".parse().unwrap());
    match kind {
        Kind::Slack => StatusChannel::Slack(Slack::new(&token, "C1", Some(&service.base)).unwrap()),
        Kind::Mattermost => {
            StatusChannel::Mattermost(Mattermost::new(&token, &service.base, "c1").unwrap())
        }
        Kind::Teams => {
            let url = SecretString::from(format!("{}/workflow?sig=s3ntinel", service.base));
            StatusChannel::Teams(Teams::new(&url).unwrap())
        }
        Kind::Webhook => {
            let url = format!("{}/in", service.base);
            StatusChannel::Webhook(SignedWebhook::new(&url, &token, clock).unwrap())
        }
    }
}

fn post(state: &str) -> StatusPost {
    StatusPost {
        title: "Attack on passwords".into(),
        state: state.into(),
        text: "We write to **everybody**.\n\nAsk @all <!channel> & others.".into(),
        lines: vec![StatusLine {
            label: "Still open".into(),
            value: "1,240".into(),
        }],
        footer_reference: "INC-2603-1".into(),
        footer_note: Some("update 1".into()),
        picture: None,
    }
}

fn long_ago() -> Moment {
    Moment::from_micros(0)
}

#[tokio::test]
async fn slack_and_mattermost_post_answer_below_and_edit_in_place() {
    for kind in [Kind::Slack, Kind::Mattermost] {
        let service = Service::start(kind).await;
        let channel = channel(kind, &service);
        let id = channel.post(&post("investigating"), "n1").await.unwrap();
        let thread = channel.thread(&id, "what happened when").await.unwrap();
        channel.reply(&thread, &post("a line"), "n2").await.unwrap();
        channel.edit(&id, &post("resolved")).await.unwrap();
        let messages = service.messages();
        assert_eq!(messages.len(), 2, "{kind:?}");
        assert_eq!(messages[1].0, id.0, "{kind:?}: below the first");
        let said = messages[0].1.to_string();
        assert!(
            said.contains("resolved") && said.contains("1,240"),
            "{said}"
        );
        assert!(!said.contains("investigating"), "{said}");
        service.everything_is_deleted();
        assert_eq!(
            channel.edit(&id, &post("x")).await,
            Err(Miss::Gone),
            "{kind:?}"
        );
    }
}

#[tokio::test]
async fn slack_and_mattermost_find_what_may_be_there_by_its_reference() {
    for kind in [Kind::Slack, Kind::Mattermost] {
        let service = Service::start(kind).await;
        let channel = channel(kind, &service);
        service.answers(Answer {
            does: true,
            ..only(502, json!(null))
        });
        let lost = channel.post(&post("investigating"), "n1").await;
        assert_eq!(lost, Err(Miss::Unsure), "{kind:?}");
        let found = channel.look(None, "INC-2603-1", long_ago()).await;
        assert_eq!(
            found,
            Ok(Looked::Found(MessageId("1000".into()))),
            "{kind:?}"
        );
        let absent = channel.look(None, "INC-2603-2", long_ago()).await;
        assert_eq!(absent, Ok(Looked::Absent), "{kind:?}");
    }
    let service = Service::start(Kind::Slack).await;
    let slack = channel(Kind::Slack, &service);
    service.answers(only(200, json!({ "ok": false, "error": "missing_scope" })));
    let unseen = slack.look(None, "INC-2603-1", long_ago()).await;
    assert_eq!(unseen, Ok(Looked::Perhaps));
}

async fn miss_of(kind: Kind, answer: Answer) -> Miss {
    let service = Service::start(kind).await;
    let channel = channel(kind, &service);
    service.answers(answer);
    channel.post(&post("x"), "n1").await.unwrap_err()
}

#[tokio::test]
async fn every_no_says_whether_repeating_helps_and_what_to_put_right() {
    let slack = |word: &str| {
        (
            Kind::Slack,
            only(200, json!({ "ok": false, "error": word })),
        )
    };
    let status = |kind: Kind, status: u16| (kind, only(status, json!({})));
    for ((kind, answer), trouble) in [
        (slack("token_revoked"), Trouble::Token),
        (slack("invalid_auth"), Trouble::Token),
        (slack("channel_not_found"), Trouble::Channel),
        (slack("is_archived"), Trouble::Channel),
        (slack("not_in_channel"), Trouble::Access),
        (slack("missing_scope"), Trouble::Permission),
        (slack("msg_too_long"), Trouble::Message),
        (status(Kind::Mattermost, 401), Trouble::Token),
        (status(Kind::Mattermost, 403), Trouble::Permission),
        (status(Kind::Mattermost, 404), Trouble::Channel),
        (status(Kind::Mattermost, 400), Trouble::Message),
        (status(Kind::Teams, 401), Trouble::Token),
        (status(Kind::Teams, 404), Trouble::Channel),
        (status(Kind::Webhook, 403), Trouble::Permission),
        (status(Kind::Webhook, 410), Trouble::Channel),
        (status(Kind::Webhook, 302), Trouble::Message),
    ] {
        let told = format!("{kind:?} {answer:?}");
        match miss_of(kind, answer).await {
            Miss::Never(why) => {
                assert_eq!(why.trouble, trouble, "{told}: {why}");
                assert!(!why.words.contains("s3ntinel"), "{why}");
            }
            other => panic!("{told}: {other:?}"),
        }
    }
    for kind in [Kind::Slack, Kind::Mattermost, Kind::Teams, Kind::Webhook] {
        let busy = Answer {
            retry_after: Some("30"),
            ..only(429, json!({ "ok": false, "error": "ratelimited" }))
        };
        let wait = Some(std::time::Duration::from_secs(30));
        assert_eq!(miss_of(kind, busy).await, Miss::Later(wait), "{kind:?}");
        assert_eq!(
            miss_of(kind, only(503, json!({}))).await,
            Miss::Unsure,
            "{kind:?}"
        );
    }
    // A yes that names no message may be one.
    for kind in [Kind::Slack, Kind::Mattermost] {
        let odd = only(200, json!({ "ok": true }));
        assert_eq!(miss_of(kind, odd).await, Miss::Unsure, "{kind:?}");
    }
}

#[tokio::test]
async fn where_nobody_listens_nothing_has_arrived() {
    for kind in [Kind::Slack, Kind::Mattermost, Kind::Teams, Kind::Webhook] {
        let mut service = Service::start(kind).await;
        service.base = format!("http://127.0.0.1:{}", crate::support::relay::nobody());
        let miss = channel(kind, &service).post(&post("x"), "n1").await;
        assert_eq!(miss, Err(Miss::Later(None)), "{kind:?}");
    }
}

#[tokio::test]
async fn whatever_the_text_each_chat_takes_it() {
    let long = "*<@1> #x [y](z) @all 😀\n\n".repeat(1000);
    let line = StatusLine {
        label: long.clone(),
        value: long.clone(),
    };
    let huge = StatusPost {
        title: long.clone(),
        state: long.clone(),
        text: long.clone(),
        lines: vec![line; 60],
        footer_reference: long.clone(),
        footer_note: Some(long),
        picture: None,
    };
    for kind in [Kind::Slack, Kind::Mattermost, Kind::Teams, Kind::Webhook] {
        let service = Service::start(kind).await;
        let said = channel(kind, &service).post(&huge, "n1").await;
        assert!(said.is_ok(), "{kind:?}: {said:?}");
    }
}

#[tokio::test]
async fn a_webhook_knows_a_repeated_message_and_teams_does_not() {
    let service = Service::start(Kind::Webhook).await;
    let webhook = channel(Kind::Webhook, &service);
    for _ in 0..3 {
        webhook.post(&post("x"), "n1").await.unwrap();
    }
    let [(_, said)] = &service.messages()[..] else {
        panic!("said more than once");
    };
    assert_eq!(said["type"], "division_bell.post");
    assert_eq!(
        said["data"]["lines"][0],
        json!({ "label": "Still open", "value": "1,240" })
    );
}

/// A bell that speaks to this service only.
async fn bell(kind: Kind, service: &Service) -> (Bell, tempfile::TempDir) {
    let secrets = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = secrets.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let token = file("token", TOKEN);
    let base = &service.base;
    let keys = match kind {
        Kind::Slack => format!(
            "kind = \"slack\"\nchannel = \"C1\"\ntoken_file = \"{token}\"\napi_base = \"{base}\""
        ),
        Kind::Mattermost => format!(
            "kind = \"mattermost\"\nurl = \"{base}\"\nchannel = \"c1\"\ntoken_file = \"{token}\""
        ),
        Kind::Teams => {
            let url = file("url", &format!("{base}/workflow?sig=s3ntinel"));
            format!("kind = \"teams\"\nurl_file = \"{url}\"")
        }
        Kind::Webhook => {
            format!("kind = \"webhook\"\nurl = \"{base}/in\"\nsecret_file = \"{token}\"")
        }
    };
    let bell = Bell::with(Setup {
        more: format!("[[chat]]\nname = \"house\"\n{keys}\n"),
        ..Setup::default()
    })
    .await;
    (bell, secrets)
}

#[tokio::test]
async fn an_incident_is_told_on_every_kind_of_chat_and_its_change_by_an_edit_or_a_message_that_follows()
 {
    for kind in [Kind::Slack, Kind::Mattermost, Kind::Teams, Kind::Webhook] {
        let service = Service::start(kind).await;
        let (bell, _secrets) = bell(kind, &service).await;
        let opened = incident::open(&bell.app, "Attack on passwords", None, "ann")
            .await
            .unwrap();
        assert_eq!(announce(&bell.app).await.unwrap().posted, 1, "{kind:?}");
        bell.advance(TimeDelta::hours(1));
        assert_eq!(announce(&bell.app).await.unwrap().unchanged, 1, "{kind:?}");
        incident::move_to(&bell.app, opened.id, IncidentState::Contained, None, "ann")
            .await
            .unwrap();
        let told = announce(&bell.app).await.unwrap();
        assert_eq!(told.waiting, Vec::<String>::new(), "{kind:?}");
        let messages = service.messages();
        let is_status = |content: &Value| content.to_string().contains("Still open");
        let status: Vec<&Value> = messages
            .iter()
            .map(|(_, content)| content)
            .filter(|content| is_status(content))
            .collect();
        match kind {
            Kind::Slack | Kind::Mattermost => {
                assert_eq!((told.posted, told.edited), (0, 1), "{kind:?}");
                assert_eq!(status.len(), 1, "{kind:?}");
                assert_eq!(messages.len(), 3, "{kind:?}: two lines below it");
            }
            Kind::Teams | Kind::Webhook => {
                assert_eq!((told.posted, told.edited), (1, 0), "{kind:?}");
                assert_eq!(status.len(), 2, "{kind:?}");
                let follows = status[1].to_string();
                assert!(
                    follows.contains("in place of that of 2 March, 08:00"),
                    "{follows}"
                );
            }
        }
        assert!(
            status
                .last()
                .unwrap()
                .to_string()
                .contains("contained: it does not spread")
        );
    }
}

#[tokio::test]
async fn a_message_to_teams_whose_answer_is_lost_stops_until_a_person_has_looked() {
    let service = Service::start(Kind::Teams).await;
    let (bell, _secrets) = bell(Kind::Teams, &service).await;
    incident::open(&bell.app, "Attack on passwords", None, "ann")
        .await
        .unwrap();
    service.answers(Answer {
        does: true,
        ..only(502, json!(null))
    });
    announce(&bell.app).await.unwrap();
    for _ in 0..3 {
        bell.advance(TimeDelta::minutes(5));
        let asks = announce(&bell.app).await.unwrap();
        assert_eq!((asks.posted, asks.waiting.len()), (0, 1), "{asks:?}");
    }
    assert_eq!(service.seen().len(), 1, "asked once, and never again");
    let id = posts::show(&bell.app).await.unwrap()[0].post.id;
    posts::decide(&bell.app, id, true, None, "ann")
        .await
        .unwrap();
    assert_eq!(announce(&bell.app).await.unwrap().unchanged, 1);
    assert_eq!(service.messages().len(), 1);
}
