//! Pages: what a service has to say, in the order in which it is asked, one page at a time.

use std::collections::{HashSet, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::ops::ControlFlow;

use reqwest::Url;
use reqwest::header::HeaderMap;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::ServiceError;
use super::http::{Answer, Http};
use crate::directory::Summary;
use crate::directory::evidence::forms::{JsonForm, Said, read_json};
use crate::directory::evidence::json::{Document, Shape, records};
use crate::directory::evidence::keycloak::named_by;
use crate::directory::evidence::record::Spoken;
use crate::directory::evidence::{EvidenceItem, EvidenceOptions};
use crate::domain::Moment;

/// The most pages of one list: a service that never ends is none.
const MOST_PAGES: usize = 200_000;

/// How a list goes on.
pub(super) enum Paging {
    /// The page names the next, and at the end where to ask for changes.
    NextLink,
    /// The header names the next.
    LinkHeader {
        /// An empty page is the last one, although it names another.
        ends_on_empty: bool,
    },
    /// The page holds a word to ask with for the next.
    PageToken,
    /// By number, until a page is empty.
    Offset {
        /// How many a page holds at most.
        most: u64,
    },
}

/// One list that is to be read.
pub(super) struct List {
    /// Its next page.
    pub url: Url,
    /// What is said along with the question.
    pub headers: HeaderMap,
    /// How its records are read.
    pub form: JsonForm,
    /// How it goes on.
    pub paging: Paging,
    /// Where all of it begins, if `url` is where an earlier reading ended.
    pub begins: Option<Url>,
}

/// From where the next reading need only ask for what changed.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(super) struct Position {
    /// The service's own words for it.
    pub link: Option<String>,
    /// The moment of the last reading.
    pub since: Option<Moment>,
}

impl Position {
    /// What an earlier reading wrote; nothing if that cannot be understood.
    pub fn parse(text: Option<&str>) -> Option<Self> {
        serde_json::from_str(text?).ok()
    }
}

/// Whose credentials are asked for one by one.
pub(super) struct Credentials {
    /// Where users are.
    pub users: Url,
    /// Folded names of accounts that have an open case.
    pub wanted: HashSet<String>,
}

/// Reads one service.
pub struct Reader {
    http: Http,
    options: EvidenceOptions,
    lists: VecDeque<List>,
    credentials: Option<Credentials>,
    said: Said,
    summary: Summary,
    lines: u64,
    /// Hashes of the pages that were asked for: none is asked for twice.
    asked: HashSet<u64>,
    hasher: RandomState,
    is_sweep: bool,
    next_position: Option<Position>,
}

/// What a reading came to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Outcome {
    /// What was handed on, and what was not.
    pub summary: Summary,
    /// Where the next reading may begin.
    pub position: Option<String>,
    /// Everything was read.
    pub is_sweep: bool,
}

impl Reader {
    pub(super) fn new(
        http: Http,
        options: EvidenceOptions,
        lists: impl IntoIterator<Item = List>,
        is_sweep: bool,
        next_position: Option<Position>,
    ) -> Self {
        Self {
            http,
            options,
            lists: lists.into_iter().collect(),
            credentials: None,
            said: Said::default(),
            summary: Summary::default(),
            lines: 0,
            asked: HashSet::new(),
            hasher: RandomState::new(),
            is_sweep,
            next_position,
        }
    }

    pub(super) fn asking_for(mut self, credentials: Credentials) -> Self {
        self.credentials = Some(credentials);
        self
    }

    /// What the next page says, perhaps nothing; none after the last.
    pub async fn next(&mut self) -> Result<Option<Vec<EvidenceItem>>, ServiceError> {
        let Some(mut list) = self.lists.pop_front() else {
            return Ok(None);
        };
        let is_new = self.asked.insert(self.hasher.hash_one(&list.url));
        if !is_new || self.asked.len() > MOST_PAGES {
            return Err(ServiceError::Loop);
        }
        let answer = match self.http.get(&list.url, &list.headers).await {
            Ok(answer) => answer,
            Err(ServiceError::Gone) => {
                // What it remembered of us is forgotten: everything, from the beginning.
                list.url = list.begins.take().ok_or(ServiceError::Gone)?;
                self.is_sweep = true;
                self.lists.push_front(list);
                return Ok(Some(Vec::new()));
            }
            Err(error) => return Err(error),
        };
        let (mut items, document, count) = match self.credentials.is_some() {
            true => self.with_credentials(&list, &answer).await?,
            false => self.understood(&list, &answer)?,
        };
        let was_log = list.form.is_log;
        if let Some(url) = self.goes_on(&list, &answer, document, count)? {
            list.url = url;
            self.lists.push_front(list);
        }
        let goes_on_with_log = self.lists.front().is_some_and(|next| next.form.is_log);
        if was_log && !goes_on_with_log {
            items.extend(std::mem::take(&mut self.said).rest());
        }
        for item in &items {
            match item {
                EvidenceItem::Row(_) | EvidenceItem::Part(_) => self.summary.rows += 1,
                EvidenceItem::Reject(_) => self.summary.rejects += 1,
            }
        }
        Ok(Some(items))
    }

    /// What all of it came to, after the last page.
    pub fn outcome(self) -> Outcome {
        let position = self
            .next_position
            .and_then(|position| serde_json::to_string(&position).ok());
        Outcome {
            summary: self.summary,
            position,
            is_sweep: self.is_sweep,
        }
    }

    fn understood(
        &mut self,
        list: &List,
        answer: &Answer,
    ) -> Result<(Vec<EvidenceItem>, Document, u64), ServiceError> {
        let (mut items, mut count) = (Vec::new(), 0);
        let (said, lines) = (&mut self.said, self.lines);
        let mut each = |line: u64, spoken: Spoken| {
            count += 1;
            items.extend(said.take(lines + line, spoken, list.form.is_log));
            ControlFlow::Continue(())
        };
        let body = answer.body.as_slice();
        let document = read_json(body, list.form, &self.options, &mut each)?;
        self.lines += count;
        Ok((items, document, count))
    }

    /// A page of users, each with its credentials where they matter.
    async fn with_credentials(
        &mut self,
        list: &List,
        answer: &Answer,
    ) -> Result<(Vec<EvidenceItem>, Document, u64), ServiceError> {
        let mut users = Vec::new();
        let body = answer.body.as_slice();
        let document = records(body, list.form.shape, &mut |_, user| {
            users.push(user);
            ControlFlow::Continue(())
        })?;
        let (mut items, count) = (Vec::new(), users.len() as u64);
        for user in users {
            self.lines += 1;
            let line = self.lines;
            let spoken = match user {
                Err(reason) => Err(reason),
                Ok(mut user) => {
                    self.complete(&mut user).await?;
                    (list.form.one)(&user, &self.options)
                }
            };
            items.extend(self.said.take(line, spoken, false));
        }
        Ok((items, document, count))
    }

    /// Adds a user's credentials, if an open case waits for them. Somebody who has just been deleted has none.
    async fn complete(&mut self, user: &mut Value) -> Result<(), ServiceError> {
        let Some(credentials) = &self.credentials else {
            return Ok(());
        };
        let is_wanted = named_by(user)
            .iter()
            .any(|key| credentials.wanted.contains(&key.folded()));
        let id = user.get("id").and_then(Value::as_str).unwrap_or_default();
        let is_federated = user.get("federationLink").is_some_and(Value::is_string);
        if !is_wanted || id.is_empty() || is_federated {
            return Ok(());
        }
        let mut url = credentials.users.clone();
        url.path_segments_mut()
            .map_err(|()| ServiceError::Url)?
            .extend([id, "credentials"]);
        let answer = match self.http.get(&url, &HeaderMap::new()).await {
            Ok(answer) => answer,
            Err(ServiceError::Refused { status: 404, .. }) => return Ok(()),
            Err(error) => return Err(error),
        };
        let shape = Shape {
            path: &["credentials"],
            keys: &["type", "createdDate"],
        };
        let mut all = Vec::new();
        let document = records(answer.body.as_slice(), shape, &mut |_, credential| {
            all.extend(credential.ok());
            ControlFlow::Continue(())
        })?;
        if !document.found {
            return Err(crate::directory::DirectoryError::NoRecords.into());
        }
        if let Some(user) = user.as_object_mut() {
            user.insert("credentials".to_owned(), Value::Array(all));
        }
        Ok(())
    }

    /// The list's next page, if there is one.
    fn goes_on(
        &mut self,
        list: &List,
        answer: &Answer,
        document: Document,
        count: u64,
    ) -> Result<Option<Url>, ServiceError> {
        let url = match list.paging {
            Paging::NextLink => {
                if !document.found {
                    return Err(crate::directory::DirectoryError::NoRecords.into());
                }
                if let (Some(link), Some(position)) = (document.delta, &mut self.next_position) {
                    position.link = Some(link);
                }
                document.next.map(|next| same_origin(&list.url, &next))
            }
            Paging::LinkHeader { .. } | Paging::Offset { .. } if !document.found => {
                return Err(crate::directory::DirectoryError::NoRecords.into());
            }
            Paging::LinkHeader { ends_on_empty } if count == 0 && ends_on_empty => None,
            Paging::LinkHeader { .. } => answer
                .next
                .as_deref()
                .map(|next| same_origin(&list.url, next)),
            Paging::PageToken => document
                .next
                .filter(|next| !next.is_empty())
                .map(|next| Ok(with_pair(&list.url, "pageToken", &next))),
            Paging::Offset { most } if count > 0 => {
                let first = pair(&list.url, "first").and_then(|first| first.parse::<u64>().ok());
                let next = first.unwrap_or(0).saturating_add(count.min(most));
                Some(Ok(with_pair(&list.url, "first", &next.to_string())))
            }
            Paging::Offset { .. } => None,
        };
        url.transpose()
    }
}

/// An address that a service names, if it is the service's own.
pub(super) fn same_origin(own: &Url, named: &str) -> Result<Url, ServiceError> {
    let url = own.join(named).map_err(|_| ServiceError::Elsewhere)?;
    let is_own = url.origin() == own.origin()
        && url.origin().is_tuple()
        && url.username().is_empty()
        && url.password().is_none();
    is_own.then_some(url).ok_or(ServiceError::Elsewhere)
}

/// The address below `base` with these questions.
pub(super) fn below(base: &str, path: &str, pairs: &[(&str, &str)]) -> Result<Url, ServiceError> {
    let mut url = Url::parse(&format!("{base}{path}")).map_err(|_| ServiceError::Url)?;
    if !pairs.is_empty() {
        url.query_pairs_mut().extend_pairs(pairs);
    }
    Ok(url)
}

fn pair(url: &Url, name: &str) -> Option<String> {
    url.query_pairs()
        .find(|(key, _)| key == name)
        .map(|(_, value)| value.into_owned())
}

fn with_pair(url: &Url, name: &str, value: &str) -> Url {
    let kept: Vec<(String, String)> = url
        .query_pairs()
        .filter(|(key, _)| key != name)
        .map(|(key, value)| (key.into_owned(), value.into_owned()))
        .collect();
    let mut url = url.clone();
    url.query_pairs_mut()
        .clear()
        .extend_pairs(kept)
        .append_pair(name, value);
    url
}
