//! GOV.UK Notify's API: a token for each request, one text a request, and a look-up by reference.

use data_encoding::BASE64URL_NOPAD;
use hmac::{Hmac, Mac};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::{Client, Method, Request, Url};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use sha2::Sha256;

use super::{GatewayError, LookedUp, body_of};
use crate::clock::Clock;
use crate::domain::Mobile;
use crate::domain::text::{Answered, Fate};

/// Length of an identity as it stands in an API key.
const ID: usize = 36;

/// One service of Notify's.
pub(super) struct Notify {
    url: Url,
    service_id: String,
    secret: SecretString,
    template_id: String,
    placeholder: String,
    clock: Clock,
}

impl Notify {
    /// `key` is NAME-SERVICE-SECRET, the last two each an identity of 36 characters.
    pub(super) fn new(
        url: &str,
        key: &SecretString,
        template_id: &str,
        placeholder: &str,
        clock: Clock,
    ) -> Result<Self, GatewayError> {
        let key = key.expose_secret();
        let (rest, secret) = last(key).ok_or(GatewayError::Key)?;
        let (_, service) = rest
            .strip_suffix('-')
            .and_then(last)
            .ok_or(GatewayError::Key)?;
        Ok(Self {
            url: Url::parse(url).map_err(|_| GatewayError::Url)?,
            service_id: service.to_owned(),
            secret: SecretString::from(secret),
            template_id: template_id.to_owned(),
            placeholder: placeholder.to_owned(),
            clock,
        })
    }

    fn at(&self, path: &str) -> Result<Url, ()> {
        self.url.join(path).map_err(|_| ())
    }

    /// A token that is good for half a minute: HS256 over who asks and when.
    fn token(&self) -> Result<String, ()> {
        let now = self.clock.now().micros() / 1_000_000;
        let claims = json!({ "iss": self.service_id, "iat": now });
        let signed = format!(
            "{}.{}",
            BASE64URL_NOPAD.encode(br#"{"typ":"JWT","alg":"HS256"}"#),
            BASE64URL_NOPAD.encode(claims.to_string().as_bytes())
        );
        let mut mac = Hmac::<Sha256>::new_from_slice(self.secret.expose_secret().as_bytes())
            .map_err(|_| ())?;
        mac.update(signed.as_bytes());
        let mac = BASE64URL_NOPAD.encode(&mac.finalize().into_bytes());
        Ok(format!("{signed}.{mac}"))
    }

    fn bearer(&self) -> Result<HeaderValue, ()> {
        let mut value =
            HeaderValue::from_str(&format!("Bearer {}", self.token()?)).map_err(|_| ())?;
        value.set_sensitive(true);
        Ok(value)
    }

    pub(super) fn text(
        &self,
        client: &Client,
        reference: &str,
        to: &Mobile,
        text: &str,
    ) -> Result<Request, ()> {
        let mut personalisation = serde_json::Map::new();
        personalisation.insert(self.placeholder.clone(), text.into());
        let body = json!({
            "phone_number": to.expose(),
            "template_id": self.template_id,
            "personalisation": personalisation,
            "reference": reference,
        });
        client
            .request(Method::POST, self.at("/v2/notifications/sms")?)
            .header(AUTHORIZATION, self.bearer()?)
            .header(CONTENT_TYPE, "application/json")
            .body(body.to_string())
            .build()
            .map_err(|_| ())
    }

    pub(super) async fn look_up(&self, client: &Client, reference: &str) -> LookedUp {
        let asked = async {
            let mut url = self.at("/v2/notifications")?;
            url.query_pairs_mut().append_pair("reference", reference);
            let request = client
                .request(Method::GET, url)
                .header(AUTHORIZATION, self.bearer()?)
                .build()
                .map_err(|_| ())?;
            let response = client.execute(request).await.map_err(|_| ())?;
            if response.status().as_u16() != 200 {
                return Err(());
            }
            serde_json::from_slice::<Value>(&body_of(response).await).map_err(|_| ())
        };
        let Ok(found) = asked.await else {
            return LookedUp::Unknown;
        };
        let Some(all) = found.get("notifications").and_then(Value::as_array) else {
            return LookedUp::Unknown;
        };
        let ours = all
            .iter()
            .filter(|one| one.get("reference").and_then(Value::as_str) == Some(reference))
            .filter_map(|one| one.get("status").and_then(Value::as_str));
        // If it was sent twice, the better end counts.
        let fates: Vec<Option<Fate>> = ours.map(Fate::of_notify).collect();
        if fates.is_empty() {
            return LookedUp::NotThere;
        }
        for wanted in [Fate::Arrived, Fate::Underway, Fate::Failed] {
            if fates.contains(&Some(wanted)) {
                return LookedUp::There(wanted);
            }
        }
        LookedUp::Unknown
    }
}

/// Splits the last 36 characters off.
fn last(text: &str) -> Option<(&str, &str)> {
    let (rest, id) = text.split_at_checked(text.len().checked_sub(ID)?)?;
    let is_id = id
        .bytes()
        .all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
    is_id.then_some((rest, id))
}

/// What an answer to a text says. Notify refuses a number with the same status as everything else that is wrong, and
/// names the field.
pub(super) fn understood(code: u16, json: Option<&Value>) -> (Answered, String) {
    let word = |key: &str| {
        json.and_then(|json| json.pointer(&format!("/errors/0/{key}")))
            .and_then(Value::as_str)
            .unwrap_or_default()
    };
    let id = json
        .and_then(|json| json.get("id"))
        .and_then(Value::as_str)
        .filter(|id| !id.is_empty());
    let text = match id {
        Some(id) if code < 300 => format!("taken as {id}"),
        _ if code < 300 => "an answer without an id".to_owned(),
        _ => format!("{}: {}", word("error"), word("message")),
    };
    let answered = Answered::Status {
        code,
        refuses_number: code == 400
            && word("error") == "ValidationError"
            && word("message").starts_with("phone_number"),
        lacks_proof: id.is_none(),
    };
    (answered, text)
}
