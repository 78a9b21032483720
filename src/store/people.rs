//! Persons, accounts and mailboxes: kept in step with the staff directory, and found again by any of their names.

use std::borrow::Cow;
use std::collections::HashMap;
use std::collections::hash_map::Entry;

use data_encoding::BASE64URL_NOPAD;
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::{StoreError, Tx, ids, on, on_set, on_set_as_text, strange};
use crate::domain::identity::{Lookup, LookupKind, Realm};
use crate::domain::person::{AccountKind, DirectoryEntry};
use crate::domain::{AccountId, EmailAddress, Mobile, Moment, PersonId, PersonName, Room};

/// What a listing changed.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize)]
pub struct SyncCounts {
    /// Accounts in the listing.
    pub listed: u64,
    /// Seen for the first time, or again after they had left.
    pub joined: u64,
    /// Missing from a complete listing.
    pub left: u64,
    /// In another department.
    pub moved: u64,
    /// Can no longer sign in.
    pub disabled: u64,
    /// Can sign in again.
    pub enabled: u64,
    /// Something else is different.
    pub updated: u64,
}

/// One account that changed. Its name masks itself when printed.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct DirectoryChange {
    /// joined, left, moved, disabled, enabled, updated.
    pub what: &'static str,
    /// Which account.
    pub account: AccountId,
    /// Whose.
    pub name: PersonName,
    /// Where they work.
    pub department: String,
    /// Where they worked before, if they moved.
    pub before: Option<String>,
}

/// What the store knows about an account.
#[derive(Clone, PartialEq, Debug)]
pub struct AccountFacts {
    /// Its number.
    pub id: AccountId,
    /// The directory's immutable id.
    pub object_id: String,
    /// Login without its domain.
    pub sam: Option<String>,
    /// What it is called.
    pub name: PersonName,
    /// What it is for.
    pub kind: AccountKind,
    /// Whether one can sign in.
    pub enabled: bool,
    /// Where it belongs.
    pub department: String,
    /// Whose own it is.
    pub holder: Option<PersonId>,
    /// Who answers for it.
    pub owner: Option<PersonId>,
}

/// Accounts by the keys that were asked for.
#[derive(Default)]
pub struct Known {
    by_key: HashMap<Lookup, Vec<AccountId>>,
    facts: HashMap<AccountId, AccountFacts>,
}

impl Known {
    /// These accounts, and no key of theirs.
    pub fn of(facts: HashMap<AccountId, AccountFacts>) -> Self {
        Self {
            by_key: HashMap::new(),
            facts,
        }
    }

    /// Adds accounts that were found by another way than a key.
    pub fn add(&mut self, facts: HashMap<AccountId, AccountFacts>) {
        self.facts.extend(facts);
    }

    /// The accounts that have this key.
    pub fn hits(&self, lookup: &Lookup) -> &[AccountId] {
        self.by_key.get(lookup).map_or(&[], Vec::as_slice)
    }

    /// What is known of an account that was hit.
    pub fn facts(&self, id: AccountId) -> Option<&AccountFacts> {
        self.facts.get(&id)
    }
}

/// What is needed to write to a person.
#[derive(Clone, PartialEq, Debug)]
pub struct PersonFacts {
    /// Their number.
    pub id: PersonId,
    /// Their name.
    pub name: PersonName,
    /// The address of their own mailbox.
    pub address: Option<EmailAddress>,
    /// Another address, which is none of their own mailbox's.
    pub second_address: Option<EmailAddress>,
    /// Whether others read their own mailbox for them.
    pub is_read_by_others: bool,
    /// Their mobile.
    pub mobile: Option<Mobile>,
    /// Where the internal post leaves a letter.
    pub room: Option<Room>,
    /// BCP 47.
    pub language: Option<String>,
    /// IANA.
    pub time_zone: Option<String>,
    /// Whether any account of their own can sign in.
    pub enabled: bool,
    /// Whether they have left.
    pub left: bool,
}

#[derive(sqlx::FromRow)]
struct AccountRow {
    id: i64,
    object_id: String,
    sam: Option<String>,
    display_name: String,
    kind: String,
    enabled: bool,
    department: String,
    holder_id: Option<i64>,
    owner_id: Option<i64>,
}

/// An account that a key names: the key, and what is known of it.
type HitRow<'a> = (
    &'a str,
    Cow<'a, str>,
    i64,
    String,
    Option<String>,
    String,
    &'a str,
    u8,
    String,
    Option<i64>,
    Option<i64>,
);

impl TryFrom<AccountRow> for AccountFacts {
    type Error = StoreError;

    fn try_from(row: AccountRow) -> Result<Self, StoreError> {
        Ok(Self {
            id: AccountId(row.id),
            object_id: row.object_id,
            sam: row.sam,
            name: PersonName::new(&row.display_name),
            kind: AccountKind::from_word(&row.kind)
                .ok_or_else(|| strange("accounts", "kind", row.id))?,
            enabled: row.enabled,
            department: row.department,
            holder: row.holder_id.map(PersonId),
            owner: row.owner_id.map(PersonId),
        })
    }
}

#[derive(sqlx::FromRow)]
struct BeforeRow {
    object_id: String,
    digest: String,
    department: String,
    enabled: bool,
    left_at: Option<i64>,
}

#[derive(sqlx::FromRow)]
struct PersonRow {
    id: i64,
    display_name: String,
    address: Option<String>,
    second_address: Option<String>,
    mobile: Option<String>,
    room: Option<String>,
    language: Option<String>,
    time_zone: Option<String>,
    is_read_by_others: bool,
    enabled: bool,
    left_at: Option<i64>,
}

#[derive(Serialize)]
struct EntrySet<'a> {
    key: String,
    object_id: &'a str,
    sam: Option<&'a str>,
    name: &'a str,
    department: &'a str,
    kind: &'static str,
    enabled: bool,
    digest: String,
    language: Option<&'a str>,
    time_zone: Option<&'a str>,
    second: Option<&'a str>,
    mobile: Option<&'a str>,
    room: Option<&'a str>,
    building: Option<&'a str>,
    owner_mail: Option<String>,
    manager_mail: Option<String>,
    delegate_mail: Option<String>,
    mail: Option<&'a str>,
    mail_folded: Option<String>,
}

impl<'a> EntrySet<'a> {
    fn of(realm: &Realm, entry: &'a DirectoryEntry) -> Self {
        let folded = |address: &Option<EmailAddress>| address.as_ref().map(EmailAddress::folded);
        Self {
            key: format!("{realm}\u{1f}{}", entry.object_id),
            object_id: &entry.object_id,
            sam: entry.sam.as_deref(),
            name: entry.display_name.expose(),
            department: &entry.department,
            kind: entry.kind.word(),
            enabled: entry.enabled,
            digest: digest(entry),
            language: entry.language.as_deref(),
            time_zone: entry.time_zone.as_deref(),
            second: entry.second_mail.as_ref().map(EmailAddress::expose),
            mobile: entry.mobile.as_ref().map(Mobile::expose),
            room: entry.room.as_ref().map(Room::expose),
            building: entry.building.as_deref(),
            owner_mail: folded(&entry.owner_mail),
            manager_mail: folded(&entry.manager_mail),
            delegate_mail: folded(&entry.delegate_mail).filter(|named| !is_own(entry, named)),
            mail: entry.mail.as_ref().map(EmailAddress::expose),
            mail_folded: folded(&entry.mail),
        }
    }
}

/// Whether an address, folded, is one of the entry's own mailbox: nobody is their own delegate.
fn is_own(entry: &DirectoryEntry, folded: &str) -> bool {
    let own = entry.mail.iter().chain(&entry.aliases);
    own.map(EmailAddress::folded).any(|own| own == folded)
}

/// What changes when anything in a directory's line does.
fn digest(entry: &DirectoryEntry) -> String {
    let mail = |address: &Option<EmailAddress>| {
        address
            .as_ref()
            .map(|address| address.expose().to_owned())
            .unwrap_or_default()
    };
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let mut parts = vec![
        text(&entry.sid),
        text(&entry.sam),
        text(&entry.upn),
        mail(&entry.mail),
        mail(&entry.second_mail),
        entry.display_name.expose().to_owned(),
        entry.department.clone(),
        entry.kind.word().to_owned(),
        entry.enabled.to_string(),
        mail(&entry.owner_mail),
        mail(&entry.manager_mail),
        text(&entry.language),
        text(&entry.time_zone),
        text(
            &entry
                .mobile
                .as_ref()
                .map(|mobile| mobile.expose().to_owned()),
        ),
        text(&entry.room.as_ref().map(|room| room.expose().to_owned())),
        text(&entry.building),
    ];
    parts.extend(entry.aliases.iter().map(|alias| alias.expose().to_owned()));
    // Most have none, and came without before there was such a column.
    let delegate = entry.delegate_mail.as_ref();
    parts.extend(delegate.map(|delegate| format!("delegate {}", delegate.expose())));
    BASE64URL_NOPAD.encode(&Sha256::digest(parts.join("\0")))
}

#[derive(Serialize)]
struct KeySet {
    kind: &'static str,
    key: String,
    account_id: i64,
}

fn keys_of(entry: &DirectoryEntry, account_id: i64) -> Vec<KeySet> {
    let fold = crate::domain::address::fold;
    let named = [
        (LookupKind::ObjectId, Some(&entry.object_id)),
        (LookupKind::Sid, entry.sid.as_ref()),
        (LookupKind::Sam, entry.sam.as_ref()),
        (LookupKind::Upn, entry.upn.as_ref()),
    ];
    let mut all: Vec<KeySet> = named
        .into_iter()
        .filter_map(|(kind, text)| {
            text.map(|text| KeySet {
                kind: kind.word(),
                key: fold(text),
                account_id,
            })
        })
        .collect();
    all.extend(
        entry
            .mail
            .iter()
            .chain(&entry.aliases)
            .map(|address| KeySet {
                kind: LookupKind::Email.word(),
                key: address.folded(),
                account_id,
            }),
    );
    all
}

impl Tx {
    /// Brings a batch of the listing of `realm` that was read at `now` into the store. Batches may hold up to some
    /// thousand entries; an object id counts once in a batch.
    pub async fn sync_people(
        &mut self,
        realm: &Realm,
        entries: &[DirectoryEntry],
        now: Moment,
    ) -> Result<(SyncCounts, Vec<DirectoryChange>), StoreError> {
        let sets: Vec<EntrySet> = entries
            .iter()
            .map(|entry| EntrySet::of(realm, entry))
            .collect();
        let before: HashMap<String, BeforeRow> = on_set!(
            self, &sets, [object_id text],
            "SELECT a.object_id, a.digest, a.department, a.enabled, a.left_at FROM d CROSS JOIN accounts a WHERE a.realm = $2 AND a.object_id = d.object_id",
            sqlx::query_as::<_, BeforeRow>, |query, db| query.bind(&realm.0).fetch_all(db).await
        )?.into_iter().map(|row| (row.object_id.clone(), row)).collect();

        let mut counts = SyncCounts {
            listed: entries.len() as u64,
            ..SyncCounts::default()
        };
        let mut changes = Vec::new();
        let mut fresh = Vec::new();
        for (set, entry) in sets.into_iter().zip(entries) {
            let was = before.get(&entry.object_id);
            let (count, what) = match was {
                None => (&mut counts.joined, "joined"),
                Some(was) if was.left_at.is_some() => (&mut counts.joined, "joined"),
                Some(was) if was.digest == set.digest => continue,
                Some(was) if was.enabled && !entry.enabled => (&mut counts.disabled, "disabled"),
                Some(was) if !was.enabled && entry.enabled => (&mut counts.enabled, "enabled"),
                Some(was) if was.department != entry.department => (&mut counts.moved, "moved"),
                Some(_) => (&mut counts.updated, "updated"),
            };
            *count += 1;
            changes.push((
                what,
                entry,
                was.filter(|_| what == "moved")
                    .map(|was| was.department.clone()),
            ));
            fresh.push((set, entry));
        }
        self.touch_accounts(realm, entries, now).await?;
        let numbers = self.write_entries(realm, &fresh, now).await?;
        let changes = changes
            .into_iter()
            .filter_map(|(what, entry, before)| {
                Some(DirectoryChange {
                    what,
                    account: AccountId(*numbers.get(&entry.object_id)?),
                    name: entry.display_name.clone(),
                    department: entry.department.clone(),
                    before,
                })
            })
            .collect();
        Ok((counts, changes))
    }

    async fn touch_accounts(
        &mut self,
        realm: &Realm,
        entries: &[DirectoryEntry],
        now: Moment,
    ) -> Result<(), StoreError> {
        #[derive(Serialize)]
        struct Listed<'a> {
            object_id: &'a str,
        }
        let listed: Vec<Listed> = entries
            .iter()
            .map(|entry| Listed {
                object_id: &entry.object_id,
            })
            .collect();
        on_set!(
            self, &listed, [object_id text],
            "UPDATE accounts SET synced_at = $3 WHERE id IN (SELECT a.id FROM d CROSS JOIN accounts a WHERE a.realm = $2 AND a.object_id = d.object_id)",
            sqlx::query, |query, db| query.bind(&realm.0).bind(now.micros()).execute(db).await.map(|_| ())
        )?;
        Ok(())
    }

    async fn write_entries(
        &mut self,
        realm: &Realm,
        fresh: &[(EntrySet<'_>, &DirectoryEntry)],
        now: Moment,
    ) -> Result<HashMap<String, i64>, StoreError> {
        if fresh.is_empty() {
            return Ok(HashMap::new());
        }
        let sets: Vec<&EntrySet> = fresh.iter().map(|(set, _)| set).collect();
        on_set!(
            self, &sets,
            [key text, name text, department text, kind text, language text, time_zone text, second text, mobile text, room text, building text, manager_mail text, delegate_mail text],
            "INSERT INTO persons (key, display_name, department, language, time_zone, second_address, mobile, room, building, manager_mail, delegate_mail, joined_at)
             SELECT key, name, department, language, time_zone, second, mobile, room, building, manager_mail, delegate_mail, $2 FROM d WHERE kind = 'person'
             ON CONFLICT (key) DO UPDATE SET display_name = excluded.display_name, department = excluded.department, language = excluded.language,
                 time_zone = excluded.time_zone, second_address = excluded.second_address, mobile = excluded.mobile, room = excluded.room,
                 building = excluded.building, manager_mail = excluded.manager_mail,
                 delegate_mail = excluded.delegate_mail, left_at = NULL",
            sqlx::query, |query, db| query.bind(now.micros()).execute(db).await.map(|_| ())
        )?;
        let rows: Vec<(String, i64)> = on_set!(
            self, &sets,
            [key text, object_id text, sam text, name text, department text, kind text, enabled boolean, digest text, owner_mail text],
            "INSERT INTO accounts (realm, object_id, sam, display_name, department, kind, enabled, holder_id, owner_mail, digest, joined_at, synced_at)
             SELECT $2, d.object_id, d.sam, d.name, d.department, d.kind, d.enabled, CASE WHEN d.kind = 'person' THEN p.id END, d.owner_mail, d.digest, $3, $3
             FROM d LEFT JOIN persons p ON p.key = d.key WHERE true
             ON CONFLICT (realm, object_id) DO UPDATE SET sam = excluded.sam, display_name = excluded.display_name, department = excluded.department,
                 kind = excluded.kind, enabled = excluded.enabled, holder_id = excluded.holder_id, owner_mail = excluded.owner_mail, digest = excluded.digest,
                 left_at = NULL, synced_at = excluded.synced_at
             RETURNING object_id, id",
            sqlx::query_as::<_, (String, i64)>, |query, db| query.bind(&realm.0).bind(now.micros()).fetch_all(db).await
        )?;
        let numbers: HashMap<String, i64> = rows.into_iter().collect();
        self.write_keys(fresh, &numbers).await?;
        self.write_mailboxes(fresh, &numbers).await?;
        Ok(numbers)
    }

    async fn write_keys(
        &mut self,
        fresh: &[(EntrySet<'_>, &DirectoryEntry)],
        numbers: &HashMap<String, i64>,
    ) -> Result<(), StoreError> {
        on_set!(
            self, &ids(numbers.values().copied()), [id bigint],
            "DELETE FROM account_keys WHERE account_id IN (SELECT id FROM d)",
            sqlx::query, |query, db| query.execute(db).await.map(|_| ())
        )?;
        let keys: Vec<KeySet> = fresh
            .iter()
            .filter_map(|(_, entry)| numbers.get(&entry.object_id).map(|id| keys_of(entry, *id)))
            .flatten()
            .collect();
        on_set!(
            self, &keys, [kind text, key text, account_id bigint],
            "INSERT INTO account_keys (kind, key, account_id) SELECT kind, key, account_id FROM d WHERE true ON CONFLICT DO NOTHING",
            sqlx::query, |query, db| query.execute(db).await.map(|_| ())
        )?;
        Ok(())
    }

    async fn write_mailboxes(
        &mut self,
        fresh: &[(EntrySet<'_>, &DirectoryEntry)],
        numbers: &HashMap<String, i64>,
    ) -> Result<(), StoreError> {
        #[derive(Serialize)]
        struct Box<'a> {
            account_id: i64,
            address: &'a str,
            folded: &'a str,
        }
        #[derive(Serialize)]
        struct Alias<'a> {
            folded: String,
            address: &'a str,
            of_folded: &'a str,
        }
        let mut boxes = Vec::new();
        let mut aliases = Vec::new();
        for (set, entry) in fresh {
            let (Some(address), Some(folded), Some(account_id)) = (
                set.mail,
                set.mail_folded.as_deref(),
                numbers.get(&entry.object_id),
            ) else {
                continue;
            };
            boxes.push(Box {
                account_id: *account_id,
                address,
                folded,
            });
            aliases.extend(entry.aliases.iter().map(|alias| Alias {
                folded: alias.folded(),
                address: alias.expose(),
                of_folded: folded,
            }));
        }
        on_set!(
            self, &ids(numbers.values().copied()), [id bigint],
            "DELETE FROM account_mailboxes WHERE account_id IN (SELECT id FROM d)",
            sqlx::query, |query, db| query.execute(db).await.map(|_| ())
        )?;
        on_set!(
            self, &boxes, [address text, folded text],
            "INSERT INTO mailboxes (address, folded) SELECT MIN(address), folded FROM d GROUP BY folded ON CONFLICT (folded) DO UPDATE SET address = excluded.address",
            sqlx::query, |query, db| query.execute(db).await.map(|_| ())
        )?;
        on_set!(
            self, &boxes, [account_id bigint, folded text],
            "INSERT INTO account_mailboxes (account_id, mailbox_id) SELECT d.account_id, m.id FROM d JOIN mailboxes m ON m.folded = d.folded WHERE true ON CONFLICT DO NOTHING",
            sqlx::query, |query, db| query.execute(db).await.map(|_| ())
        )?;
        on_set!(
            self, &aliases, [folded text, address text, of_folded text],
            "INSERT INTO aliases (folded, address, mailbox_id) SELECT d.folded, MIN(d.address), MIN(m.id) FROM d JOIN mailboxes m ON m.folded = d.of_folded GROUP BY d.folded
             ON CONFLICT (folded) DO UPDATE SET address = excluded.address, mailbox_id = excluded.mailbox_id",
            sqlx::query, |query, db| query.execute(db).await.map(|_| ())
        )?;
        Ok(())
    }

    /// After the last batch: finds owners, managers and delegates by their addresses, and marks who is missing from a complete
    /// listing as having left.
    pub async fn end_sync(
        &mut self,
        realm: &Realm,
        complete: bool,
        now: Moment,
    ) -> Result<Vec<DirectoryChange>, StoreError> {
        let mut gone: Vec<(i64, String, String)> = Vec::new();
        if complete {
            // Before anything else: who has left owns and manages nothing.
            gone = on!(self, db => sqlx::query_as(
                "UPDATE accounts SET left_at = $2, enabled = $3 WHERE realm = $1 AND left_at IS NULL AND synced_at < $2 RETURNING id, display_name, department",
            ).bind(&realm.0).bind(now.micros()).bind(false).fetch_all(db).await)?;
            on!(self, db => sqlx::query(
                "UPDATE persons SET left_at = $1 WHERE left_at IS NULL AND NOT EXISTS (SELECT 1 FROM accounts a WHERE a.holder_id = persons.id AND a.left_at IS NULL)",
            ).bind(now.micros()).execute(db).await.map(|_| ()))?;
        }
        self.find_owners(realm).await?;
        self.find_delegates(now).await?;
        Ok(gone
            .into_iter()
            .map(|(id, name, department)| DirectoryChange {
                what: "left",
                account: AccountId(id),
                name: PersonName::new(&name),
                department,
                before: None,
            })
            .collect())
    }

    async fn find_owners(&mut self, realm: &Realm) -> Result<(), StoreError> {
        // Joined as a whole: asked person by person, PostgreSQL looks through all accounts for each of them while it has
        // no statistics, which is after every first listing. What has not changed is not written.
        on!(self, db => sqlx::query(
            "UPDATE accounts SET owner_id = o.owner_id FROM (
                 SELECT x.id, MIN(a.holder_id) AS owner_id FROM accounts x LEFT JOIN account_keys k ON k.kind = 'email' AND k.key = x.owner_mail
                     LEFT JOIN accounts a ON a.id = k.account_id AND a.holder_id IS NOT NULL AND a.left_at IS NULL
                 WHERE x.realm = $1 AND (x.owner_mail IS NOT NULL OR x.owner_id IS NOT NULL) GROUP BY x.id) o
             WHERE accounts.id = o.id AND accounts.owner_id IS DISTINCT FROM o.owner_id",
        ).bind(&realm.0).execute(db).await.map(|_| ()))?;
        on!(self, db => sqlx::query(
            "UPDATE persons SET manager_id = o.manager_id FROM (
                 SELECT x.id, MIN(a.holder_id) AS manager_id FROM persons x LEFT JOIN account_keys k ON k.kind = 'email' AND k.key = x.manager_mail
                     LEFT JOIN accounts a ON a.id = k.account_id AND a.holder_id IS NOT NULL AND a.left_at IS NULL
                 WHERE x.manager_mail IS NOT NULL OR x.manager_id IS NOT NULL GROUP BY x.id) o
             WHERE persons.id = o.id AND persons.manager_id IS DISTINCT FROM o.manager_id",
        ).execute(db).await.map(|_| ()))?;
        on!(self, db => sqlx::query(
            "UPDATE mailboxes SET owner_id = o.owner_id FROM (
                 SELECT x.id, MIN(COALESCE(a.holder_id, a.owner_id)) AS owner_id FROM mailboxes x LEFT JOIN account_mailboxes b ON b.mailbox_id = x.id
                     LEFT JOIN accounts a ON a.id = b.account_id GROUP BY x.id) o
             WHERE mailboxes.id = o.id AND mailboxes.owner_id IS DISTINCT FROM o.owner_id",
        ).execute(db).await.map(|_| ()))?;
        Ok(())
    }

    /// How many accounts of a realm are here now.
    pub async fn accounts_present(&mut self, realm: &Realm) -> Result<u64, StoreError> {
        let (count,): (i64,) = on!(self, db => sqlx::query_as("SELECT COUNT(*) FROM accounts WHERE realm = $1 AND left_at IS NULL").bind(&realm.0).fetch_one(db).await)?;
        Ok(count.unsigned_abs())
    }

    /// Which accounts of `realm` have these keys.
    pub async fn known(&mut self, realm: &Realm, lookups: &[Lookup]) -> Result<Known, StoreError> {
        #[derive(Serialize)]
        struct Asked<'a> {
            kind: &'static str,
            key: &'a str,
        }
        let asked: Vec<Asked> = lookups
            .iter()
            .map(|lookup| Asked {
                kind: lookup.kind.word(),
                key: &lookup.key,
            })
            .collect();
        let text = on_set_as_text!(
            self, &asked, [kind text, key text],
            ["k.kind", "k.key", "a.id", "a.object_id", "a.sam", "a.display_name", "a.kind", "CASE WHEN a.enabled THEN 1 ELSE 0 END", "a.department", "a.holder_id", "a.owner_id"],
            "FROM d CROSS JOIN account_keys k CROSS JOIN accounts a
             WHERE k.kind = d.kind AND k.key = d.key AND a.id = k.account_id AND a.realm = $2 AND a.left_at IS NULL",
            |query| query.bind(&realm.0)
        );
        let rows: Vec<HitRow<'_>> = serde_json::from_str(&text)?;
        let mut known = Known::default();
        for (
            kind,
            key,
            id,
            object_id,
            sam,
            display_name,
            own_kind,
            enabled,
            department,
            holder_id,
            owner_id,
        ) in rows
        {
            let kind =
                LookupKind::from_word(kind).ok_or_else(|| strange("account_keys", "kind", id))?;
            let key = key.into_owned();
            let hits = known.by_key.entry(Lookup { kind, key }).or_default();
            let id = AccountId(id);
            if !hits.contains(&id) {
                hits.push(id);
            }
            if let Entry::Vacant(place) = known.facts.entry(id) {
                place.insert(AccountFacts::try_from(AccountRow {
                    id: id.0,
                    object_id,
                    sam,
                    display_name,
                    kind: own_kind.to_owned(),
                    enabled: enabled != 0,
                    department,
                    holder_id,
                    owner_id,
                })?);
            }
        }
        Ok(known)
    }

    /// What is known of these accounts.
    pub async fn accounts(
        &mut self,
        wanted: impl IntoIterator<Item = AccountId>,
    ) -> Result<HashMap<AccountId, AccountFacts>, StoreError> {
        let rows: Vec<AccountRow> = on_set!(
            self, &ids(wanted.into_iter().map(|id| id.0)), [id bigint],
            "SELECT a.id, a.object_id, a.sam, a.display_name, a.kind, a.enabled, a.department, a.holder_id, a.owner_id FROM d JOIN accounts a ON a.id = d.id",
            sqlx::query_as::<_, AccountRow>, |query, db| query.fetch_all(db).await
        )?;
        rows.into_iter()
            .map(|row| AccountFacts::try_from(row).map(|facts| (facts.id, facts)))
            .collect()
    }

    /// What is needed to write to these people.
    pub async fn persons(
        &mut self,
        wanted: impl IntoIterator<Item = PersonId>,
    ) -> Result<HashMap<PersonId, PersonFacts>, StoreError> {
        let rows: Vec<PersonRow> = on_set!(
            self, &ids(wanted.into_iter().map(|id| id.0)), [id bigint],
            "SELECT p.id, p.display_name, p.mobile, p.room, p.language, p.time_zone, p.left_at,
                 CASE WHEN NOT EXISTS (SELECT 1 FROM account_keys k JOIN accounts a ON a.id = k.account_id
                      WHERE k.kind = 'email' AND k.key = LOWER(p.second_address) AND a.holder_id = p.id) THEN p.second_address END AS second_address,
                 (SELECT MIN(m.address) FROM accounts a JOIN account_mailboxes am ON am.account_id = a.id JOIN mailboxes m ON m.id = am.mailbox_id
                      WHERE a.holder_id = p.id AND a.left_at IS NULL) AS address,
                 EXISTS (SELECT 1 FROM delegates g WHERE g.person_id = p.id) AS is_read_by_others,
                 EXISTS (SELECT 1 FROM accounts a WHERE a.holder_id = p.id AND a.enabled AND a.left_at IS NULL) AS enabled
             FROM d JOIN persons p ON p.id = d.id",
            sqlx::query_as::<_, PersonRow>, |query, db| query.fetch_all(db).await
        )?;
        rows.into_iter()
            .map(|row| {
                let address = |text: Option<String>, column| {
                    text.map(|text| EmailAddress::parse(&text))
                        .transpose()
                        .map_err(|_| strange("persons", column, row.id))
                };
                let facts = PersonFacts {
                    id: PersonId(row.id),
                    name: PersonName::new(&row.display_name),
                    address: address(row.address, "address")?,
                    second_address: address(row.second_address, "second_address")?,
                    is_read_by_others: row.is_read_by_others,
                    mobile: row
                        .mobile
                        .map(|text| Mobile::parse(&text))
                        .transpose()
                        .map_err(|_| strange("persons", "mobile", row.id))?,
                    room: row.room.as_deref().and_then(Room::new),
                    language: row.language,
                    time_zone: row.time_zone,
                    enabled: row.enabled,
                    left: row.left_at.is_some(),
                };
                Ok((facts.id, facts))
            })
            .collect()
    }

    /// The next `limit` people after `after`, by number.
    pub async fn person_ids(
        &mut self,
        after: PersonId,
        limit: i64,
    ) -> Result<Vec<PersonId>, StoreError> {
        let rows: Vec<(i64,)> = on!(self, db => sqlx::query_as("SELECT id FROM persons WHERE id > $1 ORDER BY id LIMIT $2").bind(after.0).bind(limit).fetch_all(db).await)?;
        Ok(rows.into_iter().map(|(id,)| PersonId(id)).collect())
    }

    /// The person behind an address, folded: the holder of its account, else whoever answers for it. Those who are here go
    /// before those who have left.
    pub async fn person_by_address(
        &mut self,
        folded: &str,
    ) -> Result<Option<PersonId>, StoreError> {
        self.person_by_key(LookupKind::Email, folded).await
    }

    /// The person behind a login, folded and without its domain.
    pub async fn person_by_login(&mut self, folded: &str) -> Result<Option<PersonId>, StoreError> {
        self.person_by_key(LookupKind::Sam, folded).await
    }

    async fn person_by_key(
        &mut self,
        kind: LookupKind,
        key: &str,
    ) -> Result<Option<PersonId>, StoreError> {
        let row: Option<(Option<i64>,)> = on!(self, db => sqlx::query_as(
            "SELECT COALESCE(a.holder_id, a.owner_id) FROM account_keys k JOIN accounts a ON a.id = k.account_id WHERE k.kind = $1 AND k.key = $2
             ORDER BY CASE WHEN a.left_at IS NULL THEN 0 ELSE 1 END, a.id LIMIT 1",
        ).bind(kind.word()).bind(key).fetch_optional(db).await)?;
        Ok(row.and_then(|(id,)| id).map(PersonId))
    }
}
