//! Every mistake is one error, with its line and what to do.

use super::*;

const TWELVE_MISTAKES: &str = r#"[organisation]
name = "Westbridge Council"
team = 7
signatory = "Sam Lee"
time_zone = "Europe/Londn"
[organisation.texts]
how_to_reset = "Press Ctrl, Alt and Delete."
check_route = "go to the staff home page"
help_route = "Call us."
help_hours = ""
in_person = "the help desk"
changes_line = "We made it harder."
next_contact = "soon"
[[realm]]
name = "ad:PARL"
skew = "5 m"
[directory]
file = "directory.csv"
realm = "ad:PARLL"
[[source]]
name = "external"
kind = "maped_csv"
[mail]
from_adress = "security@westbridge.example"
[mail.relay]
kind = "smtp"
host = "smtp.westbridge.example"
port = 70000
tls = "none"
password = "s3ntinel-inline"
[calendar]
working_days = [
  "Mon",
  "Montag",
]
[log]
level = "loud"
"#;

#[test]
fn twelve_mistakes_are_twelve_errors_each_with_its_line() {
    let told = errors(TWELVE_MISTAKES);
    assert_eq!(
        told,
        [
            "config.toml:3: organisation.team: this is a whole number; write text in quotes",
            "config.toml:5: organisation.time_zone: \"Europe/Londn\" is no IANA time zone; write one such as \"Europe/London\"",
            "config.toml:10: organisation.texts.help_hours: it is empty; write it, or leave the key out",
            "config.toml:16: realm.skew: \"5 m\" is no span of time; write a number and s, min, h, days or weeks, such as \"30 min\"",
            "config.toml:19: directory.realm: \"ad:PARLL\" is no [[realm]] of this file; did you mean ad:PARL?",
            "config.toml:22: source.kind: \"maped_csv\" is not known; did you mean mapped_csv?",
            "config.toml:24: mail.from_adress: there is no such key here; did you mean from_address?",
            "config.toml:28: mail.relay.port: 70000 is no port; use 1 to 65535",
            "config.toml:29: mail.relay.tls: \"none\" is only for this machine itself, and \"smtp.westbridge.example\" is another; use \"starttls\" or \"implicit\"",
            "config.toml:30: mail.relay.password: a secret does not belong in this file; remove it, change it where it is used, and name its place with password_env or password_file",
            "config.toml:34: calendar.working_days: \"Montag\" is no day of the week; use Mon, Tue, Wed, Thu, Fri, Sat, Sun",
            "config.toml:37: log.level: \"loud\" is not known; known are error, warn, info, debug, trace",
        ]
    );
}

#[test]
fn where_only_sums_are_shown_no_manager_is_told_of_single_people() {
    let council = example("#aggregate_only = false", "aggregate_only = true");
    assert!(read(&council).unwrap().report.aggregate_only);
    let both = council.replace(
        "#tell_managers = false\n##managers_agreed_by = \"Joan Hill, head of HR\"\n##managers_agreed_on = ",
        "tell_managers = true\nmanagers_agreed_by = \"Joan Hill, head of HR\"\nmanagers_agreed_on = ",
    );
    let told = errors(&both);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(
        told[0].contains("report.aggregate_only: managers hear of single people")
            && told[0].contains("tell_managers"),
        "{told:?}"
    );
}

/// One change of the example, and the one error that it makes, without file and line.
#[test]
fn every_mistake_is_told_once_with_what_to_do() {
    for (from, to, expected) in [
        (
            "signatory = ",
            "signatery = ",
            "organisation.signatery: there is no such key here; did you mean signatory?",
        ),
        (
            "#language = \"en-GB\"",
            "language = \"English (GB)\"",
            "organisation.language: \"English (GB)\" is no language tag",
        ),
        (
            "#url = \"sqlite:bell.db\"",
            "url = \"mysql://x\"",
            "store.url: this is no store; write \"sqlite:bell.db\"",
        ),
        (
            "#url = \"sqlite:bell.db\"",
            "url = \"sqlite::memory:\"",
            "store.url: the store has to be a file",
        ),
        (
            "#url = \"sqlite:bell.db\"",
            "password_env = \"BELL_STORE_PASSWORD\"",
            "store.url: SQLite takes no password",
        ),
        (
            "#netbios = []",
            "netbios = \"PARL\"",
            "realm.netbios: this is text; write a list in square brackets",
        ),
        (
            "#netbios = []",
            "netbios = [\"PARL\", 3]",
            "realm.netbios: this is a whole number; write text in quotes",
        ),
        (
            "#dns = []",
            "dns = [\"-\"]",
            "realm.dns: \"-\" is no domain name",
        ),
        (
            "#evidence_max_age = \"2 days\"",
            "evidence_max_age = \"2 min\"",
            "realm.evidence_max_age: \"2 min\" is out of range; use 1 h to 90 days",
        ),
        (
            "#evidence_max_age = \"2 days\"",
            "evidence_max_age = 2",
            "realm.evidence_max_age: this is a whole number; write a number and a unit in quotes",
        ),
        (
            "#exposes_sessions = false",
            "exposes_sessions = \"no\"",
            "realm.exposes_sessions: this is text; write true or false, without quotes",
        ),
        (
            "#code_page = \"windows-1252\"",
            "code_page = \"utf-16\"",
            "directory.code_page: \"utf-16\" is no code page",
        ),
        (
            "[[realm]]\nname = \"ad:PARL\"",
            "[[realm]]\nname = \"a\"\n[[realm]]\nname = \"a\"",
            "realm.name: \"a\" is there already",
        ),
        (
            "[directory]\nfile = \"directory.csv\"",
            "[directory]",
            "directory.file: it is missing; add for instance file = \"directory.csv\"",
        ),
        (
            "from_address = \"security@westbridge.example\"",
            "from_address = \"security\"",
            "mail.from_address: this is no mail address: there is no \"@\" between two parts",
        ),
        (
            "#envelope_prefix = \"bounce\"",
            "envelope_prefix = \"a+b\"",
            "mail.envelope_prefix: this is no prefix; use at most 16 letters and digits",
        ),
        (
            "#sensitivity = \"Private\"",
            "sensitivity = \"Secret\"",
            "mail.sensitivity: \"Secret\" is not known; known are Personal, Private, Company-Confidential, none",
        ),
        (
            "folder = \"outbox\"",
            "",
            "mail.relay.folder: it is missing; add for instance folder = \"outbox\"",
        ),
        (
            "kind = \"folder\"",
            "kind = \"smtp\"",
            "mail.relay.host: it is missing; add for instance host = ",
        ),
        (
            "kind = \"folder\"",
            "kind = \"smtp\"\nhost = \"smtp://mx\"",
            "mail.relay.host: \"smtp://mx\" is no host; write a name or an IP address",
        ),
        (
            "kind = \"folder\"",
            "kind = \"smtp\"\nhost = \"mx\"\nuser = \"bell\"",
            "mail.relay.user: there is no password for it",
        ),
        (
            "kind = \"folder\"",
            "kind = \"smtp\"\nhost = \"mx\"\npassword_env = \"BELL_RELAY_PASSWORD\"",
            "mail.relay.user: it is missing",
        ),
        (
            "#connections = 4",
            "connections = 65",
            "mail.relay.connections: 65 is no number of connections; use 1 to 64",
        ),
        (
            "#doubt_window = 64",
            "doubt_window = 0",
            "mail.relay.doubt_window: 0 is no number of letters; use 1 to 1024",
        ),
        (
            "#doubt_window = 64",
            "doubt_window = -99999999999999999999999999999999999999999999",
            "mail.relay.doubt_window: this is no number of letters; use 1 to 1024",
        ),
        (
            "#dot = \"10 min\"",
            "dot = \"0 s\"",
            "mail.relay.timeouts.dot: \"0 s\" is out of range; use 1 s to 1 h",
        ),
        ("##[discord]", "[discord]", "discord.file: it is missing"),
        (
            "##[discord]",
            "[discord]\ntoken_env = \"BELL_DISCORD_TOKEN\"",
            "discord.channel_id: it is missing",
        ),
        (
            "##[discord]",
            "[discord]\nchannel_id = 5",
            "discord.token_env: it is missing",
        ),
        (
            "##[discord]",
            "[discord]\nfile = \"d\"\nchannel_id = 5",
            "discord.file: channel_id is there too; keep one of them",
        ),
        (
            "##[discord]",
            "[discord]\nchannel_id = 0\ntoken_env = \"BELL_DISCORD_TOKEN\"",
            "discord.channel_id: this is no channel's id",
        ),
        (
            "##[discord]",
            "[discord]\nchannel_id = 5\ntoken_env = \"BELL_DISCORD_TOKEN\"\napi_base = \"http://discord.example\"",
            "discord.api_base: this is no address for the token to go to",
        ),
        (
            "##[discord]",
            "[[discord]]",
            "discord: this is a list; write a section, [discord]",
        ),
        (
            "#send_from = \"07:00\"",
            "send_from = \"7 o'clock\"",
            "calendar.send_from: \"7 o'clock\" is no time of day",
        ),
        (
            "#send_until = \"20:00\"",
            "send_until = \"06:00\"",
            "calendar.send_until: it is not after send_from",
        ),
        (
            "#working_days = [",
            "working_days = []\n#[",
            "calendar.working_days: without a working day no deadline ever comes",
        ),
        (
            "##reminder_days = [4, 7, 9]",
            "reminder_days = [4, 4]",
            "ladder.weak.reminder_days: they do not ascend",
        ),
        (
            "##reminder_days = [4, 7, 9]",
            "reminder_days = [1, 2, 3]\nfinal_hours_before = 4",
            "ladder.weak.reminder_days: with the final one these are more than three",
        ),
        (
            "##reminder_days = [4, 7, 9]",
            "reminder_days = [4]\ndeadline_days = 3",
            "ladder.weak.reminder_days: the last one is after deadline_days",
        ),
        (
            "##[[operator]]",
            "[[operator]]\nname = \"sam\"",
            "operator.roles: it is missing",
        ),
        (
            "##[[operator]]",
            "[[operator]]\nname = \"sam\"\nroles = [\"securty\"]",
            "operator.roles: \"securty\" is not known; did you mean security?",
        ),
        (
            "##[[operator]]",
            "[operator]\nname = \"sam\"\nroles = [\"security\"]",
            "operator: this is a table; write [[operator]] with two brackets",
        ),
        (
            "#reference_prefix = \"DB\"",
            "reference_prefix = \"db\"",
            "campaign.reference_prefix: \"db\" is no prefix",
        ),
        (
            "#level = \"info\"",
            "level = \"loud\"",
            "log.level: \"loud\" is not known; known are error, warn, info, debug, trace",
        ),
        (
            "##[[source]]\n",
            "[[source]]\nname = \"a\"\nkind = \"mapped_csv\"\n",
            "source.mapping: it is missing",
        ),
        (
            "##[[source]]\n",
            "[[source]]\nname = \"a\"\nkind = \"account_names\"\n",
            "source.weakness: it is missing",
        ),
        (
            "##[[source]]\n",
            "[[source]]\nname = \"a\"\nkind = \"account_names\"\nweakness = \"weak/crackd\"\n",
            "source.weakness: \"weak/crackd\" is not known; did you mean weak/cracked?",
        ),
        (
            "##[[source]]\n",
            "[[source]]\nname = \"a\"\nkind = \"hashcat_show\"\ndomain_sid = \"S-1-5-21-1-2-3\"\n",
            "source.domain_sid: only kind = \"dump\" or \"john_show\" has it; remove it",
        ),
        (
            "##[[source]]\n",
            "[[source]]\nname = \"a\"\nkind = \"dump\"\ndomain_sid = \"S-1-5-21-1-2-3-1103\"\n",
            "source.domain_sid: this is no domain's security identifier",
        ),
        (
            "##[[source]]\n",
            "[[source]]\nname = \"a\"\nkind = \"john_show\"\ndomain = \"a.example\"\n",
            "source.domain: only kind = \"hibp_domain\" or \"hibp_stealer_logs\" has it; remove it",
        ),
        (
            "##[[evidence]]",
            "[[evidence]]\nname = \"a\"\nfile = \"a.txt\"\nform = \"shadwo\"",
            "evidence.form: \"shadwo\" is not known; did you mean shadow?",
        ),
        (
            "##[[evidence]]",
            "[[evidence]]\nname = \"a\"\nkind = \"okta\"\nurl = \"http://okta.example\"\ntoken_env = \"BELL_OKTA_TOKEN\"",
            "evidence.url: this is no address for secrets to go to",
        ),
        (
            "##[[evidence]]",
            "[[evidence]]\nname = \"a\"\nkind = \"okta\"\nurl = \"https://okta.example\"",
            "evidence.token_env: it is missing",
        ),
        (
            "##[[evidence]]",
            "[[evidence]]\nname = \"a\"\nkind = \"keycloak\"\nurl = \"https://sso.example\"\nkeycloak_realm = \"a/b\"\nclient_id = \"a\"\nclient_secret_env = \"BELL_KEYCLOAK_SECRET\"",
            "evidence.keycloak_realm: it is no name",
        ),
    ] {
        let told = errors(&example(from, to));
        let [one] = told.as_slice() else {
            panic!("{to}: {told:#?}")
        };
        let (_, text) = one.split_once(": ").unwrap();
        assert!(text.starts_with(expected), "{to}\n{one}");
        assert!(one.contains(';') && one.starts_with(FILE), "{one}");
    }
}

#[test]
fn whole_sections_that_are_missing_are_one_error_each() {
    assert_eq!(
        errors("[log]"),
        [
            "config.toml: directory: the section is missing; add [directory] (\"bell init\" shows it)",
            "config.toml: mail: the section is missing; add [mail] (\"bell init\" shows it)",
            "config.toml: organisation: the section is missing; add [organisation] (\"bell init\" shows it)",
            "config.toml: realm: not one is there; add [[realm]] (\"bell init\" shows it)",
        ]
    );
}

#[test]
fn what_is_no_toml_is_told_with_the_other_mistakes_and_without_its_consequences() {
    let text = example("kind = \"folder\"", "kind = \"fol")
        .replace("#connections = 4", "connections = 65")
        .replace(
            "name = \"Westbridge Council\"",
            "name = \"a\"\nname = \"b\"",
        );
    let told = errors(&text);
    assert_eq!(told.len(), 3, "{told:#?}");
    assert!(
        told[0].contains("this is not TOML: duplicate key"),
        "{told:#?}"
    );
    assert!(told[1].contains("this is not TOML"), "{told:#?}");
    assert!(
        told[2].contains("connections: 65 is no number"),
        "{told:#?}"
    );
}

#[test]
fn an_unknown_key_gets_the_nearest_known_one_or_all_of_them() {
    for (given, expected) in [
        ("conections", "did you mean connections?"),
        ("doubt-window", "did you mean doubt_window?"),
        ("KIND", "did you mean kind?"),
        ("passwrod_env", "did you mean password_env?"),
        ("colour", "known are kind, folder, host"),
        (
            "\"a\\nb\"",
            "mail.relay.\"a\\nb\": there is no such key here",
        ),
        (
            "\"\\u202Eb\"",
            "mail.relay.\"\\u{202e}b\": there is no such key here",
        ),
    ] {
        let told = errors(&example(
            "#connections = 4",
            &format!("{given} = \"s3ntinel-value\""),
        ));
        assert_eq!(told.len(), 1, "{told:#?}");
        assert!(told[0].contains(expected), "{told:#?}");
        assert!(!told[0].contains("s3ntinel"), "{told:#?}");
    }
}
