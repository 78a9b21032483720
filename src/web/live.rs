//! Live: the overview's figures, sent on whenever they change, while somebody looks.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::Stream;

use super::Site;
use super::counts::FRESH;
use super::door::stopped;
use super::session::Signed;
use super::sheet::shown;
use super::sorry::Sorry;
use crate::steps::deliver::Stopping;

/// So that a proxy in between does not take the silence for an end.
const SIGN_OF_LIFE: Duration = Duration::from_secs(15);

struct Watching {
    site: Site,
    signed: Signed,
    stopping: Stopping,
    last: Option<Vec<(String, String)>>,
}

pub(super) async fn live(
    State(site): State<Site>,
    signed: Signed,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let watching = Watching {
        stopping: site.stopping.clone(),
        site,
        signed,
        last: None,
    };
    let stream = futures_util::stream::unfold(watching, |watching| async move {
        let (event, watching) = next(watching).await?;
        Some((Ok(event), watching))
    });
    Sse::new(stream).keep_alive(KeepAlive::new().interval(SIGN_OF_LIFE))
}

/// The next figures that differ from the last; none: the session or the service is over, or the database away.
async fn next(mut watching: Watching) -> Option<(Event, Watching)> {
    loop {
        if watching.last.is_some() {
            tokio::select! {
                () = tokio::time::sleep(FRESH) => {}
                () = stopped(&mut watching.stopping) => return None,
            }
            let browser = watching.signed.browser.clone();
            watching.signed = still(&watching.site, browser).await?;
        }
        let counted = watching.site.counted().await.ok()?;
        let lines = shown(&counted.figures, watching.signed.sees_cases);
        if watching.last.as_ref() == Some(&lines) {
            continue;
        }
        let values: Vec<&String> = lines.iter().map(|(_, value)| value).collect();
        let told = serde_json::json!({
            "as_of": watching.site.time(counted.as_of),
            "values": values,
        });
        let event = Event::default().event("figures").data(told.to_string());
        watching.last = Some(lines);
        return Some((event, watching));
    }
}

async fn still(site: &Site, browser: String) -> Option<Signed> {
    match Signed::of(site, browser).await {
        Ok(signed) => Some(signed),
        Err(Sorry::SignIn) => None,
        Err(other) => {
            tracing::debug!("live figures end: {other:?}");
            None
        }
    }
}
