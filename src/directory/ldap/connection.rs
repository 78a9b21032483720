//! Connection: TLS, a simple bind, and searches whose result is looked at, on the first server that lets us in.

use ldap3::asn1::parse_tag;
use ldap3::controls::{Control, ControlType, PagedResults};
use ldap3::{
    Ldap, LdapConnAsync, LdapConnSettings, LdapError as Broken, LdapResult, Scope, SearchStream,
};
use secrecy::ExposeSecret;

use super::entry::Entry;
use super::{LdapError, LdapOptions};

/// How often a value that comes in parts is asked for; a directory of real people ends sooner.
const MOST_PARTS: usize = 100;

const PAGE: &str = "reading a page";

/// A server that let us in.
pub(super) struct Connection {
    ldap: Ldap,
    /// Its URL.
    pub server: String,
    timeout: std::time::Duration,
    /// Continuations in other servers, which are not followed.
    pub referrals: u64,
}

/// Answers to a question that was asked, as they come.
type Answers = SearchStream<'static, String, Vec<String>>;

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
    Asked(Box<Answers>),
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
        let settings = LdapConnSettings::new()
            .set_conn_timeout(options.connect_timeout)
            .set_connector(tls)
            .set_starttls(options.starttls);
        let (connection, mut ldap) = LdapConnAsync::with_settings(settings, server)
            .await
            .map_err(|error| unreachable(server, &error))?;
        // It ends when the last handle is dropped; what went wrong is told by the search that was waiting for it.
        tokio::spawn(async move {
            let _ = connection.drive().await;
        });
        let bound = ldap
            .with_timeout(options.connect_timeout)
            .simple_bind(&options.user, options.password.expose_secret())
            .await
            .map_err(|error| cut(server, "signing in", &error))?;
        ended(server, "signing in", &bound)?;
        Ok(Self {
            ldap,
            server: server.to_owned(),
            timeout: options.timeout,
            referrals: 0,
        })
    }

    /// The next page; none after the last. The one after it is asked for at once, so that the server need not wait for us.
    pub async fn page(&mut self, pages: &mut Pages) -> Result<Option<Vec<Entry>>, LdapError> {
        let mut answers = match std::mem::replace(&mut pages.stands, Stands::AtTheEnd) {
            Stands::AtTheBeginning => Box::new(self.ask_page(pages, Vec::new()).await?),
            Stands::Asked(answers) => answers,
            Stands::AtTheEnd => return Ok(None),
        };
        let (mut entries, result) = self.hear(PAGE, &mut answers).await?;
        for entry in &mut entries {
            self.complete(entry).await?;
        }
        if let Some(cookie) = next_page(&result).filter(|cookie| !cookie.is_empty()) {
            let asked = self.ask_page(pages, cookie).await?;
            pages.stands = Stands::Asked(Box::new(asked));
        }
        Ok(Some(entries))
    }

    async fn ask_page(&mut self, pages: &Pages, cookie: Vec<u8>) -> Result<Answers, LdapError> {
        let control = PagedResults {
            size: pages.size,
            cookie,
        };
        self.ldap.with_controls(control);
        let (base, filter) = (&pages.base, &pages.filter);
        self.ask(PAGE, base, Scope::Subtree, filter, &pages.attributes)
            .await
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
        let mut answers = self.ask(doing, base, scope, filter, attributes).await?;
        let (entries, _) = self.hear(doing, &mut answers).await?;
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

    async fn ask(
        &mut self,
        doing: &'static str,
        base: &str,
        scope: Scope,
        filter: &str,
        attributes: &[String],
    ) -> Result<Answers, LdapError> {
        self.ldap
            .with_timeout(self.timeout)
            .streaming_search(base, scope, filter, attributes.to_vec())
            .await
            .map_err(|error| cut(&self.server, doing, &error))
    }

    async fn hear(
        &mut self,
        doing: &'static str,
        answers: &mut Answers,
    ) -> Result<(Vec<Entry>, LdapResult), LdapError> {
        let mut entries = Vec::new();
        while let Some(item) = answers
            .next()
            .await
            .map_err(|error| cut(&self.server, doing, &error))?
        {
            if item.is_ref() {
                self.referrals += 1;
            } else if !item.is_intermediate() {
                let malformed = || LdapError::Malformed {
                    server: self.server.clone(),
                    doing,
                };
                entries.push(Entry::parse(item).ok_or_else(malformed)?);
            }
        }
        let result = answers.finish().await;
        ended(&self.server, doing, &result)?;
        Ok((entries, result))
    }

    /// Fetches the rest of values that a server sends in parts.
    async fn complete(&mut self, entry: &mut Entry) -> Result<(), LdapError> {
        for _ in 0..MOST_PARTS {
            let Some((name, from)) = entry.cut_off() else {
                return Ok(());
            };
            let asked = [format!("{name};range={from}-*")];
            let dn = entry.dn.clone();
            let brought = match self.look_up(&dn, &asked).await? {
                Some(mut more) => entry.extend(&name, &mut more),
                None => false,
            };
            if !brought {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Says goodbye.
    pub async fn close(mut self) {
        let _ = self.ldap.with_timeout(self.timeout).unbind().await;
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

fn next_page(result: &LdapResult) -> Option<Vec<u8>> {
    let control = result
        .ctrls
        .iter()
        .find_map(|Control(kind, raw)| match kind {
            Some(ControlType::PagedResults) => raw.val.as_deref(),
            _ => None,
        })?;
    let (_, sequence) = parse_tag(control).ok()?;
    let cookie = sequence.expect_constructed()?.into_iter().nth(1)?;
    cookie.expect_primitive()
}

/// A search that did not end well said less than there is, however much came.
fn ended(server: &str, doing: &'static str, result: &LdapResult) -> Result<(), LdapError> {
    if result.rc == 0 {
        return Ok(());
    }
    Err(LdapError::Refused {
        server: server.to_owned(),
        doing,
        code: result.rc,
        meaning: meaning(result),
    })
}

/// Never the server's own text: it may name a person.
fn meaning(result: &LdapResult) -> &'static str {
    // Active Directory tells why in the text of every refusal to let in.
    let says = |word: &str| result.text.contains(word);
    match result.rc {
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

fn unreachable(server: &str, error: &Broken) -> LdapError {
    let why = match error {
        Broken::Timeout { .. } => "it does not answer",
        Broken::Io { source } if source.kind() == std::io::ErrorKind::ConnectionRefused => {
            "nobody listens there"
        }
        Broken::Io { .. } => "it cannot be reached",
        Broken::NativeTLS { .. } => {
            "TLS cannot be agreed on; look at its certificate, at the name in it, and at ca_file"
        }
        Broken::LdapResult { .. } => "it does not offer TLS",
        _ => "it hung up",
    };
    LdapError::Cut {
        server: server.to_owned(),
        doing: "connecting",
        why,
    }
}

fn cut(server: &str, doing: &'static str, error: &Broken) -> LdapError {
    let why = match error {
        Broken::Timeout { .. } => "it fell silent",
        Broken::FilterParsing => "the filter is none; look at filter in the config",
        _ => "the connection broke",
    };
    LdapError::Cut {
        server: server.to_owned(),
        doing,
        why,
    }
}
