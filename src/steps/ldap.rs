//! LDAP: the config of a directory server as its reader wants it, and whether it works.

use anyhow::Context;

use crate::app::App;
use crate::config::{DirectoryKind, EvidenceKind, Ldap, LdapProfile};
use crate::directory::ldap::{LdapOptions, Profile, check as look};

/// What the reader needs. The certificates are read anew each time, as they are renewed.
pub(super) fn options(ldap: &Ldap) -> anyhow::Result<LdapOptions> {
    let ca = match &ldap.ca_file {
        Some(file) => {
            Some(std::fs::read(file).with_context(|| format!("reading {}", file.display()))?)
        }
        None => None,
    };
    Ok(LdapOptions {
        profile: match ldap.profile {
            LdapProfile::ActiveDirectory => Profile::ActiveDirectory,
            LdapProfile::Openldap => Profile::Openldap,
            LdapProfile::Freeipa => Profile::Freeipa,
            LdapProfile::Ds389 => Profile::Ds389,
            LdapProfile::Lldap => Profile::Lldap,
        },
        servers: ldap.servers.clone(),
        starttls: ldap.starttls,
        ca,
        user: ldap.user.clone(),
        password: ldap.password.clone(),
        base: ldap.base.clone(),
        filter: ldap.filter.clone(),
        page_size: ldap.page_size,
        connect_timeout: ldap.connect_timeout,
        timeout: ldap.timeout,
        overlap: ldap.overlap,
        columns: ldap.columns.clone(),
    })
}

/// Looks at every LDAP directory that is read for people or evidence: each thing by name, and what is wrong with it.
pub async fn check(app: &App) -> Vec<(String, Result<String, String>)> {
    let people = match &app.config.directory.kind {
        DirectoryKind::Ldap(ldap) => Some((&**ldap, &app.config.directory.realm)),
        DirectoryKind::File(_) => None,
    };
    let sources = app
        .config
        .evidence
        .iter()
        .filter_map(|source| match &source.kind {
            EvidenceKind::Ldap(ldap) => Some((&**ldap, &source.realm)),
            EvidenceKind::File(_)
            | EvidenceKind::Graph(_)
            | EvidenceKind::Okta(_)
            | EvidenceKind::Keycloak(_)
            | EvidenceKind::Google(_) => None,
        });
    let mut all = Vec::new();
    let mut seen = Vec::new();
    for (ldap, realm) in people.into_iter().chain(sources) {
        if seen.contains(&&ldap.name) {
            continue;
        }
        seen.push(&ldap.name);
        let what = format!("ldap {:?}", ldap.name);
        let skew = app.rule(realm).map(|rule| rule.skew);
        match options(ldap).and_then(|options| Ok((options, skew?))) {
            Err(error) => all.push((what, Err(format!("{error:#}")))),
            Ok((options, skew)) => {
                let found = look(&options, app.clock.now(), skew).await;
                all.extend(
                    found
                        .into_iter()
                        .map(|(part, result)| (format!("{what} {part}"), result)),
                );
            }
        }
    }
    all
}
