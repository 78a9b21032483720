//! Form: in what a source of evidence writes, and what has to be said where that leaves a doubt.

use serde::Serialize;

macro_rules! forms {
    ($($(#[$doc:meta])* $name:ident = $word:literal;)*) => {
        /// In what a file of evidence is written.
        #[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
        #[serde(rename_all = "snake_case")]
        pub enum Form { $($(#[$doc])* $name,)* }

        impl Form {
            /// All of them, each by the word that the config uses.
            pub const ALL: &'static [(&'static str, Self)] = &[$(($word, Self::$name),)*];

            /// The word that the config uses.
            pub const fn word(self) -> &'static str {
                match self { $(Self::$name => $word,)* }
            }
        }
    };
}

forms! {
    /// A table with our columns, or with those that the config names.
    Csv = "csv";
    /// Our columns as the keys of one object a line.
    Jsonl = "jsonl";
    /// Microsoft Graph: users.
    GraphUsers = "graph_users";
    /// Microsoft Graph: the audit log of Entra ID.
    EntraAudits = "entra_audits";
    /// Okta: users.
    OktaUsers = "okta_users";
    /// Okta: the system log.
    OktaLog = "okta_log";
    /// Keycloak: a realm export, or users with their credentials.
    KeycloakUsers = "keycloak_users";
    /// Google: users of the directory.
    GoogleUsers = "google_users";
    /// Google: activities of the reports.
    GoogleActivities = "google_activities";
    /// FreeIPA: the answer of user_find.
    Freeipa = "freeipa";
    /// LDIF, of Active Directory, OpenLDAP, lldap, 389 Directory Server or FreeIPA.
    Ldif = "ldif";
    /// Get-ADUser … | Export-Csv.
    GetAdUser = "get_ad_user";
    /// NetExec --users.
    NetexecUsers = "netexec_users";
    /// Events of a Windows security log, as XML.
    WindowsEvents = "windows_events";
    /// /etc/shadow.
    Shadow = "shadow";
    /// passwd -Sa.
    PasswdStatus = "passwd_status";
    /// chage -l.
    Chage = "chage";
}

/// What is believed of users whose password another directory keeps, as Entra's that are synchronised. Their dates are
/// filled by the synchronisation, and may be those of the first one.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Synchronised {
    /// Which sessions have ended. For the password the other directory is asked.
    #[default]
    Elsewhere,
    /// Everything: passwords are written back, or are changed here only.
    Here,
}

/// Whether the day or the month comes first in `02/03/2026`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DateOrder {
    /// As in most of the world.
    DayFirst,
    /// As in the United States.
    MonthFirst,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_has_a_word_of_its_own() {
        let mut words: Vec<&str> = Form::ALL.iter().map(|(word, _)| *word).collect();
        assert!(Form::ALL.iter().all(|(word, form)| form.word() == *word));
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), Form::ALL.len());
    }
}
