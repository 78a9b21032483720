//! OpenLDAP with ppolicy, and Debian's LDAP tools against any server: one instance a test.
//!
//! As Active Directory would, it gives at most a thousand entries to whoever does not ask page by page.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::{Guard, Place, free_ports, listens, run, tried};

pub const BASE: &str = "dc=parl,dc=example";
pub const READER: &str = "cn=reader,dc=parl,dc=example";
pub const READER_PASSWORD: &str = "reader's \"pass\" word";
const ADMIN: &str = "cn=admin,dc=parl,dc=example";
const ADMIN_PASSWORD: &str = "adminpass";

/// A running instance.
pub struct Slapd {
    /// Plain until STARTTLS.
    pub port: u16,
    /// TLS from the first byte.
    pub tls_port: u16,
    _guard: Guard,
    place: Place,
}

/// A person as the directory has them.
pub struct Person<'a> {
    pub uid: &'a str,
    pub password: &'a str,
    /// More lines of LDIF.
    pub more: &'a str,
}

impl Person<'_> {
    pub fn ldif(&self) -> String {
        let Self {
            uid,
            password,
            more,
        } = self;
        format!(
            "dn: uid={uid},ou=people,{BASE}\nobjectClass: inetOrgPerson\nuid: {uid}\ncn: {uid}\nsn: {uid}\nmail: {uid}@parl.example\n\
             userPassword: {password}\n{more}\n"
        )
    }
}

impl Slapd {
    /// Starts one with these entries, below the base and `ou=people`.
    pub fn start(ldif: &str) -> Self {
        Self::with(ldif, "")
    }

    /// With further lines of its config, before the database.
    pub fn with(ldif: &str, schema: &str) -> Self {
        let (place, guard) = Place::guarded("slapd.pid", "TERM");
        let dir = place.path();
        std::fs::create_dir(dir.join("db")).unwrap();
        certificates(dir, "127.0.0.1");
        std::fs::write(dir.join("slapd.conf"), conf(dir, schema)).unwrap();
        std::fs::write(dir.join("load.ldif"), format!("{}{ldif}", base())).unwrap();
        run(Command::new("slapadd")
            .args(["-q", "-f", "slapd.conf", "-l", "load.ldif"])
            .current_dir(dir));
        for _ in 0..3 {
            let [port, tls_port] = free_ports();
            let urls = format!("ldap://127.0.0.1:{port} ldaps://127.0.0.1:{tls_port}");
            let started = Command::new("slapd")
                .arg("-f")
                .arg(dir.join("slapd.conf"))
                .args(["-h", &urls])
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status();
            if started.is_ok_and(|status| status.success()) && listens(tls_port) {
                return Self {
                    port,
                    tls_port,
                    _guard: guard,
                    place,
                };
            }
        }
        panic!("slapd does not start: run tests/run, which installs it");
    }

    pub fn url(&self) -> String {
        format!("ldaps://127.0.0.1:{}", self.tls_port)
    }

    pub fn ca_file(&self) -> PathBuf {
        self.place.path().join("ca.pem")
    }

    /// An authority that signed nothing here.
    pub fn other_ca_file(&self) -> PathBuf {
        self.place.path().join("other-ca.pem")
    }

    /// A file that holds this and nothing else.
    pub fn secret(&self, text: &str) -> PathBuf {
        let file = self.place.path().join(format!("secret-{}", text.len()));
        std::fs::write(&file, text).unwrap();
        file
    }

    /// An administrator changes entries.
    pub fn modify(&self, ldif: &str) {
        self.tools().modify(ADMIN, ADMIN_PASSWORD, &[], ldif);
    }

    /// With the control that lets an administrator write what the server writes itself.
    pub fn force(&self, ldif: &str) {
        self.tools()
            .modify(ADMIN, ADMIN_PASSWORD, &["-e", "relax"], ldif);
    }

    /// Somebody changes their own password.
    pub fn change_own_password(&self, uid: &str, old: &str, new: &str) {
        let who = format!("uid={uid},ou=people,{BASE}");
        run(self
            .tools()
            .command("ldappasswd")
            .args(["-D", &who, "-w", old, "-s", new]));
    }

    /// The help desk sets a temporary one.
    pub fn set_password(&self, uid: &str, new: &str) {
        let who = format!("uid={uid},ou=people,{BASE}");
        run(self.tools().command("ldappasswd").args([
            "-D",
            ADMIN,
            "-w",
            ADMIN_PASSWORD,
            "-s",
            new,
            &who,
        ]));
    }

    fn tools(&self) -> Tools {
        Tools {
            url: self.url(),
            ca_file: self.ca_file(),
        }
    }
}

/// Debian's tools, against one server.
pub struct Tools {
    pub url: String,
    pub ca_file: PathBuf,
}

impl Tools {
    pub fn command(&self, name: &str) -> Command {
        let mut command = Command::new(name);
        command
            .args(["-x", "-H", &self.url])
            .env("LDAPTLS_CACERT", &self.ca_file)
            .env("LDAPNOINIT", "1")
            .env_remove("LDAPCONF");
        // LDAPNOINIT would leave the line above out as well.
        command.env_remove("LDAPNOINIT");
        command
    }

    pub fn modify(&self, who: &str, password: &str, options: &[&str], ldif: &str) {
        self.try_modify(who, password, options, ldif)
            .unwrap_or_else(|error| panic!("{error}"));
    }

    pub fn try_modify(
        &self,
        who: &str,
        password: &str,
        options: &[&str],
        ldif: &str,
    ) -> Result<(), String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), ldif).unwrap();
        tried(
            self.command("ldapmodify")
                .args(["-D", who, "-w", password])
                .args(options)
                .arg("-f")
                .arg(file.path()),
        )
    }
}

/// An authority, another one, and a certificate for this address.
pub fn certificates(dir: &Path, address: &str) {
    let script = r#"
ca() { faketime -f '@2020-01-01 00:00:00' openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 9000 -subj "/CN=$1" \
  -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign -keyout "$1.key" -out "$1.pem"; }
ca ca
ca other-ca
openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=ldap.parl.example -keyout srv.key -out srv.csr
printf 'basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\nextendedKeyUsage=serverAuth\nsubjectAltName=IP:%s\n' "$1" > ext
faketime -f '@2020-01-01 00:00:00' openssl x509 -req -in srv.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 9000 -sha256 -extfile ext -out srv.pem
chmod 600 srv.key"#;
    run(Command::new("sh")
        .args(["-e", "-c", script, "sh", address])
        .current_dir(dir));
}

fn base() -> String {
    format!(
        "dn: {BASE}\nobjectClass: dcObject\nobjectClass: organization\no: Parliament\ndc: parl\n\n\
         dn: ou=people,{BASE}\nobjectClass: organizationalUnit\nou: people\n\n\
         dn: ou=policies,{BASE}\nobjectClass: organizationalUnit\nou: policies\n\n\
         dn: cn=default,ou=policies,{BASE}\nobjectClass: device\nobjectClass: pwdPolicy\ncn: default\npwdAttribute: userPassword\n\
         pwdLockout: TRUE\npwdMaxFailure: 3\npwdMustChange: TRUE\npwdMaxAge: 0\n\n\
         dn: {READER}\nobjectClass: device\nobjectClass: simpleSecurityObject\ncn: reader\nuserPassword: {READER_PASSWORD}\n\n"
    )
}

fn conf(dir: &Path, schema: &str) -> String {
    let dir = dir.display();
    format!(
        "include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
{schema}
modulepath /usr/lib/ldap
moduleload back_mdb
moduleload ppolicy
pidfile {dir}/slapd.pid
TLSCACertificateFile {dir}/ca.pem
TLSCertificateFile {dir}/srv.pem
TLSCertificateKeyFile {dir}/srv.key
security simple_bind=128
sockbuf_max_incoming_auth 67108864
database mdb
maxsize 1073741824
suffix \"{BASE}\"
rootdn \"{ADMIN}\"
rootpw {ADMIN_PASSWORD}
directory {dir}/db
dbnosync
index modifyTimestamp,entryUUID eq
limits dn.exact=\"{READER}\" size.soft=1000 size.hard=1000 size.pr=1000 size.prtotal=unlimited
access to attrs=userPassword by self =w by anonymous auth by * none
access to * by dn.exact=\"{READER}\" read by self read by * none
overlay ppolicy
ppolicy_default \"cn=default,ou=policies,{BASE}\"
ppolicy_hash_cleartext
ppolicy_use_lockout
"
    )
}
