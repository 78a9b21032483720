//! Check: whether a directory can be read as configured, before somebody depends on it.

use chrono::TimeDelta;

use super::connection::{Connection, Pages};
use super::evidence::invocation;
use super::people::check_fields;
use super::profile::Counts;
use super::times::generalized;
use super::{LdapError, LdapOptions};
use crate::domain::Moment;

/// What was looked at, and what is wrong with it.
pub type Checked = (&'static str, Result<String, String>);

/// Signs in and reads one page. Each thing that is wrong is told with what to do.
pub async fn check(options: &LdapOptions, now: Moment, skew: TimeDelta) -> Vec<Checked> {
    let mut all: Vec<Checked> = Vec::new();
    if let Err(error) = check_fields(options) {
        all.push(("columns", Err(error.to_string())));
    }
    let mut connection = match Connection::open(options).await {
        Ok(connection) => connection,
        Err(error) => {
            all.push(("server", Err(error.to_string())));
            return all;
        }
    };
    let server = format!("{} answers, protects and lets us in", connection.server);
    all.push(("server", Ok(server)));
    match page(&mut connection, options).await {
        Ok(found) => all.extend(found),
        Err(error) => all.push(("base", Err(error.to_string()))),
    }
    match root(&mut connection, options, now, skew).await {
        Ok(found) => all.extend(found),
        Err(error) => all.push(("changes", Err(error.to_string()))),
    }
    connection.close().await;
    all
}

/// The first page: is anybody there, and what may be read of them.
async fn page(
    connection: &mut Connection,
    options: &LdapOptions,
) -> Result<Vec<Checked>, LdapError> {
    let own = options.profile.attributes();
    let filter = options.filter.as_deref().unwrap_or(own.filter);
    let attributes = options.profile.asked();
    let mut pages = Pages::new(&options.base, filter, attributes, options.page_size);
    let entries = connection.page(&mut pages).await?.unwrap_or_default();
    let count = entries.len();
    if count == 0 {
        let text = "nobody is there; look at base and filter, and at what the account may read";
        return Ok(vec![("base", Err(text.to_owned()))]);
    }
    let have = |name: &str| {
        entries
            .iter()
            .filter(|entry| entry.bytes(name).is_some())
            .count()
    };
    let mut all = vec![("base", Ok(format!("the first page has {count} entries")))];
    let needed = [own.id].into_iter().chain(own.password.first().copied());
    for name in needed {
        all.push((
            "attributes",
            match have(name) {
                0 => Err(format!(
                    "{name} is on none of the first {count} entries; let the account read it, or no case is ever closed"
                )),
                some => Ok(format!("{name} is on {some} of the first {count} entries")),
            },
        ));
    }
    let unread: Vec<&str> = own
        .password
        .iter()
        .skip(1)
        .chain([&own.login, &own.mail])
        .copied()
        .filter(|name| have(name) == 0)
        .collect();
    if !unread.is_empty() {
        let text = format!(
            "not on any of the first {count} entries, so unknown: {}",
            unread.join(", ")
        );
        all.push(("attributes", Ok(text)));
    }
    Ok(all)
}

/// The server's clock, and whether it tells what changed.
async fn root(
    connection: &mut Connection,
    options: &LdapOptions,
    now: Moment,
    skew: TimeDelta,
) -> Result<Vec<Checked>, LdapError> {
    let names = ["currentTime", "dsServiceName"].map(str::to_owned);
    let own = connection.look_up("", &names).await?.unwrap_or_default();
    let mut all = Vec::new();
    if let Some(theirs) = own.text("currenttime").and_then(generalized) {
        let apart = now.since(theirs).abs();
        let seconds = apart.num_seconds();
        all.push((
            "clock",
            // Theirs is told in whole seconds, and took a moment to come.
            match apart > skew + TimeDelta::seconds(2) {
                true => Err(format!(
                    "the server's clock and ours are {seconds} s apart, more than the realm's skew; set them right"
                )),
                false => Ok(format!("the server's clock and ours are {seconds} s apart")),
            },
        ));
    }
    let told = match options.profile.attributes().counts {
        Counts::Nothing => "everything is read each time",
        Counts::Clock => "what changed is asked for by modifyTimestamp, which should have an index",
        Counts::Usn => {
            let service = own.text("dsservicename").map(str::to_owned);
            let counts = match service {
                Some(service) => invocation(connection, &service).await?.is_some(),
                None => false,
            };
            match counts {
                true => "what changed is asked for by uSNChanged",
                false => {
                    "the server's invocationId may not be read, so everything is read each time"
                }
            }
        }
    };
    all.push(("changes", Ok(told.to_owned())));
    Ok(all)
}
