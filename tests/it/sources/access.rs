//! How a service is reached and let into: a certificate in place of a secret, a token that a program prints, a proxy, an
//! authority of one's own.

use std::path::Path;

use openssl::hash::MessageDigest;
use openssl::pkey::{PKey, Private};
use openssl::rsa::{Padding, Rsa};
use openssl::sign::{RsaPssSaltlen, Verifier};
use openssl::x509::{X509, X509NameBuilder};

use super::*;
use crate::support::tunnel::{Connect, Tls};

const ASKS: &str = "GET /v1.0/users?";

fn all_users() -> String {
    format!("{ASKS}{SELECT}&$top=999")
}

/// A Graph source that gets in by `more`.
async fn by(service: &Identity, more: &str) -> Bell {
    let base = &service.base;
    bell(&format!(
        "kind = \"graph\"\nurl = \"{base}\"\nlogin_url = \"{base}\"\ntenant = \"westbridge\"\ndelta = false\ntimeout = \"1 s\"\n{more}"
    ))
    .await
}

fn own_certificate(key: &PKey<Private>) -> X509 {
    let mut name = X509NameBuilder::new().unwrap();
    name.append_entry_by_text("CN", "division-bell").unwrap();
    let name = name.build();
    let mut certificate = X509::builder().unwrap();
    certificate.set_version(2).unwrap();
    certificate.set_subject_name(&name).unwrap();
    certificate.set_issuer_name(&name).unwrap();
    certificate.set_pubkey(key).unwrap();
    let days = |days| openssl::asn1::Asn1Time::days_from_now(days).unwrap();
    certificate.set_not_before(&days(0)).unwrap();
    certificate.set_not_after(&days(2)).unwrap();
    certificate.sign(key, MessageDigest::sha256()).unwrap();
    certificate.build()
}

fn new_key() -> PKey<Private> {
    PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap()
}

fn write(folder: &Path, name: &str, parts: &[Vec<u8>]) -> String {
    let path = folder.join(name);
    std::fs::write(&path, parts.concat()).unwrap();
    path.display().to_string()
}

/// A form's fields.
fn fields(body: &str) -> std::collections::BTreeMap<String, String> {
    let url = reqwest::Url::parse(&format!("http://x/?{body}")).unwrap();
    url.query_pairs().into_owned().collect()
}

fn decoded(part: &str) -> Value {
    serde_json::from_slice(&BASE64URL_NOPAD.decode(part.as_bytes()).unwrap()).unwrap()
}

#[tokio::test]
async fn a_certificate_signs_in_with_a_statement_that_entra_can_verify() {
    let folder = tempfile::tempdir().unwrap();
    let key = new_key();
    let certificate = own_certificate(&key);
    let pem = key.private_key_to_pem_pkcs8().unwrap();
    let both = write(
        folder.path(),
        "bell.pem",
        &[certificate.to_pem().unwrap(), pem.clone()],
    );
    let alone = write(folder.path(), "bell.crt", &[certificate.to_pem().unwrap()]);
    let key_file = write(folder.path(), "bell.key", &[pem]);
    let mut seen = Vec::new();
    for (keys, alg) in [
        (format!("certificate_file = \"{both}\""), "PS256"),
        (
            format!(
                "certificate_file = \"{alone}\"\ncertificate_key_file = \"{key_file}\"\ncertificate_signing = \"RS256\""
            ),
            "RS256",
        ),
    ] {
        let service = Identity::start().await;
        let bell = by(&service, &format!("client_id = \"bell\"\n{keys}")).await;
        gives_token(&service);
        service.expect(&all_users(), page(&[graph_user("okaforc", AFTER)], &[]));
        assert_eq!(reads(&bell).await.reset, 1);

        let [body] = &service.bodies()[..] else {
            panic!("more than one")
        };
        let sent = fields(body);
        assert_eq!(sent["grant_type"], "client_credentials");
        assert_eq!(sent["client_id"], "bell");
        assert_eq!(sent["scope"], format!("{}/.default", service.base));
        assert_eq!(
            sent["client_assertion_type"],
            "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
        );
        assert!(!sent.contains_key("client_secret"), "{:?}", sent.keys());

        let (signed, signature) = sent["client_assertion"].rsplit_once('.').unwrap();
        let (header, claims) = signed.split_once('.').unwrap();
        let (header, claims) = (decoded(header), decoded(claims));
        let thumbprint =
            openssl::hash::hash(MessageDigest::sha256(), &certificate.to_der().unwrap()).unwrap();
        assert_eq!(
            header,
            json!({ "alg": alg, "typ": "JWT", "x5t#S256": BASE64URL_NOPAD.encode(&thumbprint) })
        );
        assert_eq!(
            claims["aud"],
            format!("{}/westbridge/oauth2/v2.0/token", service.base)
        );
        assert_eq!(
            (&claims["iss"], &claims["sub"]),
            (&json!("bell"), &json!("bell"))
        );
        let now = bell.app.clock.now().micros() / 1_000_000;
        let (from, until) = (
            claims["nbf"].as_i64().unwrap(),
            claims["exp"].as_i64().unwrap(),
        );
        // Microsoft asks for five to ten minutes at most.
        assert!(from <= now && now < until && until - now <= 600, "{claims}");
        seen.push(claims["jti"].as_str().unwrap().to_owned());

        let public = certificate.public_key().unwrap();
        let mut verifier = Verifier::new(MessageDigest::sha256(), &public).unwrap();
        if alg == "PS256" {
            verifier.set_rsa_padding(Padding::PKCS1_PSS).unwrap();
            verifier
                .set_rsa_pss_saltlen(RsaPssSaltlen::custom(32))
                .unwrap();
        }
        let signature = BASE64URL_NOPAD.decode(signature.as_bytes()).unwrap();
        assert!(
            verifier
                .verify_oneshot(&signature, signed.as_bytes())
                .unwrap(),
            "{alg}"
        );
    }
    assert_ne!(seen[0], seen[1], "a statement is used once");
}

#[tokio::test]
async fn a_certificate_that_cannot_sign_is_told_before_anything_is_asked() {
    let folder = tempfile::tempdir().unwrap();
    let (key, other) = (new_key(), new_key());
    let pem = |key: &PKey<Private>| key.private_key_to_pem_pkcs8().unwrap();
    let alone = write(
        folder.path(),
        "bell.crt",
        &[own_certificate(&key).to_pem().unwrap()],
    );
    let wrong = write(folder.path(), "other.key", &[pem(&other)]);
    let none = write(folder.path(), "none", &[b"s3ntinel".to_vec()]);
    let locked = key
        .private_key_to_pem_pkcs8_passphrase(openssl::symm::Cipher::aes_256_cbc(), b"x")
        .unwrap();
    let locked = write(folder.path(), "locked.key", &[locked]);
    let service = Identity::start().await;
    for (certificate, key, expected) in [
        (
            &alone,
            &wrong,
            "is no RSA key, or not that of certificate_file",
        ),
        (
            &none,
            &wrong,
            "certificate_file holds no certificate in PEM",
        ),
        (
            &alone,
            &none,
            "certificate_key_file holds no private key in PEM without a password",
        ),
        (
            &alone,
            &locked,
            "certificate_key_file holds no private key in PEM without a password",
        ),
        (
            &"/no/such.pem".to_owned(),
            &wrong,
            "certificate_file cannot be read (entity not found)",
        ),
    ] {
        let keys = format!(
            "client_id = \"bell\"\ncertificate_file = \"{certificate}\"\ncertificate_key_file = \"{key}\""
        );
        let bell = by(&service, &keys).await;
        let (_, told) = fails(&bell).await;
        assert!(told.contains(expected), "{told}");
    }
}

#[tokio::test]
async fn a_token_that_a_program_prints_is_used_and_fetched_anew_when_it_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let kept = folder.path().join("token");
    let program = format!("token_command = [\"cat\", \"{}\"]", kept.display());
    std::fs::write(&kept, "pr1nted-1\n").unwrap();
    let service = Identity::start().await;
    let bell = by(&service, &program).await;
    service.wants("Bearer pr1nted-1");
    service.expect(&all_users(), page(&[graph_user("okaforc", AFTER)], &[]));
    assert_eq!(reads(&bell).await.reset, 1);
    // No token is asked for.
    assert_eq!(service.bodies(), [""; 0]);

    service.expect(&all_users(), Answer::status(401));
    service.expect(&all_users(), Answer::status(401));
    let (_, told) = fails(&bell).await;
    assert!(told.contains("the service refuses (status 401)"), "{told}");

    let service = Identity::start().await;
    let base = &service.base;
    for (kind, asks, users) in [
        (
            format!("kind = \"okta\"\nurl = \"{base}\""),
            "GET /api/v1/users?limit=200&search=lastUpdated gt \"1970-01-01T00:00:00.000Z\"",
            json!([]),
        ),
        (
            format!("kind = \"keycloak\"\nurl = \"{base}\"\nkeycloak_realm = \"parl\""),
            "GET /admin/realms/parl/users?briefRepresentation=false&max=100&first=0",
            json!([]),
        ),
    ] {
        let bell = super::bell(&format!("{kind}\n{program}")).await;
        service.wants("Bearer pr1nted-1");
        service.expect(asks, Answer::json(&users));
        assert_eq!(reads(&bell).await.entries, 0);
    }
}

#[tokio::test]
async fn a_program_that_prints_no_token_is_told_without_what_it_says() {
    let service = Identity::start().await;
    for (script, expected) in [
        ("echo s3ntinel; exit 3", "token_command ended with status 3"),
        ("echo s3ntinel two", "what token_command prints is no token"),
    ] {
        let bell = by(
            &service,
            &format!("token_command = [\"sh\", \"-c\", \"{script}\"]"),
        )
        .await;
        let (_, told) = fails(&bell).await;
        assert!(told.contains(expected), "{told}");
    }
}

#[tokio::test]
async fn a_service_behind_a_proxy_and_an_authority_of_ones_own_is_read_and_the_proxy_sees_nothing()
{
    let service = Identity::start().await;
    let tls = Tls::before(&service.base).await;
    let proxy = Connect::start().await;
    let base = format!("https://127.0.0.1:{}", tls.port);
    let source = format!(
        "kind = \"graph\"\nurl = \"{base}\"\nlogin_url = \"{base}\"\ntenant = \"westbridge\"\nclient_id = \"bell\"\nclient_secret_file = \"SECRET_FILE\"\n\
         delta = false\ntimeout = \"5 s\"\nproxy = \"{}\"\n",
        proxy.base
    );
    // Nobody vouches for it.
    let stranger = super::bell(&source).await;
    let (_, told) = fails(&stranger).await;
    assert!(
        told.contains("the service's certificate is not trusted; check url, ca_file"),
        "{told}"
    );

    let bell = super::bell(&format!(
        "{source}ca_file = \"{}\"",
        tls.ca_file().display()
    ))
    .await;
    gives_token(&service);
    service.expect(&all_users(), page(&[graph_user("okaforc", AFTER)], &[]));
    assert_eq!(reads(&bell).await.reset, 1);
    let asked = proxy.asked();
    assert!(asked.len() >= 2, "{asked:?}");
    for line in asked {
        assert_eq!(line, format!("CONNECT 127.0.0.1:{} HTTP/1.1", tls.port));
    }

    let folder = tempfile::tempdir().unwrap();
    let none = write(folder.path(), "ca.pem", &[b"s3ntinel".to_vec()]);
    let (_, told) = fails(&super::bell(&format!("{source}ca_file = \"{none}\"")).await).await;
    assert!(
        told.contains("ca_file holds no certificate in PEM"),
        "{told}"
    );
}
