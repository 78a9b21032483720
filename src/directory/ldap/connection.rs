//! Connection: TLS, a simple bind, and searches whose result is looked at, on the first server that lets us in.

use ldap3::Scope;
use secrecy::ExposeSecret;

use super::entry::Entry;
use super::wire::{Broken, Outcome, Says, Search, Wire};
use super::{LdapError, LdapOptions};

/// How often a value that comes in parts is asked for; a directory of real people ends sooner.
const MOST_PARTS: usize = 100;

/// How much memory an answer may take; a page of ten thousand real people takes a tenth.
const MOST_MEMORY: usize = 128 * 1024 * 1024;

const PAGE: &str = "reading a page";

/// A server that let us in.
pub(super) struct Connection {
    wire: Wire,
    /// Its URL.
    pub server: String,
    /// Continuations in other servers, which are not followed.
    pub referrals: u64,
    /// The next page, as far as it came while we asked for something else.
    ahead: Option<Answer>,
}

/// What came to one request.
#[derive(Default)]
struct Answer {
    /// The number of the request.
    id: u32,
    entries: Vec<Entry>,
    referrals: u64,
    /// About how much memory the entries take.
    memory: usize,
    /// How it ended, if it did.
    outcome: Option<Outcome>,
}

impl Answer {
    fn to(id: u32) -> Self {
        Self {
            id,
            ..Self::default()
        }
    }

    fn add(&mut self, says: Says<'_>) -> Result<(), Broken> {
        match says {
            Says::Entry(content) => {
                let entry = Entry::parse(content).ok_or(Broken::Malformed)?;
                self.memory += entry.size();
                if self.memory > MOST_MEMORY {
                    return Err(Broken::TooMuch);
                }
                self.entries.push(entry);
            }
            Says::Referral => self.referrals += 1,
            Says::Ended(outcome) => self.outcome = Some(outcome),
            Says::Other => {}
        }
        Ok(())
    }
}

/// Where a paged search is.
pub(super) struct Pages {
    base: String,
    filter: String,
    attributes: Vec<String>,
    size: i32,
    stands: Stands,
}

enum Stands {
    /// Nothing was asked yet.
    AtTheBeginning,
    /// The next page is on its way while the last is worked on.
    Asked,
    /// There is no further page.
    AtTheEnd,
}

impl Pages {
    pub fn new(base: &str, filter: &str, attributes: Vec<String>, size: u16) -> Self {
        Self {
            base: base.to_owned(),
            filter: filter.to_owned(),
            attributes,
            size: i32::from(size),
            stands: Stands::AtTheBeginning,
        }
    }
}

impl Connection {
    /// Connects to the first server that answers. One that refuses our name or password ends it: asking the others with
    /// the same would lock the account.
    pub async fn open(options: &LdapOptions) -> Result<Self, LdapError> {
        let tls = connector(options)?;
        let mut said = Vec::new();
        for server in &options.servers {
            match Self::to(server, options, tls.clone()).await {
                Ok(connection) => return Ok(connection),
                Err(
                    error @ LdapError::Refused {
                        code: 49 | 8 | 13, ..
                    },
                ) => return Err(error),
                Err(error) => said.push(error.to_string()),
            }
        }
        Err(LdapError::NoServer(said.join("; ")))
    }

    async fn to(
        server: &str,
        options: &LdapOptions,
        tls: native_tls::TlsConnector,
    ) -> Result<Self, LdapError> {
        let connecting = Wire::connect(server, options.starttls, tls, options.connect_timeout);
        let connected = tokio::time::timeout(options.connect_timeout, connecting)
            .await
            .unwrap_or(Err(Broken::Silent));
        let mut wire = connected.map_err(|error| cut(server, "connecting", &error))?;
        let bound = wire
            .bind(&options.user, options.password.expose_secret())
            .await
            .map_err(|error| cut(server, "signing in", &error))?;
        ended(server, "signing in", &bound)?;
        wire.have_patience(options.timeout);
        Ok(Self {
            wire,
            server: server.to_owned(),
            referrals: 0,
            ahead: None,
        })
    }

    /// The next page; none after the last. The one after it is asked for at once, so that the server need not wait for us.
    pub async fn page(&mut self, pages: &mut Pages) -> Result<Option<Vec<Entry>>, LdapError> {
        let answer = match std::mem::replace(&mut pages.stands, Stands::AtTheEnd) {
            Stands::AtTheBeginning => Some(Answer::to(self.ask_page(pages, &[]).await?)),
            Stands::Asked => self.ahead.take(),
            Stands::AtTheEnd => None,
        };
        let Some(answer) = answer else {
            return Ok(None);
        };
        let (mut entries, outcome) = self.hear(PAGE, answer).await?;
        for entry in &mut entries {
            self.complete(entry).await?;
        }
        if !outcome.cookie.is_empty() {
            let id = self.ask_page(pages, &outcome.cookie).await?;
            self.ahead = Some(Answer::to(id));
            pages.stands = Stands::Asked;
        }
        Ok(Some(entries))
    }

    async fn ask_page(&mut self, pages: &Pages, cookie: &[u8]) -> Result<u32, LdapError> {
        let search = Search {
            base: &pages.base,
            scope: Scope::Subtree,
            filter: &pages.filter,
            attributes: &pages.attributes,
            page: Some((pages.size, cookie)),
        };
        self.ask(PAGE, &search).await
    }

    /// All that matches, of which there is little.
    pub async fn search(
        &mut self,
        doing: &'static str,
        base: &str,
        scope: Scope,
        filter: &str,
        attributes: &[String],
    ) -> Result<Vec<Entry>, LdapError> {
        let search = Search {
            base,
            scope,
            filter,
            attributes,
            page: None,
        };
        let id = self.ask(doing, &search).await?;
        let (entries, _) = self.hear(doing, Answer::to(id)).await?;
        Ok(entries)
    }

    /// One entry by its name; none if it is not there, or not ours to see.
    pub async fn look_up(
        &mut self,
        dn: &str,
        attributes: &[String],
    ) -> Result<Option<Entry>, LdapError> {
        let found = self
            .search(
                "reading one entry",
                dn,
                Scope::Base,
                "(objectClass=*)",
                attributes,
            )
            .await;
        match found {
            Ok(entries) => Ok(entries.into_iter().next()),
            // It does not exist, its name is none, or nobody may know.
            Err(LdapError::Refused {
                code: 32 | 34 | 50, ..
            }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn ask(&mut self, doing: &'static str, search: &Search<'_>) -> Result<u32, LdapError> {
        let asked = self.wire.ask(search).await;
        asked.map_err(|error| cut(&self.server, doing, &error))
    }

    /// Waits until a request is answered to its end. What comes to one that was given up is passed over.
    async fn hear(
        &mut self,
        doing: &'static str,
        mut answer: Answer,
    ) -> Result<(Vec<Entry>, Outcome), LdapError> {
        let broken = |error| cut(&self.server, doing, &error);
        let outcome = loop {
            if let Some(outcome) = answer.outcome.take() {
                break outcome;
            }
            let message = self.wire.hear().await.map_err(broken)?;
            let whose = match &mut self.ahead {
                _ if answer.id == message.id => &mut answer,
                Some(ahead) if ahead.id == message.id => ahead,
                _ => continue,
            };
            whose.add(message.says).map_err(broken)?;
        };
        ended(&self.server, doing, &outcome)?;
        self.referrals += answer.referrals;
        Ok((answer.entries, outcome))
    }

    /// Fetches the rest of values that a server sends in parts.
    async fn complete(&mut self, entry: &mut Entry) -> Result<(), LdapError> {
        for _ in 0..MOST_PARTS {
            let Some((name, from)) = entry.cut_off() else {
                return Ok(());
            };
            let asked = [format!("{name};range={from}-*")];
            let brought = match self.look_up(entry.dn(), &asked).await? {
                Some(more) => entry.extend(&name, &more),
                None => false,
            };
            if !brought {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Says goodbye.
    pub async fn close(self) {
        self.wire.close().await;
    }
}

fn connector(options: &LdapOptions) -> Result<native_tls::TlsConnector, LdapError> {
    let mut builder = native_tls::TlsConnector::builder();
    builder.min_protocol_version(Some(native_tls::Protocol::Tlsv12));
    if let Some(pem) = &options.ca {
        let all = native_tls::Certificate::stack_from_pem(pem).map_err(|_| LdapError::Ca)?;
        if all.is_empty() {
            return Err(LdapError::Ca);
        }
        for certificate in all {
            builder.add_root_certificate(certificate);
        }
    }
    builder.build().map_err(LdapError::Tls)
}

/// A search that did not end well said less than there is, however much came.
fn ended(server: &str, doing: &'static str, outcome: &Outcome) -> Result<(), LdapError> {
    if outcome.code == 0 {
        return Ok(());
    }
    Err(LdapError::Refused {
        server: server.to_owned(),
        doing,
        code: outcome.code,
        meaning: meaning(outcome),
    })
}

/// Never the server's own text: it may name a person.
fn meaning(outcome: &Outcome) -> &'static str {
    // Active Directory tells why in the text of every refusal to let in.
    let says = |word: &str| outcome.text.contains(word);
    match outcome.code {
        3 | 85 => "it took too long; raise timeout, or set an index",
        4 => {
            "its size limit was reached, so not all was read; let it be read in pages without a limit on their sum"
        }
        8 | 13 => "it wants TLS; use ldaps://, or starttls = true",
        11 => "its limit for a page was reached; set page_size lower",
        12 => "it cannot read in pages, or not now; look at its limits for paged searches",
        32 => {
            "there is no such entry, or it may not be read; look at base, and at what the account may read"
        }
        34 => "base is not in the form of a name such as dc=parl,dc=example",
        49 if says("data 533") => "the account that we sign in with is disabled",
        49 if says("data 775") => "the account that we sign in with is locked out",
        49 if says("data 773") => "the account that we sign in with must change its password first",
        49 if says("data 532") || says("data 701") => {
            "the account that we sign in with, or its password, has expired"
        }
        49 => "the name or the password that we sign in with is wrong",
        50 => "the account that we sign in with may not do that",
        51 | 52 => "it is too busy, or shutting down",
        53 => "it is not willing to; look at its log",
        1 => "it is in trouble; look at its log",
        _ => "it refused; look at its log",
    }
}

fn cut(server: &str, doing: &'static str, error: &Broken) -> LdapError {
    let server = server.to_owned();
    let outcome = match error {
        Broken::HungUp(code) => Outcome {
            code: *code,
            ..Outcome::default()
        },
        Broken::Malformed => return LdapError::Malformed { server, doing },
        Broken::TooMuch => return LdapError::TooMuch { server, doing },
        _ => {
            let why = error.to_string();
            return LdapError::Cut { server, doing, why };
        }
    };
    LdapError::Refused {
        server,
        doing,
        code: outcome.code,
        meaning: meaning(&outcome),
    }
}
