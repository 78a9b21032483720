//! Dial: from a relay's name to a line on which it has greeted us.

use std::net::SocketAddr;
use std::time::Duration;

use lettre::transport::smtp::client::AsyncSmtpConnection;
use lettre::transport::smtp::extension::ClientId;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

use super::answer::unbroken;
use super::conversation::Ended;
use super::stream::{Held, Wire};
use super::{Protection, Relay};
use crate::domain::delivery::{Answer, Stage};

/// Connects to the first address of the relay that answers. Without TLS each of them must be on this machine, or none is
/// tried.
pub(super) async fn reach(relay: &Relay) -> Result<(TcpStream, SocketAddr), Answer> {
    let found = lookup_host((relay.host.as_str(), relay.port)).await;
    let addresses: Vec<SocketAddr> = found.map_err(|_| Answer::Lost)?.collect();
    if relay.tls == Protection::Nothing && !addresses.iter().all(|at| at.ip().is_loopback()) {
        return Err(Answer::Tls);
    }
    let tcp = TcpStream::connect(&addresses[..])
        .await
        .map_err(|_| Answer::Lost)?;
    // Without it Nagle's algorithm waits for the receiver's delayed acknowledgement: 40 ms a message.
    tcp.set_nodelay(true).map_err(|_| Answer::Lost)?;
    let peer = tcp.peer_addr().map_err(|_| Answer::Lost)?;
    Ok((tcp, peer))
}

/// The greeting and the first EHLO, which lettre does in one go; what was handed over tells them apart.
pub(super) async fn greet(
    held: Held<TcpStream>,
    mut wire: Wire<TcpStream>,
    relay: &Relay,
) -> Result<(AsyncSmtpConnection, Wire<TcpStream>), Ended> {
    let hello = ClientId::Domain(relay.hello.clone());
    let opening = unbroken(AsyncSmtpConnection::connect_with_transport(
        Box::new(held),
        &hello,
    ));
    let mut opening = std::pin::pin!(opening);
    let greeted = timeout(relay.limits.greeting, async {
        tokio::select! {
            biased;
            done = &mut opening => Some(done),
            () = wire.moved() => None,
        }
    });
    let opened = match greeted.await {
        Ok(Some(done)) => done,
        Ok(None) => timeout(relay.limits.ehlo, opening)
            .await
            .unwrap_or(Err(Answer::TimedOut)),
        Err(_) => Err(Answer::TimedOut),
    };
    match opened {
        Ok(line) => Ok((line, wire)),
        Err(answer) => {
            let stage = if wire.handed() > 0 {
                Stage::Ehlo
            } else {
                Stage::Greeting
            };
            Err(Ended::new(stage, answer))
        }
    }
}

/// The work, or what it ended on at this stage.
pub(super) async fn within<T>(
    stage: Stage,
    limit: Duration,
    work: impl Future<Output = Result<T, Answer>>,
) -> Result<T, Ended> {
    timeout(limit, work)
        .await
        .unwrap_or(Err(Answer::TimedOut))
        .map_err(|answer| Ended::new(stage, answer))
}
