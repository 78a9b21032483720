//! A domain controller that may be written to: Samba, one instance a test, on an address of its own, as its ports are fixed.
//!
//! The domain is made once, two days in the past, and copied for each test: whatever changes in a test changed since.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use super::{Guard, PATIENCE, Place, run};

pub const BASE: &str = "DC=parl,DC=example";
/// May write `pwdLastSet` of people, and nothing else.
pub const FORCE: &str = "force@parl.example";
pub const FORCE_PASSWORD: &str = "Passw0rd.Force";
/// Everybody has this, until they change it.
pub const OLD_PASSWORD: &str = "Passw0rd.Old";

/// Makes the domain in `$1`, if it is not there.
const PROVISION: &str = r#"
[ -e "$1/ready" ] && exit 0
rm -rf "$1"; mkdir -p "$1"
past() { faketime -f '-2d' "$@"; }
past samba-tool domain provision --realm=PARL.EXAMPLE --domain=PARL --server-role=dc --use-rfc2307 --dns-backend=NONE \
  --adminpass=Passw0rd.Admin --host-name=dc1 --host-ip=127.0.0.1 --option="posix:eadb=$1/eadb.tdb" --targetdir="$1"
s="$1/etc/smb.conf"
past samba-tool domain passwordsettings set -s "$s" --min-pwd-age=0 --max-pwd-age=0 --history-length=0 --complexity=off
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
pub struct Dc {
    address: String,
    _guard: Guard,
    place: Place,
}

impl Dc {
    /// Starts one; half a second, and some more for the first on a machine. Colin's password never expires, Dora is
    /// protected, Emeka is disabled.
    pub fn start() -> Self {
        let cache = provisioned();
        static NTH: AtomicU8 = AtomicU8::new(1);
        let process = std::process::id();
        let address = format!(
            "127.{}.{}.{}",
            192 + (process >> 8) % 60,
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
        let until = Instant::now() + PATIENCE;
        while std::net::TcpStream::connect((own.address.as_str(), 636)).is_err() {
            assert!(Instant::now() < until, "samba does not listen");
            std::thread::sleep(Duration::from_millis(50));
        }
        own
    }

    /// `scheme` is ldaps, or ldap for StartTLS.
    pub fn url(&self, scheme: &str) -> String {
        format!("{scheme}://{}", self.address)
    }

    pub fn ca_file(&self) -> PathBuf {
        self.place.path().join("ca.pem")
    }

    /// A file that holds this.
    pub fn secret(&self, text: &str) -> PathBuf {
        let file = self.place.path().join("secret");
        std::fs::write(&file, text).unwrap();
        file
    }

    /// One attribute of one person.
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

/// The folder of the domain that is copied. Test processes wait for the one that makes it.
fn provisioned() -> PathBuf {
    let tmp = Path::new(env!("CARGO_TARGET_TMPDIR"));
    std::fs::create_dir_all(tmp).unwrap();
    let cache = tmp.join("dc-1");
    run(Command::new("flock")
        .arg(tmp.join("dc.lock"))
        .args(["sh", "-e", "-c", PROVISION, "sh"])
        .arg(&cache));
    cache
}

/// An authority of its own, and a certificate for this address.
fn certificates(dir: &Path, address: &str) {
    let script = r#"
cd "$1"
openssl req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -days 30 -subj "/CN=Test CA" -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign
openssl req -newkey rsa:2048 -nodes -keyout srv.key -out srv.csr -subj "/CN=$2"
printf 'subjectAltName=IP:%s\nbasicConstraints=CA:FALSE\nextendedKeyUsage=serverAuth\n' "$2" >srv.ext
openssl x509 -req -in srv.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 30 -extfile srv.ext -out srv.pem
chmod 600 srv.key
"#;
    run(Command::new("sh")
        .args(["-e", "-c", script, "sh"])
        .arg(dir)
        .arg(address));
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
