//! Real servers on loopback, started by the tests themselves: own directories, own ports, gone when the test is.

#![allow(dead_code, reason = "each test uses a part of the bed")]

pub mod bell;
pub mod catcher;
pub mod chats;
pub mod child;
pub mod discord;
pub mod disk;
pub mod dovecot;
pub mod flow;
pub mod gateway;
pub mod guild;
pub mod identity;
pub mod postfix;
pub mod postgres;
pub mod program;
pub mod proxy;
pub mod relay;
pub mod samba;
pub mod sink;
pub mod slapd;
pub mod strict;
pub mod tunnel;
pub mod webhook;

use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use division_bell::store::Store;

/// How long a server may take to come up, or an effect to be seen.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// `N` ports that were free a moment ago, all different. Another process may be faster: a server that cannot bind must fail
/// to start, and is started again on others.
pub fn free_ports<const N: usize>() -> [u16; N] {
    let listeners = [(); N].map(|()| TcpListener::bind(("127.0.0.1", 0)).unwrap());
    listeners.map(|listener| listener.local_addr().unwrap().port())
}

/// A directory that daemons which have dropped root can enter, with a path short enough for a socket in it.
pub struct Place(tempfile::TempDir);

impl Place {
    /// Makes one, and the guard that stops the server whose pid is the first word of `pid_file` in it, first with `signal`,
    /// and removes the directory. The guard is there before anything is started.
    pub fn guarded(pid_file: &str, signal: &str) -> (Self, Guard) {
        let place = Self::new();
        // A server that was being started when we died writes its pid a moment later.
        let script = r#"n=0; until [ -s "$1/$2" ] || [ $n -gt 20 ]; do n=$((n+1)); sleep 0.05; done
            if [ -s "$1/$2" ]; then read -r pid rest <"$1/$2"; finish "$pid" "$3"; fi; rm -rf "$1""#;
        let shown = place.path().to_string_lossy().into_owned();
        let guard = Guard::new(script, &[&shown, pid_file, signal]);
        (place, guard)
    }

    fn new() -> Self {
        let dir = tempfile::Builder::new()
            .prefix("tb")
            .tempdir_in("/tmp")
            .unwrap();
        std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o755)).unwrap();
        Self(dir)
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }
}

/// Stops a server when it is dropped, and also when this process dies in any other way: a shell waits for the end of a pipe
/// that only we hold. It has a session of its own, so that what kills our process group does not kill it as well.
pub struct Guard(Child);

impl Guard {
    /// Runs `script` at the end, with `$1`, `$2` … from `arguments`.
    pub fn new(script: &str, arguments: &[&str]) -> Self {
        let whole = format!(
            r#"gone() {{ case "$(cut -d' ' -f3 "/proc/$1/stat" 2>/dev/null)" in ''|Z) return 0;; esac; return 1; }}
            finish() {{ kill "-$2" "$1" 2>/dev/null; n=0; until gone "$1"; do n=$((n+1)); [ $n -gt 60 ] && kill -KILL "$1" 2>/dev/null; [ $n -gt 80 ] && break; sleep 0.05; done; }}
            cat >/dev/null; {script}"#
        );
        let child = Command::new("setsid")
            .args(["sh", "-c", &whole, "guard"])
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self(child)
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

/// Runs a program to its end; panics with what it said if it did not work.
pub fn run(command: &mut Command) -> String {
    let shown = format!("{:?}", command.get_program());
    let out = command
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| {
            panic!("{shown}: {error}: run tests/run, which installs what is missing")
        });
    let said = format!(
        "{}{}",
        String::from_utf8_lossy(&out.stdout),
        String::from_utf8_lossy(&out.stderr)
    );
    assert!(out.status.success(), "{shown}: {}: {said}", out.status);
    said
}

/// The same, but says whether it worked.
pub fn tried(command: &mut Command) -> Result<(), String> {
    let out = command
        .stdin(Stdio::null())
        .output()
        .map_err(|error| error.to_string())?;
    if out.status.success() {
        return Ok(());
    }
    Err(format!(
        "{}{}",
        String::from_utf8_lossy(&out.stdout),
        String::from_utf8_lossy(&out.stderr)
    ))
}

/// Waits until something listens.
pub fn listens(port: u16) -> bool {
    let until = Instant::now() + PATIENCE;
    while Instant::now() < until {
        if TcpStream::connect(("127.0.0.1", port)).is_ok() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    false
}

/// Waits until `look` sees something; panics, saying what was waited for, if it never does.
pub async fn seen<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < until, "waited in vain for {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The files of a directory, by name; none while there is no such directory.
pub fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = std::fs::read_dir(dir)
        .map(|entries| entries.map(|entry| entry.unwrap().path()).collect())
        .unwrap_or_default();
    found.sort();
    found
}

/// The user id of a system user, for files that a daemon must own.
pub fn system_user(name: &str) -> (u32, u32) {
    let users = std::fs::read_to_string("/etc/passwd").unwrap();
    let line = users
        .lines()
        .find(|line| line.split(':').next() == Some(name))
        .unwrap_or_else(|| {
            panic!("there is no user {name}: run tests/run, which installs what is missing")
        });
    let mut ids = line.split(':').skip(2).map(|id| id.parse().unwrap());
    (ids.next().unwrap(), ids.next().unwrap())
}

pub fn is_root() -> bool {
    run(Command::new("id").arg("-u")).trim() == "0"
}

/// What a statement counts, on whichever database this is.
pub async fn count(store: &Store, sql: &'static str) -> i64 {
    let (count,): (i64,) = match store {
        Store::Sqlite(pool) => sqlx::query_as(sql).fetch_one(pool).await.unwrap(),
        Store::Postgres(pool) => sqlx::query_as(sql).fetch_one(pool).await.unwrap(),
    };
    count
}

/// Runs a statement past the store's own methods; gives how many rows it touched.
pub async fn run_sql(store: &Store, sql: &str) -> Result<u64, sqlx::Error> {
    match store {
        Store::Sqlite(pool) => sqlx::query(sqlx::AssertSqlSafe(sql.to_owned()))
            .execute(pool)
            .await
            .map(|done| done.rows_affected()),
        Store::Postgres(pool) => sqlx::query(sqlx::AssertSqlSafe(sql.to_owned()))
            .execute(pool)
            .await
            .map(|done| done.rows_affected()),
    }
}
