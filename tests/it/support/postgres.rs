//! PostgreSQL: one server a test process, a fresh database for whoever asks.

use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use sqlx::Connection;

use super::{Guard, Place, free_ports, is_root, listens, run, system_user, tried};

/// Set to 1 by whoever wants to go without, aloud.
const SKIP: &str = "DIVISION_BELL_SKIP_POSTGRES";

/// A server of our own. It ends with this process.
pub struct Postgres {
    port: u16,
    options: String,
    /// Before the place, so that the server is gone before its files are.
    _guard: Guard,
    place: Place,
}

/// Nothing is kept that a power cut would take: nobody crashes this one.
const FAST: &str = "-c fsync=off -c synchronous_commit=off -c full_page_writes=off";

/// What was committed is there after the server has crashed. The machine itself stays up.
const SAFE: &str = "-c fsync=off -c synchronous_commit=on";

/// The URL of a fresh, empty database; none, and loudly so, where PostgreSQL was left out on purpose. Without PostgreSQL and
/// without that wish, this panics.
pub async fn database() -> Option<String> {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    if std::env::var(SKIP).is_ok_and(|value| value == "1") {
        eprintln!("{SKIP}=1: NOT TESTED ON POSTGRESQL");
        return None;
    }
    let server = server();
    let name = format!("bell{}", NEXT.fetch_add(1, Ordering::Relaxed));
    let mut admin = sqlx::PgConnection::connect(&server.url("postgres"))
        .await
        .unwrap();
    let create = sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}"));
    sqlx::query(create).execute(&mut admin).await.unwrap();
    admin.close().await.unwrap();
    Some(server.url(&name))
}

/// A server of the caller's own, to be crashed, and the URL of an empty database of it. None, aloud, as with [`database`].
pub async fn own() -> Option<(Postgres, String)> {
    if std::env::var(SKIP).is_ok_and(|value| value == "1") {
        eprintln!("{SKIP}=1: NOT TESTED ON POSTGRESQL");
        return None;
    }
    let server = Postgres::start(SAFE);
    let mut admin = sqlx::PgConnection::connect(&server.url("postgres"))
        .await
        .unwrap();
    sqlx::query("CREATE DATABASE bell")
        .execute(&mut admin)
        .await
        .unwrap();
    admin.close().await.unwrap();
    let url = server.url("bell");
    Some((server, url))
}

/// The server of this process, started by the first who asks.
pub fn server() -> &'static Postgres {
    static SERVER: OnceLock<Postgres> = OnceLock::new();
    SERVER.get_or_init(|| Postgres::start(FAST))
}

impl Postgres {
    pub fn url(&self, database: &str) -> String {
        format!("postgres://pg:pg@127.0.0.1:{}/{database}", self.port)
    }

    /// The folder of all that it keeps, its log included.
    pub fn folder(&self) -> &Path {
        self.place.path()
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Dies at once, with all who are connected to it.
    pub fn crash(&self) {
        run(self.control().args(["-m", "immediate", "-w", "stop"]));
    }

    /// Comes up again on the same port, and recovers what was committed.
    pub fn come_back(&self) {
        run(self
            .control()
            .arg("-l")
            .arg(self.place.path().join("log"))
            .args(["-o", &self.options, "-w", "start"]));
        assert!(listens(self.port));
    }

    fn control(&self) -> Command {
        let mut command = as_owner(&programs().join("pg_ctl"), self.place.path());
        command.arg("-D").arg(self.place.path().join("data"));
        command
    }

    fn start(safety: &str) -> Self {
        let programs = programs();
        // INT is its fast stop, which does not wait for those who are connected.
        let (place, guard) = Place::guarded("data/postmaster.pid", "INT");
        if is_root() {
            let (user, group) = system_user("postgres");
            chown(place.path(), Some(user), Some(group)).unwrap();
        }
        std::fs::write(place.path().join("pw"), "pg\n").unwrap();
        let data = place.path().join("data");
        run(as_owner(&programs.join("initdb"), place.path())
            .args([
                "-U",
                "pg",
                "--pwfile=pw",
                "-A",
                "scram-sha-256",
                "-E",
                "UTF8",
                "--locale=C.UTF-8",
                "-N",
                "-D",
            ])
            .arg(&data));
        for _ in 0..3 {
            let [port] = free_ports();
            let options = format!(
                "-c listen_addresses=127.0.0.1 -c port={port} -c unix_socket_directories={} -c shared_buffers=32MB {safety}",
                place.path().display()
            );
            let mut start = as_owner(&programs.join("pg_ctl"), place.path());
            start
                .arg("-D")
                .arg(&data)
                .arg("-l")
                .arg(place.path().join("log"));
            if tried(start.args(["-o", &options, "-w", "start"])).is_ok() && listens(port) {
                return Self {
                    port,
                    options,
                    _guard: guard,
                    place,
                };
            }
        }
        let log = std::fs::read_to_string(place.path().join("log")).unwrap_or_default();
        panic!("postgresql does not start: {log}");
    }
}

/// PostgreSQL refuses root, and wants to be able to enter the working directory.
fn as_owner(program: &Path, place: &Path) -> Command {
    let mut command = if is_root() {
        let mut command = Command::new("setpriv");
        command
            .args([
                "--reuid=postgres",
                "--regid=postgres",
                "--clear-groups",
                "--",
            ])
            .arg(program);
        command
    } else {
        Command::new(program)
    };
    command.current_dir(place);
    command
}

/// Where `initdb` and its like are: the newest version that is installed.
fn programs() -> PathBuf {
    let mut found: Vec<(u32, PathBuf)> = super::files(Path::new("/usr/lib/postgresql"))
        .into_iter()
        .filter_map(|dir| Some((dir.file_name()?.to_str()?.parse().ok()?, dir.join("bin"))))
        .filter(|(_, bin)| bin.join("initdb").exists())
        .collect();
    found.sort();
    found.pop().map(|(_, bin)| bin).unwrap_or_else(|| {
        panic!("there is no PostgreSQL: run tests/run, which installs it, or set {SKIP}=1 to go without")
    })
}

#[tokio::test]
async fn each_who_asks_gets_an_empty_database_of_their_own() {
    let (Some(one), Some(other)) = (database().await, database().await) else {
        return;
    };
    for url in [one, other] {
        let mut db = sqlx::PgConnection::connect(&url).await.unwrap();
        sqlx::query("CREATE TABLE cases (id BIGINT)")
            .execute(&mut db)
            .await
            .unwrap();
        db.close().await.unwrap();
    }
}
