//! The program as a child that runs on: it can be killed, waited for, and made to live in the future.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use chrono::TimeDelta;

use super::flow::Bell;
use super::{files, program};

/// Debian's `faketime`.
const LIBFAKETIME: &str = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1";

/// How the program is started.
pub struct Start<'a> {
    bell: &'a Bell,
    command: Command,
    log: PathBuf,
}

/// The program, running. Dropped, it is killed.
pub struct Running {
    child: Child,
    log: PathBuf,
}

/// How far running programs are ahead of us.
pub struct Hours {
    file: PathBuf,
    seconds: AtomicU64,
}

impl Hours {
    pub fn new(file: PathBuf) -> Self {
        let hours = Self {
            file,
            seconds: AtomicU64::new(0),
        };
        hours.advance(Duration::ZERO);
        hours
    }

    /// Moves the clocks of all who run by these hours.
    pub fn advance(&self, span: Duration) {
        let seconds = span.as_secs() + self.seconds.fetch_add(span.as_secs(), Ordering::SeqCst);
        // At once: whoever reads half a file would be back in the present.
        let new = self.file.with_extension("new");
        std::fs::write(&new, format!("+{seconds}")).unwrap();
        std::fs::rename(new, &self.file).unwrap();
    }

    pub fn ahead(&self) -> TimeDelta {
        TimeDelta::seconds(self.seconds.load(Ordering::SeqCst) as i64)
    }
}

impl<'a> Start<'a> {
    /// `bell ARGUMENTS` by `ann`; what it says goes to a file.
    pub fn new(bell: &'a Bell, arguments: &[&str]) -> Self {
        Self::by(bell, program::command(), arguments)
    }

    /// The same, below another program and its options, such as strace.
    pub fn below(bell: &'a Bell, above: &[&str], arguments: &[&str]) -> Self {
        let own = program::command();
        let mut command = Command::new(above[0]);
        command.args(&above[1..]).arg(own.get_program());
        for (name, value) in own.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        Self::by(bell, command, arguments)
    }

    fn by(bell: &'a Bell, mut command: Command, arguments: &[&str]) -> Self {
        command
            .arg("--config")
            .arg(bell.path("bell.toml"))
            .args(arguments)
            .env("BELL_LOG", "warn");
        let log = bell.path("child.log");
        Self { bell, command, log }
    }

    /// What it says goes to the file of this name.
    pub fn log(mut self, name: &str) -> Self {
        self.log = self.bell.path(name);
        self
    }

    /// Its wall clock is ahead of ours by this much; how long things take stays as it is.
    pub fn ahead(mut self, span: Duration) -> Self {
        assert!(
            Path::new(LIBFAKETIME).exists(),
            "there is no {LIBFAKETIME}: run tests/run, which installs it"
        );
        self.command
            .env("LD_PRELOAD", LIBFAKETIME)
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
            .env("FAKETIME", format!("+{}", span.as_secs()));
        self
    }

    /// Its wall clock is ahead of ours by as much as these hours, while it runs.
    pub fn hours(mut self, hours: &Hours) -> Self {
        self = self.ahead(Duration::ZERO);
        self.command
            .env_remove("FAKETIME")
            .env("FAKETIME_NO_CACHE", "1")
            .env("FAKETIME_TIMESTAMP_FILE", &hours.file);
        self
    }

    pub fn run(mut self) -> Running {
        let said = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(&self.log)
            .unwrap();
        let child = self
            .command
            .stdin(Stdio::null())
            .stdout(said.try_clone().unwrap())
            .stderr(said)
            .spawn()
            .unwrap_or_else(|error| {
                panic!("{error}: run tests/run, which installs what is missing")
            });
        Running {
            child,
            log: self.log,
        }
    }
}

impl Running {
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// SIGKILL, which nobody can catch.
    pub fn kill(mut self) {
        self.end();
    }

    pub fn is_over(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Everything that was said to its log, by it and whoever wrote there before.
    pub fn said(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Waits for its end.
    pub async fn ended(&mut self, patience: Duration) -> ExitStatus {
        let until = Instant::now() + patience;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < until, "it does not end: {}", self.said());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    fn end(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        // What libfaketime leaves behind when its process is killed.
        let pid = self.child.id().to_string();
        for file in files(Path::new("/dev/shm")) {
            let name = file.file_name().unwrap().to_string_lossy().into_owned();
            if name.contains("faketime") && name.ends_with(&format!("_{pid}")) {
                let _ = std::fs::remove_file(file);
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end();
    }
}
