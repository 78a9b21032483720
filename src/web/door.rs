//! Door: the listener itself: plain or with TLS, so many at a time, nobody kept waiting by somebody who does not speak.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use axum::{Extension, Router};
use hyper::rt::{Read, Write};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_native_tls::TlsAcceptor;

use crate::config::{Listen, TlsFiles};
use crate::steps::deliver::Stopping;

/// So many connections at once; further ones wait.
const MOST: usize = 256;

/// How long a TLS greeting may take.
const GREETING: Duration = Duration::from_secs(10);

/// How long the head of a request may take; a connection without one is closed after it.
const HEAD: Duration = Duration::from_secs(20);

/// After a connection could not be accepted: most likely there are no file descriptors left.
const BREATH: Duration = Duration::from_millis(200);

/// The address on the other end of a connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peer(pub IpAddr);

/// Bound, and not yet answering.
pub struct Door {
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
}

impl std::fmt::Debug for Door {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Door").finish_non_exhaustive()
    }
}

impl Door {
    pub(super) async fn open(listen: &Listen) -> anyhow::Result<Self> {
        let tls = listen.certificate.as_ref().map(acceptor).transpose()?;
        let listener = TcpListener::bind(listen.at)
            .await
            .with_context(|| format!("web.listen: listening on {}", listen.at))?;
        Ok(Self { listener, tls })
    }

    /// Where it is, with the port that was given if any would do.
    pub fn at(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Answers until it is told to stop; what was asked by then is still answered.
    pub(super) async fn serve(self, router: Router, mut stopping: Stopping) {
        let places = Arc::new(Semaphore::new(MOST));
        let mut guests = JoinSet::new();
        loop {
            while guests.try_join_next().is_some() {}
            let place = tokio::select! {
                place = Arc::clone(&places).acquire_owned() => place,
                () = stopped(&mut stopping) => break,
            };
            let accepted = tokio::select! {
                accepted = self.listener.accept() => accepted,
                () = stopped(&mut stopping) => break,
            };
            match accepted {
                Ok((stream, peer)) => {
                    let router = router.clone().layer(Extension(Peer(peer.ip())));
                    let guest = guest(stream, self.tls.clone(), router, stopping.clone());
                    guests.spawn(async move {
                        guest.await;
                        drop(place);
                    });
                }
                Err(error) => {
                    tracing::debug!("a connection was not accepted: {error}");
                    tokio::time::sleep(BREATH).await;
                }
            }
        }
        drop(self.listener);
        while guests.join_next().await.is_some() {}
    }
}

/// Until the service is told to stop.
pub(super) async fn stopped(stopping: &mut Stopping) {
    let _ = stopping.wait_for(|stop| *stop).await;
}

async fn guest(stream: TcpStream, tls: Option<TlsAcceptor>, router: Router, stopping: Stopping) {
    let service = TowerToHyperService::new(router);
    let Some(tls) = tls else {
        return talk(TokioIo::new(stream), service, stopping).await;
    };
    match tokio::time::timeout(GREETING, tls.accept(stream)).await {
        Ok(Ok(stream)) => talk(TokioIo::new(stream), service, stopping).await,
        Ok(Err(error)) => tracing::debug!("a TLS greeting went wrong: {error}"),
        Err(_) => tracing::debug!("a TLS greeting took too long"),
    }
}

async fn talk<S: Read + Write + Unpin>(
    stream: S,
    service: TowerToHyperService<Router>,
    mut stopping: Stopping,
) {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .serve_connection(stream, service);
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stopped(&mut stopping) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!("a connection went wrong: {error}");
    }
}

/// Reads certificate and key. What is wrong with the key is not told in detail: it could be quoted.
pub(super) fn acceptor(certificate: &TlsFiles) -> anyhow::Result<TlsAcceptor> {
    let read = |path: &std::path::Path| {
        std::fs::read(path).with_context(|| format!("reading {}", path.display()))
    };
    let (chain, key) = (read(&certificate.chain)?, read(&certificate.key)?);
    let identity = native_tls::Identity::from_pkcs8(&chain, &key).map_err(|_| {
        anyhow::anyhow!(
            "{} and {} are no certificate in PEM and its key as PKCS #8 (\"BEGIN PRIVATE KEY\")",
            certificate.chain.display(),
            certificate.key.display()
        )
    })?;
    let acceptor = native_tls::TlsAcceptor::builder(identity)
        .min_protocol_version(Some(native_tls::Protocol::Tlsv12))
        .build()
        .context("making TLS of tls_cert_file and tls_key_file")?;
    Ok(TlsAcceptor::from(acceptor))
}
