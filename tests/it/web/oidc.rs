//! Signing in by an identity provider: a strict stand-in that signs as a real one does, and every lie that it could tell.

use std::collections::HashMap;
use std::io::Write;
use std::sync::{Arc, Mutex};

use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode as Code, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{Form, Json, Router};
use data_encoding::{BASE64, BASE64URL_NOPAD};
use openssl::hash::MessageDigest;
use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;
use openssl::sign::Signer;
use reqwest::{StatusCode, Url};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{Answer, Page, bell};
use crate::support::flow::MONDAY;
use crate::support::{free_ports, program};

const SECRET: &str = "s3ntinel-of-the-client";

/// What is wrong with the provider.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Lie {
    None,
    /// It signs with another key than it shows.
    Key,
    /// The token is for somebody else.
    Audience,
    /// It is by somebody else.
    Issuer,
    /// It was given for another sign-in.
    Nonce,
    /// It is too old.
    Expired,
    /// It is not signed.
    Unsigned,
}

struct Grant {
    nonce: String,
    challenge: String,
    redirect: String,
}

struct Provider {
    issuer: String,
    key: PKey<Private>,
    other: PKey<Private>,
    codes: Mutex<HashMap<String, Grant>>,
    claims: Mutex<Value>,
    lie: Mutex<Lie>,
}

type Shared = Arc<Provider>;

impl Provider {
    async fn start() -> Shared {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0))
            .await
            .unwrap();
        let key = || PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap();
        let provider = Arc::new(Self {
            issuer: format!("http://{}", listener.local_addr().unwrap()),
            key: key(),
            other: key(),
            codes: Mutex::default(),
            claims: Mutex::new(json!({})),
            lie: Mutex::new(Lie::None),
        });
        let router = Router::new()
            .route("/.well-known/openid-configuration", get(configuration))
            .route("/jwks", get(jwks))
            .route("/authorize", get(authorize))
            .route("/token", post(token))
            .with_state(provider.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        provider
    }

    /// Whoever signs in next.
    fn is(&self, claims: Value) {
        *self.claims.lock().unwrap() = claims;
    }

    fn lies(&self, lie: Lie) {
        *self.lie.lock().unwrap() = lie;
    }

    fn signed(&self, nonce: &str) -> String {
        let lie = *self.lie.lock().unwrap();
        let now = MONDAY.parse::<division_bell::domain::Moment>().unwrap();
        let seconds = now.micros() / 1_000_000;
        let mut claims = self.claims.lock().unwrap().clone();
        let own = json!({
            "iss": if lie == Lie::Issuer { "http://127.0.0.1:9" } else { &self.issuer[..] },
            "aud": if lie == Lie::Audience { "another" } else { "bell" },
            "sub": "0001",
            "iat": seconds - 1000,
            "exp": if lie == Lie::Expired { seconds - 500 } else { seconds + 300 },
            "nonce": if lie == Lie::Nonce { "another" } else { nonce },
        });
        for (name, value) in own.as_object().unwrap() {
            claims[name] = value.clone();
        }
        let alg = if lie == Lie::Unsigned {
            "none"
        } else {
            "RS256"
        };
        let head = json!({ "alg": alg, "kid": "k1", "typ": "JWT" }).to_string();
        let signed = format!(
            "{}.{}",
            BASE64URL_NOPAD.encode(head.as_bytes()),
            BASE64URL_NOPAD.encode(claims.to_string().as_bytes())
        );
        if lie == Lie::Unsigned {
            return format!("{signed}.");
        }
        let key = if lie == Lie::Key {
            &self.other
        } else {
            &self.key
        };
        let mut signer = Signer::new(MessageDigest::sha256(), key).unwrap();
        signer.write_all(signed.as_bytes()).unwrap();
        let signature = signer.sign_to_vec().unwrap();
        format!("{signed}.{}", BASE64URL_NOPAD.encode(&signature))
    }
}

async fn configuration(State(own): State<Shared>) -> Json<Value> {
    let at = &own.issuer;
    Json(json!({
        "issuer": at,
        "authorization_endpoint": format!("{at}/authorize"),
        "token_endpoint": format!("{at}/token"),
        "jwks_uri": format!("{at}/jwks"),
        "response_types_supported": ["code"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256"],
    }))
}

async fn jwks(State(own): State<Shared>) -> Json<Value> {
    let rsa = own.key.rsa().unwrap();
    let number = |number: &openssl::bn::BigNumRef| BASE64URL_NOPAD.encode(&number.to_vec());
    Json(json!({ "keys": [{
        "kty": "RSA", "use": "sig", "alg": "RS256", "kid": "k1", "n": number(rsa.n()), "e": number(rsa.e()),
    }] }))
}

async fn authorize(
    State(own): State<Shared>,
    Query(asked): Query<HashMap<String, String>>,
) -> Response {
    let of = |name: &str| asked.get(name).cloned().unwrap_or_default();
    assert_eq!(of("client_id"), "bell");
    assert_eq!(of("response_type"), "code");
    assert_eq!(of("code_challenge_method"), "S256");
    assert!(of("scope").split(' ').any(|scope| scope == "openid"));
    assert!(of("state").len() >= 32 && of("nonce").len() >= 32);
    let code = format!("code-{}", own.codes.lock().unwrap().len());
    let redirect = of("redirect_uri");
    let to = format!("{redirect}?code={code}&state={}", of("state"));
    let grant = Grant {
        nonce: of("nonce"),
        challenge: of("code_challenge"),
        redirect,
    };
    own.codes.lock().unwrap().insert(code, grant);
    Redirect::to(&to).into_response()
}

async fn token(
    State(own): State<Shared>,
    headers: HeaderMap,
    Form(asked): Form<HashMap<String, String>>,
) -> Response {
    let known = format!(
        "Basic {}",
        BASE64.encode(format!("bell:{SECRET}").as_bytes())
    );
    let is_known = headers
        .get(header::AUTHORIZATION)
        .is_some_and(|own| own == &known);
    let grant = own.codes.lock().unwrap().remove(&asked["code"]);
    let Some(grant) = grant.filter(|_| is_known) else {
        let error = Json(json!({ "error": "invalid_grant" }));
        return (Code::BAD_REQUEST, error).into_response();
    };
    assert_eq!(asked["grant_type"], "authorization_code");
    assert_eq!(asked["redirect_uri"], grant.redirect);
    let challenge = BASE64URL_NOPAD.encode(&Sha256::digest(&asked["code_verifier"]));
    assert_eq!(challenge, grant.challenge);
    Json(json!({
        "access_token": "a", "token_type": "Bearer", "expires_in": 60, "id_token": own.signed(&grant.nonce),
    }))
    .into_response()
}

async fn page(provider: &Provider) -> (Page, tempfile::NamedTempFile) {
    let [port] = free_ports();
    let mut secret = tempfile::NamedTempFile::new().unwrap();
    writeln!(secret, "{SECRET}").unwrap();
    let bell = bell(&format!(
        "[web]\nlisten = \"127.0.0.1:{port}\"\n[web.oidc]\nissuer = \"{}\"\nclient_id = \"bell\"\nclient_secret_file = \"{}\"\n\
         page_url = \"http://127.0.0.1:{port}\"\nroles_claim = \"realm.groups\"\n[web.oidc.roles]\nsecurity = [\"sec\"]\ncommunications = [\"press\"]\n",
        provider.issuer,
        secret.path().display()
    ))
    .await;
    (Page::of(bell).await, secret)
}

/// Goes out to the provider; what it sends back, and what the browser holds meanwhile.
async fn way(page: &Page) -> (String, String) {
    let out = page.get("/sign-in/out", "").await;
    assert_eq!(out.status, StatusCode::SEE_OTHER, "{}", out.text);
    let held = out.cookie("bell-way").unwrap();
    assert!(out.header("set-cookie").contains("SameSite=Lax"));
    let there = Answer::of(page.client.get(out.header("location"))).await;
    assert_eq!(there.status, StatusCode::SEE_OTHER, "{}", there.text);
    let back = Url::parse(there.header("location")).unwrap();
    assert_eq!(back.path(), "/sign-in/back");
    (format!("{}?{}", back.path(), back.query().unwrap()), held)
}

async fn entered(page: &Page) -> Answer {
    let (back, held) = way(page).await;
    page.get(&back, &held).await
}

#[tokio::test]
async fn whom_the_provider_vouches_for_has_the_roles_of_what_they_belong_to() {
    let provider = Provider::start().await;
    let (page, _secret) = page(&provider).await;
    assert!(
        page.says("/sign-in", "")
            .await
            .contains("your organisation")
    );
    provider.is(json!({ "preferred_username": "sam", "realm": { "groups": ["sec", "else"] } }));
    let answer = entered(&page).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    let session = answer.cookie("bell").unwrap();
    let text = page.says("/cases", &session).await;
    assert!(
        text.contains("oidc:sam") && text.contains("Open cases"),
        "{text}"
    );

    provider.is(json!({ "preferred_username": "kim", "realm": { "groups": "press" } }));
    let kim = entered(&page).await.cookie("bell").unwrap();
    assert_eq!(page.get("/cases", &kim).await.status, StatusCode::FORBIDDEN);
    assert!(page.says("/incidents", &kim).await.contains("oidc:kim"));
    // An operator of the config is somebody else, whatever a provider says.
    provider.is(json!({ "preferred_username": "ann", "realm": { "groups": ["press"] } }));
    let ann = entered(&page).await.cookie("bell").unwrap();
    assert_eq!(page.get("/cases", &ann).await.status, StatusCode::FORBIDDEN);

    for nobody in [
        json!({ "preferred_username": "eve", "realm": { "groups": ["else"] } }),
        json!({ "preferred_username": "eve" }),
        json!({ "realm": { "groups": ["sec"] } }),
    ] {
        provider.is(nobody);
        let answer = entered(&page).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{}", answer.text);
        assert_eq!(answer.cookie("bell"), None);
    }
    let who = page
        .bell
        .column("SELECT actor FROM ledger WHERE act = 'web.signed_in' ORDER BY id")
        .await;
    assert_eq!(who, ["oidc:sam", "oidc:kim", "oidc:ann"]);
}

#[tokio::test]
async fn a_provider_that_lies_lets_nobody_in() {
    let provider = Provider::start().await;
    let (page, _secret) = page(&provider).await;
    provider.is(json!({ "preferred_username": "sam", "realm": { "groups": ["sec"] } }));
    for lie in [
        Lie::Key,
        Lie::Audience,
        Lie::Issuer,
        Lie::Nonce,
        Lie::Expired,
        Lie::Unsigned,
    ] {
        provider.lies(lie);
        let answer = entered(&page).await;
        assert_eq!(
            answer.status,
            StatusCode::FORBIDDEN,
            "{lie:?}: {}",
            answer.text
        );
        assert_eq!(answer.cookie("bell"), None, "{lie:?}");
    }
    provider.lies(Lie::None);
    assert_eq!(entered(&page).await.status, StatusCode::OK);
}

#[tokio::test]
async fn the_way_back_is_for_the_browser_that_went_out_and_once() {
    let provider = Provider::start().await;
    let (page, _secret) = page(&provider).await;
    provider.is(json!({ "preferred_username": "sam", "realm": { "groups": ["sec"] } }));
    let (back, held) = way(&page).await;
    let (_, another) = way(&page).await;
    for (path, cookie) in [
        (&back[..], ""),
        (&back[..], &another[..]),
        ("/sign-in/back?error=access_denied", &held[..]),
        ("/sign-in/back?code=code-0&state=x", &held[..]),
    ] {
        let answer = page.get(path, cookie).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{path}");
        assert_eq!(answer.cookie("bell"), None);
    }
    assert_eq!(page.get(&back, &held).await.status, StatusCode::OK);
    let again = page.get(&back, &held).await;
    assert_eq!(again.status, StatusCode::FORBIDDEN, "its code is used up");
}

#[tokio::test]
async fn check_says_whether_the_provider_can_be_spoken_to() {
    let provider = Provider::start().await;
    let (page, _secret) = page(&provider).await;
    let file = page.bell.path("bell.toml");
    let text = page.bell.text.clone();
    let checked = async || {
        let file = file.clone();
        let asked = tokio::task::spawn_blocking(move || program::bell(&file, &["check"]));
        let answer = asked.await.unwrap();
        let line = answer.out.lines().find(|line| line.contains(" web.oidc: "));
        line.unwrap_or_else(|| panic!("{answer:?}")).to_owned()
    };
    let fine = checked().await;
    assert!(fine.starts_with("ok"), "{fine}");
    let [nobody] = free_ports();
    let away = format!("http://127.0.0.1:{nobody}");
    page.bell
        .write("bell.toml", text.replace(&provider.issuer, &away));
    let away = checked().await;
    assert!(
        away.starts_with("WRONG") && away.contains("what the identity provider says of itself"),
        "{away}"
    );
    assert!(!away.contains(SECRET), "{away}");
}

#[tokio::test]
async fn without_a_provider_there_is_no_way_out() {
    let page = Page::open(super::LOCAL).await;
    assert_eq!(
        page.get("/sign-in/out", "").await.status,
        StatusCode::NOT_FOUND
    );
    assert!(
        !page
            .says("/sign-in", "")
            .await
            .contains("your organisation")
    );
}
