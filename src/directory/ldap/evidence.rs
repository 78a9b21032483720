//! Evidence: what an LDAP directory says about passwords, all of it or what changed since.
//!
//! | first | people's entries, page by page: all of them, or those that changed since the position of the last reading |
//! | then | accounts with an open case, by their ids: where the directory tells when the secret itself changed, and those that the first pass had no reason to tell of |
//! | last | after a pass over everything: who could not be found by an id that was seen before is deleted |
//!
//! A position belongs to one server, as servers count changes each for themselves; another server means everything is read.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;

use ldap3::Scope;
use serde::{Deserialize, Serialize};

use super::connection::{Connection, Pages};
use super::entry::Entry;
use super::profile::{Counts, Profile};
use super::times::written;
use super::{LdapError, LdapOptions, active_directory};
use crate::directory::Summary;
use crate::directory::evidence::{EvidenceItem, EvidenceRow};
use crate::domain::Moment;
use crate::domain::evidence::{Actor, Evidence};
use crate::domain::finding::{Reject, RejectReason};
use crate::domain::identity::{Key, KeyKind};

/// How many ids are asked for at once.
const IDS: usize = 50;

/// So many may be gone at once whatever their share is.
const FEW: usize = 20;

/// An account with an open case.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Asked {
    /// The directory's immutable id.
    pub object_id: String,
    /// This source has said nothing of it since the case was opened.
    pub is_news: bool,
    /// This source once saw it by its id, so that it can be missed.
    pub was_seen: bool,
}

/// From where only what changed is read.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Position {
    /// Whose count it is.
    server: String,
    /// The count.
    mark: String,
}

enum Phase {
    Pages(Pages),
    ById,
    Missing,
    Done,
}

/// A directory that is being read for evidence.
pub struct EvidenceReading {
    connection: Connection,
    profile: Profile,
    phase: Phase,
    /// The entry below which ids are looked for: the whole directory, as people move in it.
    root: String,
    asked: HashMap<String, Asked>,
    /// Ids that are still to be looked for.
    by_id: Vec<String>,
    found: HashSet<String>,
    missing: Vec<String>,
    is_sweep: bool,
    position: Option<Position>,
    observed_at: Moment,
    number: u64,
    summary: Summary,
}

impl EvidenceReading {
    /// Signs in and begins: with what changed since `position` if that is a position of this server, else with everything.
    pub async fn begin(
        options: &LdapOptions,
        position: Option<&str>,
        asked: Vec<Asked>,
        now: Moment,
    ) -> Result<Self, LdapError> {
        let mut connection = Connection::open(options).await?;
        let (root, here) = standing(&mut connection, options, now).await?;
        let since = position
            .and_then(|text| serde_json::from_str::<Position>(text).ok())
            .filter(|since| {
                here.as_ref()
                    .is_some_and(|here| here.server == since.server)
            });
        let own = options.profile.attributes();
        let filter = options.filter.as_deref().unwrap_or(own.filter);
        let filter = match (&since, own.counts) {
            (Some(since), Counts::Usn) => {
                let next = since.mark.parse::<u64>().unwrap_or_default() + 1;
                format!("(&{filter}(uSNChanged>={next}))")
            }
            (Some(since), Counts::Clock) => {
                format!("(&{filter}(modifyTimestamp>={}))", since.mark)
            }
            (_, Counts::Nothing) | (None, _) => filter.to_owned(),
        };
        let attributes = options.profile.asked();
        let pages = Pages::new(&options.base, &filter, attributes, options.page_size);
        let by_id = asked
            .iter()
            .filter(|asked| asked.is_news)
            .map(|asked| asked.object_id.clone())
            .collect();
        Ok(Self {
            connection,
            profile: options.profile,
            phase: Phase::Pages(pages),
            root,
            asked: asked
                .into_iter()
                .map(|asked| (asked.object_id.to_lowercase(), asked))
                .collect(),
            by_id,
            found: HashSet::new(),
            missing: Vec::new(),
            is_sweep: since.is_none(),
            position: here,
            observed_at: now,
            number: 0,
            summary: Summary::default(),
        })
    }

    /// What comes next; none at the end.
    pub async fn next(&mut self) -> Result<Option<Vec<EvidenceItem>>, LdapError> {
        loop {
            match &mut self.phase {
                Phase::Pages(pages) => match self.connection.page(pages).await? {
                    Some(page) => return Ok(Some(self.page(&page))),
                    None => self.pages_end(),
                },
                Phase::ById => match self.by_ids().await? {
                    Some(items) => return Ok(Some(items)),
                    None => self.phase = Phase::Missing,
                },
                Phase::Missing => {
                    self.phase = Phase::Done;
                    return self.deleted().map(Some);
                }
                Phase::Done => return Ok(None),
            }
        }
    }

    /// After the last: what was handed on, where the next reading goes on, and whether this one read everything.
    pub async fn end(self) -> (Summary, Option<String>, bool) {
        if self.connection.referrals > 0 {
            tracing::info!(
                ldap.referrals = self.connection.referrals,
                "referrals to other servers were passed over"
            );
        }
        self.connection.close().await;
        let position = self
            .position
            .and_then(|position| serde_json::to_string(&position).ok());
        (self.summary, position, self.is_sweep)
    }

    fn page(&mut self, page: &[Entry]) -> Vec<EvidenceItem> {
        let tells_more = !self.profile.attributes().secret.is_empty();
        let mut items = Vec::with_capacity(page.len());
        for entry in page {
            let id = self.profile.id(entry);
            let asked = id.as_ref().and_then(|id| {
                let folded = id.to_lowercase();
                self.asked.contains_key(&folded).then_some((id, folded))
            });
            if let Some((id, folded)) = asked {
                self.found.insert(folded);
                if tells_more {
                    self.by_id.push(id.clone());
                    continue;
                }
            }
            items.push(self.item(entry));
        }
        items
    }

    /// The first pass has ended well: after all, whoever was not seen is looked for by id.
    fn pages_end(&mut self) {
        if self.is_sweep {
            let unseen = self
                .asked
                .iter()
                .filter(|(folded, _)| !self.found.contains(*folded))
                .map(|(_, asked)| asked.object_id.clone());
            self.by_id.extend(unseen);
        }
        self.by_id.sort_unstable();
        self.by_id.dedup();
        self.phase = Phase::ById;
    }

    async fn by_ids(&mut self) -> Result<Option<Vec<EvidenceItem>>, LdapError> {
        if self.by_id.is_empty() {
            return Ok(None);
        }
        let from = self.by_id.len().saturating_sub(IDS);
        let mut ids = self.by_id.split_off(from);
        let mut filter = "(|".to_owned();
        // What is no id of such a directory cannot be asked for, and is not missed.
        ids.retain(|id| match self.profile.id_filter(id) {
            Some(one) => write!(filter, "{one}").is_ok(),
            None => false,
        });
        filter.push(')');
        if ids.is_empty() {
            return Ok(Some(Vec::new()));
        }
        let own = self.profile.attributes();
        let mut attributes = self.profile.asked();
        attributes.extend(own.secret.iter().map(|name| (*name).to_owned()));
        let doing = "looking for accounts by their ids";
        let entries = self
            .connection
            .search(doing, &self.root, Scope::Subtree, &filter, &attributes)
            .await?;
        let seen: HashSet<String> = entries
            .iter()
            .filter_map(|entry| self.profile.id(entry))
            .map(|id| id.to_lowercase())
            .collect();
        self.missing.extend(
            ids.into_iter()
                .filter(|id| !seen.contains(&id.to_lowercase())),
        );
        Ok(Some(entries.iter().map(|entry| self.item(entry)).collect()))
    }

    /// Everything was read, and a search by the id, which found the account before, succeeded and was empty.
    fn deleted(&mut self) -> Result<Vec<EvidenceItem>, LdapError> {
        let gone: Vec<String> = std::mem::take(&mut self.missing)
            .into_iter()
            .filter(|id| {
                let asked = self.asked.get(&id.to_lowercase());
                self.is_sweep && asked.is_some_and(|asked| asked.was_seen)
            })
            .collect();
        if gone.len() > FEW && gone.len() * 10 > self.asked.len() {
            return Err(LdapError::TooManyMissing {
                missing: gone.len(),
                asked: self.asked.len(),
            });
        }
        let observed_at = self.observed_at;
        let items = gone
            .into_iter()
            .filter_map(|id| Key::new(KeyKind::ObjectId, &id));
        Ok(items
            .map(|key| {
                self.number += 1;
                self.summary.rows += 1;
                EvidenceItem::Row(EvidenceRow {
                    line: self.number,
                    keys: vec![key],
                    realm: None,
                    evidence: Evidence {
                        changed: None,
                        secret_changed_at: None,
                        pending: false,
                        date_is_zero: false,
                        disabled: false,
                        exists: false,
                        sessions_valid_from: None,
                        actor: Actor::Unknown,
                        observed_at,
                    },
                })
            })
            .collect())
    }

    fn item(&mut self, entry: &Entry) -> EvidenceItem {
        self.number += 1;
        let keys = self.profile.keys(entry);
        if keys.is_empty() {
            self.summary.rejects += 1;
            return EvidenceItem::Reject(Reject {
                line: self.number,
                reason: RejectReason::NoKey,
            });
        }
        self.summary.rows += 1;
        let facts = self.profile.facts(entry, self.observed_at);
        EvidenceItem::Row(EvidenceRow {
            line: self.number,
            keys,
            realm: None,
            evidence: facts.evidence(self.observed_at),
        })
    }
}

/// The root of the directory, and where its count of changes stands before anything is read; none if it has no count.
async fn standing(
    connection: &mut Connection,
    options: &LdapOptions,
    now: Moment,
) -> Result<(String, Option<Position>), LdapError> {
    let names = [
        "defaultNamingContext",
        "namingContexts",
        "highestCommittedUSN",
        "dsServiceName",
    ]
    .map(str::to_owned);
    let own = connection.look_up("", &names).await?.unwrap_or_default();
    let within = |context: &&str| {
        let (base, context) = (options.base.to_lowercase(), context.to_lowercase());
        !context.is_empty() && (base == context || base.ends_with(&format!(",{context}")))
    };
    let root = own
        .text("defaultnamingcontext")
        .filter(within)
        .or_else(|| own.texts("namingcontexts").find(within))
        .unwrap_or(&options.base)
        .to_owned();
    let position = match options.profile.attributes().counts {
        Counts::Nothing => None,
        Counts::Clock => Some(Position {
            server: connection.server.clone(),
            mark: written(now.minus(options.overlap)),
        }),
        Counts::Usn => {
            let mark = own
                .text("highestcommittedusn")
                .filter(|mark| mark.parse::<u64>().is_ok())
                .map(str::to_owned);
            let server = match own.text("dsservicename") {
                Some(name) => invocation(connection, name).await?,
                None => None,
            };
            server
                .zip(mark)
                .map(|(server, mark)| Position { server, mark })
        }
    };
    Ok((root, position))
}

/// Under which id a server of Active Directory counts its changes; another one after it was restored from a backup.
pub(super) async fn invocation(
    connection: &mut Connection,
    service: &str,
) -> Result<Option<String>, LdapError> {
    let asked = ["invocationId".to_owned()];
    let entry = connection.look_up(service, &asked).await?;
    Ok(entry.and_then(|entry| entry.bytes("invocationid").and_then(active_directory::guid)))
}
