//! People: accounts as an LDAP directory lists them, with the facts that a staff directory's export has.

use std::collections::{BTreeMap, HashMap};

use super::connection::{Connection, Pages};
use super::entry::Entry;
use super::profile::Profile;
use super::{LdapError, LdapOptions, active_directory};
use crate::directory::Summary;
use crate::directory::people::{PeopleItem, is_plain, language, mobile};
use crate::domain::finding::{Reject, RejectReason};
use crate::domain::person::{AccountKind, DirectoryEntry};
use crate::domain::{EmailAddress, Moment, PersonName, Room};

/// What people have, in our names.
pub(super) const FIELDS: &[&str] = &[
    "mail",
    "aliases",
    "second_mail",
    "mobile",
    "room",
    "building",
    "display_name",
    "department",
    "kind",
    "manager",
    "owner",
    "delegate",
    "language",
    "time_zone",
];

/// How many managers' addresses are kept in mind.
const MOST_MANAGERS: usize = 20_000;

/// A directory that is being read for people.
pub struct PeopleReading {
    connection: Connection,
    profile: Profile,
    pages: Pages,
    fields: Fields,
    /// Addresses by the names of entries in the tree.
    managers: HashMap<String, Option<EmailAddress>>,
    now: Moment,
    number: u64,
    summary: Summary,
}

/// Our names to the directory's attributes.
struct Fields(BTreeMap<&'static str, String>);

impl Fields {
    fn new(options: &LdapOptions) -> Result<Self, LdapError> {
        let own = options.profile.attributes().people.iter();
        let mut all: BTreeMap<&'static str, String> = own
            .map(|(field, attribute)| (*field, (*attribute).to_owned()))
            .collect();
        for (named, attribute) in &options.columns {
            let field = FIELDS
                .iter()
                .find(|field| *field == named)
                .ok_or_else(|| LdapError::NoSuchField(named.clone()))?;
            all.insert(field, attribute.to_lowercase());
        }
        Ok(Self(all))
    }

    fn of(&self, field: &str) -> &str {
        self.0.get(field).map_or("", String::as_str)
    }
}

/// Whether the config's names are ours.
pub(super) fn check_fields(options: &LdapOptions) -> Result<(), LdapError> {
    Fields::new(options).map(|_| ())
}

impl PeopleReading {
    /// Signs in and begins.
    pub async fn begin(options: &LdapOptions, now: Moment) -> Result<Self, LdapError> {
        let fields = Fields::new(options)?;
        let connection = Connection::open(options).await?;
        let filter = options
            .filter
            .as_deref()
            .unwrap_or(options.profile.attributes().filter);
        let mut attributes = options.profile.asked();
        attributes.extend(fields.0.values().cloned());
        attributes.sort_unstable();
        attributes.dedup();
        Ok(Self {
            connection,
            profile: options.profile,
            pages: Pages::new(&options.base, filter, attributes, options.page_size),
            fields,
            managers: HashMap::new(),
            now,
            number: 0,
            summary: Summary::default(),
        })
    }

    /// What comes next; none at the end.
    pub async fn next(&mut self) -> Result<Option<Vec<PeopleItem>>, LdapError> {
        let Some(page) = self.connection.page(&mut self.pages).await? else {
            return Ok(None);
        };
        let mut items = Vec::with_capacity(page.len());
        for entry in &page {
            let manager = self.address_of(entry, "manager").await?;
            let owner = self.address_of(entry, "owner").await?;
            let delegate = self.address_of(entry, "delegate").await?;
            self.number += 1;
            let line = self.number;
            let mut flaws = Vec::new();
            match self.person(entry, &mut flaws) {
                Err(reason) => {
                    self.summary.rejects += 1;
                    items.push(PeopleItem::Reject(Reject { line, reason }));
                }
                Ok(mut person) => {
                    person.manager_mail = manager;
                    person.owner_mail = owner;
                    person.delegate_mail = delegate;
                    self.summary.rows += 1;
                    self.summary.flaws += flaws.len() as u64;
                    let flaws = flaws.into_iter().map(|reason| Reject { line, reason });
                    items.extend(flaws.map(PeopleItem::Flaw));
                    let entry = Box::new(person);
                    items.push(PeopleItem::Entry { line, entry });
                }
            }
        }
        Ok(Some(items))
    }

    /// After the last: what was handed on.
    pub async fn end(self) -> Summary {
        self.connection.close().await;
        self.summary
    }

    /// Whoever an entry names by their place in the tree, or by their address.
    async fn address_of(
        &mut self,
        entry: &Entry,
        field: &str,
    ) -> Result<Option<EmailAddress>, LdapError> {
        let Some(named) = entry.text(self.fields.of(field)).map(str::trim) else {
            return Ok(None);
        };
        if let Ok(address) = EmailAddress::parse(named) {
            return Ok(Some(address));
        }
        if let Some(known) = self.managers.get(named) {
            return Ok(known.clone());
        }
        let mail = self.fields.of("mail").to_owned();
        let found = self
            .connection
            .look_up(named, std::slice::from_ref(&mail))
            .await?;
        let address = found.and_then(|found| {
            found
                .text(&mail)
                .and_then(|text| EmailAddress::parse(text.trim()).ok())
        });
        if self.managers.len() >= MOST_MANAGERS {
            self.managers.clear();
        }
        self.managers.insert(named.to_owned(), address.clone());
        Ok(address)
    }

    /// One entry as an account. What makes it unusable is an error, what only costs a value is a flaw.
    fn person(
        &self,
        entry: &Entry,
        flaws: &mut Vec<RejectReason>,
    ) -> Result<DirectoryEntry, RejectReason> {
        let own = self.profile.attributes();
        let object_id = match self.profile.id(entry) {
            Some(id) if is_plain(&id) => id,
            Some(_) => return Err(RejectReason::Malformed),
            None => return Err(RejectReason::NoKey),
        };
        let text = |field: &str| entry.text(self.fields.of(field)).unwrap_or_default().trim();
        let mut name = |attribute: &str| match entry.text(attribute).map(str::trim) {
            None | Some("") => None,
            Some(text) if is_plain(text) => Some(text.to_owned()),
            Some(_) => {
                flaws.push(RejectReason::Malformed);
                None
            }
        };
        let (sam, upn) = (name(own.login), name(own.upn));
        let sid = self.profile.sid(entry);
        let mut or_flaw = |value: Result<Option<String>, RejectReason>| {
            value.unwrap_or_else(|reason| {
                flaws.push(reason);
                None
            })
        };
        let language = or_flaw(language(first_language(text("language"))));
        let time_zone = or_flaw(crate::directory::people::time_zone(text("time_zone")));
        let mobile = mobile(text("mobile")).unwrap_or_else(|reason| {
            flaws.push(reason);
            None
        });
        let kind = match text("kind") {
            "" if sam.as_deref().is_some_and(|sam| sam.ends_with('$')) => AccountKind::Machine,
            "" if sid.as_deref().is_some_and(active_directory::is_builtin) => AccountKind::Builtin,
            "" => AccountKind::Person,
            word => AccountKind::from_word(&word.to_lowercase()).unwrap_or_else(|| {
                flaws.push(RejectReason::BadValue);
                AccountKind::Unknown
            }),
        };
        let mut address = |text: &str| match text {
            "" => None,
            text => EmailAddress::parse(text)
                .map_err(|_| flaws.push(RejectReason::BadAddress))
                .ok(),
        };
        let mail = address(text("mail"));
        let second_mail = address(text("second_mail"));
        let shown = match text("display_name") {
            "" => entry.text("cn").or(sam.as_deref()).unwrap_or_default(),
            shown => shown,
        };
        let plain = |text: &str| PersonName::new(text).expose().to_owned();
        let disabled = self.profile.facts(entry, self.now).disabled;
        let aliases = self.aliases(entry, mail.as_ref());
        Ok(DirectoryEntry {
            object_id,
            sid,
            display_name: PersonName::new(shown),
            sam,
            upn,
            mail,
            aliases,
            second_mail,
            mobile,
            room: Room::new(text("room")),
            building: Some(plain(text("building"))).filter(|building| !building.is_empty()),
            department: plain(text("department")),
            kind,
            enabled: !disabled,
            owner_mail: None,
            manager_mail: None,
            delegate_mail: None,
            language,
            time_zone,
        })
    }

    /// Further addresses: those named so, and further values of the address itself. Active Directory writes `smtp:` before
    /// each, and names other than mail's beside them.
    fn aliases(&self, entry: &Entry, mail: Option<&EmailAddress>) -> Vec<EmailAddress> {
        let named = entry.texts(self.fields.of("aliases"));
        let further = entry.texts(self.fields.of("mail")).skip(1);
        let mut all: Vec<EmailAddress> = Vec::new();
        for text in named.chain(further) {
            let text = match text.split_once(':') {
                Some((scheme, address)) if scheme.eq_ignore_ascii_case("smtp") => address,
                Some(_) => continue,
                None => text,
            };
            let Ok(address) = EmailAddress::parse(text.trim()) else {
                continue;
            };
            let folded = address.folded();
            let is_known = mail
                .into_iter()
                .chain(&all)
                .any(|known| known.folded() == folded);
            if !is_known {
                all.push(address);
            }
        }
        all
    }
}

/// The language that is preferred most: `en-GB, de;q=0.8` is a list.
fn first_language(text: &str) -> &str {
    text.split([',', ';']).next().unwrap_or_default().trim()
}
