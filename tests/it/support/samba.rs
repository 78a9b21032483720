//! Samba as a domain controller, read and written by LDAP: one instance a test, on an address of its own, as its ports are fixed.
//!
//! The domain is made once, with passwords whose dates are two days in the past, and copied for each test. Replication's own
//! dates cannot be moved: an audit must be as of a moment after the making.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use data_encoding::BASE64;
use division_bell::domain::Moment;

use super::slapd::{Tools, certificates};
use super::{Guard, PATIENCE, Place, run};

pub const BASE: &str = "DC=parl,DC=example";
pub const READER: &str = "reader@parl.example";
pub const READER_PASSWORD: &str = "Passw0rd.Reader";
/// May write `pwdLastSet` of people, and nothing else.
pub const FORCE: &str = "force@parl.example";
pub const FORCE_PASSWORD: &str = "Passw0rd.Force";
const ADMIN: &str = "Administrator@parl.example";
const ADMIN_PASSWORD: &str = "Passw0rd.Admin";

/// Everybody in the domain has this, until they change it.
pub const OLD_PASSWORD: &str = "Passw0rd.Old";

/// Makes the domain in `$1`, if it is not there.
const PROVISION: &str = r#"
[ -e "$1/ready" ] && exit 0
rm -rf "$1"; mkdir -p "$1"
past() { faketime -f '-2d' "$@"; }
past samba-tool domain provision --realm=PARL.EXAMPLE --domain=PARL --server-role=dc --use-rfc2307 --dns-backend=NONE \
  --adminpass=Passw0rd.Admin --host-name=dc1 --host-ip=127.0.0.1 --option="posix:eadb=$1/eadb.tdb" --targetdir="$1"
s="$1/etc/smb.conf"
past samba-tool domain passwordsettings set -s "$s" --min-pwd-age=0 --max-pwd-age=0 --history-length=0 --complexity=off --account-lockout-threshold=5
past samba-tool user create -s "$s" reader Passw0rd.Reader
n=0
for who in ada boris clara dora emil; do
  n=$((n+1))
  past samba-tool user create -s "$s" "$who" Passw0rd.Old --given-name="$who" --surname=Test --mail-address="$who@parl.example" \
    --department="Committee Office" --physical-delivery-office="Room $n"
done
past samba-tool computer create -s "$s" desk1
past samba-tool user create -s "$s" force Passw0rd.Force
sid=$(samba-tool user show -s "$s" force --attributes=objectSid | sed -n 's/^objectSid: //p')
# pwdLastSet of users below CN=Users.
samba-tool dsacl set -s "$s" -H "$1/private/sam.ldb" --objectdn=CN=Users,DC=parl,DC=example \
  --sddl="(OA;CIIO;RPWP;bf967a0a-0de6-11d0-a285-00aa003049e2;bf967aba-0de6-11d0-a285-00aa003049e2;$sid)"
for who in abaraa brightb coxc deverauxd ekwuemee; do
  past samba-tool user create -s "$s" "$who" Passw0rd.Old
done
samba-tool user setexpiry -s "$s" --noexpiry coxc
samba-tool user disable -s "$s" ekwuemee
printf 'dn: CN=deverauxd,CN=Users,DC=parl,DC=example\nchangetype: modify\nreplace: adminCount\nadminCount: 1\n' | ldbmodify -H "$1/private/sam.ldb"
touch "$1/ready"
"#;

/// A running instance.
pub struct Samba {
    address: String,
    _guard: Guard,
    place: Place,
}

impl Samba {
    /// Starts one; half a second, and some more for the first on a machine. Of the demo's five, Colin's password never expires,
    /// Dora is protected, Emeka is disabled.
    pub fn start() -> Self {
        let cache = provisioned();
        static NTH: AtomicU8 = AtomicU8::new(1);
        let process = std::process::id();
        let address = format!(
            "127.{}.{}.{}",
            64 + (process >> 8) % 128,
            process % 256,
            NTH.fetch_add(1, Ordering::SeqCst)
        );
        let (place, guard) = Place::guarded("run/samba.pid", "TERM");
        let dir = place.path();
        run(Command::new("cp")
            .args(["-a", "--sparse=always"])
            .arg(cache.join("."))
            .arg(dir));
        std::fs::create_dir_all(dir.join("run")).unwrap();
        certificates(dir, &address);
        std::fs::write(dir.join("smb.conf"), conf(dir, &address)).unwrap();
        let started = Command::new("samba")
            .arg("-s")
            .arg(dir.join("smb.conf"))
            .arg("-D")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        assert!(
            started.is_ok_and(|status| status.success()),
            "samba does not start: run tests/run, which installs it"
        );
        let own = Self {
            address,
            _guard: guard,
            place,
        };
        own.wait();
        own
    }

    /// When the domain was made, and everybody's first password with it.
    pub fn made_at() -> Moment {
        let ready = std::fs::metadata(provisioned().join("ready")).unwrap();
        Moment::from(chrono::DateTime::<chrono::Utc>::from(
            ready.modified().unwrap(),
        ))
    }

    fn wait(&self) {
        let until = Instant::now() + PATIENCE;
        while std::net::TcpStream::connect((self.address.as_str(), 636)).is_err() {
            assert!(Instant::now() < until, "samba does not listen");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    pub fn url(&self) -> String {
        format!("ldaps://{}", self.address)
    }

    pub fn starttls_url(&self) -> String {
        format!("ldap://{}", self.address)
    }

    pub fn ca_file(&self) -> PathBuf {
        self.place.path().join("ca.pem")
    }

    /// A file that holds what the reader signs in with.
    pub fn secret(&self) -> PathBuf {
        self.holding("reader.secret", READER_PASSWORD)
    }

    /// A file that holds this.
    pub fn holding(&self, name: &str, text: &str) -> PathBuf {
        let file = self.place.path().join(name);
        std::fs::write(&file, text).unwrap();
        file
    }

    /// One attribute of one person, as the database has it.
    pub fn attribute(&self, who: &str, name: &str) -> String {
        let out = run(Command::new("ldbsearch")
            .arg("-H")
            .arg(self.place.path().join("private/sam.ldb"))
            .arg(format!("(sAMAccountName={who})"))
            .arg(name));
        let prefix = format!("{name}: ");
        out.lines()
            .find_map(|line| line.strip_prefix(&prefix))
            .unwrap_or_else(|| panic!("{who} has no {name}: {out}"))
            .to_owned()
    }

    /// The person chooses a new password, here by the database itself: it is as new as the clock.
    pub fn new_password(&self, who: &str) {
        run(Command::new("samba-tool")
            .args(["user", "setpassword", "-s"])
            .arg(self.place.path().join("smb.conf"))
            .args([who, "--newpassword=Passw0rd.New"]));
    }

    pub fn dn(who: &str) -> String {
        format!("CN={who} Test,CN=Users,{BASE}")
    }

    fn tools(&self) -> Tools {
        Tools {
            url: self.url(),
            ca_file: self.ca_file(),
        }
    }

    /// An administrator changes entries.
    pub fn modify(&self, ldif: &str) {
        self.tools().modify(ADMIN, ADMIN_PASSWORD, &[], ldif);
    }

    /// One attribute of one person.
    pub fn set(&self, who: &str, attribute: &str, value: &str) {
        self.modify(&format!(
            "dn: {}\nchangetype: modify\nreplace: {attribute}\n{attribute}: {value}\n",
            Self::dn(who)
        ));
    }

    /// Somebody changes their own password.
    pub fn change_own_password(&self, who: &str, new: &str) {
        let ldif = format!(
            "dn: {}\nchangetype: modify\ndelete: unicodePwd\nunicodePwd:: {}\n-\nadd: unicodePwd\nunicodePwd:: {}\n",
            Self::dn(who),
            quoted(OLD_PASSWORD),
            quoted(new)
        );
        self.tools()
            .modify(&format!("{who}@parl.example"), OLD_PASSWORD, &[], &ldif);
    }

    /// The help desk sets a temporary one, which must be changed.
    pub fn set_temporary_password(&self, who: &str, new: &str) {
        self.modify(&format!(
            "dn: {}\nchangetype: modify\nreplace: unicodePwd\nunicodePwd:: {}\n-\nreplace: pwdLastSet\npwdLastSet: 0\n",
            Self::dn(who),
            quoted(new)
        ));
    }

    pub fn delete(&self, who: &str) {
        self.modify(&format!("dn: {}\nchangetype: delete\n", Self::dn(who)));
    }

    /// Stops it as a crash would.
    pub fn stop(&self) {
        let pid = std::fs::read_to_string(self.place.path().join("run/samba.pid")).unwrap();
        run(Command::new("kill").args(["-TERM", pid.trim()]));
        let until = Instant::now() + PATIENCE;
        while std::net::TcpStream::connect((self.address.as_str(), 636)).is_ok() {
            assert!(Instant::now() < until, "samba does not stop");
            std::thread::sleep(Duration::from_millis(50));
        }
        // It stays behind, and its number may be another's by the time the guard looks.
        let _ = std::fs::remove_file(self.place.path().join("run/samba.pid"));
    }
}

/// As Active Directory wants a password.
fn quoted(password: &str) -> String {
    let bytes: Vec<u8> = format!("\"{password}\"")
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    BASE64.encode(&bytes)
}

/// The folder of the domain that is copied. Test processes wait for the one that makes it.
fn provisioned() -> PathBuf {
    let tmp = Path::new(env!("CARGO_TARGET_TMPDIR"));
    std::fs::create_dir_all(tmp).unwrap();
    let cache = tmp.join("samba-2");
    run(Command::new("flock")
        .arg(tmp.join("samba.lock"))
        .args(["sh", "-e", "-c", PROVISION, "sh"])
        .arg(&cache));
    cache
}

fn conf(dir: &Path, address: &str) -> String {
    let dir = dir.display();
    format!(
        "[global]
netbios name = DC1
realm = PARL.EXAMPLE
workgroup = PARL
server role = active directory domain controller
private dir = {dir}/private
state directory = {dir}/state
cache directory = {dir}/cache
lock directory = {dir}
binddns dir = {dir}/bind-dns
pid directory = {dir}/run
ncalrpc dir = {dir}/run/ncalrpc
winbindd socket directory = {dir}/run/winbindd
ntp signd socket directory = {dir}/run/ntp
log file = {dir}/samba.log
interfaces = {address}/8
bind interfaces only = yes
disable netbios = yes
server services = ldap
tls enabled = yes
tls keyfile = {dir}/srv.key
tls certfile = {dir}/srv.pem
tls cafile = {dir}/ca.pem
posix:eadb = {dir}/eadb.tdb
"
    )
}
