//! Dovecot as the server of the bounce mailbox: one instance a test, user `bounces`, mails in a Maildir that a test can look
//! into and put files in.

use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::postfix::CERTIFICATES;
use super::{Guard, Place, free_ports, listens, run};

pub const USER: &str = "bounces";
pub const PASSWORD: &str = "mail \"pass\" \\ word";

/// A running instance.
pub struct Dovecot {
    /// STARTTLS.
    pub imap: u16,
    /// TLS from the first byte.
    pub imaps: u16,
    /// Before the place, so that the server is gone before its files are.
    _guard: Guard,
    place: Place,
}

impl Dovecot {
    /// Starts one; about a quarter of a second.
    pub fn start() -> Self {
        let (place, guard) = Place::guarded("run/master.pid", "TERM");
        let dir = place.path();
        prepare(dir);
        for _ in 0..3 {
            let [imap, imaps] = free_ports();
            std::fs::write(dir.join("dovecot.conf"), conf(dir, imap, imaps)).unwrap();
            // It keeps what it inherits: a pipe for its words would never come to its end.
            let started = Command::new("dovecot")
                .arg("-c")
                .arg(dir.join("dovecot.conf"))
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status();
            if started.is_ok_and(|status| status.success()) && listens(imaps) {
                return Self {
                    imap,
                    imaps,
                    _guard: guard,
                    place,
                };
            }
        }
        panic!(
            "dovecot does not start: {}: run tests/run, which installs it",
            std::fs::read_to_string(dir.join("log")).unwrap_or_default()
        );
    }

    /// The authority that signed the server's certificate.
    pub fn ca_file(&self) -> PathBuf {
        self.place.path().join("ca.pem")
    }

    /// Another authority, which did not.
    pub fn other_ca_file(&self) -> PathBuf {
        self.place.path().join("other-ca.pem")
    }

    /// The Maildir of the mailbox.
    pub fn maildir(&self) -> PathBuf {
        self.place.path().join("mail/bounces")
    }

    /// A mail arrives.
    pub fn arrives(&self, name: &str, mail: impl AsRef<[u8]>) {
        let path = self.maildir().join("new").join(name);
        std::fs::write(&path, mail).unwrap();
        chown(&path, Some(8), Some(8)).unwrap();
    }

    /// Runs doveadm about the mailbox; arguments after its user.
    pub fn doveadm(&self, command: &[&str], arguments: &[&str]) -> String {
        run(Command::new("doveadm")
            .arg("-c")
            .arg(self.place.path().join("dovecot.conf"))
            .args(command)
            .args(["-u", USER])
            .args(arguments))
    }

    /// What Dovecot wrote to its log so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.place.path().join("log")).unwrap_or_default()
    }
}

fn prepare(dir: &Path) {
    for sub in ["run", "state", "home"] {
        std::fs::create_dir_all(dir.join(sub)).unwrap();
    }
    for sub in [
        "mail",
        "mail/bounces",
        "mail/bounces/new",
        "mail/bounces/cur",
        "mail/bounces/tmp",
    ] {
        std::fs::create_dir_all(dir.join(sub)).unwrap();
        chown(dir.join(sub), Some(8), Some(8)).unwrap();
    }
    chown(dir.join("home"), Some(8), Some(8)).unwrap();
    std::fs::write(
        dir.join("passwd"),
        format!("{USER}:{{PLAIN}}{PASSWORD}::::::\n"),
    )
    .unwrap();
    std::fs::set_permissions(dir.join("passwd"), PermissionsExt::from_mode(0o644)).unwrap();
    run(Command::new("sh")
        .args(["-e", "-c", CERTIFICATES])
        .current_dir(dir));
}

fn conf(dir: &Path, imap: u16, imaps: u16) -> String {
    let dir = dir.display();
    format!(
        "base_dir = {dir}/run
state_dir = {dir}/state
log_path = {dir}/log
auth_verbose = yes
auth_failure_delay = 0
protocols = imap
listen = 127.0.0.1
ssl = required
ssl_cert = <{dir}/srv.pem
ssl_key = <{dir}/srv.key
auth_mechanisms = plain login
mail_location = maildir:{dir}/mail/%n
first_valid_uid = 8
first_valid_gid = 8
mail_uid = 8
mail_gid = 8
namespace inbox {{
  inbox = yes
}}
passdb {{
  driver = passwd-file
  args = username_format=%n {dir}/passwd
}}
userdb {{
  driver = static
  args = uid=8 gid=8 home={dir}/home/%n
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    port = {imap}
  }}
  inet_listener imaps {{
    port = {imaps}
    ssl = yes
  }}
}}
service anvil {{
  chroot =
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
"
    )
}
