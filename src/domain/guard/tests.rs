//! What the guard finds, and what it lets pass.

use super::*;

/// The directory of these tests.
const PEOPLE: [&str; 7] = [
    "Amina Clarke",
    "O'Neill, Seán",
    "Anne-Marie Smith-Jones",
    "Dr Zoë K. Müller",
    "Vincent van Gogh",
    "Will May",
    "Łukasz Żółć",
];

const LOGINS: [&str; 3] = ["aclarke", "svc.backup", "will"];

fn found(text: &str) -> Vec<String> {
    with(text, &Rules::default())
}

fn with(text: &str, rules: &Rules<'_>) -> Vec<String> {
    let all: BTreeSet<String> = PEOPLE.iter().flat_map(|name| keys_of(name)).collect();
    let logins: BTreeSet<String> = LOGINS.iter().map(|&login| login.to_owned()).collect();
    let asked = asked(text);
    let known = Known {
        names: asked.names.intersection(&all).cloned().collect(),
        accounts: asked.accounts.intersection(&logins).cloned().collect(),
    };
    findings(text, &known, rules)
        .iter()
        .map(ToString::to_string)
        .collect()
}

fn leaks(text: &str) -> Vec<Leak> {
    let mut leaks: Vec<Leak> = Leak::ALL
        .into_iter()
        .filter(|leak| {
            found(text)
                .iter()
                .any(|line| line.starts_with(leak.in_words()))
        })
        .collect();
    leaks.sort();
    leaks
}

#[test]
fn a_name_is_found_however_it_is_written_and_its_place_is_told() {
    assert_eq!(
        found("We have told Amina Clarke."),
        ["a person's name at character 14"]
    );
    for text in [
        "Clarke, Amina was told.",
        "AMINA CLARKE",
        "amina clarke called",
        "Amina J. Clarke",
        "Sean O'Neill", // no accent, the plain mark
        "Seán O’Neill", // the curly one
        "Sean ONeill",
        "Anne-Marie Smith-Jones",
        "Anne Smith",
        "Annemarie Smith‑Jones", // a hyphen that does not break
        "Zoe Muller",
        "Zoë Mu\u{308}ller", // accents that stand apart
        "Dr Müller said",
        "Vincent Gogh",
        "Will May was here",
        "Lukasz Zolc",
        "Аmina Сlarke",      // Cyrillic capitals
        "Ａｍｉｎａ Clarke", // full width
        "Ask Ms Clarke.",
        "(Amina Clarke)",
        "**Amina** _Clarke_",
    ] {
        assert_eq!(leaks(text), [Leak::Name], "{text}");
    }
}

#[test]
fn plain_english_passes() {
    for text in [
        "We know what happened. We are writing to each person by name.",
        "This will may be over soon.",
        "Fewer than five accounts are open, and at least 80 people were told.",
        "Statement 3: people can use email again from 3.20pm on Friday 4 July.",
        "Ring the help desk, e.g. by the number on your pass. It's open 24/7.",
        "Clarke is a town.",
        "One thing is sure. People are safe.",
        "We are asking people to choose a new password; no one else has it.",
        "Please turn to your china cup & saucer.",
        "Our staff home page, then Security notices",
        "We spoke to the National Cyber Security Centre and the UK police.",
    ] {
        assert_eq!(found(text), Vec::<String>::new(), "{text}");
    }
}

#[test]
fn what_must_not_be_said_is_found_by_its_kind() {
    for (text, expected) in [
        ("Write to amina@parl.example today", Leak::Address),
        ("Write to <amina@parl.example>.", Leak::Address),
        ("The account aclarke was used.", Leak::Account),
        ("The account AClarke, was used", Leak::Account),
        ("svc.backup", Leak::Account),
        (r"WESTBRIDGE\someone", Leak::Account),
        ("S-1-5-21-1-1004", Leak::Account),
        ("Three people were told", Leak::SmallCount),
        ("4 accounts", Leak::SmallCount),
        ("2 of our senior members", Leak::SmallCount),
        ("only one account", Leak::SmallCount),
        ("It was a state actor.", Leak::Attribution),
        ("a state-sponsored attack", Leak::Attribution),
        ("We blame Russia", Leak::Attribution),
        ("NORTH KOREAN hackers", Leak::Attribution),
        ("from China", Leak::Attribution),
        ("APT28 did it", Leak::Attribution),
        ("Rus\u{0455}ia did it", Leak::Attribution),
        ("Hello @everyone", Leak::Mention),
        ("Hello @here!", Leak::Mention),
        ("Hello <@123>", Leak::Mention),
        ("Hello <@&123>", Leak::Mention),
        ("See <#55>", Leak::Mention),
        ("Hello ＠everyone", Leak::Mention),
        ("See https://evil.example/x", Leak::Link),
        ("See [here](http://evil.example)", Leak::Link),
        ("See www.evil.example", Leak::Link),
        ("See evil.example", Leak::Link),
        ("See evil。example", Leak::Link),
        ("At 10.0.0.1", Leak::Link),
        ("mailto:x", Leak::Link),
    ] {
        let leaks = leaks(text);
        assert!(leaks.contains(&expected), "{text}: {leaks:?}");
    }
}

#[test]
fn the_organisation_names_hosts_countries_and_phrases() {
    let hosts = ["westbridge.example".to_owned()];
    let own_countries = ["Germany".to_owned(), "german".to_owned()];
    let held = ["Operation Long-Bell".to_owned(), "ransom".to_owned()];
    let rules = Rules {
        held: &held,
        hosts: &hosts,
        own_countries: &own_countries,
    };
    for text in [
        "See https://westbridge.example/news?x#y.",
        "See news.westbridge.example",
        "In Germany, German people",
    ] {
        assert_eq!(with(text, &rules), Vec::<String>::new(), "{text}");
    }
    for (text, expected) in [
        ("https://westbridge.example@evil.example/", Leak::Link),
        ("https://westbridge.example.evil.example/", Leak::Link),
        ("https://notwestbridge.example/", Leak::Link),
        ("https://evil.example\\@westbridge.example", Leak::Link),
        ("ftp://westbridge.example", Leak::Link),
        ("In Operation Long Bell we", Leak::Held),
        ("in operation\nlong-bell", Leak::Held),
        ("a RANSOM was asked", Leak::Held),
    ] {
        let found = with(text, &rules);
        assert!(
            found
                .iter()
                .any(|line| line.starts_with(expected.in_words())),
            "{text}: {found:?}"
        );
    }
    assert_eq!(with("ransomware", &rules), Vec::<String>::new());
}

#[test]
fn a_finding_never_holds_the_words() {
    let text = "Amina Clarke, amina@parl.example, aclarke";
    let told = format!("{:?} {:?}", found(text), asked(text));
    for word in ["mina", "larke", "parl"] {
        assert!(!told.contains(word), "{told}");
    }
}

#[test]
fn a_long_text_asks_for_a_bounded_number_of_words() {
    let text = "Anne-Marie ".repeat(crate::domain::statement::MOST_CHARS / 11);
    assert!(asked(&text).names.len() < 100);
    let text: String = (0..600).map(|n| format!("w{n} ")).collect();
    assert!(asked(&text).names.len() <= 1_200);
}

proptest::proptest! {
    #[test]
    fn no_text_makes_the_guard_panic(text in "\\PC{0,200}") {
        let known = asked(&text);
        for finding in findings(&text, &known, &Rules::default()) {
            proptest::prop_assert!(finding.at >= 1 && finding.at <= text.chars().count());
        }
        let _ = keys_of(&text);
    }
}
