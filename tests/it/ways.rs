//! Other ways when mail is the victim: texts, printed letters, people; and what has to be true before anybody is told.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use chrono::TimeDelta;
use division_bell::clock::Clock;
use division_bell::domain::campaign::{NotCleared, Place};
use division_bell::domain::{DeliveryId, Way};
use division_bell::steps::deliver::never;
use division_bell::steps::letters::{Printed, Ticked};
use division_bell::steps::text::Texted;
use division_bell::steps::{heads_up, inbox, letters, text};
use serde_json::json;

use crate::support::flow::{ALWAYS, Bell, MONDAY, Setup, Staff, databases, five, moment, staff};
use crate::support::gateway::{Gateway, Reply};
use crate::support::program::bell as program;
use crate::support::{files, seen};

/// When the audits' data were taken: before the tests begin.
const DUMP: &str = "2026-03-01T02:00:00Z";

/// Whoever can be reached by all ways.
fn everyway() -> Staff {
    Staff {
        second: "ada@home.example".to_owned(),
        mobile: "+44 7700 900123".to_owned(),
        room: "Room 4.12".to_owned(),
        building: "Main house".to_owned(),
        ..staff("abaraa", "ada.abara@parl.example", "Ada Abara")
    }
}

const ALL_WAYS: &str = "[ways]\nweak = [\"mail\", \"mail.2\", \"sms\", \"letter\", \"person\"]\n";

/// A bell that texts through this gateway.
async fn texting(store: Option<String>, gateway: &Gateway) -> Bell {
    Bell::with(Setup {
        store,
        more: format!("{ALL_WAYS}{}", gateway.config()),
        ..Setup::default()
    })
    .await
}

/// The app of a bell with a gateway of Notify's, which shares the bell's clock.
async fn notifying(store: Option<String>) -> (Bell, Gateway) {
    let clock = Clock::at(moment(MONDAY));
    let gateway = Gateway::notify(clock.clone()).await;
    let mut bell = texting(store, &gateway).await;
    bell.app.store.close().await;
    bell.app = crate::support::flow::build(&bell.text, bell.dir.path(), clock).await;
    (bell, gateway)
}

impl Bell {
    async fn text(&self) -> Texted {
        text::text(&self.app, &never()).await.unwrap()
    }

    /// The newest delivery's mail comes back.
    async fn bounces(&self) {
        let id: i64 = self.column("SELECT MAX(id) FROM deliveries").await[0]
            .parse()
            .unwrap();
        let to = self.app.letters.bounce_address(DeliveryId(id)).unwrap();
        let mail = format!(
            "Return-Path: <>\r\nDelivered-To: {to}\r\nFrom: MAILER-DAEMON@relay.example\r\nTo: {to}\r\nSubject: Undelivered\r\nAuto-Submitted: auto-replied\r\n\
             MIME-Version: 1.0\r\nContent-Type: multipart/report; report-type=delivery-status; boundary=\"b\"\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\nNo.\r\n\
             --b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; relay.example\r\n\r\nFinal-Recipient: rfc822; x@y.example\r\nAction: failed\r\n\
             Status: 5.1.1\r\nDiagnostic-Code: smtp; 550 5.1.1 no such user here\r\n\r\n--b--\r\n",
            to = to.expose()
        );
        self.write(&format!("bounces/new/{id}.mail"), mail);
        assert_eq!(inbox::receive(&self.app).await.unwrap().bounced, 1);
    }

    async fn print(&self, building: Option<&str>, again: bool) -> Printed {
        // The files of one second have one name.
        self.advance(TimeDelta::seconds(1));
        letters::hand_out(&self.app, &self.path("post"), building, again, "ann")
            .await
            .unwrap()
    }

    async fn ticked(&self, sheet: &str) -> Ticked {
        let file = self.write("sheet.csv", sheet);
        letters::told(&self.app, &file, "ann").await.unwrap()
    }

    /// Way and state of all first notices, in their order.
    async fn ways(&self) -> Vec<(String, String)> {
        self.rows("SELECT channel, state FROM deliveries WHERE kind LIKE 'notice.%' ORDER BY id")
            .await
            .into_iter()
            .map(|mut row| (row.remove(0), row.remove(0)))
            .collect()
    }

    /// Everything that was said so far is on its way by these ways, in these states.
    async fn expect_ways(&self, expected: &[(&str, &str)]) {
        let ways = self.ways().await;
        let ways: Vec<_> = ways
            .iter()
            .map(|(way, state)| (way.as_str(), state.as_str()))
            .collect();
        assert_eq!(ways, expected);
    }
}

fn named(paths: &[PathBuf], ending: &str) -> PathBuf {
    let fits = |path: &&PathBuf| path.to_string_lossy().ends_with(ending);
    paths
        .iter()
        .find(fits)
        .unwrap_or_else(|| panic!("no {ending} in {paths:?}"))
        .clone()
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap()
}

#[tokio::test]
async fn whom_one_way_does_not_reach_is_told_by_the_next_until_a_human_being_is_asked() {
    for store in databases().await {
        let (bell, gateway) = notifying(store).await;
        bell.people(&[everyway()]).await;
        bell.audit("first", &[("abaraa", "weak", DUMP)]).await;
        bell.campaign().await;
        bell.deliver().await;
        assert_eq!(bell.readers(), ["ada.abara@parl.example"]);
        bell.bounces().await;
        assert_eq!(bell.tasks_of("abaraa").await.len(), 1);

        // Once the next way is under way, nobody is asked to do it by hand.
        assert_eq!(bell.notify().await.another_way, 1);
        assert_eq!(bell.tasks_of("abaraa").await, []);
        bell.deliver().await;
        assert_eq!(
            bell.readers(),
            ["ada.abara@parl.example", "ada@home.example"]
        );
        bell.bounces().await;

        assert_eq!(bell.notify().await.another_way, 1);
        gateway.expect(&[Reply::Takes]);
        assert_eq!(
            bell.deliver().await.accepted,
            0,
            "no text goes to the relay"
        );
        assert_eq!(bell.text().await.accepted, 1);
        let sent = gateway.taken().remove(0);
        assert_eq!(sent.to, "+447700900123");
        assert!(
            sent.text
                .starts_with("Parliament: please choose a new password"),
            "{}",
            sent.text
        );
        assert!(
            sent.text
                .contains("We will never ask you for your password.")
        );
        assert!(bell.case_of("abaraa").await.not_reached.is_none());
        gateway.all_end_as("permanent-failure");
        bell.advance(TimeDelta::minutes(10));
        assert_eq!(bell.text().await.failed_later, 1);

        assert_eq!(bell.notify().await.another_way, 1);
        let printed = bell.print(None, false).await;
        assert_eq!((printed.letters, printed.files.len()), (1, 3));
        assert_eq!(bell.notify().await.another_way, 0, "it is on its way");
        let sheet =
            read(&named(&printed.files, "round.csv")).replace("Room 4.12,,", "Room 4.12,no,");
        let ticked = bell.ticked(&sheet).await;
        assert_eq!((ticked.not_told, ticked.rejects.len()), (1, 0));

        let queued = bell.notify().await;
        assert_eq!((queued.another_way, queued.tasks), (0, 1));
        let work = [("reach".to_owned(), "undeliverable".to_owned())];
        assert_eq!(bell.tasks_of("abaraa").await, work);
        assert_eq!(bell.notify().await.tasks, 0, "it is asked for once");
        bell.expect_ways(&[
            ("mail", "bounced"),
            ("mail.2", "bounced"),
            ("sms", "bounced"),
            ("letter", "refused"),
        ])
        .await;
        let taken = bell
            .column("SELECT detail FROM ledger WHERE act = 'case.another_way' ORDER BY id")
            .await;
        assert_eq!(
            taken,
            [
                "{\"way\":\"mail.2\"}",
                "{\"way\":\"sms\"}",
                "{\"way\":\"letter\"}"
            ]
        );
        bell.books().await;
    }
}

#[tokio::test]
async fn reminders_go_where_the_first_notice_arrived() {
    let (bell, gateway) = notifying(None).await;
    bell.people(&[Staff {
        mail: String::new(),
        second: String::new(),
        ..everyway()
    }])
    .await;
    bell.audit("first", &[("abaraa", "weak", DUMP)]).await;
    bell.campaign().await;
    gateway.expect(&[Reply::Takes, Reply::Takes, Reply::Takes, Reply::Takes]);
    bell.text().await;
    gateway.all_end_as("delivered");
    while bell.now() < moment("2026-03-16T18:00:00Z") {
        bell.advance(TimeDelta::hours(3));
        bell.notify().await;
        bell.text().await;
    }
    let taken = gateway.taken();
    let references: BTreeSet<_> = taken.iter().map(|text| &text.reference).collect();
    assert_eq!(
        (taken.len(), references.len()),
        (4, 4),
        "one first notice, three reminders"
    );
    assert_eq!(bell.letters().len(), 0);
    bell.books().await;
}

#[tokio::test]
async fn a_victim_is_texted_once_contained_and_never_written_to_where_the_intruder_reads() {
    for store in databases().await {
        let (bell, gateway) = notifying(store).await;
        // The second address is the affected mailbox under another name.
        let victim = Staff {
            second: "Ada.Abara+home@PARL.example".to_owned(),
            ..everyway()
        };
        bell.people(&[victim]).await;
        bell.audit("stolen", &[("abaraa", "compromised", DUMP)])
            .await;
        bell.contain("abaraa").await;
        bell.campaign().await;
        gateway.expect(&[Reply::Takes]);
        bell.deliver().await;
        assert_eq!(bell.text().await.accepted, 1);
        assert_eq!(bell.letters().len(), 0);
        let sent = gateway.taken().remove(0).text;
        assert!(
            sent.contains("We have blocked sign-in to keep you safe."),
            "{sent}"
        );
        assert!(
            sent.contains("Call the number on the back of your staff pass."),
            "{sent}"
        );
        assert!(
            !sent.contains("Ada") && !sent.contains("choose a new password"),
            "{sent}"
        );
        bell.expect_ways(&[("sms", "accepted")]).await;
    }
}

#[tokio::test]
async fn the_incident_lead_answers_for_telling_somebody_before_containment() {
    let lead = format!("{ALWAYS}[[operator]]\nname = \"cem\"\nroles = [\"incident_lead\"]\n");
    let bell = Bell::with(Setup {
        more: lead,
        // The program has the machine's own time.
        start: Clock::System.now(),
        ..Setup::default()
    })
    .await;
    bell.people(&five()).await;
    bell.audit(
        "stolen",
        &[
            ("deverauxd", "compromised", DUMP),
            ("abaraa", "compromised", DUMP),
        ],
    )
    .await;
    for sam in ["deverauxd", "abaraa"] {
        let case = bell.case_of(sam).await.id.to_string();
        let over = [
            "case",
            "contain",
            &case,
            "--override",
            "--reason",
            "she is abroad",
        ];
        let config = bell.path("bell.toml");
        let refused = program(&config, &over);
        assert_eq!(refused.code, 2, "{refused:?}");
        assert!(refused.err.contains("rule 3.9"), "{refused:?}");
        let allowed = program(&config, &[&["--as", "cem"], &over[..]].concat());
        assert_eq!(allowed.code, 0, "{allowed:?}");
    }
    bell.advance(TimeDelta::hours(1));
    bell.campaign().await;
    bell.deliver().await;
    assert_eq!(bell.readers(), ["dora@home.example"]);
    let overridden = bell
        .column("SELECT actor FROM ledger WHERE act = 'case.containment_overridden'")
        .await;
    assert_eq!(overridden, ["cem", "cem"]);
    bell.books().await;
}

/// A bell with three people whom only texts reach, and their first texts queued.
async fn three_to_text(gateway_kind_notify: bool) -> (Bell, Gateway) {
    let (bell, gateway) = if gateway_kind_notify {
        notifying(None).await
    } else {
        let gateway = Gateway::template().await;
        (texting(None, &gateway).await, gateway)
    };
    let only_texts = |sam: &str, mobile: &str| Staff {
        mobile: mobile.to_owned(),
        ..staff(sam, "", sam)
    };
    bell.people(&[
        only_texts("one", "+447700900101"),
        only_texts("two", "+447700900102"),
        only_texts("three", "+447700900103"),
    ])
    .await;
    bell.audit(
        "first",
        &[
            ("one", "weak", DUMP),
            ("two", "weak", DUMP),
            ("three", "weak", DUMP),
        ],
    )
    .await;
    bell.campaign().await;
    (bell, gateway)
}

fn refusal(error: &str, message: &str) -> serde_json::Value {
    json!({ "status_code": 400, "errors": [{ "error": error, "message": message }] })
}

#[tokio::test]
async fn notify_that_slows_us_down_or_shuts_us_out_counts_against_nobody() {
    let (bell, gateway) = three_to_text(true).await;
    let limit = refusal(
        "RateLimitError",
        "Exceeded rate limit for key type LIVE of 3000 requests per 60 seconds",
    );
    let team = refusal(
        "BadRequestError",
        "Can’t send to this recipient using a team-only API key",
    );
    gateway.expect(&[Reply::With(429, limit), Reply::Takes, Reply::Page(503)]);
    let texted = bell.text().await;
    assert_eq!((texted.accepted, texted.deferred), (1, 2));
    assert!(texted.held.is_some());
    assert_eq!(bell.text().await.accepted, 0, "not before it is due");
    bell.advance(TimeDelta::hours(1));
    gateway.expect(&[Reply::With(400, team), Reply::With(403, json!({}))]);
    let texted = bell.text().await;
    assert_eq!((texted.deferred, texted.stopped), (2, 0));
    bell.advance(TimeDelta::days(9));
    gateway.expect(&[Reply::Takes, Reply::Takes]);
    assert_eq!(
        bell.text().await.accepted,
        2,
        "nothing has expired meanwhile"
    );
    let replies = bell
        .column("SELECT COALESCE(reply, '') FROM attempts")
        .await
        .join("\n");
    assert!(
        replies.contains("team-only") && replies.contains("RateLimitError"),
        "{replies}"
    );
    assert!(
        !replies.contains("7700"),
        "a proxy's page quoted a number: {replies}"
    );
    bell.books().await;
}

#[tokio::test]
async fn a_number_that_notify_refuses_is_left_and_the_person_asked_for() {
    let (bell, gateway) = three_to_text(true).await;
    let refused = refusal(
        "ValidationError",
        "phone_number Not a valid international number",
    );
    gateway.expect(&[Reply::With(400, refused), Reply::Takes, Reply::Takes]);
    let texted = bell.text().await;
    assert_eq!((texted.accepted, texted.refused), (2, 1));
    let queued = bell.notify().await;
    assert_eq!((queued.another_way, queued.tasks), (0, 1));
}

#[tokio::test]
async fn a_doubt_is_settled_by_asking_before_anything_is_repeated() {
    let (bell, gateway) = three_to_text(true).await;
    gateway.expect(&[Reply::TakesSilently, Reply::Silent, Reply::Takes]);
    let texted = bell.text().await;
    assert_eq!((texted.accepted, texted.in_doubt), (1, 2));
    let before = gateway.taken();
    assert_eq!(before.len(), 2);
    bell.advance(TimeDelta::hours(1));
    // One of the two is there, and is not sent again; the other is sent, under the same reference.
    gateway.expect(&[Reply::Takes]);
    assert_eq!(bell.text().await.accepted, 2);
    let taken = gateway.taken();
    let references: BTreeSet<_> = taken.iter().map(|text| &text.reference).collect();
    let people: BTreeSet<_> = taken.iter().map(|text| &text.to).collect();
    assert_eq!(
        (taken.len(), references.len(), people.len()),
        (3, 3, 3),
        "nobody was texted twice"
    );
    let marked = bell
        .count("SELECT COUNT(*) FROM deliveries WHERE possible_duplicate")
        .await;
    assert_eq!(marked, 2, "and both are marked for ever");
}

#[tokio::test]
async fn a_gateway_by_template_gets_what_the_config_says_and_a_doubt_is_repeated_once() {
    let (bell, gateway) = three_to_text(false).await;
    gateway.expect(&[
        Reply::Takes,
        Reply::With(422, json!({ "error": "landline" })),
        // Taken, it says, and gives no number: it may be anything.
        Reply::With(200, json!({ "status": "queued" })),
    ]);
    let texted = bell.text().await;
    assert_eq!(
        (texted.accepted, texted.refused, texted.in_doubt),
        (1, 1, 1)
    );
    let reply = bell
        .column("SELECT reply FROM attempts WHERE outcome = 'accepted'")
        .await;
    assert_eq!(reply, ["taken as 4711"]);
    bell.advance(TimeDelta::hours(1));
    gateway.expect(&[Reply::Silent]);
    let texted = bell.text().await;
    assert_eq!((texted.in_doubt, texted.stopped), (1, 1));
    let work = bell
        .column("SELECT kind FROM tasks WHERE done_at IS NULL")
        .await;
    assert_eq!(
        work,
        ["decide"],
        "a second doubt is a human being's to decide"
    );
    bell.advance(TimeDelta::hours(1));
    assert_eq!(bell.text().await, Texted::default());
}

#[tokio::test]
async fn a_connection_that_is_cut_after_the_request_is_a_doubt_and_one_that_never_was_is_none() {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0))
        .await
        .unwrap();
    let port = listener.local_addr().unwrap().port();
    let heard = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let count = heard.clone();
    let cutting = tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            use tokio::io::AsyncReadExt as _;
            let mut bytes = [0; 4096];
            let read = stream.read(&mut bytes).await.unwrap_or(0);
            assert!(String::from_utf8_lossy(&bytes[..read]).starts_with("PUT /x"));
            count.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        }
    });
    let more = format!(
        "{ALL_WAYS}[sms]\nkind = \"template\"\nmethod = \"PUT\"\nurl = \"http://127.0.0.1:{port}/x\"\nbody = '{{\"to\": {{{{ to }}}}, \"text\": {{{{ text }}}}}}'\ntimeout = \"2 s\"\n"
    );
    let bell = Bell::with(Setup {
        more,
        ..Setup::default()
    })
    .await;
    bell.people(&[Staff {
        mail: String::new(),
        second: String::new(),
        ..everyway()
    }])
    .await;
    bell.audit("first", &[("abaraa", "weak", DUMP)]).await;
    bell.campaign().await;
    assert_eq!(bell.text().await.in_doubt, 1);
    assert_eq!(heard.load(std::sync::atomic::Ordering::SeqCst), 1);
    cutting.abort();
    let gone = async {
        std::net::TcpStream::connect(("127.0.0.1", port))
            .is_err()
            .then_some(())
    };
    if gone.await.is_none() {
        seen("a port that is closed", || {
            std::net::TcpStream::connect(("127.0.0.1", port))
                .is_err()
                .then_some(())
        })
        .await;
    }
    bell.advance(TimeDelta::hours(1));
    let texted = bell.text().await;
    assert_eq!((texted.deferred, texted.in_doubt), (1, 0));
    assert_eq!(texted.held.as_deref(), Some("no connection"));
}

#[tokio::test]
async fn letters_are_printed_by_building_and_come_back_as_people_who_were_told() {
    for store in databases().await {
        let letter = "[ways]\nweak = [\"letter\", \"person\"]\n".to_owned();
        let bell = Bell::with(Setup {
            store,
            more: letter,
            ..Setup::default()
        })
        .await;
        let at = |sam: &str, name: &str, room: &str, building: &str| Staff {
            room: room.to_owned(),
            building: building.to_owned(),
            ..staff(sam, "", name)
        };
        bell.people(&[
            at("one", "Ada <b>Abara</b>", "Room 1", "Main house"),
            at("two", "=HYPERLINK(\"x\")", "Room 2", "Main house"),
            at("three", "Colin Cox", "Room 3", "East/wing"),
            at("four", "Dora", "Room 4", ""),
        ])
        .await;
        let all = ["one", "two", "three", "four"];
        bell.audit("first", &all.map(|sam| (sam, "weak", DUMP)))
            .await;
        bell.campaign().await;
        let main = bell.print(Some("Main house"), false).await;
        assert_eq!((main.letters, main.files.len()), (2, 3));
        let page = read(&named(&main.files, "letters.html"));
        assert!(
            page.contains("Ada &lt;b&gt;Abara&lt;&#x2f;b&gt;") && !page.contains("<b>Abara"),
            "{page}"
        );
        assert_eq!(page.matches("<article>").count(), 2);
        let csv = read(&named(&main.files, "round.csv"));
        assert!(csv.contains("'=HYPERLINK"), "{csv}");
        for path in &main.files {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = std::fs::metadata(path).unwrap().permissions().mode();
            assert_eq!(mode & 0o077, 0, "{}", path.display());
        }
        let rest = bell.print(None, false).await;
        assert_eq!((rest.letters, rest.files.len()), (2, 6), "two rounds");
        assert_eq!(bell.print(None, false).await, Printed::default());
        assert_eq!(bell.print(None, true).await.letters, 4);
        assert!(files(&bell.path("post")).len() > 9);

        // The round comes back from a spreadsheet that saves semicolons.
        bell.advance(TimeDelta::hours(3));
        let references = bell
            .column("SELECT reference FROM threads ORDER BY id")
            .await;
        let sheet = format!(
            "\u{FEFF}Reference;Name;Room;Told;Date;By;Note\r\n{0};x;Room 1;Yes;02/03/2026;Sam;\r\n{1};x;Room 2;x;;;was there\r\n{1};x;Room 2;yes;;;\r\n\
             {2};x;Room 3;yes;2026-03-09;;\r\nDB-2603-ZZZZ;x;;yes;;;\r\n{3};x;;perhaps;;;\r\n{3};x;;;;;\r\n",
            references[0], references[1], references[2], references[3]
        );
        let ticked = bell.ticked(&sheet).await;
        assert_eq!((ticked.told, ticked.cases, ticked.blank), (2, 2, 1));
        let bad: Vec<_> = ticked.rejects.iter().map(|bad| bad.line).collect();
        assert_eq!(bad, [4, 5, 6, 7], "{ticked}");
        let how = bell
            .column("SELECT detail FROM ledger WHERE act = 'case.told' ORDER BY id")
            .await;
        assert_eq!(
            how,
            [
                "{\"reason\":\"letter, signed\"}",
                "{\"reason\":\"letter, ticked\"}"
            ]
        );
        assert_eq!(
            bell.count("SELECT COUNT(*) FROM cases WHERE state = 'notified'")
                .await,
            2
        );
        let twice = bell.ticked(&sheet).await;
        assert_eq!(
            (twice.told, twice.rejects.len()),
            (0, 6),
            "a sheet counts once"
        );
        bell.expect_ways(&[
            ("letter", "accepted"),
            ("letter", "accepted"),
            ("letter", "handed_out"),
            ("letter", "handed_out"),
        ])
        .await;
        bell.books().await;
    }
}

#[tokio::test]
async fn what_is_no_tick_sheet_is_refused_and_changes_nothing() {
    let bell = Bell::new().await;
    for text in ["", "a,b\n1,2\n", "reference\nDB-1\n"] {
        let file = bell.write("sheet.csv", text);
        assert!(
            letters::told(&bell.app, &file, "ann").await.is_err(),
            "{text:?}"
        );
    }
    assert!(
        letters::told(&bell.app, &bell.path("nowhere.csv"), "ann")
            .await
            .is_err()
    );
    let odd = "reference,told\n\u{0},yes\n\"unclosed,yes\nDB-2603-AAAA,yes";
    let ticked = bell.ticked(odd).await;
    assert_eq!(ticked.told, 0);
}

#[tokio::test]
async fn first_notices_wait_until_their_announcement_has_been_out_for_long_enough() {
    for store in databases().await {
        let bell = Bell::on(store).await;
        let mut bell = bell;
        let text = bell
            .text
            .replace("announce_lead = \"0 s\"", "announce_lead = \"15 min\"");
        bell.restart_with(text).await;
        bell.people(&five()).await;
        bell.audit("first", &[("abaraa", "weak", DUMP)]).await;
        let draft = bell.draft().await;
        division_bell::steps::campaign::approve(&bell.app, draft.id, "ben")
            .await
            .unwrap();
        let waiting = bell.notify().await;
        assert_eq!(waiting.notices, 0);
        let why = NotCleared::NotAnnounced(vec![Place::Intranet, Place::Chat]);
        assert_eq!(waiting.waiting[0].why, why);
        assert!(
            waiting.to_string().contains("waits for its announcement"),
            "{waiting}"
        );
        assert!(bell.step("notify").await.contains(&draft.reference));

        let announcement = heads_up::announcement(&bell.app, draft.id).await.unwrap();
        assert_eq!(
            announcement.text,
            format!(
                "Security notices are going out by email from 8.15am on Monday 2 March. Some of us will be asked to choose a new password. Real ones have no links and no files, and the reference starts with {}. To check yours, go to the staff home page, open Security notices. We will never ask you for your password.",
                draft.reference
            )
        );
        let say = async |places: &[Place], at: Option<&str>| {
            heads_up::announced(&bell.app, draft.id, places, at.map(moment), "ann").await
        };
        assert!(
            say(&[Place::Chat], Some("2026-03-02T07:59:00Z"))
                .await
                .is_err(),
            "before the draft"
        );
        assert!(
            say(&[Place::Chat], Some("2026-03-02T09:00:00Z"))
                .await
                .is_err(),
            "in the future"
        );
        assert!(say(&[], None).await.is_err());
        say(&[Place::Intranet], None).await.unwrap();
        bell.advance(TimeDelta::minutes(10));
        say(&[Place::Chat], None).await.unwrap();
        bell.advance(TimeDelta::minutes(14));
        let waiting = bell.notify().await;
        assert_eq!(
            waiting.waiting[0].why,
            NotCleared::TooFresh(moment("2026-03-02T08:25:00Z"))
        );
        bell.advance(TimeDelta::minutes(1));
        let queued = bell.notify().await;
        assert_eq!((queued.notices, queued.waiting.len()), (1, 0));
    }
}

#[tokio::test]
async fn somebody_of_the_security_team_can_let_a_campaign_go_unannounced_and_the_ledger_says_who() {
    let bell = Bell::new().await;
    bell.people(&five()).await;
    bell.audit("first", &[("abaraa", "weak", DUMP)]).await;
    let draft = bell.draft().await;
    division_bell::steps::campaign::approve(&bell.app, draft.id, "ben")
        .await
        .unwrap();
    for (reason, by) in [
        ("the chat is down", "ben"),
        ("the chat is down", "eve"),
        (" ", "ann"),
    ] {
        assert!(
            heads_up::skip(&bell.app, draft.id, reason, by)
                .await
                .is_err(),
            "{by}"
        );
    }
    assert_eq!(bell.notify().await.notices, 0);
    heads_up::skip(&bell.app, draft.id, "the chat is down", "ann")
        .await
        .unwrap();
    assert_eq!(bell.notify().await.notices, 1);
    let who = bell
        .rows("SELECT actor, detail FROM ledger WHERE act = 'campaign.announcement_skipped'")
        .await;
    assert_eq!(who, [["ann", "{\"reason\":\"the chat is down\"}"]]);
}

#[tokio::test]
async fn while_mail_is_down_a_campaign_goes_on_without_it() {
    for store in databases().await {
        let (bell, gateway) = notifying(store).await;
        let texted = Staff {
            second: String::new(),
            ..everyway()
        };
        bell.people(&[
            texted,
            staff("brightb", "bea.bright@parl.example", "Bea Bright"),
        ])
        .await;
        bell.audit(
            "first",
            &[("abaraa", "weak", DUMP), ("brightb", "weak", DUMP)],
        )
        .await;
        let campaign = bell.campaign().await;
        bell.expect_ways(&[("mail", "queued"), ("mail", "queued")])
            .await;
        let out = |ways: &'static [Way], reason: &'static str| {
            heads_up::leave_out(&bell.app, campaign.id, ways, reason, "ann")
        };
        assert!(out(&[Way::Person], "x").await.is_err());
        assert!(out(&[Way::Mail], "").await.is_err());
        assert_eq!(
            out(&[Way::Mail], "the relay is down").await.unwrap(),
            [Way::Mail]
        );
        let queued = bell.notify().await;
        assert_eq!((queued.another_way, queued.tasks), (1, 1));
        let work = [("reach".to_owned(), "left_out".to_owned())];
        assert_eq!(bell.tasks_of("brightb").await, work);
        gateway.expect(&[Reply::Takes]);
        bell.deliver().await;
        assert_eq!(bell.text().await.accepted, 1);
        assert_eq!(bell.letters().len(), 0);
        bell.expect_ways(&[
            ("mail", "dropped"),
            ("mail", "dropped"),
            ("sms", "accepted"),
        ])
        .await;
        // What was approved still is what was approved.
        assert_eq!(bell.notify().await.void, Vec::<String>::new());
        bell.books().await;
    }
}

#[tokio::test]
async fn serve_sends_texts_after_mail() {
    let (bell, gateway) = notifying(None).await;
    bell.people(&[
        Staff {
            mail: String::new(),
            second: String::new(),
            ..everyway()
        },
        staff("brightb", "bea.bright@parl.example", "Bea Bright"),
    ])
    .await;
    bell.audit(
        "first",
        &[("abaraa", "weak", DUMP), ("brightb", "weak", DUMP)],
    )
    .await;
    bell.campaign().await;
    gateway.expect(&[Reply::Takes]);
    let said = bell.step("deliver").await;
    assert!(
        said.starts_with("1 accepted") && said.contains("texts: 1 accepted"),
        "{said}"
    );
}
