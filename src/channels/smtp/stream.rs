//! Held: a stream that keeps writes back until the next read, so that a question goes out in one piece, and knows how many
//! of its bytes have.
//!
//! `flush` sends nothing; `read` and `shutdown` do. What is counted is what the relay can read: TLS is put below the count
//! ([`Wire::protect`]). One line is handed out a read, so that a line that the relay says before it is asked is seen: it is
//! an error, and the question stays unsent. So do lines that a man in the middle appends to the answer to STARTTLS
//! (RFC 3207 section 4.2).

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use lettre::transport::smtp::client::AsyncTokioStream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio_native_tls::{TlsConnector, TlsStream};

use super::answer::tls_answer;
use crate::domain::delivery::Answer;

/// How much is read ahead of the lines that are handed out.
const READ_AHEAD: usize = 4096;

/// "Closing": the one reply that a relay may give unasked (RFC 5321 section 3.8).
const CLOSING: &[u8] = b"421";

/// A stream that holds writes until the next read.
pub(super) struct Held<S> {
    shared: Arc<Mutex<Shared<S>>>,
    peer: SocketAddr,
    held: Vec<u8>,
    written: usize,
    handed: watch::Sender<u64>,
    /// Nothing more is sent: the connection broke, or an answer came before its question.
    broken: bool,
}

/// What remains of a stream when its [`Held`] is given away.
pub(super) struct Wire<S> {
    shared: Arc<Mutex<Shared<S>>>,
    handed: watch::Receiver<u64>,
}

struct Shared<S> {
    socket: Socket<S>,
    ahead: Vec<u8>,
}

enum Socket<S> {
    Clear(S),
    Tls(TlsStream<S>),
    /// In the handshake, or broken by it.
    Neither,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Held<S> {
    /// Wraps `socket`.
    pub(super) fn new(socket: S, peer: SocketAddr) -> (Self, Wire<S>) {
        let (sender, handed) = watch::channel(0);
        let shared = Arc::new(Mutex::new(Shared {
            socket: Socket::Clear(socket),
            ahead: Vec::new(),
        }));
        let held = Self {
            shared: Arc::clone(&shared),
            peer,
            held: Vec::new(),
            written: 0,
            handed: sender,
            broken: false,
        };
        (held, Wire { shared, handed })
    }

    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.held.is_empty() {
            return Poll::Ready(Ok(()));
        }
        let sent = ready!(self.poll_write_out(cx));
        self.held.clear();
        self.written = 0;
        self.broken |= sent.is_err();
        Poll::Ready(sent)
    }

    fn poll_write_out(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.broken {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let mut shared = lock(&self.shared);
        if self.written == 0 {
            shared.poll_silence(cx)?;
            if shared.ahead.starts_with(CLOSING) {
                // The reader gets to know; the question is not sent.
                self.broken = true;
                return Poll::Ready(Ok(()));
            }
        }
        while let Some(rest) = self
            .held
            .get(self.written..)
            .filter(|rest| !rest.is_empty())
        {
            let taken = ready!(shared.socket.poll_write(cx, rest))?;
            if taken == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.written += taken;
            self.handed.send_modify(|bytes| *bytes += taken as u64);
        }
        shared.socket.poll_flush(cx)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Shared<S> {
    /// An error if the relay has hung up, or has said something other than "closing", before it was asked.
    fn poll_silence(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        if self.ahead.is_empty() {
            match self.poll_fill(cx) {
                Poll::Pending => return Ok(()),
                Poll::Ready(Ok(0)) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Poll::Ready(Ok(_)) => {}
                Poll::Ready(Err(error)) => return Err(error),
            }
        }
        if self.ahead.starts_with(CLOSING) {
            return Ok(());
        }
        // Not meant for the question, and all that follow would be taken for others'.
        Err(io::ErrorKind::InvalidData.into())
    }

    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut space = [0; READ_AHEAD];
        let mut chunk = ReadBuf::new(&mut space);
        ready!(self.socket.poll_read(cx, &mut chunk))?;
        self.ahead.extend_from_slice(chunk.filled());
        Poll::Ready(Ok(chunk.filled().len()))
    }

    /// Moves one line of what was read ahead to the reader.
    fn hand_out(&mut self, out: &mut ReadBuf<'_>) {
        let line = self.ahead.iter().position(|byte| *byte == b'\n');
        let end = line.map_or(self.ahead.len(), |at| at + 1);
        let end = end.min(out.remaining());
        out.put_slice(self.ahead.get(..end).unwrap_or_default());
        self.ahead.drain(..end);
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Socket<S> {
    fn poll_read(&mut self, cx: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Clear(socket) => Pin::new(socket).poll_read(cx, out),
            Self::Tls(tls) => Pin::new(tls).poll_read(cx, out),
            Self::Neither => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self {
            Self::Clear(socket) => Pin::new(socket).poll_write(cx, bytes),
            Self::Tls(tls) => Pin::new(tls).poll_write(cx, bytes),
            Self::Neither => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Clear(socket) => Pin::new(socket).poll_flush(cx),
            Self::Tls(tls) => Pin::new(tls).poll_flush(cx),
            Self::Neither => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Clear(socket) => Pin::new(socket).poll_shutdown(cx),
            Self::Tls(tls) => Pin::new(tls).poll_shutdown(cx),
            Self::Neither => Poll::Ready(Ok(())),
        }
    }
}

/// One task owns both ends, so nobody ever waits here.
fn lock<S>(shared: &Mutex<Shared<S>>) -> MutexGuard<'_, Shared<S>> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    /// How many bytes have been handed to the socket so far.
    pub(super) fn handed(&self) -> u64 {
        *self.handed.borrow()
    }

    /// Waits until a further part has been handed to the socket, and for ever once nothing can be.
    pub(super) async fn moved(&mut self) {
        if self.handed.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Puts TLS on it; without any it is an error. `host` is what the certificate must name.
    pub(super) async fn protect(
        &self,
        tls: Option<&TlsConnector>,
        host: &str,
    ) -> Result<(), Answer> {
        let tls = tls.ok_or(Answer::Tls)?;
        let socket = {
            let mut shared = lock(&self.shared);
            if !shared.ahead.is_empty() {
                return Err(Answer::Tls);
            }
            std::mem::replace(&mut shared.socket, Socket::Neither)
        };
        let Socket::Clear(socket) = socket else {
            return Err(Answer::Tls);
        };
        let shaken = tls.connect(host, socket).await;
        let protected = shaken.map_err(|error| tls_answer(&error))?;
        lock(&self.shared).socket = Socket::Tls(protected);
        Ok(())
    }

    /// Whether what is said now is protected.
    pub(super) fn is_protected(&self) -> bool {
        matches!(lock(&self.shared).socket, Socket::Tls(_))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Held<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let sent = ready!(self.poll_send(cx));
        let mut shared = lock(&self.shared);
        match sent {
            Ok(()) => {
                if shared.ahead.is_empty() {
                    ready!(shared.poll_fill(cx))?;
                }
            }
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                return Poll::Ready(Err(error));
            }
            // What the relay said before it hung up tells more than that it did.
            Err(error) => match shared.poll_fill(cx) {
                Poll::Ready(Ok(count)) if count > 0 => {}
                Poll::Ready(_) | Poll::Pending => return Poll::Ready(Err(error)),
            },
        }
        shared.hand_out(out);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Held<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.held.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_send(cx))?;
        lock(&self.shared).socket.poll_shutdown(cx)
    }
}

impl<S> fmt::Debug for Held<S> {
    /// Never what is held: it may be a letter or a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Held")
            .field("peer", &self.peer)
            .finish_non_exhaustive()
    }
}

impl AsyncTokioStream for Held<TcpStream> {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.peer)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

    use super::*;

    fn pair(room: usize) -> (Held<DuplexStream>, Wire<DuplexStream>, DuplexStream) {
        let (near, far) = tokio::io::duplex(room);
        let (held, wire) = Held::new(near, ([127, 0, 0, 1], 25).into());
        (held, wire, far)
    }

    #[tokio::test]
    async fn nothing_is_sent_by_a_flush_and_all_of_it_by_a_read() {
        let (mut held, wire, mut far) = pair(1 << 16);
        held.write_all(b"MAIL\r\n").await.unwrap();
        held.flush().await.unwrap();
        held.write_all(b"RCPT\r\n").await.unwrap();
        held.flush().await.unwrap();
        assert_eq!(wire.handed(), 0);
        let relay = async {
            let mut got = [0; 12];
            far.read_exact(&mut got).await.unwrap();
            far.write_all(b"250 ok\r\n").await.unwrap();
            got
        };
        let (first, got) = tokio::join!(held.read_u8(), relay);
        assert_eq!((first.unwrap(), &got), (b'2', b"MAIL\r\nRCPT\r\n"));
        assert_eq!(wire.handed(), 12);
    }

    #[tokio::test]
    async fn a_write_that_stops_half_way_is_counted_as_far_as_it_came() {
        let (mut held, mut wire, far) = pair(10);
        held.write_all(b"0123456789abcdef").await.unwrap();
        let mut space = [0; 64];
        tokio::select! {
            read = held.read(&mut space) => panic!("{read:?}"),
            () = wire.moved() => {}
        }
        assert_eq!(wire.handed(), 10);
        drop(far);
        held.read(&mut space).await.unwrap_err();
        assert_eq!(wire.handed(), 10);
    }

    #[tokio::test]
    async fn a_shutdown_sends_what_is_held() {
        let (mut held, _wire, mut far) = pair(1 << 16);
        held.write_all(b"QUIT\r\n").await.unwrap();
        held.shutdown().await.unwrap();
        let mut got = Vec::new();
        far.read_to_end(&mut got).await.unwrap();
        assert_eq!(got, b"QUIT\r\n");
    }

    #[tokio::test]
    async fn an_answer_that_is_there_before_its_question_is_an_error_and_the_question_is_not_sent()
    {
        for said in [&b"250 ok\r\n250 queued\r\n"[..], b"250 ok\r\n"] {
            let (mut held, wire, mut far) = pair(1 << 16);
            far.write_all(said).await.unwrap();
            let mut space = [0; 64];
            if said.len() > 8 {
                assert_eq!(held.read(&mut space).await.unwrap(), 8);
            }
            held.write_all(b"DATA\r\n").await.unwrap();
            let error = held.read(&mut space).await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData);
            // Nor is anything after it.
            held.write_all(b"QUIT\r\n").await.unwrap();
            held.shutdown().await.unwrap_err();
            assert_eq!(wire.handed(), 0);
        }
    }

    #[tokio::test]
    async fn a_relay_that_closes_unasked_is_heard_and_no_longer_spoken_to() {
        let (mut held, wire, mut far) = pair(1 << 16);
        far.write_all(b"421 4.4.2 idle for too long\r\n")
            .await
            .unwrap();
        drop(far);
        held.write_all(b"MAIL\r\n").await.unwrap();
        let mut space = [0; 64];
        let read = held.read(&mut space).await.unwrap();
        assert_eq!(&space[..read], b"421 4.4.2 idle for too long\r\n");
        assert_eq!(wire.handed(), 0);
    }

    #[tokio::test]
    async fn nothing_is_said_to_a_relay_that_has_hung_up() {
        let (mut held, wire, far) = pair(1 << 16);
        drop(far);
        held.write_all(b"MAIL\r\n").await.unwrap();
        let error = held.read(&mut [0; 64]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
        assert_eq!(wire.handed(), 0);
    }

    #[tokio::test]
    async fn lines_sent_ahead_of_the_handshake_end_it() {
        let (mut held, wire, mut far) = pair(1 << 16);
        far.write_all(b"220 go\r\n250 injected\r\n").await.unwrap();
        let mut space = [0; 64];
        let read = held.read(&mut space).await.unwrap();
        assert_eq!(&space[..read], b"220 go\r\n");
        let tls = native_tls::TlsConnector::new().unwrap().into();
        assert_eq!(
            wire.protect(Some(&tls), "localhost").await,
            Err(Answer::Tls)
        );
        assert!(!wire.is_protected());
    }
}
