//! Postfix as the submission relay: one instance a test, in which the recipient's name says what becomes of a letter.
//!
//! `r450-4.2.1-anna@` is refused like that at RCPT, `t451-4.3.0-…@` at DATA, `d554-5.7.1-…@` after the dot, and
//! `x450-4.2.1-rate.limit-…@` at RCPT in these words; a sender `s550-5.7.60-…@` is refused at MAIL by the door `senders`.
//! `late-…@` is accepted and bounces, `full-…@` is accepted and deferred, `hop-…@` is accepted and goes to hop.example,
//! wherever a test's own lines send that; all others end in the Maildir `other`, `bounces` and `bounces+…` in `bounces`.

use std::collections::HashSet;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Guard, Place, files, free_ports, listens, run, seen, system_user, tried};

pub const USER: &str = "bell";
pub const PASSWORD: &str = "correct horse";

/// A running instance.
pub struct Postfix {
    /// STARTTLS and a sign-in are required.
    pub submission: u16,
    /// TLS from the first byte; a sign-in is required.
    pub smtps: u16,
    /// Neither TLS nor sign-in.
    pub plain: u16,
    /// Like `plain`, but answers the final dot three seconds late.
    pub late: u16,
    /// Like `plain`, but takes one command at a time, 7-bit, and tells no size.
    pub simple: u16,
    /// Like `plain`, but says at MAIL what it thinks of a sender, and takes 2000 bytes.
    pub senders: u16,
    /// Like `plain`, but takes two connections at once, and three letters a minute.
    pub limited: u16,
    /// Like `plain`, but closes after the second error.
    pub impatient: u16,
    /// Like `plain`, but asks [`Postfix::greylist`] about each recipient.
    pub grey: u16,
    policy: u16,
    /// Before the place, so that the server is gone before its files are.
    _guard: Guard,
    place: Place,
}

impl Postfix {
    /// Starts one; about half a second.
    pub fn start() -> Self {
        Self::with("", "")
    }

    /// Starts one with further lines of main.cf, which go before those that it has, and of master.cf.
    pub fn with(main: &str, master: &str) -> Self {
        let (place, guard) = Place::guarded("q/pid/master.pid", "TERM");
        let dir = place.path();
        prepare(dir, main);
        for _ in 0..3 {
            let ports: [u16; 10] = free_ports();
            std::fs::write(dir.join("etc/master.cf"), master_cf(ports) + master).unwrap();
            let [
                submission,
                smtps,
                plain,
                late,
                simple,
                senders,
                limited,
                impatient,
                grey,
                policy,
            ] = ports;
            // Postfix reads a main.cf that is younger than three seconds again and again until it is old enough.
            run(Command::new("sh")
                .args(["-c", "touch -d '1 minute ago' etc/*"])
                .current_dir(dir));
            let started = tried(
                Command::new("postfix")
                    .arg("-c")
                    .arg(dir.join("etc"))
                    .arg("start"),
            );
            if started.is_ok() && listens(late) {
                return Self {
                    submission,
                    smtps,
                    plain,
                    late,
                    simple,
                    senders,
                    limited,
                    impatient,
                    grey,
                    policy,
                    _guard: guard,
                    place,
                };
            }
        }
        panic!(
            "postfix does not start: {}",
            std::fs::read_to_string(dir.join("log")).unwrap_or_default()
        );
    }

    /// Greylists for the door `grey`: whoever is new comes in at the second try.
    pub fn greylist(&self) {
        let listener = TcpListener::bind(("127.0.0.1", self.policy)).unwrap();
        std::thread::spawn(move || {
            let mut known = HashSet::new();
            for stream in listener.incoming().flatten() {
                // One connection after the other: Postfix keeps its own open.
                let _ = greylist(&stream, &mut known);
            }
        });
    }

    /// The authority that signed the relay's certificate.
    pub fn ca_file(&self) -> PathBuf {
        self.place.path().join("ca.pem")
    }

    /// Another authority, which did not.
    pub fn other_ca_file(&self) -> PathBuf {
        self.place.path().join("other-ca.pem")
    }

    /// The Maildir of that name.
    pub fn maildir(&self, name: &str) -> PathBuf {
        self.place.path().join("mail").join(name)
    }

    /// Waits until `count` letters are in a Maildir and gives their bytes, with CRLF as they were sent.
    pub async fn letters(&self, name: &str, count: usize) -> Vec<Vec<u8>> {
        let new = self.maildir(name).join("new");
        let what = format!("{count} letters in {name}");
        let found = seen(&what, || {
            Some(files(&new)).filter(|found| found.len() >= count)
        })
        .await;
        assert_eq!(found.len(), count, "more letters than expected in {name}");
        found
            .iter()
            .map(|file| {
                std::fs::read_to_string(file)
                    .unwrap()
                    .replace('\n', "\r\n")
                    .into_bytes()
            })
            .collect()
    }

    /// What Postfix wrote to its log so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.place.path().join("log")).unwrap_or_default()
    }
}

/// Postfix's policy protocol: lines of `name=value` up to an empty one, answered by an action and an empty line.
fn greylist(mut stream: &TcpStream, known: &mut HashSet<String>) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream).lines();
    let mut recipient = String::new();
    while let Some(line) = lines.next().transpose()? {
        if let Some(name) = line.strip_prefix("recipient=") {
            name.clone_into(&mut recipient);
        }
        if line.is_empty() {
            let action = if known.insert(recipient.clone()) {
                "451 4.7.1 Greylisted, please try again later"
            } else {
                "dunno"
            };
            write!(stream, "action={action}\n\n")?;
        }
    }
    Ok(())
}

fn prepare(dir: &Path, main: &str) {
    for sub in ["etc/sasl", "q", "data", "mail"] {
        std::fs::create_dir_all(dir.join(sub)).unwrap();
    }
    let (postfix, postfix_group) = system_user("postfix");
    chown(dir.join("data"), Some(postfix), None).unwrap();
    std::fs::set_permissions(dir.join("data"), PermissionsExt::from_mode(0o700)).unwrap();
    chown(dir.join("mail"), Some(8), Some(8)).unwrap();
    let shown = dir.to_str().unwrap();
    let main = format!("{MAIN_CF}{main}").replace("DIR", shown);
    std::fs::write(dir.join("etc/main.cf"), main).unwrap();
    for (name, map) in MAPS {
        std::fs::write(dir.join("etc").join(name), map).unwrap();
    }
    // Debian's Postfix looks for it below its own configuration, whatever main.cf says.
    let sasl = format!(
        "pwcheck_method: auxprop\nauxprop_plugin: sasldb\nsasldb_path: {shown}/sasldb2\nmech_list: PLAIN LOGIN\n"
    );
    std::fs::write(dir.join("etc/sasl/smtpd.conf"), sasl).unwrap();
    run(Command::new("sh")
        .args([
            "-c",
            "printf %s \"$2\" | saslpasswd2 -p -c -f sasldb2 -u mail.parl.example \"$1\"",
            "sh",
            USER,
            PASSWORD,
        ])
        .current_dir(dir));
    chown(dir.join("sasldb2"), None, Some(postfix_group)).unwrap();
    std::fs::set_permissions(dir.join("sasldb2"), PermissionsExt::from_mode(0o640)).unwrap();
    run(Command::new("sh")
        .args(["-e", "-c", CERTIFICATES])
        .current_dir(dir));
}

/// Backdated, so that they are valid for processes whose clock was moved. The server's is not the authority.
pub(super) const CERTIFICATES: &str = r#"
ca() { faketime -f '@2020-01-01 00:00:00' openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 9000 -subj "/CN=$1" \
  -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign -keyout "$1.key" -out "$1.pem"; }
ca ca
ca other-ca
openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=mail.parl.example -keyout srv.key -out srv.csr
printf 'basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\nextendedKeyUsage=serverAuth\nsubjectAltName=DNS:localhost,DNS:mail.parl.example\n' > ext
faketime -f '@2020-01-01 00:00:00' openssl x509 -req -in srv.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 9000 -sha256 -extfile ext -out srv.pem
cat srv.key srv.pem > chain.pem
chmod 600 chain.pem
"#;

const MAIN_CF: &str = r"compatibility_level = 3.6
queue_directory = DIR/q
data_directory = DIR/data
maillog_file = DIR/log
maillog_file_prefixes = DIR
myhostname = mail.parl.example
myorigin = parl.example
mydestination =
mynetworks = 127.0.0.0/8
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
smtp_dns_support_level = disabled
default_transport = error:5.1.2 outside the test bed
alias_maps =
recipient_delimiter = +
virtual_mailbox_domains = parl.example
virtual_mailbox_base = DIR/mail
virtual_mailbox_maps = pcre:DIR/etc/vmbox
virtual_alias_maps = pcre:DIR/etc/valias
virtual_minimum_uid = 1
virtual_uid_maps = static:8
virtual_gid_maps = static:8
transport_maps = pcre:DIR/etc/transport
smtpd_tls_chain_files = DIR/chain.pem
smtpd_tls_auth_only = yes
smtpd_sasl_type = cyrus
smtpd_sasl_path = smtpd
smtpd_sasl_local_domain = mail.parl.example
smtpd_recipient_restrictions = check_recipient_access pcre:DIR/etc/rcpt, permit
smtpd_data_restrictions = check_recipient_access pcre:DIR/etc/data
smtpd_end_of_data_restrictions = check_recipient_access pcre:DIR/etc/dot
smtpd_error_sleep_time = 0
smtpd_client_event_limit_exceptions =
queue_run_delay = 2s
minimal_backoff_time = 2s
maximal_backoff_time = 2s
message_size_limit = 1000000
";

const MAPS: [(&str, &str); 7] = [
    (
        "data",
        r"/^t([45]\d\d)-([45]\.\d+\.\d+)-.*@parl\.example$/ $1 $2 said the test
",
    ),
    (
        "dot",
        r"/^d([45]\d\d)-([45]\.\d+\.\d+)-.*@parl\.example$/ $1 $2 said the test
",
    ),
    (
        "sender",
        r"/^s([45]\d\d)-([45]\.\d+\.\d+)-.*@parl\.example$/ $1 $2 said the test
",
    ),
    (
        "rcpt",
        r"/^r([45]\d\d)-([45]\.\d+\.\d+)-.*@parl\.example$/ $1 $2 said the test
/^x([45]\d\d)-([45]\.\d+\.\d+)-(\w+)\.(\w+)-.*@parl\.example$/ $1 $2 $3 $4
/^slow(\d+)-.*@parl\.example$/ sleep $1
",
    ),
    (
        "valias",
        r"/^late-(.*)@parl\.example$/ $1@bounce.invalid
/^full-(.*)@parl\.example$/ $1@full.invalid
/^hop-(.*)@parl\.example$/ $1@hop.example
",
    ),
    (
        "transport",
        r"/@bounce\.invalid$/ error:5.1.1 no such user here
/@full\.invalid$/ retry:4.2.2 mailbox full
",
    ),
    // virtual(8) skips rules whose result has a $1, and the mail bounces.
    (
        "vmbox",
        r"/^bounces(\+[^@]*)?@parl\.example$/ bounces/
if !/^unknown/
/@parl\.example$/ other/
endif
",
    ),
];

/// Debian's services, none of them in a chroot, and one door for each behaviour.
fn master_cf(ports: [u16; 10]) -> String {
    let [
        submission,
        smtps,
        plain,
        late,
        simple,
        senders,
        limited,
        impatient,
        grey,
        policy,
    ] = ports;
    let signed_in = "-o smtpd_sasl_auth_enable=yes -o { smtpd_relay_restrictions = permit_sasl_authenticated, reject }";
    format!(
        "127.0.0.1:{submission} inet n - n - - smtpd -o smtpd_tls_security_level=encrypt {signed_in}
127.0.0.1:{smtps} inet n - n - - smtpd -o smtpd_tls_wrappermode=yes {signed_in}
127.0.0.1:{plain} inet n - n - - smtpd
127.0.0.1:{late} inet n - n - - smtpd -o {{ smtpd_end_of_data_restrictions = sleep 3 }}
127.0.0.1:{simple} inet n - n - - smtpd -o {{ smtpd_discard_ehlo_keywords = pipelining chunking 8bitmime smtputf8 dsn size etrn vrfy }} -o message_size_limit=2000
127.0.0.1:{senders} inet n - n - - smtpd -o smtpd_delay_reject=no -o {{ smtpd_sender_restrictions = check_sender_access pcre:$config_directory/sender }} -o message_size_limit=2000
127.0.0.1:{limited} inet n - n - - smtpd -o smtpd_client_connection_count_limit=2 -o smtpd_client_message_rate_limit=3
127.0.0.1:{impatient} inet n - n - - smtpd -o smtpd_hard_error_limit=2 -o smtpd_soft_error_limit=1
127.0.0.1:{grey} inet n - n - - smtpd -o {{ smtpd_recipient_restrictions = check_policy_service inet:127.0.0.1:{policy}, permit }}
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
proxywrite unix - - n - 1 proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
local unix - n n - - local
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"
    )
}
