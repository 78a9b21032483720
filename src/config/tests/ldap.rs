//! LDAP servers: what people see of their mistakes, and of what follows from what is there.

use std::time::Duration;

use secrecy::ExposeSecret;

use super::*;

const SECTION: &str = r#"
[[ldap]]
name = "parl"
profile = "openldap"
servers = ["ldaps://ldap.parl.example"]
user = "cn=reader"
password_env = "BELL_LDAP_PASSWORD"
base = "dc=parl,dc=example"

[[evidence]]
name = "directory"
kind = "ldap"
"#;

/// The example with an LDAP server, of which something is replaced.
fn with(from: &str, to: &str) -> String {
    assert!(SECTION.contains(from), "{from}");
    format!("{EXAMPLE}{}", SECTION.replacen(from, to, 1))
}

#[test]
fn the_only_server_need_not_be_named_and_has_defaults() {
    let config = read(&with("", "")).unwrap();
    let EvidenceKind::Ldap(ldap) = &config.evidence[0].kind else {
        panic!("{:?}", config.evidence)
    };
    assert_eq!(ldap.profile, LdapProfile::Openldap);
    assert_eq!(ldap.page_size, 500);
    assert_eq!(ldap.timeout, Duration::from_secs(60));
    assert_eq!(ldap.sweep_every, chrono::TimeDelta::days(1));
    assert_eq!(ldap.password.expose_secret(), "s3ntinel-ldap");
    let shown = format!("{config:?}{}", serde_json::to_string(&config).unwrap());
    assert!(!shown.contains("s3ntinel"));
    let people = EXAMPLE.replacen("file = \"directory.csv\"", "kind = \"ldap\"", 1);
    let people = people.replacen("#kind = \"file\"", "", 1);
    let people = people.replacen("[directory.columns]", "", 1);
    let config = read(&format!("{people}{SECTION}")).unwrap();
    assert!(matches!(config.directory.kind, DirectoryKind::Ldap(_)));
}

#[test]
fn every_mistake_with_a_server_is_told_once_with_what_to_do() {
    let url = "ldaps://ldap.parl.example";
    for (from, to, expected) in [
        (
            url,
            "ldap://ldap.parl.example",
            "ldap.servers: nothing is said over a plain connection; use ldaps://",
        ),
        (
            url,
            "ldaps://gc.parl.example:3269",
            "ldap.servers: this is the port of the global catalogue",
        ),
        (
            url,
            "ldap.parl.example",
            "ldap.servers: this is no server's URL; write",
        ),
        (
            url,
            "https://ldap.parl.example",
            "ldap.servers: this is no server's URL; write",
        ),
        (
            url,
            "ldaps://ldap.parl.example/dc=parl",
            "ldap.servers: only a host and a port belong here; write",
        ),
        (
            url,
            "ldaps://u:s3ntinel@ldap.parl.example",
            "ldap.servers: only a host and a port belong here; write",
        ),
        ("[\"ldaps://ldap.parl.example\"]", "[]", "ldap.servers: "),
        (
            "base = ",
            "starttls = true\nbase = ",
            "ldap.servers: ldaps needs no starttls; remove one of them",
        ),
        (
            "\"openldap\"",
            "\"open_ldap\"",
            "ldap.profile: \"open_ldap\" is not known; did you mean openldap?",
        ),
        (
            "base = ",
            "filter = \"uid=*\"\nbase = ",
            "ldap.filter: this is no filter; write one such as",
        ),
        (
            "base = ",
            "page_size = 0\nbase = ",
            "ldap.page_size: 0 is no number of entries; use 1 to 10000",
        ),
        (
            "password_env = \"BELL_LDAP_PASSWORD\"\n",
            "",
            "ldap.password_env: ",
        ),
        (
            "kind = \"ldap\"",
            "kind = \"ldap\"\nldap = \"park\"",
            "evidence.ldap: \"park\" is no [[ldap]] of this file; did you mean parl?",
        ),
        (
            "kind = \"ldap\"",
            "kind = \"ldap\"\nfile = \"a.csv\"",
            "evidence.file: there is no such key here; known are",
        ),
        (
            "kind = \"ldap\"",
            "kind = \"ldp\"",
            "evidence.kind: \"ldp\" is not known; did you mean ldap?",
        ),
    ] {
        let told = errors(&with(from, to));
        let [one] = told.as_slice() else {
            panic!("{to}: {told:#?}")
        };
        let (_, text) = one.split_once(": ").unwrap();
        assert!(text.starts_with(expected), "{to}\n{one}");
        assert!(!one.contains("s3ntinel"), "{one}");
    }
    let starttls = SECTION
        .replace(url, "ldap://ldap.parl.example")
        .replace("base = ", "starttls = true\nbase = ");
    assert!(read(&format!("{EXAMPLE}{starttls}")).is_ok());
}
