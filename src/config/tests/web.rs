//! The listener's section: this machine only, unless something protects it.

use super::*;

fn with(text: &str) -> String {
    example("##[web]", &format!("[web]\n{text}\n"))
}

fn listen(text: &str) -> Listen {
    let config = read(&with(text)).unwrap_or_else(|wrong| panic!("{wrong}"));
    config.web.unwrap()
}

#[test]
fn without_its_section_nothing_listens() {
    assert!(read(EXAMPLE).unwrap().web.is_none());
}

#[test]
fn it_listens_on_this_machine_unless_something_else_is_said() {
    let own = listen("");
    assert_eq!(own.at.to_string(), "127.0.0.1:8470");
    assert!(own.is_local() && !own.is_encrypted());
    assert!(listen("listen = \"[::1]:80\"").is_local());
}

#[test]
fn another_address_is_taken_with_tls_or_behind_a_proxy_only() {
    for text in [
        "listen = \"0.0.0.0:8470\"",
        "listen = \"192.0.2.7:80\"",
        "listen = \"[::]:8470\"\nbehind_proxy = false",
    ] {
        let told = errors(&with(text)).join("\n");
        assert!(
            told.contains("web.listen: other machines could ask"),
            "{told}"
        );
    }
    let tls =
        listen("listen = \"0.0.0.0:8470\"\ntls_cert_file = \"c.pem\"\ntls_key_file = \"k.pem\"");
    assert!(tls.is_encrypted() && !tls.is_local());
    assert!(listen("listen = \"0.0.0.0:8470\"\nbehind_proxy = true").is_encrypted());
    assert!(!listen("behind_proxy = true").is_local());
}

#[test]
fn what_cannot_be_right_is_told() {
    for (text, told) in [
        ("listen = \"8470\"", "is no address and port"),
        ("listen = \"localhost:8470\"", "is no address and port"),
        (
            "tls_cert_file = \"c.pem\"",
            "web.tls_key_file: it is missing",
        ),
        (
            "tls_key_file = \"k.pem\"",
            "web.tls_cert_file: it is missing",
        ),
        ("sesion_idle = \"1 h\"", "did you mean session_idle?"),
        ("session_lasts = \"1 s\"", "web.session_lasts"),
    ] {
        let all = errors(&with(text)).join("\n");
        assert!(all.contains(told), "{text}: {all}");
    }
}

const OIDC: &str = "[web.oidc]\nissuer = \"https://login.parl.example\"\nclient_id = \"bell\"\nclient_secret_env = \"BELL_OIDC_SECRET\"\npage_url = \"https://bell.parl.example/\"\n";

#[test]
fn an_identity_provider_is_read_with_what_its_word_is_worth() {
    let own = listen(&format!(
        "{OIDC}[web.oidc.roles]\nsecurity = [\"a\", \"b\"]\ncompliance = [\"c\"]"
    ));
    let oidc = own.oidc.unwrap();
    assert_eq!(oidc.page_url, "https://bell.parl.example");
    assert_eq!(
        (&oidc.name_claim[..], &oidc.roles_claim[..]),
        ("preferred_username", "groups")
    );
    let roles: Vec<_> = oidc
        .roles
        .iter()
        .map(|(group, role)| (&group[..], *role))
        .collect();
    assert_eq!(
        roles,
        [
            ("a", Role::Security),
            ("b", Role::Security),
            ("c", Role::Compliance)
        ]
    );
    assert!(!format!("{oidc:?}").contains("s3ntinel"));
}

#[test]
fn an_identity_provider_that_cannot_be_right_is_told() {
    for (text, told) in [
        (OIDC.to_owned(), "web.oidc.roles: it is missing"),
        (
            OIDC.replace("https://login", "http://login"),
            "web.oidc.issuer: this is no address of a page",
        ),
        (
            OIDC.replace("client_secret_env = \"BELL_OIDC_SECRET\"\n", ""),
            "web.oidc.client_secret_env: it is missing",
        ),
        (
            OIDC.replace("client_secret_env", "client_secret"),
            "a secret does not belong in this file",
        ),
        (
            format!("{OIDC}[web.oidc.roles]\npress = [\"a\"]"),
            "there is no such key here",
        ),
    ] {
        let all = errors(&with(&text)).join("\n");
        assert!(all.contains(told), "{text}: {all}");
    }
    let operator = "[[operator]]\nname = \"OIDC:sam\"\nroles = [\"security\"]\n";
    let told = errors(&example("##[[operator]]", operator)).join("\n");
    assert!(told.contains("such a name is given by us"), "{told}");
}
