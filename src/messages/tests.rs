//! Tests of the whole edge: what people would read, what may not be loaded, what one hostile value can do.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use mail_parser::MessageParser;
use proptest::prelude::*;

use super::letter::{self, Envelope};
use super::*;
use crate::domain::finding::Category;
use crate::domain::{EmailAddress, PersonName};

static MESSAGES: LazyLock<Messages> = LazyLock::new(|| Messages::load(None).unwrap());

/// Every kind with every sample, under the name of its snapshot.
fn letters() -> Vec<(String, NoticeKind, Constants, Personal, Rendered)> {
    let mut letters = Vec::new();
    for kind in NoticeKind::ALL {
        for (sample, constants, personal) in Personal::samples(kind) {
            let letter = MESSAGES
                .render(kind, DEFAULT_LOCALE, &constants, &personal)
                .unwrap();
            let name = format!("{kind}.{DEFAULT_LOCALE}.{sample}.txt");
            letters.push((name, kind, constants, personal, letter));
        }
    }
    letters
}

fn envelope(kind: NoticeKind, personal: &Personal) -> Envelope {
    preview::envelope(kind, DEFAULT_LOCALE, personal).unwrap()
}

fn override_with(files: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    dir
}

fn built_in(name: &str) -> String {
    fs::read_to_string(
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("messages")
            .join(name),
    )
    .unwrap()
}

#[test]
fn what_people_would_read_is_what_the_snapshots_say() {
    let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/snapshots/messages");
    let write = std::env::var("BELL_SNAPSHOTS").is_ok_and(|mode| mode == "write");
    let mut now: Vec<(String, String)> = letters()
        .into_iter()
        .map(|(name, .., letter)| {
            (
                name,
                format!("Subject: {}\n\n{}", letter.subject, letter.text),
            )
        })
        .collect();
    for (sample, status) in StatusContext::samples() {
        let text = MESSAGES.render_status(&status).unwrap();
        now.push((format!("status.{sample}.md"), format!("{text}\n")));
    }
    now.extend(MESSAGES.preview_texts(None).unwrap());
    if write {
        fs::create_dir_all(&dir).unwrap();
        for old in fs::read_dir(&dir).unwrap() {
            fs::remove_file(old.unwrap().path()).unwrap();
        }
        for (name, text) in &now {
            fs::write(dir.join(name), text).unwrap();
        }
    }
    for (name, text) in &now {
        let kept = fs::read_to_string(dir.join(name)).unwrap_or_default();
        assert_eq!(
            &kept, text,
            "{name} is stale: read the difference, then run with BELL_SNAPSHOTS=write"
        );
    }
    let kept: BTreeSet<_> = fs::read_dir(&dir)
        .unwrap()
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .collect();
    let made: BTreeSet<_> = now.into_iter().map(|(name, _)| name).collect();
    assert_eq!(
        kept, made,
        "an orphaned snapshot: no message makes it any more"
    );
}

#[test]
fn every_letter_keeps_all_rules_and_says_the_same_twice() {
    for (name, _, constants, _, letter) in letters() {
        let broken = lint::letter(
            &letter.subject,
            &letter.text,
            &letter.html,
            &constants.check_route,
        );
        assert_eq!(broken, [], "{name}");
        assert_eq!(
            html::html_to_text(&letter.html),
            letter.text.trim(),
            "{name}"
        );
    }
}

#[test]
fn a_letter_is_the_same_bytes_each_time_and_reads_back_as_it_was_meant() {
    for (name, kind, _, personal, letter) in letters() {
        let envelope = envelope(kind, &personal);
        let bytes = letter::build(&letter, &envelope).unwrap();
        assert_eq!(bytes, letter::build(&letter, &envelope).unwrap(), "{name}");
        let mail = MessageParser::default().parse(&bytes).unwrap();
        assert_eq!(mail.subject(), Some(letter.subject.as_str()), "{name}");
        let from = mail.from().unwrap().first().unwrap();
        assert_eq!(from.address(), Some("security@notices.westbridge.example"));
        assert_eq!(from.name(), Some("Westbridge Digital Security"));
        assert_eq!(mail.to().unwrap().as_list().unwrap().len(), 1);
        let to = mail.to().unwrap().first().unwrap();
        assert_eq!(to.address(), Some("amina.clarke@westbridge.example"));
        assert_eq!(to.name(), Some(personal.full_name.expose()), "{name}");
        assert_eq!(mail.text_body_count(), 1, "{name}");
        assert_eq!(mail.html_body_count(), 1, "{name}");
        let html = mail.body_html(0).unwrap().replace("\r\n", "\n");
        assert_eq!(html.trim_end(), letter.html.trim_end(), "{name}");
        let text = unflowed(&mail.body_text(0).unwrap());
        assert_eq!(text.trim_end(), letter.text.trim_end(), "{name}");
        for part in [1, 2] {
            let content_type =
                mail_parser::MimeHeaders::content_type(mail.part(part).unwrap()).unwrap();
            assert_eq!(content_type.attribute("charset"), Some("utf-8"));
        }
    }
}

/// RFC 3676: takes off the stuffing, joins what a trailing space says belongs together.
fn unflowed(text: &str) -> String {
    let mut out = String::new();
    for line in text.lines() {
        let line = line.strip_prefix(' ').unwrap_or(line);
        out.push_str(line);
        if !line.ends_with(' ') {
            out.push('\n');
        }
    }
    out
}

#[test]
fn the_header_is_the_table_of_the_rules_and_nothing_else() {
    let (_, kind, _, personal, letter) = letters().swap_remove(12);
    assert_eq!(kind, NoticeKind::Reminder1);
    let envelope = envelope(kind, &personal);
    let bytes = String::from_utf8(letter::build(&letter, &envelope).unwrap()).unwrap();
    let (header, _) = bytes.split_once("\r\n\r\n").unwrap();
    let unfolded = header.replace("\r\n ", " ");
    let fields: Vec<_> = unfolded
        .lines()
        .map(|line| line.split_once(": ").unwrap())
        .collect();
    let first = envelope.in_reply_to.clone().unwrap();
    let boundary = unfolded
        .split_once("boundary=\"")
        .unwrap()
        .1
        .split_once('"')
        .unwrap()
        .0;
    assert_eq!(
        fields,
        [
            (
                "From",
                "\"Westbridge Digital Security\" <security@notices.westbridge.example>"
            ),
            ("Reply-To", "helpdesk@westbridge.example"),
            ("To", "\"Amina Clarke\" <amina.clarke@westbridge.example>"),
            (
                "Subject",
                "Security notice DB-2507-K7M4: new password needed by Fri 4 July"
            ),
            ("Date", "Tue, 1 Jul 2025 10:00:00 +0100"),
            ("Message-ID", envelope.message_id.as_str()),
            ("In-Reply-To", first.as_str()),
            ("References", first.as_str()),
            ("Auto-Submitted", "auto-generated"),
            ("X-Auto-Response-Suppress", "OOF, AutoReply, RN, NRN"),
            ("Sensitivity", "Private"),
            ("Content-Language", "en-GB"),
            ("MIME-Version", "1.0"),
            (
                "Content-Type",
                format!("multipart/alternative; boundary=\"{boundary}\"").as_str()
            ),
        ]
    );
    assert!(boundary.starts_with("=_"));
}

#[test]
fn a_reminder_answers_the_first_notice_under_the_same_subject() {
    let all = letters();
    let first = all
        .iter()
        .find(|(name, ..)| name == "notice.breached.en-GB.one.txt")
        .unwrap();
    for kind in ["reminder.1", "reminder.2", "reminder.final"] {
        let later = all
            .iter()
            .find(|(name, ..)| *name == format!("{kind}.en-GB.one.txt"))
            .unwrap();
        assert_eq!(first.4.subject, later.4.subject);
    }
}

#[test]
fn a_folder_replaces_file_by_file_and_a_new_locale_has_them_all() {
    let subject = "Security notice {{ ref }}: a new password by {{ deadline_short }}\r\n";
    let dir = override_with(&[
        ("email/notice.weak/en-GB/subject.txt", subject),
        ("email/.gitkeep", ""),
    ]);
    let messages = Messages::load(Some(dir.path())).unwrap();
    let (_, constants, personal) = Personal::samples(NoticeKind::Weak).remove(0);
    let theirs = messages
        .render(NoticeKind::Weak, DEFAULT_LOCALE, &constants, &personal)
        .unwrap();
    assert_eq!(
        theirs.subject,
        "Security notice DB-2507-K7M4: a new password by Fri 4 July"
    );
    let ours = MESSAGES
        .render(NoticeKind::Weak, DEFAULT_LOCALE, &constants, &personal)
        .unwrap();
    assert_eq!(theirs.text, ours.text);

    let dir = override_with(&[("email/notice.weak/en-IE/subject.txt", subject)]);
    let refused = Messages::load(Some(dir.path())).unwrap_err();
    assert!(matches!(refused, MessagesError::Missing(_)), "{refused}");

    let files: Vec<_> = NoticeKind::ALL
        .into_iter()
        .flat_map(|kind| {
            PARTS.map(|part| {
                (
                    source::name(kind, "en-IE", part),
                    source::name(kind, "en-GB", part),
                )
            })
        })
        .map(|(to, from)| (to, built_in(&from)))
        .collect();
    let files: Vec<_> = files
        .iter()
        .map(|(name, text)| (name.as_str(), text.as_str()))
        .collect();
    let dir = override_with(&files);
    let messages = Messages::load(Some(dir.path())).unwrap();
    assert_eq!(messages.locale(Some("en-ie")), "en-IE");
    assert_eq!(messages.locale(Some("cy")), "en-GB");
    let irish = messages
        .render(NoticeKind::Weak, "en-IE", &constants, &personal)
        .unwrap();
    assert!(irish.html.contains("<html lang=\"en-IE\">"));
}

#[test]
fn a_text_that_breaks_a_rule_stops_the_start_and_names_file_and_line() {
    let body = built_in("email/notice.weak/en-GB/body.txt");
    let html = built_in("email/notice.weak/en-GB/body.html");
    let layout = built_in("email/_layout/base.html");
    let txt = "email/notice.weak/en-GB/body.txt";
    let htm = "email/notice.weak/en-GB/body.html";
    let base = "email/_layout/base.html";
    for (file, text, expected) in [
        // Does not compile; names nothing we have, also in a branch no sample takes.
        (txt, body.replace("{{ accounts }}", "{{ accounts"), "body.txt: line 3: rule 3"),
        (txt, body.replace("{{ accounts }}", "{{ acounts }}"), "body.txt: line 3: rule 3: there is no variable \"acounts\""),
        (txt, body.replace("{{ org }}", "{{ org }}{% if total > 9 %}{{ orgg }}{% endif %}"), "body.txt: line 26: rule 3: there is no variable \"orgg\""),
        // 1: something to follow.
        (txt, body.replace("WHAT TO DO", "See www.westbridge.example\n\nWHAT TO DO"), "body.txt: line 9: rule 1"),
        (txt, body.replace("tell us.", "ring 020 7946 0000."), "rule 1: it holds seven or more digits"),
        (htm, html.replace("<h2>What to do</h2>", "<h2><a href=\"x\">What to do</a></h2>"), "body.html: line 7: rule 1: the HTML holds a link"),
        (base, layout.replace("<main>", "<main><img src=\"x\">"), "rule 1: the HTML holds a link, an image"),
        (base, layout.replace("background: #ffffff", "background: url(x)"), "base.html: line 11: rule 1: the HTML fetches"),
        // 2: pressing words.
        (txt, body.replace("Please choose", "Urgent: please choose"), "body.txt: line 3: rule 2: \"urgent\""),
        (txt, body.replace("You do not need to reply.", "Do it now!"), "body.txt: line 15: rule 2: it holds an exclamation mark"),
        (txt, body.replace("tell us.", "CALL US NOW."), "rule 2: words in capitals shout"),
        // 3: an empty section; a hole.
        (txt, body.replace("{{ help_route }}", "").replace("{% if help_hours %} {{ help_hours }}{% endif %}", ""), "rule 3: a sentence that was left out left a hole"),
        (txt, body.replace("We will see when this is done. You do not need to reply.", "WHAT ELSE"), "rule 3: a heading has nothing under it"),
        // 4: hard words.
        (txt, body.replace("You do not need to reply.", "Authentication infrastructure modernisation necessitates immediate organisational participation. Cybersecurity vulnerability remediation prioritisation considerations notwithstanding. Authentication infrastructure modernisation necessitates organisational participation. Interdepartmental responsibilities accumulate unnecessarily."), "rule 4"),
        // 5: a long sentence; a long letter.
        (txt, body.replace("You do not need to reply.", "You do not need to do this or that or that or this or any of it or all of it at all and so on and on."), "rule 5: a sentence has more than 25 words"),
        (txt, body.replace("You do not need to reply.", &"You do not need to reply. ".repeat(20)), "rule 5: the plain part is longer"),
        // 6: the promise; the route.
        (txt, body.replace("We will never ask you for your password.", ""), "rule 6: the promise"),
        (txt, body.replace("{{ check_route }}", "ask"), "rule 6: the route"),
        // 7: the parts differ; the subject tells.
        (htm, html.replace("You do not need to reply.", ""), "rule 7: the HTML part"),
        ("email/notice.weak/en-GB/subject.txt", "Your weak password, {{ ref }}".to_owned(), "rule 7: the subject says what was found"),
        ("email/notice.weak/en-GB/subject.txt", "Re: {{ ref }}".to_owned(), "rule 7: a notice that is no reply"),
        ("email/notice.weak/en-GB/subject.txt", "Security notice {{ ref }}: {{ how_to_reset }}".to_owned(), "rule 7: the subject is longer"),
        ("email/notice.weak/en-GB/subject.txt", "Security notice\n{{ ref }}".to_owned(), "rule 7: the subject is no single line"),
        // 8: a claim without evidence.
        (txt, body.replace("You do not need to reply.", "We have seen no sign of harm."), "body.txt: line 15: rule 8"),
    ] {
        let dir = override_with(&[(file, &text)]);
        let refused = Messages::load(Some(dir.path())).unwrap_err().to_string();
        assert!(refused.contains(expected), "expected {expected}\ngot {refused}");
        assert!(refused.contains(file), "{refused}");
    }
}

#[test]
fn a_file_that_no_message_is_made_of_is_refused() {
    for name in [
        "email/notice.weak/en-GB/bdy.txt",
        "email/notice.week/en-GB/body.txt",
        "email/notice.weak/cy/body.txt",
        "email/notice.weak/body.txt",
        "email/notice.weak/en-GB/old/body.txt",
        "discord/other.md",
        "sms/other/en-GB.txt",
        "sms/notice/cy.txt",
        "chat/heads_up/en-US.txt",
        "chat/access_restricted/en-US.txt",
        "chat/access_restored/body.txt",
    ] {
        let dir = override_with(&[(name, "x")]);
        let refused = Messages::load(Some(dir.path())).unwrap_err();
        assert!(
            matches!(refused, MessagesError::Unknown(_)),
            "{name}: {refused}"
        );
    }
    assert!(Messages::load(Some(Path::new("/nowhere/at/all"))).is_err());
}

#[test]
fn the_organisations_own_words_are_checked_too() {
    let [(_, good), (_, bare)] = Constants::samples();
    assert_eq!(MESSAGES.check(&good), []);
    assert_eq!(MESSAGES.check(&bare), []);
    type Spoil = fn(&mut Constants);
    let cases: [(&str, Spoil); 10] = [
        ("help_route", |c| {
            c.help_route = "Call 020 7946 0000.".to_owned()
        }),
        ("help_route", |c| {
            c.help_route = "Write to help@westbridge.example.".to_owned()
        }),
        ("check_route", |c| {
            c.check_route = "go to intranet.westbridge.example".to_owned()
        }),
        ("check_route", |c| {
            c.check_route = "open the page.".to_owned()
        }),
        ("how_to_reset", |c| {
            c.how_to_reset = "Reset it immediately.".to_owned()
        }),
        ("org", |c| c.org = "West\nbridge".to_owned()),
        ("team", |c| c.team = "{{ full_name }}".to_owned()),
        ("signatory", |c| c.signatory = "eeL \u{202E}maS".to_owned()),
        ("consequence", |c| c.consequence = String::new()),
        ("source_line", |c| {
            if let Some(line) = &mut c.source_line {
                line.evidence.clear();
            }
        }),
    ];
    for (name, spoil) in cases {
        let mut constants = good.clone();
        spoil(&mut constants);
        let findings = MESSAGES.check(&constants);
        assert!(
            findings
                .iter()
                .any(|found| found.file == format!("constants: {name}")),
            "{name}: {findings:?}"
        );
    }
    let mut long = good;
    long.help_hours = Some(format!("We are open {}.", ["all day"; 20].join(" and ")));
    assert!(MESSAGES.check(&long).iter().any(|found| found.rule == 5));
}

#[test]
fn facts_that_contradict_the_letter_are_refused() {
    let sample = |kind| Personal::samples(kind).remove(0);
    let refused = |kind, constants: &Constants, personal: &Personal| {
        MESSAGES
            .render(kind, DEFAULT_LOCALE, constants, personal)
            .unwrap_err()
    };
    let (_, constants, personal) = sample(NoticeKind::Reminder1);
    for spoiled in [
        Personal {
            category: Category::Compromised,
            ..personal.clone()
        },
        Personal {
            deadline: None,
            ..personal.clone()
        },
        Personal {
            accounts: Vec::new(),
            ..personal.clone()
        },
        Personal {
            n: 4,
            ..personal.clone()
        },
        Personal {
            accounts: vec!["svc@westbridge.example".to_owned()],
            ..personal.clone()
        },
        Personal {
            full_name: PersonName::new("ring 0207 946 0000"),
            ..personal.clone()
        },
    ] {
        let error = refused(NoticeKind::Reminder1, &constants, &spoiled);
        assert!(error.is_personal(), "{error}");
        assert!(!error.to_string().contains("946"), "{error}");
    }
    let (_, mut constants, personal) = sample(NoticeKind::Attacked);
    assert!(refused(NoticeKind::Weak, &constants, &personal).is_personal());
    constants.attack_when = None;
    assert!(!refused(NoticeKind::Attacked, &constants, &personal).is_personal());
    let error = MESSAGES
        .render(
            NoticeKind::Weak,
            "cy",
            &constants,
            &sample(NoticeKind::Weak).2,
        )
        .unwrap_err();
    assert_eq!(
        error,
        RenderError::Locale {
            kind: NoticeKind::Weak
        }
    );
}

#[test]
fn a_stored_template_writes_the_same_letter_whatever_became_of_the_texts() {
    for (name, kind, constants, personal, letter) in letters() {
        let document = MESSAGES.document(kind, DEFAULT_LOCALE, &constants).unwrap();
        let hash = MESSAGES
            .template_hash(kind, DEFAULT_LOCALE, &constants)
            .unwrap();
        assert_eq!(<[u8; 32]>::from(Sha256::digest(&document)), hash);
        let frozen = Frozen::read(&document).unwrap();
        assert_eq!(frozen.render(&personal).unwrap(), letter, "{name}");
        let facts = serde_json::to_string(&personal).unwrap();
        let back: Personal = serde_json::from_str(&facts).unwrap();
        assert_eq!(back, personal);
        assert!(facts.len() < 260, "{name}: {} bytes", facts.len());
    }
    assert!(Frozen::read("{}").is_err());
}

#[test]
fn the_hash_covers_files_layout_and_constants() {
    let [(_, full), (_, bare)] = Constants::samples();
    let hash = |messages: &Messages, constants| {
        messages
            .template_hash(NoticeKind::Weak, DEFAULT_LOCALE, constants)
            .unwrap()
    };
    let ours = hash(&MESSAGES, &full);
    assert_ne!(ours, hash(&MESSAGES, &bare));
    let layout = built_in("email/_layout/base.html").replace("36rem", "35rem");
    let subject = built_in("email/notice.weak/en-GB/subject.txt").replace("needed", "due");
    for (file, text) in [
        ("email/_layout/base.html", layout),
        ("email/notice.weak/en-GB/subject.txt", subject),
    ] {
        let dir = override_with(&[(file, &text)]);
        assert_ne!(
            ours,
            hash(&Messages::load(Some(dir.path())).unwrap(), &full),
            "{file}"
        );
    }
    let other = MESSAGES.template_hash(NoticeKind::Done, DEFAULT_LOCALE, &full);
    assert_ne!(Some(ours), other);
}

#[test]
fn a_preview_is_a_folder_that_a_mail_program_and_a_browser_open() {
    let dir = tempfile::tempdir().unwrap();
    let written = MESSAGES.preview(dir.path(), None).unwrap();
    assert_eq!(written, NoticeKind::ALL.len() * 3);
    let index = fs::read_to_string(dir.path().join("index.html")).unwrap();
    for link in index
        .split("href=\"")
        .skip(1)
        .map(|rest| rest.split_once('"').unwrap().0)
    {
        assert!(dir.path().join(link).is_file(), "{link}");
    }
    let eml = fs::read(dir.path().join("notice.weak.en-GB.one.eml")).unwrap();
    assert!(MessageParser::default().parse(&eml).is_some());
}

#[test]
fn a_status_post_promises_never_to_ask_and_can_lead_nowhere() {
    for (name, sample) in StatusContext::samples() {
        let text = MESSAGES.render_status(&sample).unwrap();
        assert!(
            text.contains("will never ask anybody for a password"),
            "{name}"
        );
        assert!(
            !text.contains("  ") && !text.contains("\n\n"),
            "{name}: {text:?}"
        );
    }
    let (_, sample) = StatusContext::samples()[0].clone();
    for team in ["see https://x.example", "@everyone", "a\nb", "{{ seal }}"] {
        let spoiled = StatusContext {
            team: team.to_owned(),
            ..sample.clone()
        };
        assert!(MESSAGES.render_status(&spoiled).is_err(), "{team}");
    }
    let long = StatusContext {
        team: "word ".repeat(500),
        ..sample
    };
    assert_eq!(
        MESSAGES.render_status(&long),
        Err(BadStatus::TooLong.into())
    );
}

/// Text that tries to be more than text: pieces of headers, templates, elements, links, and characters that hide.
fn hostile() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        "[a-zA-Z .'-]{1,12}",
        "\\PC{0,8}",
        any::<char>().prop_map(String::from),
        prop::sample::select(vec![
            "\r\n",
            "\n",
            "\r",
            "\0",
            "Bcc: all@westbridge.example",
            "\u{202E}",
            "\u{2066}",
            "\u{2028}",
            "\u{85}",
            "{{ org }}",
            "{% raw %}",
            "{#",
            "</p>",
            "<script>",
            "<a href=x>",
            "&amp;",
            "\"",
            "https://x.example",
            "www.x.example",
            "x.example",
            "020 7946 0000",
            "=20",
            "=?utf-8?q?x?=",
            "\n.\n",
            "--=_",
            "ß",
            "李",
            "🔒",
        ])
        .prop_map(str::to_owned),
    ];
    prop::collection::vec(piece, 0..6).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn no_value_of_any_variable_changes_more_than_its_own_place(field in 0_usize..22, text in hostile(), kind in 0_usize..8) {
        let kind = NoticeKind::ALL[kind];
        let (_, mut constants, mut personal) = Personal::samples(kind).remove(0);
        let sourced = |text: &str| Some(Sourced { text: text.to_owned(), evidence: "x".to_owned() });
        match field {
            0 => constants.org = text,
            1 => constants.team = text,
            2 => constants.signatory = text,
            3 => constants.how_to_reset = text,
            4 => constants.check_route = text,
            5 => constants.help_route = text,
            6 => constants.help_hours = Some(text),
            7 => constants.in_person = Some(text),
            8 => constants.no_sign_line = sourced(&text),
            9 => constants.authority_line = sourced(&text),
            10 => constants.source_line = sourced(&text),
            11 => constants.changes_line = Some(text),
            12 => constants.attack_when = Some(text),
            13 => constants.audit_note = Some(text),
            14 => constants.consequence = text,
            15 => constants.containment_line = Some(text),
            16 => constants.seen_when = Some(text),
            17 => constants.next_contact = Some(text),
            18 | 19 => personal.full_name = PersonName::new(&text),
            20 => personal.accounts = vec![account_label(crate::domain::person::AccountKind::Service, &text)],
            _ => personal.accounts = vec!["your work account".to_owned(), text],
        }
        let label_was_ours = field == 20;
        let plain = MESSAGES.render(kind, DEFAULT_LOCALE, &constants, &personal);
        prop_assert!(!label_was_ours || plain.is_ok(), "{plain:?}");
        if let Ok(letter) = plain {
            let sample = Personal::samples(kind).remove(0);
            let usual = MESSAGES.render(kind, DEFAULT_LOCALE, &sample.1, &sample.2).unwrap();
            prop_assert_eq!(letter.subject, usual.subject);
            prop_assert_eq!(letter.text.lines().count(), usual.text.lines().count());
            prop_assert_eq!(letter.html.matches('<').count(), usual.html.matches('<').count());
            prop_assert!(lint::something_to_follow(&letter.text).is_none());
            prop_assert!(!letter.text.chars().any(|c| c != '\n' && lint::is_hidden(c)));
        }
    }

    #[test]
    fn no_text_ends_a_header_field_or_a_part(field in 0_usize..9, text in hostile()) {
        let (_, _, personal) = Personal::samples(NoticeKind::Reminder1).remove(0);
        let mut envelope = envelope(NoticeKind::Reminder1, &personal);
        let mut letter = Rendered { subject: "s".to_owned(), text: "t\n".to_owned(), html: "<p>t</p>\n".to_owned() };
        match field {
            0 => envelope.from_name = text,
            1 => envelope.to_name = PersonName::new(&text),
            2 => envelope.message_id = text,
            3 => envelope.in_reply_to = Some(text),
            4 => envelope.references = vec![text],
            5 => envelope.language = text,
            6 => letter.subject = text,
            7 => letter.text = text,
            _ => letter.html = text,
        }
        let names = ["From", "Reply-To", "To", "Subject", "Date", "Message-ID", "In-Reply-To", "References",
            "Auto-Submitted", "X-Auto-Response-Suppress", "Sensitivity", "Content-Language", "MIME-Version", "Content-Type"];
        if let Ok(bytes) = letter::build(&letter, &envelope) {
            prop_assert!(bytes.is_ascii());
            let text = String::from_utf8(bytes.clone()).unwrap();
            prop_assert!(!text.replace("\r\n", "").contains(['\r', '\n', '\0']));
            let (header, body) = text.split_once("\r\n\r\n").unwrap();
            let fields: Vec<_> = header.split("\r\n").filter(|line| !line.starts_with(' ')).map(|line| line.split_once(':').unwrap().0).collect();
            prop_assert_eq!(fields, names);
            let most = |line: &str| if line.contains("=?utf-8?") { 76 } else { 998 };
            let short = header.split("\r\n").all(|line| line.len() <= most(line));
            prop_assert!(short);
            prop_assert!(body.split("\r\n").all(|line| line.len() <= 78));
            let mail = MessageParser::default().parse(&bytes).unwrap();
            prop_assert_eq!(mail.parts.len(), 3);
            prop_assert_eq!(mail.to().unwrap().first().unwrap().address(), Some(envelope.to.expose()));
            prop_assert_eq!(mail.from().unwrap().first().unwrap().address(), Some(envelope.from.expose()));
        }
    }
}

#[test]
fn a_name_with_quotes_and_foreign_letters_is_right_in_the_to_field() {
    let (_, _, personal) = Personal::samples(NoticeKind::Weak).remove(0);
    let letter = Rendered {
        subject: "s".to_owned(),
        text: "t".to_owned(),
        html: "t".to_owned(),
    };
    for name in [
        "Zoë \"Zo\" O'Brien-Łukasz",
        "Clarke, Amina",
        "\"Quoted\" Name",
        "back\\slash",
        "李 小龍",
        "Ng\u{301}o\u{301}zi Adichie-Okonkwo Chukwuemeka Oluwaseun Adébáyọ̀ Ọlátúnjí",
        "=?utf-8?q?evil?=",
        "a (comment) b",
        "ends.",
        "",
    ] {
        let mut envelope = envelope(NoticeKind::Weak, &personal);
        envelope.to_name = PersonName::new(name);
        envelope.to = EmailAddress::parse("zoë@bücher.example").unwrap();
        let result = letter::build(&letter, &envelope);
        envelope.to = EmailAddress::parse("zoe@bücher.example").unwrap();
        let bytes = letter::build(&letter, &envelope).unwrap();
        let mail = MessageParser::default().parse(&bytes).unwrap();
        let to = mail.to().unwrap().first().unwrap();
        assert_eq!(to.address(), Some("zoe@xn--bcher-kva.example"), "{name}");
        assert_eq!(
            to.name().unwrap_or_default(),
            name.replace("=?", "= ?"),
            "{}",
            String::from_utf8_lossy(&bytes)
        );
        // An address that needs SMTPUTF8 is never sent downgraded: it is refused.
        assert_eq!(result, Err(letter::LetterError::Address("To")));
    }
}
