//! Entry: attributes of an account as LDAP servers name them → what they say about its password.
//!
//! Which server it is shows in the attributes that only it has.

use std::collections::BTreeMap;

use data_encoding::HEXLOWER;
use quick_xml::events::Event;

use super::EvidenceOptions;
use super::record::{Record, Spoken, Told, id, mail};
use crate::directory::{stamps, when};
use crate::domain::Moment;
use crate::domain::evidence::{Actor, Evidence};
use crate::domain::finding::RejectReason;
use crate::domain::identity::{Key, KeyKind};

/// What is kept of an entry. No attribute that holds a hash is among them.
const WANTED: &[&str] = &[
    "objectclass",
    "objectguid",
    "objectsid",
    "samaccountname",
    "userprincipalname",
    "mail",
    "uid",
    "entryuuid",
    "ipauniqueid",
    "nsuniqueid",
    "pwdlastset",
    "useraccountcontrol",
    "msds-replattributemetadata",
    "pwdchangedtime",
    "pwdreset",
    "pwdaccountlockedtime",
    "krblastpwdchange",
    "krbpasswordexpiration",
    "nsaccountlock",
    "pwdupdatetime",
    "passwordexpirationtime",
];

const DISABLED: i64 = 0x2;
const NEVER_EXPIRES: i64 = 0x1_0000;
const SMARTCARD: i64 = 0x4_0000;

/// The attributes of one account.
#[derive(Default)]
pub(in crate::directory) struct Entry {
    values: BTreeMap<&'static str, Vec<Vec<u8>>>,
    /// It is known to come from FreeIPA, whatever it holds.
    pub is_freeipa: bool,
}

impl Entry {
    /// The attribute's own name, if its values are kept. Options such as `;binary` or a range make it another thing.
    pub fn wanted(name: &str) -> Option<&'static str> {
        let name = name.to_ascii_lowercase();
        WANTED.iter().copied().find(|wanted| *wanted == name)
    }

    /// Adds a value, unless nobody asks for the attribute.
    pub fn add(&mut self, name: &str, value: &[u8]) {
        if let Some(name) = Self::wanted(name) {
            self.values.entry(name).or_default().push(value.to_vec());
        }
    }

    fn has(&self, name: &str) -> bool {
        self.values.contains_key(name)
    }

    fn bytes(&self, name: &str) -> &[u8] {
        self.values
            .get(name)
            .and_then(|values| values.first())
            .map(Vec::as_slice)
            .unwrap_or_default()
    }

    fn text(&self, name: &str) -> &str {
        std::str::from_utf8(self.bytes(name))
            .unwrap_or_default()
            .trim()
    }

    fn number(&self, name: &str) -> Result<Option<i64>, RejectReason> {
        match self.text(name) {
            "" if !self.has(name) => Ok(None),
            text => text.parse().map(Some).map_err(|_| RejectReason::BadValue),
        }
    }

    fn is_true(&self, name: &str) -> bool {
        self.text(name).eq_ignore_ascii_case("true")
    }

    fn time(&self, name: &str) -> Result<Option<crate::domain::evidence::Change>, RejectReason> {
        match self.has(name) {
            false => Ok(None),
            true => stamps::generalized(self.text(name))
                .map(Some)
                .ok_or(RejectReason::BadDate),
        }
    }
}

/// What an entry says; nothing if it is no account.
pub(in crate::directory) fn told(entry: &Entry, options: &EvidenceOptions) -> Spoken {
    let is_group = entry.values.get("objectclass").is_some_and(|classes| {
        classes
            .iter()
            .any(|class| class.eq_ignore_ascii_case(b"group"))
    });
    let is_ad = entry.has("samaccountname") || entry.has("objectsid");
    if is_group || !(is_ad || entry.has("uid")) {
        return Ok(None);
    }
    let evidence = if is_ad {
        active_directory(entry, options)?
    } else if entry.is_freeipa || entry.has("ipauniqueid") || entry.has("krblastpwdchange") {
        freeipa(entry, options)?
    } else if entry.has("nsuniqueid") || entry.has("pwdupdatetime") {
        three_eight_nine(entry, options)?
    } else {
        ppolicy(entry, options)?
    };
    let immutable = ["entryuuid", "ipauniqueid", "nsuniqueid"].map(|name| id(entry.text(name)));
    let keys = immutable.into_iter().chain([
        guid(entry.bytes("objectguid")),
        sid(entry.bytes("objectsid")),
        Key::new(KeyKind::Upn, entry.text("userprincipalname")),
        Key::login(entry.text("samaccountname")),
        Key::login(entry.text("uid")),
        mail(entry.text("mail")),
    ]);
    Record::new(keys, Told::All(evidence))
}

fn active_directory(entry: &Entry, options: &EvidenceOptions) -> Result<Evidence, RejectReason> {
    let flags = entry.number("useraccountcontrol")?.unwrap_or(0);
    let last_set = entry.number("pwdlastset")?;
    let mut evidence = Evidence {
        secret_changed_at: secret_changed_at(entry),
        disabled: flags & DISABLED != 0,
        ..Evidence::silent(options.observed_at)
    };
    if flags & SMARTCARD != 0 {
        // The server rolls the random secret of such an account by itself: a change that no person made.
        evidence.secret_changed_at = None;
        return Ok(evidence);
    }
    match last_set {
        None => evidence.secret_changed_at = None,
        Some(0) if flags & NEVER_EXPIRES != 0 => evidence.secret_changed_at = None,
        Some(0) => {
            evidence.pending = true;
            evidence.date_is_zero = true;
        }
        Some(ticks) => {
            evidence.changed = Some(stamps::filetime(ticks).ok_or(RejectReason::BadDate)?);
        }
    }
    Ok(evidence)
}

/// When `unicodePwd` was last written, by the replication metadata, where they were asked for and may be read.
fn secret_changed_at(entry: &Entry) -> Option<Moment> {
    let all = entry.values.get("msds-replattributemetadata")?;
    all.iter().find_map(|xml| {
        let text = std::str::from_utf8(xml).ok()?.trim_end_matches('\0');
        let mut reader = quick_xml::Reader::from_str(text);
        let (mut inside, mut is_secret, mut at) = (Vec::new(), false, None);
        loop {
            match reader.read_event().ok()? {
                Event::Start(start) => inside = start.local_name().as_ref().to_vec(),
                Event::Text(value) => {
                    let value = value.decode().ok()?;
                    match inside.as_slice() {
                        b"pszAttributeName" => {
                            is_secret = value.trim().eq_ignore_ascii_case("unicodePwd");
                        }
                        b"ftimeLastOriginatingChange" => {
                            at = when::parse(&value, chrono_tz::Tz::UTC, None);
                        }
                        _ => {}
                    }
                }
                Event::End(_) => inside.clear(),
                Event::Eof => break,
                _ => {}
            }
        }
        at.filter(|_| is_secret).map(|change| change.lo)
    })
}

/// A password that an administrator set expires at once.
fn freeipa(entry: &Entry, options: &EvidenceOptions) -> Result<Evidence, RejectReason> {
    let changed = entry.time("krblastpwdchange")?;
    let expires = entry.time("krbpasswordexpiration")?;
    let pending = changed
        .zip(expires)
        .is_some_and(|(changed, expires)| expires.lo <= changed.lo);
    Ok(Evidence {
        changed,
        pending,
        disabled: entry.is_true("nsaccountlock"),
        actor: admin_if(pending),
        ..Evidence::silent(options.observed_at)
    })
}

/// The date at which a password expires is moved by warnings too, and proves nothing; the year 1970 is a mark.
fn three_eight_nine(entry: &Entry, options: &EvidenceOptions) -> Result<Evidence, RejectReason> {
    let pending = entry.text("passwordexpirationtime") == "19700101000000Z";
    Ok(Evidence {
        changed: entry.time("pwdupdatetime")?,
        pending,
        disabled: entry.is_true("nsaccountlock"),
        actor: admin_if(pending),
        ..Evidence::silent(options.observed_at)
    })
}

/// OpenLDAP's overlay, and lldap.
fn ppolicy(entry: &Entry, options: &EvidenceOptions) -> Result<Evidence, RejectReason> {
    let pending = entry.is_true("pwdreset");
    Ok(Evidence {
        changed: entry.time("pwdchangedtime")?,
        pending,
        // Any other time is a lock that ends by itself.
        disabled: entry.text("pwdaccountlockedtime") == "000001010000Z",
        actor: admin_if(pending),
        ..Evidence::silent(options.observed_at)
    })
}

const fn admin_if(pending: bool) -> Actor {
    if pending {
        Actor::Admin
    } else {
        Actor::Unknown
    }
}

/// An objectGUID: its first three groups are little-endian.
fn guid(bytes: &[u8]) -> Option<Key> {
    let Ok(bytes) = <[u8; 16]>::try_from(bytes) else {
        return id(std::str::from_utf8(bytes).unwrap_or_default());
    };
    let value = u128::from_be_bytes(bytes);
    let (a, b, c) = (
        ((value >> 96) as u32).swap_bytes(),
        ((value >> 80) as u16).swap_bytes(),
        ((value >> 64) as u16).swap_bytes(),
    );
    let (d, e) = ((value >> 48) as u16, value & 0xffff_ffff_ffff);
    id(&format!("{a:08x}-{b:04x}-{c:04x}-{d:04x}-{e:012x}"))
}

/// An objectSid, binary or as text.
fn sid(bytes: &[u8]) -> Option<Key> {
    if bytes.starts_with(b"S-") {
        return Key::new(KeyKind::Sid, std::str::from_utf8(bytes).ok()?);
    }
    let (revision, rest) = bytes.split_first()?;
    let (count, rest) = rest.split_first()?;
    let (authority, parts) = rest.split_at_checked(6)?;
    if parts.len() != usize::from(*count) * 4 {
        return None;
    }
    let authority = u64::from_str_radix(&HEXLOWER.encode(authority), 16).ok()?;
    let mut written = format!("S-{revision}-{authority}");
    for part in parts.chunks_exact(4) {
        let part = u32::from_le_bytes(part.try_into().ok()?);
        written.push_str(&format!("-{part}"));
    }
    Key::new(KeyKind::Sid, &written)
}
