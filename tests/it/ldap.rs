//! LDAP: people and evidence from real directory servers, and what is made of servers that fail.

mod domain;
mod openldap;
mod trouble;

use std::path::Path;

use chrono::TimeDelta;
use division_bell::clock::Clock;
use division_bell::domain::Moment;
use division_bell::steps::confirm::{self, Confirmed};
use division_bell::steps::people::{self, Synced};

use crate::support::flow::{Bell, Setup};

/// The config of one server, and of the evidence that it gives.
pub struct Server<'a> {
    pub profile: &'a str,
    pub urls: Vec<String>,
    pub ca_file: &'a Path,
    pub user: &'a str,
    pub secret: &'a Path,
    pub base: &'a str,
    /// Further keys of the server.
    pub more: &'a str,
}

impl Server<'_> {
    fn text(&self) -> String {
        let Self {
            profile,
            urls,
            ca_file,
            user,
            secret,
            base,
            more,
        } = self;
        format!(
            "[[ldap]]\nname = \"parl\"\nprofile = \"{profile}\"\nservers = {urls:?}\nca_file = {ca_file:?}\nuser = {user:?}\n\
             password_file = {secret:?}\nbase = {base:?}\n{more}\n[[evidence]]\nname = \"server\"\nkind = \"ldap\"\n"
        )
    }

    /// A bell whose people and whose evidence come from the server, at this very moment: a server has its own clock.
    pub async fn bell(&self) -> Bell {
        let mut bell = Bell::with(Setup {
            more: self.text(),
            start: now(),
            ..Setup::default()
        })
        .await;
        let listed = bell
            .text
            .replace("file = \"in/directory.csv\"", "kind = \"ldap\"")
            // All clocks are this machine's.
            .replace(
                "netbios = [\"PARL\"]",
                "netbios = [\"PARL\"]\nskew = \"0 s\"",
            )
            .replace(
                "[[evidence]]\nname = \"directory-export\"\nfile = \"in/evidence.csv\"\n",
                "",
            );
        bell.restart_with(listed).await;
        bell
    }
}

pub fn now() -> Moment {
    Clock::System.now()
}

/// Lists everybody.
pub async fn list(bell: &Bell) -> Synced {
    bell.app.clock.set(now());
    people::sync(&bell.app, None, false, "ann")
        .await
        .unwrap_or_else(|error| panic!("{error:#}"))
}

/// Opens a case about each of these accounts, whose passwords were bad a day ago.
pub async fn found_weak(bell: &Bell, accounts: &[&str]) {
    found_weak_as_of(bell, now().minus(TimeDelta::days(1)), accounts).await;
}

/// The same, as of some other moment.
pub async fn found_weak_as_of(bell: &Bell, as_of: Moment, accounts: &[&str]) {
    let as_of = as_of.utc().format("%Y-%m-%dT%H:%M:%SZ").to_string();
    let lines: Vec<_> = accounts
        .iter()
        .map(|account| (*account, "weak", as_of.as_str()))
        .collect();
    let taken = bell.audit("weak", &lines).await;
    assert_eq!(taken.opened, accounts.len() as u64, "{taken:?}");
}

/// One pass over the server, which works.
pub async fn ask(bell: &Bell) -> Confirmed {
    // After a clock that was moved on, real time would be a step back.
    bell.app.clock.set(bell.now().max(now()));
    let confirmed = confirm::confirm(&bell.app, None, None).await.unwrap();
    assert!(confirmed.failed.is_empty(), "{confirmed:?}");
    confirmed
}

/// How many cases of each account have this state.
pub async fn closed(bell: &Bell) -> i64 {
    crate::support::count(
        &bell.app.store,
        "SELECT COUNT(*) FROM cases WHERE state = 'closed'",
    )
    .await
}

/// How many open cases stand like that.
pub fn standing(confirmed: &Confirmed, word: &str) -> u64 {
    confirmed.standings.get(word).copied().unwrap_or_default()
}
