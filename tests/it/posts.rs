//! What incidents say on Discord: posted once, edited in place, with a picture and a timeline; and every way in which it fails.

use chrono::TimeDelta;
use division_bell::app::App;
use division_bell::desk::{incident, posts};
use division_bell::domain::IncidentId;
use division_bell::domain::incident::IncidentState;
use division_bell::steps::announce::{Announced, announce};
use division_bell::store::Incident;

use crate::support::discord::TOKEN;
use crate::support::flow::{Bell, Setup, five, moment};
use crate::support::guild::{Fault, Guild};

const STATUS: &str = "21";
const PRESS: &str = "22";

/// A bell whose channel `status` is in this guild; and the folder of its token.
async fn bell(guild: &Guild, more: &str) -> (Bell, tempfile::TempDir) {
    let secrets = tempfile::tempdir().unwrap();
    let token = secrets.path().join("token");
    std::fs::write(&token, TOKEN).unwrap();
    let discord = format!(
        "[discord]\nchannel_id = \"{STATUS}\"\ntoken_file = \"{}\"\napi_base = \"{}\"\n{more}",
        token.display(),
        guild.base
    );
    let bell = Bell::with(Setup {
        more: discord,
        ..Setup::default()
    })
    .await;
    (bell, secrets)
}

async fn open(bell: &Bell) -> Incident {
    let next = bell.now().plus(TimeDelta::hours(4));
    incident::open(&bell.app, "Attack on passwords", Some(next), "ann")
        .await
        .unwrap()
}

async fn move_to(bell: &Bell, id: IncidentId, state: IncidentState) {
    incident::move_to(&bell.app, id, state, None, "ann")
        .await
        .unwrap();
}

async fn said(app: &App) -> Announced {
    announce(app)
        .await
        .unwrap_or_else(|error| panic!("{error:#}"))
}

async fn alarms(bell: &Bell) -> Vec<(String, String)> {
    let mut tx = bell.app.store.read().await.unwrap();
    let alarms = tx.alarms().await.unwrap();
    alarms
        .into_iter()
        .map(|alarm| (alarm.name, alarm.text))
        .collect()
}

#[tokio::test]
async fn an_incident_has_one_post_with_a_picture_and_a_timeline_below_it() {
    let guild = Guild::start().await;
    let (bell, _secrets) = bell(&guild, "").await;
    bell.people(&five()).await;
    let lines: Vec<_> = ["abaraa", "brightb", "coxc", "deverauxd", "ekwuemee"]
        .map(|sam| (sam, "weak", "2026-03-01T08:00:00Z"))
        .to_vec();
    bell.audit("first", &lines).await;
    let opened = open(&bell).await;
    bell.advance(TimeDelta::hours(2));
    let first = said(&bell.app).await;
    assert_eq!(
        (first.posted, first.edited, first.lines),
        (1, 0, 1),
        "{first:?}"
    );
    let posts = guild.messages(STATUS);
    assert_eq!(posts.len(), 1);
    assert_eq!(posts[0].title(), "Attack on passwords");
    assert_eq!(posts[0].field("Still open"), Some("5"));
    assert!(
        posts[0]
            .field("State")
            .unwrap()
            .contains("we are finding out")
    );
    let words = posts[0].body["attachments"][0]["description"]
        .as_str()
        .unwrap();
    assert!(words.contains("now 5"), "{words}");
    assert!(posts[0].picture.is_some());

    // Nothing has changed: nothing is asked of Discord.
    let asked = guild.asked().len();
    let same = said(&bell.app).await;
    assert_eq!(
        (same.posted, same.edited, same.unchanged, same.lines),
        (0, 0, 1, 0)
    );
    assert_eq!(guild.asked().len(), asked);

    bell.advance(TimeDelta::hours(1));
    move_to(&bell, opened.id, IncidentState::Contained).await;
    let second = said(&bell.app).await;
    assert_eq!((second.posted, second.edited), (0, 1), "{second:?}");
    let posts = guild.messages(STATUS);
    assert_eq!(posts.len(), 1, "edited in place");
    assert!(
        posts[0]
            .field("State")
            .unwrap()
            .starts_with("contained: it does not spread")
    );

    bell.advance(TimeDelta::hours(9));
    move_to(&bell, opened.id, IncidentState::Resolved).await;
    said(&bell.app).await;
    said(&bell.app).await;
    let thread = guild.messages(&posts[0].id);
    let lines: Vec<&str> = thread.iter().map(|line| line.title()).collect();
    assert_eq!(
        lines,
        [
            "2 March 2026, 08:00 \\(Europe/London\\): investigating: we are finding out what happened; next update by 2 March 2026, 12:00 \\(Europe/London\\)",
            "2 March 2026, 11:00 \\(Europe/London\\): as promised, more was said by 2 March 2026, 12:00 \\(Europe/London\\)",
            "2 March 2026, 11:00 \\(Europe/London\\): contained: it does not spread any more",
            "2 March 2026, 20:00 \\(Europe/London\\): resolved: it is over",
        ]
    );
}

#[tokio::test]
async fn status_posts_stay_away_from_channels_of_others() {
    let guild = Guild::start().await;
    let more = format!(
        "[[chat]]\nname = \"press-room\"\nkind = \"discord\"\nchannel_id = \"{PRESS}\"\n\
         [[audience]]\nname = \"staff\"\nchannels = [\"status\"]\n[[audience]]\nname = \"press\"\nchannels = [\"press-room\"]\n"
    );
    let (mut bell, _secrets) = bell(&guild, &more).await;
    open(&bell).await;
    assert_eq!(said(&bell.app).await.posted, 1);
    assert_eq!(guild.messages(PRESS).len(), 0);
    // Until the config says that the press reads them too.
    let text = bell
        .text
        .replace("[\"press-room\"]", "[\"press-room\"]\nstatus = true");
    bell.restart_with(text).await;
    assert_eq!(said(&bell.app).await.posted, 1);
    assert_eq!(guild.messages(PRESS).len(), 1);
    assert_eq!(guild.messages(STATUS).len(), 1);
}

#[tokio::test]
async fn a_post_whose_answer_is_lost_is_never_there_twice() {
    let guild = Guild::start().await;
    let (bell, _secrets) = bell(&guild, "").await;
    open(&bell).await;
    guild.fails(&[Fault::DoneBut502]);
    let lost = said(&bell.app).await;
    assert_eq!((lost.posted, lost.waiting.len()), (0, 1), "{lost:?}");
    // Within the time of the nonce it is repeated; the app may be another one.
    bell.advance(TimeDelta::seconds(30));
    let other = bell.again().await;
    assert_eq!(said(&other).await.posted, 1);
    assert_eq!(guild.messages(STATUS).len(), 1);
}

#[tokio::test]
async fn a_post_that_is_found_after_the_nonce_is_forgotten_is_taken_for_ours() {
    let guild = Guild::start().await;
    let (bell, _secrets) = bell(&guild, "").await;
    open(&bell).await;
    guild.fails(&[Fault::DoneBut502]);
    said(&bell.app).await;
    guild.forgets_nonces();
    guild.somebody_posts(STATUS, 3);
    bell.advance(TimeDelta::minutes(20));
    assert_eq!(said(&bell.app).await.posted, 1);
    assert_eq!(guild.messages(STATUS).len(), 4);
}

#[tokio::test]
async fn a_post_that_never_arrived_is_posted_once_all_that_came_since_was_seen() {
    let guild = Guild::start().await;
    let (bell, _secrets) = bell(&guild, "").await;
    open(&bell).await;
    guild.fails(&[Fault::Only502]);
    said(&bell.app).await;
    guild.forgets_nonces();
    guild.somebody_posts(STATUS, 49);
    bell.advance(TimeDelta::minutes(20));
    assert_eq!(said(&bell.app).await.posted, 1);
    assert_eq!(guild.messages(STATUS).len(), 50);
    assert_eq!(alarms(&bell).await, []);
}

#[tokio::test]
async fn a_post_that_may_be_there_stops_and_a_person_decides() {
    for is_there in [true, false] {
        let guild = Guild::start().await;
        let (bell, _secrets) = bell(&guild, "").await;
        open(&bell).await;
        let fault = if is_there {
            Fault::DoneBut502
        } else {
            Fault::Only502
        };
        guild.fails(&[fault]);
        said(&bell.app).await;
        guild.forgets_nonces();
        // So many others talked meanwhile that nobody can see back to it.
        guild.somebody_posts(STATUS, 60);
        bell.advance(TimeDelta::minutes(20));
        for _ in 0..3 {
            let asks = said(&bell.app).await;
            assert_eq!((asks.posted, asks.waiting.len()), (0, 1), "{asks:?}");
            assert!(asks.waiting[0].contains("bell incident posted"), "{asks:?}");
            bell.advance(TimeDelta::minutes(20));
        }
        let [(name, text)] = &alarms(&bell).await[..] else {
            panic!("no alarm");
        };
        assert_eq!(name, "posts.status");
        let id = posts::show(&bell.app).await.unwrap()[0].post.id;
        assert!(
            text.contains(&format!("bell incident posted {id} --yes")),
            "{text}"
        );
        // Not by anybody.
        let other = posts::decide(&bell.app, id, false, None, "ben").await;
        assert!(other.is_err());
        if is_there {
            let unnamed = posts::decide(&bell.app, id, true, None, "ann").await;
            assert!(unnamed.unwrap_err().to_string().contains("--message ID"));
            let message = guild.messages(STATUS)[0].id.clone();
            posts::decide(&bell.app, id, true, Some(&message), "ann")
                .await
                .unwrap();
        } else {
            posts::decide(&bell.app, id, false, None, "ann")
                .await
                .unwrap();
        }
        assert_eq!(alarms(&bell).await, []);
        let after = said(&bell.app).await;
        assert_eq!(after.waiting, Vec::<String>::new());
        let ours = guild.messages(STATUS).into_iter().filter(|one| {
            one.body["embeds"]
                .as_array()
                .is_some_and(|embeds| !embeds.is_empty())
        });
        assert_eq!(ours.count(), 1, "{is_there}");
    }
}

#[tokio::test]
async fn each_trouble_is_told_once_rests_and_is_over_when_it_is_put_right() {
    for (status, code, word) in [
        (401, 0, "token or secret is not valid"),
        (403, 50013, "we lack a permission there"),
        (403, 50001, "we cannot see it"),
        (404, 10003, "there is no such channel"),
    ] {
        let guild = Guild::start().await;
        let (bell, _secrets) = bell(&guild, "").await;
        open(&bell).await;
        guild.fails(&[Fault::Refused(status, code)]);
        let refused = said(&bell.app).await;
        assert_eq!((refused.posted, refused.waiting.len()), (0, 1));
        let [(name, text)] = &alarms(&bell).await[..] else {
            panic!("{status} {code}: no alarm");
        };
        assert_eq!(name, "posts.status");
        assert!(text.contains(word), "{text}");
        let shown = posts::show(&bell.app).await.unwrap();
        assert_eq!(shown[0].post.state.word(), "refused", "{status} {code}");
        // Nobody is asked again and again: ten thousand refusals shut an address out.
        let asked = guild.asked().len();
        for _ in 0..5 {
            bell.advance(TimeDelta::minutes(1));
            said(&bell.app).await;
        }
        assert_eq!(guild.asked().len(), asked, "{status} {code}");
        assert_eq!(alarms(&bell).await.len(), 1);
        bell.advance(TimeDelta::minutes(6));
        assert_eq!(said(&bell.app).await.posted, 1, "{status} {code}");
        assert_eq!(alarms(&bell).await, []);
    }
}

#[tokio::test]
async fn a_channel_that_is_busy_is_left_alone_for_a_minute() {
    let guild = Guild::start().await;
    let (bell, _secrets) = bell(&guild, "").await;
    open(&bell).await;
    guild.fails(&[Fault::Refused(429, 0)]);
    assert_eq!(said(&bell.app).await.posted, 0);
    let asked = guild.asked().len();
    bell.advance(TimeDelta::seconds(30));
    assert_eq!(said(&bell.app).await.posted, 0);
    assert_eq!(guild.asked().len(), asked);
    bell.advance(TimeDelta::seconds(31));
    assert_eq!(said(&bell.app).await.posted, 1);
    assert_eq!(alarms(&bell).await, []);
}

#[tokio::test]
async fn what_somebody_deletes_comes_back_with_what_is_true_now() {
    let guild = Guild::start().await;
    let (bell, _secrets) = bell(&guild, "").await;
    let opened = open(&bell).await;
    said(&bell.app).await;
    let first = guild.messages(STATUS).remove(0);
    guild.somebody_deletes(&first.id);
    bell.advance(TimeDelta::hours(1));
    move_to(&bell, opened.id, IncidentState::Identified).await;
    let gone = said(&bell.app).await;
    assert!(gone.waiting[0].contains("deleted by somebody"), "{gone:?}");
    assert_eq!(said(&bell.app).await.posted, 1);
    let second = guild.messages(STATUS).remove(0);
    assert_ne!(second.id, first.id);
    assert!(second.field("State").unwrap().starts_with("identified"));
    // The timeline goes on below the new one.
    let lines = guild.messages(&second.id);
    assert!(lines.iter().any(|line| line.title().contains("identified")));

    guild.somebody_deletes_thread(&second.id);
    bell.advance(TimeDelta::hours(1));
    move_to(&bell, opened.id, IncidentState::Contained).await;
    said(&bell.app).await;
    said(&bell.app).await;
    let lines = guild.messages(&second.id);
    assert_eq!(lines.len(), 1);
    assert!(lines[0].title().contains("contained"));
}

#[tokio::test]
async fn an_edit_that_the_process_did_not_survive_is_made_by_the_next() {
    let guild = Guild::start().await;
    let (bell, _secrets) = bell(&guild, "").await;
    let opened = open(&bell).await;
    said(&bell.app).await;
    bell.advance(TimeDelta::hours(1));
    move_to(&bell, opened.id, IncidentState::Contained).await;
    // As far as it got: the intent is written down, the call was never made.
    let what = division_bell::domain::post::What::Status;
    let mut tx = bell.app.store.begin().await.unwrap();
    tx.intend_post(opened.id, "status", what, "whatever", bell.now())
        .await
        .unwrap();
    tx.commit().await.unwrap();
    let other = bell.again().await;
    assert_eq!(said(&other).await.edited, 1);
    assert!(
        guild.messages(STATUS)[0]
            .field("State")
            .unwrap()
            .starts_with("contained")
    );
    assert_eq!(bell.now(), moment("2026-03-02T09:00:00Z"));
}
