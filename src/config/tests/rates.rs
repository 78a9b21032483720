//! How fast letters leave: presets, what overrides them, and what cannot be.

use super::*;
use crate::domain::rate::{DomainLimits, Limits};

/// The example with these lines in `[mail.relay]`.
fn relay(lines: &str) -> String {
    example("#preset = \"own\"", lines)
}

fn limits(lines: &str) -> Limits {
    read(&relay(lines))
        .unwrap_or_else(|wrong| panic!("{wrong}"))
        .mail
        .relay
        .rates
        .limits
}

#[test]
fn without_a_word_nothing_is_limited() {
    let config = read(EXAMPLE).unwrap();
    assert!(!config.rates().is_limited());
    assert_eq!(config.mail.relay.connections, 4);
    assert_eq!(config.mail.relay.rates.preset, "own");
}

#[test]
fn a_preset_brings_its_numbers_and_a_key_beside_it_goes_before_them() {
    let preset = limits("preset = \"exchange_online\"");
    assert_eq!(
        (preset.per_minute, preset.per_day),
        (Some(30), Some(10_000))
    );
    assert_eq!((preset.burst, preset.reserve_percent), (1, 10));
    let own = limits("preset = \"exchange_online\"\nper_minute = 120\nreserve_percent = 0");
    assert_eq!((own.per_minute, own.per_day), (Some(120), Some(10_000)));
    assert_eq!((own.burst, own.reserve_percent), (2, 0));
    let ses = limits("preset = \"ses\"\nper_minute = 840\nper_day = 50000\nburst = 20");
    assert_eq!(
        (ses.per_minute, ses.per_day, ses.burst),
        (Some(840), Some(50_000), 20)
    );
    let plain = limits("per_day = 500");
    assert_eq!((plain.per_minute, plain.per_day), (None, Some(500)));
}

#[test]
fn the_presets_connections_are_a_bound_and_fewer_are_fine() {
    for (lines, connections) in [
        ("preset = \"exchange_online\"", 3),
        ("preset = \"exchange_online\"\nconnections = 2", 2),
        ("preset = \"exchange_online\"\nconnections = 3", 3),
        ("preset = \"google_relay\"", 4),
        ("preset = \"google_relay\"\nconnections = 16", 16),
    ] {
        let config = read(&relay(lines)).unwrap();
        assert_eq!(config.mail.relay.connections, connections, "{lines}");
    }
}

#[test]
fn a_domain_has_limits_of_its_own() {
    let text = example(
        "##[[mail.relay.domain]]",
        "[[mail.relay.domain]]\nname = \"Bücher.example\"\nper_day = 7\n[[mail.relay.domain]]\nname = \"parl.example\"\nconnections = 1\n",
    );
    let rates = read(&text).unwrap().rates();
    let limits = |name: &str, per_day, connections| DomainLimits {
        name: name.to_owned(),
        per_minute: None,
        per_day,
        connections,
    };
    assert_eq!(
        rates.domains,
        [
            limits("xn--bcher-kva.example", Some(7), None),
            limits("parl.example", None, Some(1))
        ]
    );
    assert!(rates.is_limited());
}

#[test]
fn the_help_desk_sets_the_pace_unless_it_is_written_down() {
    for (lines, pace) in [
        ("", None),
        ("people_per_hour = 250", Some(250)),
        ("helpdesk_contacts_per_hour = 30", Some(1_000)),
        (
            "helpdesk_contacts_per_hour = 30\nexpected_contacts_percent = 10",
            Some(300),
        ),
        (
            "helpdesk_contacts_per_hour = 30\npeople_per_hour = 500",
            Some(500),
        ),
    ] {
        let config = read(&example("#announce_lead = \"15 min\"", lines)).unwrap();
        assert_eq!(config.rates().people_per_hour, pace, "{lines}");
    }
}

#[test]
fn what_cannot_be_is_told_with_what_to_do() {
    for (lines, expected) in [
        (
            "preset = \"exchange\"",
            "mail.relay.preset: \"exchange\" is not known; did you mean exchange_",
        ),
        (
            "preset = \"exchange_online\"\nconnections = 4",
            "mail.relay.connections: 4 are more than the 3 that exchange_online takes; use 1 to 3, or leave it out",
        ),
        (
            "preset = \"ses\"\nper_day = 50000",
            "mail.relay.per_minute: your account has a number of its own, and it is not published; write what its console says",
        ),
        (
            "preset = \"ses\"\nper_minute = 840",
            "mail.relay.per_day: your account has a number of its own",
        ),
        (
            "per_minute = 0",
            "mail.relay.per_minute: 0 is no number of letters; use 1 to 1000000",
        ),
        (
            "burst = 5",
            "mail.relay.burst: without per_minute there is nothing to burst out of; add per_minute, or remove it",
        ),
        (
            "preset = \"exchange_online\"\nburst = 31",
            "mail.relay.burst: 31 at once are more than the 30 of a whole minute; use 1 to 30",
        ),
        (
            "reserve_percent = 100",
            "mail.relay.reserve_percent: 100 is no share in percent; use 0 to 90",
        ),
        (
            "domain = \"parl.example\"",
            "mail.relay.domain: this is text; write [[mail.relay.domain]] with two brackets",
        ),
    ] {
        let told = errors(&relay(lines));
        assert_eq!(told.len(), 1, "{lines}: {told:#?}");
        assert!(told[0].contains(expected), "{told:#?}");
    }
    for (lines, expected) in [
        (
            "",
            "mail.relay.domain.name: it is missing; add for instance name = \"parl.example\"",
        ),
        (
            "name = \"parl.example\"",
            "mail.relay.domain.name: nothing limits it; add per_minute, per_day or connections, or remove the section",
        ),
        (
            "name = \"parl.example\"\nper_day = 1\n[[mail.relay.domain]]\nname = \"PARL.example\"\nper_day = 2",
            "mail.relay.domain.name: \"parl.example\" is there already; write all of its limits in one place",
        ),
        (
            "name = \"parl.example\"\nper_hour = 1\nper_day = 2",
            "mail.relay.domain.per_hour: there is no such key here",
        ),
    ] {
        let text = format!("[[mail.relay.domain]]\n{lines}\n");
        let told = errors(&example("##[[mail.relay.domain]]", &text));
        assert_eq!(told.len(), 1, "{lines}: {told:#?}");
        assert!(told[0].contains(expected), "{told:#?}");
    }
    for (lines, expected) in [
        (
            "people_per_hour = 0",
            "campaign.people_per_hour: 0 is no number of people",
        ),
        (
            "expected_contacts_percent = 0",
            "campaign.expected_contacts_percent: 0 is no share in percent; use 1 to 100",
        ),
    ] {
        let told = errors(&example("#announce_lead = \"15 min\"", lines));
        assert_eq!(told.len(), 1, "{told:#?}");
        assert!(told[0].contains(expected), "{told:#?}");
    }
}
