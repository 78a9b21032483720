//! The order of ways, and the gateway for texts.

use super::*;
use crate::domain::finding::Category;
use crate::domain::way::Way;

/// The example with this put in place of its empty `[ways]`.
fn with_ways(lines: &str) -> String {
    example("[ways]\n", &format!("[ways]\n{lines}\n"))
}

const GATEWAY: &str = "[sms]\nkind = \"template\"\nurl = \"https://sms.example/x\"\nbody = '{\"to\": {{ to }}, \"text\": {{ text }}}'\n";

#[test]
fn an_order_of_ways_is_checked_and_a_compromised_mailbox_is_never_in_it() {
    for (lines, expected) in [
        (
            "compromised = [\"mail\", \"person\"]",
            "ways.compromised: a compromised account's own mailbox may be read by the intruder (rule 3.9); take \"mail\" out",
        ),
        (
            "weak = [\"mail\"]",
            "ways.weak: it does not end with \"person\"; whom no other way reaches is reached by a human being",
        ),
        (
            "weak = [\"mail\", \"mail\", \"person\"]",
            "ways.weak: \"mail\" is there twice; name each way once",
        ),
        (
            "weak = [\"pigeon\", \"person\"]",
            "ways.weak: \"pigeon\" is not known; known are mail, mail.2, sms, letter, person",
        ),
        (
            "weak = [\"mail\", \"sms\", \"person\"]",
            "ways.weak: there is no gateway for \"sms\"; add [sms] (\"bell init\" shows it), or take it out",
        ),
    ] {
        let told = errors(&with_ways(lines)).join("\n");
        assert!(told.contains(expected), "{lines}: {told}");
    }
    let text = format!("{}\n{GATEWAY}", with_ways("weak = [\"sms\", \"person\"]"));
    let config = read(&text).unwrap();
    assert_eq!(config.ways.of(Category::Weak), [Way::Sms, Way::Person]);
    assert_eq!(
        config.ways.of(Category::Compromised),
        [Way::SecondMail, Way::Sms, Way::Letter, Way::Person]
    );
    // Where nobody can be texted, the default order goes without.
    assert_eq!(
        read(EXAMPLE).unwrap().ways.of(Category::Compromised),
        [Way::SecondMail, Way::Letter, Way::Person]
    );
}

#[test]
fn a_gateway_is_spoken_to_over_tls_and_its_secrets_stand_elsewhere() {
    let with = |from: &str, to: &str| format!("{EXAMPLE}\n{}", GATEWAY.replace(from, to));
    for (text, expected) in [
        (
            with("https://", "http://"),
            "sms.url: this is no address for people's numbers to go to; use https://, or http:// on this machine",
        ),
        (with("{{ to }}", "1"), "sms.body: it lacks {{ to }}; add it"),
        (
            with("{{ to }}", "{{ tow }}"),
            "sms.body: there is no {{ tow }}; known are to, text, reference",
        ),
        (with("{{ to }}", "{{ to"), "sms.body: this is no template"),
        (
            format!(
                "{}[[sms.header]]\nname = \"X\"\nvalue = \"s3ntinel\"\n",
                with("", "")
            ),
            "sms.header.value: a secret does not belong in this file",
        ),
        (
            format!(
                "{}[[sms.header]]\nname = \"X y\"\ntext = \"z\"\n",
                with("", "")
            ),
            "sms.header.name: \"X y\" is no name of a header's field",
        ),
        (
            format!("{EXAMPLE}\n[sms]\nkind = \"notify\"\ntemplate_id = \"x\"\n"),
            "sms.key_env: it is missing",
        ),
        (
            format!("{EXAMPLE}\n[campaign2]\n"),
            "campaign2: there is no such key here; did you mean campaign?",
        ),
        (
            example(
                "#announce_where = [\"intranet\", \"chat\"]",
                "announce_where = []",
            ),
            "campaign.announce_where: staff have to be told somewhere before the first notice (rule 3.7); name a place",
        ),
    ] {
        let told = errors(&text).join("\n");
        assert!(told.contains(expected), "{expected}: {told}");
        assert!(!told.contains("s3ntinel"), "{told}");
    }
    let header = "[[sms.header]]\nname = \"Authorization\"\nbefore = \"Bearer \"\nvalue_env = \"BELL_SMS_TOKEN\"\n";
    let config = read(&format!(
        "{}{header}",
        with("https://sms.example", "http://127.0.0.1:8080")
    ))
    .unwrap();
    let Some(Sms {
        kind:
            SmsKind::Template {
                headers,
                refused_status,
                ..
            },
        ..
    }) = &config.sms
    else {
        panic!("no gateway")
    };
    assert_eq!(
        (headers[0].text.as_str(), headers[0].secret.is_some()),
        ("Bearer ", true)
    );
    assert_eq!(refused_status, &[422]);
    assert!(!format!("{config:?}").contains("s3ntinel"));
}
