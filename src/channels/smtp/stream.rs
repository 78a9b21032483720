//! Held: a stream that keeps writes back until the next read, so that a question goes out in one piece, and knows when it has.
//!
//! `flush` sends nothing; `read` and `shutdown` do. Before TLS it hands out one line a read: a man in the middle who appends
//! lines of his own to the answer to STARTTLS finds them in the handshake, which fails, and not in the encrypted part
//! (RFC 3207 section 4.2).

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use lettre::transport::smtp::client::AsyncTokioStream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio_native_tls::TlsStream;

/// The first byte of a TLS handshake; no SMTP command begins with it.
const CLIENT_HELLO: u8 = 0x16;

/// How much is read ahead of the lines that are handed out.
const READ_AHEAD: usize = 4096;

/// A stream that holds writes until the next read.
pub(super) struct Held<S> {
    inner: S,
    peer: SocketAddr,
    held: Vec<u8>,
    written: usize,
    /// Counts how often everything that was held has been handed to the socket.
    sent: watch::Sender<u64>,
    line_by_line: bool,
    ahead: Vec<u8>,
}

impl<S> Held<S> {
    /// Wraps `inner`; the receiver changes whenever all that was written has gone out.
    pub(super) fn new(inner: S, peer: SocketAddr, clear: bool) -> (Self, watch::Receiver<u64>) {
        let (sent, watcher) = watch::channel(0);
        let held = Self {
            inner,
            peer,
            held: Vec::new(),
            written: 0,
            sent,
            line_by_line: clear,
            ahead: Vec::new(),
        };
        (held, watcher)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Held<S> {
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.held.is_empty() {
            return Poll::Ready(Ok(()));
        }
        if self.held.first() == Some(&CLIENT_HELLO) {
            self.line_by_line = false;
        }
        // An answer that is here before its question was not meant for it, and all that follow would be taken for others'.
        if self.line_by_line && !self.ahead.is_empty() {
            return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
        }
        while let Some(rest) = self
            .held
            .get(self.written..)
            .filter(|rest| !rest.is_empty())
        {
            let taken = ready!(Pin::new(&mut self.inner).poll_write(cx, rest))?;
            if taken == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.written += taken;
        }
        self.held.clear();
        self.written = 0;
        self.sent.send_modify(|times| *times += 1);
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    /// Moves what was read ahead to the reader: one line, or all of it once lines no longer matter.
    fn hand_out(&mut self, out: &mut ReadBuf<'_>) {
        let end = match self.ahead.iter().position(|byte| *byte == b'\n') {
            Some(at) if self.line_by_line => at + 1,
            Some(_) | None => self.ahead.len(),
        };
        let end = end.min(out.remaining());
        out.put_slice(self.ahead.get(..end).unwrap_or_default());
        self.ahead.drain(..end);
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Held<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(self.poll_send(cx))?;
        if self.ahead.is_empty() {
            if !self.line_by_line {
                return Pin::new(&mut self.inner).poll_read(cx, out);
            }
            let mut space = [0; READ_AHEAD];
            let mut chunk = ReadBuf::new(&mut space);
            ready!(Pin::new(&mut self.inner).poll_read(cx, &mut chunk))?;
            self.ahead.extend_from_slice(chunk.filled());
        }
        self.hand_out(out);
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
        Pin::new(&mut self.inner).poll_shutdown(cx)
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

impl AsyncTokioStream for Held<TlsStream<TcpStream>> {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.peer)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    fn pair(
        clear: bool,
    ) -> (
        Held<tokio::io::DuplexStream>,
        watch::Receiver<u64>,
        tokio::io::DuplexStream,
    ) {
        let (near, far) = tokio::io::duplex(1 << 16);
        let (held, sent) = Held::new(near, ([127, 0, 0, 1], 25).into(), clear);
        (held, sent, far)
    }

    #[tokio::test]
    async fn nothing_is_sent_by_a_flush_and_all_of_it_by_a_read() {
        let (mut held, sent, mut far) = pair(false);
        held.write_all(b"MAIL\r\n").await.unwrap();
        held.flush().await.unwrap();
        held.write_all(b"RCPT\r\n").await.unwrap();
        held.flush().await.unwrap();
        assert!(!sent.has_changed().unwrap());
        let mut got = [0; 12];
        far.write_all(b"250 ok\r\n").await.unwrap();
        held.read_u8().await.unwrap();
        assert!(sent.has_changed().unwrap());
        far.read_exact(&mut got).await.unwrap();
        assert_eq!(&got, b"MAIL\r\nRCPT\r\n");
    }

    #[tokio::test]
    async fn a_shutdown_sends_what_is_held() {
        let (mut held, _sent, mut far) = pair(false);
        held.write_all(b"QUIT\r\n").await.unwrap();
        held.shutdown().await.unwrap();
        let mut got = Vec::new();
        far.read_to_end(&mut got).await.unwrap();
        assert_eq!(got, b"QUIT\r\n");
    }

    #[tokio::test]
    async fn an_answer_that_is_there_before_its_question_is_an_error_and_the_question_is_not_sent()
    {
        let (mut held, sent, mut far) = pair(true);
        far.write_all(b"250 ok\r\n250 queued\r\n").await.unwrap();
        let mut space = [0; 64];
        assert_eq!(held.read(&mut space).await.unwrap(), 8);
        held.write_all(b"DATA\r\n").await.unwrap();
        let error = held.read(&mut space).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        assert!(!sent.has_changed().unwrap());
    }

    #[tokio::test]
    async fn lines_sent_ahead_of_the_handshake_end_up_in_the_handshake() {
        let (mut held, _sent, mut far) = pair(true);
        far.write_all(b"220 go\r\n250 injected\r\n").await.unwrap();
        let mut space = [0; 64];
        let read = held.read(&mut space).await.unwrap();
        assert_eq!(&space[..read], b"220 go\r\n");
        held.write_all(&[CLIENT_HELLO, 3, 1]).await.unwrap();
        let read = held.read(&mut space).await.unwrap();
        assert_eq!(&space[..read], b"250 injected\r\n");
    }
}
