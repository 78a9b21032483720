//! The page, and what machines ask: read in any browser without a script, by operators who have signed in; health and counts
//! for machines; and for everybody whether a letter is ours.
//!
//! Nothing is decided or changed here but sessions: the page shows what the store knows, and the [`desk`](crate::desk) says
//! who may see it. Names are masked until somebody who may asks for them, and then the ledger says so.

mod counts;
mod door;
mod guard;
mod health;
mod live;
mod metrics;
mod oidc;
mod pages;
mod particulars;
mod session;
mod sheet;
mod sign_in;
mod sorry;
mod verify;

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::header;
use axum::middleware;
use axum::response::IntoResponse;
use axum::routing::{get, post};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Mutex, Semaphore};

use crate::app::Shared;
use crate::config::Listen;
use crate::desk::genuine::Askings;
use crate::desk::keys;
use crate::desk::tries::Tries;
use crate::steps::deliver::Stopping;

use counts::{Counted, Counts};
pub use door::Door;
use sheet::Templates;
use sorry::Sorry;

/// A form is a few fields.
const LARGEST_FORM: usize = 16 * 1024;

/// Metrics are.
const FRESH_METRICS: Duration = Duration::from_secs(10);

/// What every answer is made from.
pub(crate) struct Web {
    app: Shared,
    listen: Listen,
    stopping: Stopping,
    templates: Templates,
    askings: Askings,
    tries: Tries,
    places: Semaphore,
    counts: Counts,
    metrics: Mutex<Option<(Instant, String)>>,
    provider: oidc::Provider,
}

/// The same for every handler.
type Site = Arc<Web>;

impl Web {
    /// The counts of the overview, and as of when.
    async fn counted(&self) -> anyhow::Result<Arc<Counted>> {
        self.counts.of(&self.app).await
    }

    /// The metrics.
    async fn metrics(&self) -> anyhow::Result<String> {
        let mut kept = self.metrics.lock().await;
        if let Some((at, text)) = &*kept
            && at.elapsed() < FRESH_METRICS
        {
            return Ok(text.clone());
        }
        let text = metrics::written(self).await?;
        *kept = Some((Instant::now(), text.clone()));
        Ok(text)
    }
}

/// Binds the address of `[web]`, if there is such a section. Nobody is answered yet.
pub async fn open(app: &Shared) -> anyhow::Result<Option<Door>> {
    let Some(listen) = &app.config.web else {
        return Ok(None);
    };
    let door = Door::open(listen).await?;
    tracing::info!(web.listen = %door.at()?, web.tls = listen.certificate.is_some(), "listening");
    Ok(Some(door))
}

/// Answers at this door until the service is told to stop.
pub async fn run(app: Shared, door: Door, stopping: Stopping) {
    let site = match site(app, stopping.clone()) {
        Ok(site) => site,
        // Only a template that is no template; the tests read each.
        Err(error) => return tracing::error!("the page cannot be shown: {error:#}"),
    };
    let counting = counts::keep(site.clone(), stopping.clone());
    tokio::join!(door.serve(router(site), stopping), counting);
}

fn site(app: Shared, stopping: Stopping) -> anyhow::Result<Site> {
    let listen = app
        .config
        .web
        .clone()
        .context("the config has no section [web]")?;
    Ok(Arc::new(Web {
        app,
        listen,
        stopping,
        templates: Templates::load()?,
        askings: Askings::default(),
        tries: keys::tries(),
        places: Semaphore::new(guard::AT_ONCE),
        counts: Counts::default(),
        metrics: Mutex::default(),
        provider: oidc::Provider::new()?,
    }))
}

/// All that there is to ask for.
fn router(site: Site) -> Router {
    let machines = Router::new()
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
        .route("/metrics", get(health::metrics))
        .route("/api/figures", get(health::figures))
        .route("/style.css", get(style))
        .route("/live.js", get(script));
    let people = Router::new()
        .route("/verify", get(verify::ask))
        .route("/sign-in", get(sign_in::form).post(sign_in::enter))
        .route("/sign-in/out", get(oidc::out))
        .route("/sign-in/back", get(oidc::back))
        .route("/sign-out", post(sign_in::leave))
        .route("/live", get(live::live))
        .merge(pages::router())
        .layer(middleware::from_fn_with_state(site.clone(), guard::a_few));
    machines
        .merge(people)
        .fallback(sorry::nothing_here)
        .layer(DefaultBodyLimit::max(LARGEST_FORM))
        .layer(middleware::from_fn_with_state(site.clone(), guard::guard))
        .with_state(site)
}

async fn style() -> impl IntoResponse {
    let form = [(header::CONTENT_TYPE, "text/css; charset=utf-8")];
    (form, include_str!("../../messages/page/web/style.css"))
}

async fn script() -> impl IntoResponse {
    let form = [(header::CONTENT_TYPE, "text/javascript; charset=utf-8")];
    (form, include_str!("../../messages/page/web/live.js"))
}

/// Whether the listener could do its work: its certificate is one, and its port is free, or taken by a bell that runs.
pub async fn check(listen: &Listen) -> anyhow::Result<String> {
    let tls = match &listen.certificate {
        Some(certificate) => {
            door::acceptor(certificate)?;
            ", with TLS"
        }
        None => "",
    };
    match Door::open(listen).await {
        Ok(_) => Ok(format!("{} is free{tls}", listen.at)),
        Err(error) if is_taken(&error) => {
            let runs = listen.certificate.is_some() || is_bell(listen).await;
            anyhow::ensure!(
                runs,
                "something else listens on {}; choose another port for web.listen",
                listen.at
            );
            Ok(format!(
                "{} is taken, as by a bell that runs{tls}",
                listen.at
            ))
        }
        Err(error) => Err(error),
    }
}

/// Whether the identity provider can be spoken to, if there is one.
pub async fn check_provider(listen: &Listen) -> Option<anyhow::Result<String>> {
    match &listen.oidc {
        Some(oidc) => Some(oidc::check(oidc).await),
        None => None,
    }
}

fn is_taken(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause
            .downcast_ref::<std::io::Error>()
            .is_some_and(|cause| cause.kind() == std::io::ErrorKind::AddrInUse)
    })
}

/// Whether what listens there answers as we do.
async fn is_bell(listen: &Listen) -> bool {
    let asked = async {
        let mut stream = TcpStream::connect(listen.at).await?;
        stream
            .write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            .await?;
        let mut answer = Vec::new();
        stream.take(4096).read_to_end(&mut answer).await?;
        std::io::Result::Ok(String::from_utf8_lossy(&answer).ends_with(health::ALIVE))
    };
    matches!(
        tokio::time::timeout(Duration::from_secs(5), asked).await,
        Ok(Ok(true))
    )
}
