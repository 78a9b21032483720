//! TLS in front of a plain server, and a proxy that passes connections on and knows where they went.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};

use super::slapd::certificates;

/// TLS in front of a server, with a certificate of an authority of its own.
pub struct Tls {
    pub port: u16,
    folder: tempfile::TempDir,
}

impl Tls {
    /// In front of the server at `base`, which is `http://127.0.0.1:PORT`.
    pub async fn before(base: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        certificates(folder.path(), "127.0.0.1");
        let pem = |name: &str| std::fs::read(folder.path().join(name)).unwrap();
        let identity = native_tls::Identity::from_pkcs8(&pem("srv.pem"), &pem("srv.key")).unwrap();
        let acceptor = native_tls::TlsAcceptor::new(identity).unwrap();
        let acceptor = Arc::new(tokio_native_tls::TlsAcceptor::from(acceptor));
        let to = base.strip_prefix("http://").unwrap().to_owned();
        let (listener, port) = listening().await;
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (acceptor, to) = (Arc::clone(&acceptor), to.clone());
                tokio::spawn(async move {
                    // Whoever does not trust the certificate hangs up.
                    if let Ok(mut client) = acceptor.accept(client).await {
                        let mut server = TcpStream::connect(to).await.unwrap();
                        let _ = copy_bidirectional(&mut client, &mut server).await;
                    }
                });
            }
        });
        Self { port, folder }
    }

    pub fn ca_file(&self) -> std::path::PathBuf {
        self.folder.path().join("ca.pem")
    }
}

/// A proxy (RFC 9110 section 9.3.6). Whatever is not `CONNECT` is written down too, and hung up on.
pub struct Connect {
    pub base: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Connect {
    pub async fn start() -> Self {
        let (listener, port) = listening().await;
        let asked = Arc::<Mutex<Vec<String>>>::default();
        let shared = Arc::clone(&asked);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(pass_on(client, Arc::clone(&shared)));
            }
        });
        Self {
            base: format!("http://127.0.0.1:{port}"),
            asked,
        }
    }

    /// The first line of each question.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

async fn pass_on(mut client: TcpStream, asked: Arc<Mutex<Vec<String>>>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match client.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => return,
        }
    }
    let head = String::from_utf8(head).unwrap();
    let line = head.lines().next().unwrap().to_owned();
    let to = line
        .strip_prefix("CONNECT ")
        .and_then(|rest| rest.strip_suffix(" HTTP/1.1"))
        .map(str::to_owned);
    asked.lock().unwrap().push(line);
    if let Some(to) = to {
        let mut server = TcpStream::connect(to).await.unwrap();
        client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
        let _ = copy_bidirectional(&mut client, &mut server).await;
    }
}

async fn listening() -> (TcpListener, u16) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}
