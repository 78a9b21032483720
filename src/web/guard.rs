//! Guard: what holds for every answer: who may ask at all, how long it may take, and what a browser may do with it.

use std::net::IpAddr;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::header::{self, HeaderName};
use axum::http::{HeaderMap, HeaderValue, Method};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::door::Peer;
use super::sorry::Sorry;
use super::{Site, Web};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Nothing from elsewhere, nothing within the page but its own style and script, and nobody frames it.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

pub(super) async fn guard(State(site): State<Site>, request: Request, next: Next) -> Response {
    let is_allowed = is_addressed_to_us(&site, request.headers())
        && (request.method() != Method::POST || is_from_our_own_page(request.headers()));
    let mut response = if is_allowed {
        match tokio::time::timeout(PATIENCE, next.run(request)).await {
            Ok(response) => response,
            Err(_) => Sorry::Busy.into_response(),
        }
    } else {
        Sorry::Elsewhere.into_response()
    };
    dress(&site, response.headers_mut());
    response
}

/// So many of people's questions at once: on SQLite the steps share the few connections that there are with them.
pub(super) const AT_ONCE: usize = 2;

pub(super) async fn a_few(State(site): State<Site>, request: Request, next: Next) -> Response {
    match site.places.acquire().await {
        Ok(_place) => next.run(request).await,
        Err(_) => Sorry::Busy.into_response(),
    }
}

fn dress(site: &Web, headers: &mut HeaderMap) {
    let fixed: [(HeaderName, &'static str); 8] = [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "same-origin"),
        (header::CACHE_CONTROL, "no-store"),
        (
            HeaderName::from_static("cross-origin-opener-policy"),
            "same-origin",
        ),
        (
            HeaderName::from_static("cross-origin-resource-policy"),
            "same-origin",
        ),
        (
            HeaderName::from_static("permissions-policy"),
            "camera=(), geolocation=(), microphone=()",
        ),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if site.listen.is_encrypted() {
        headers.insert(
            header::STRICT_TRANSPORT_SECURITY,
            HeaderValue::from_static("max-age=31536000"),
        );
    }
}

/// On this machine alone, only names of this machine are ours: another one that leads here is somebody's trick (DNS
/// rebinding). Elsewhere certificate or proxy see to it.
fn is_addressed_to_us(site: &Web, headers: &HeaderMap) -> bool {
    if site.listen.is_encrypted() {
        return true;
    }
    // Behind a proxy that nobody told us of, everybody would seem to be on this machine.
    if ["x-forwarded-for", "forwarded", "via"]
        .iter()
        .any(|name| headers.contains_key(*name))
    {
        return false;
    }
    let Some(host) = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok())
    else {
        return false;
    };
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next(),
        None => host.split(':').next(),
    };
    name.is_some_and(|name| {
        name.eq_ignore_ascii_case("localhost")
            || name
                .parse::<IpAddr>()
                .is_ok_and(|address| address.is_loopback())
    })
}

/// Browsers say from where a form was sent. Those that do not are stopped by the form's own token.
fn is_from_our_own_page(headers: &HeaderMap) -> bool {
    headers
        .get("sec-fetch-site")
        .is_none_or(|site| site == "same-origin" || site == "none")
}

/// Who asks, to be counted: the other end, or whom our proxy names.
pub(super) fn asker(web: &Web, peer: Peer, headers: &HeaderMap) -> String {
    let named = headers
        .get_all("x-forwarded-for")
        .iter()
        .next_back()
        .and_then(|value| value.to_str().ok())
        // What stands before the last one is what somebody else claims.
        .and_then(|list| list.rsplit(',').next())
        .and_then(|last| last.trim().parse::<IpAddr>().ok())
        .filter(|_| web.listen.behind_proxy);
    group(named.unwrap_or(peer.0))
}

/// An address, or of IPv6 the network that one household or office has.
fn group(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            format!("{a:x}:{b:x}:{c:x}:{d:x}::/64")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_has_a_network_is_one_asker() {
        for (address, expected) in [
            ("192.0.2.7", "192.0.2.7"),
            ("::ffff:192.0.2.7", "192.0.2.7"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
            ("2001:db8:1:2::9", "2001:db8:1:2::/64"),
        ] {
            assert_eq!(group(address.parse().unwrap()), expected);
        }
    }

    #[test]
    fn a_form_from_another_site_is_told_by_its_browser() {
        let said = |site: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert("sec-fetch-site", HeaderValue::from_static(site));
            is_from_our_own_page(&headers)
        };
        assert!(said("same-origin") && said("none"));
        assert!(!said("cross-site") && !said("same-site"));
        assert!(is_from_our_own_page(&HeaderMap::new()));
    }
}
