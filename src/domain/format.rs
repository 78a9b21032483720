//! Format: the forms of audit file that are read, by the word that flags, the configuration and the database use.

/// What a format's findings are about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Looks {
    /// At the passwords that accounts have now: an account that it does not list has a better one.
    AtPasswords,
    /// At breaches, attacks or sign-ins: whom it does not list, it says nothing about.
    Elsewhere,
}

macro_rules! formats {
    ($($(#[$doc:meta])* $name:ident = $word:literal, $title:literal, $looks:ident;)*) => {
        /// A form of file that is read.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub enum Format { $($(#[$doc])* $name,)* }

        impl Format {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// All their words.
            pub const WORDS: &'static [&'static str] = &[$($word,)*];

            /// All of them by their words.
            pub const BY_WORD: &'static [(&'static str, Self)] = &[$(($word, Self::$name),)*];

            /// The word that flags, the configuration and the database use.
            pub const fn word(self) -> &'static str {
                match self { $(Self::$name => $word,)* }
            }

            /// What a person calls it, after "this is".
            pub const fn title(self) -> &'static str {
                match self { $(Self::$name => $title,)* }
            }

            /// Whether it looks at passwords.
            pub const fn looks(self) -> Looks {
                match self { $(Self::$name => Looks::$looks,)* }
            }
        }
    };
}

formats! {
    /// Any table, with a mapping file that says what its columns mean.
    MappedCsv = "mapped_csv", "a table with a mapping file", AtPasswords;
    /// Have I Been Pwned's answer about a domain.
    HibpDomain = "hibp_domain", "a Have I Been Pwned domain search", Elsewhere;
    /// hashcat's `--show --username`.
    HashcatShow = "hashcat_show", "what hashcat --show --username prints", AtPasswords;
    /// John the Ripper's `--show`.
    JohnShow = "john_show", "what john --show prints", AtPasswords;
    /// Have I Been Pwned's answer about stealer logs.
    HibpStealerLogs = "hibp_stealer_logs", "a Have I Been Pwned answer about stealer logs", Elsewhere;
    /// PasswordSolution's table.
    PasswordSolution = "passwordsolution", "a PasswordSolution quality table", AtPasswords;
    /// What NetExec or CrackMapExec printed or logged.
    Netexec = "netexec", "what NetExec or CrackMapExec printed", Elsewhere;
    /// Risky users and risk detections of Entra ID.
    EntraRisk = "entra_risk", "a list of Entra risky users or risk detections", Elsewhere;
    /// Entra ID's sign-in log.
    EntraSignins = "entra_signins", "a list of Entra sign-ins", Elsewhere;
    /// Okta's System Log.
    OktaLog = "okta_log", "an Okta system log", Elsewhere;
    /// Alerts and login activities of Google Workspace.
    GoogleLog = "google_log", "a Google Workspace log", Elsewhere;
    /// Dovecot, Postfix and sshd.
    LoginLog = "login_log", "a mail or system log", Elsewhere;
    /// IIS, as Exchange leaves it behind.
    IisLog = "iis_log", "an IIS log", Elsewhere;
    /// Windows security events as XML.
    WindowsEvents = "windows_events", "a Windows security log", Elsewhere;
    /// OCSF events.
    Ocsf = "ocsf", "a list of OCSF events", Elsewhere;
    /// A STIX bundle.
    Stix = "stix", "a STIX bundle", Elsewhere;
    /// IntelMQ events.
    Intelmq = "intelmq", "a list of IntelMQ events", Elsewhere;
    /// DSInternals' `Test-PasswordQuality`, as text.
    DsinternalsReport = "dsinternals_report", "a DSInternals password quality report", AtPasswords;
    /// The same as JSON.
    DsinternalsObject = "dsinternals_object", "a DSInternals result as JSON", AtPasswords;
    /// Names of accounts that all have the same weakness.
    AccountNames = "account_names", "a list of account names", AtPasswords;
    /// What secretsdump or pwdump take out of a directory, alone or joined with a list of hashes.
    Dump = "dump", "a dump of hashes", AtPasswords;
    /// hashcat's `--outfile-json`, with names.
    HashcatOutfile = "hashcat_outfile", "a hashcat outfile in JSON", AtPasswords;
}

impl Format {
    /// Whether it tells which passwords an account has now, so that an account it does not list has a better one. Lists of
    /// breaches look at no password of ours.
    pub const fn looks_at_passwords(self) -> bool {
        matches!(self.looks(), Looks::AtPasswords)
    }

    /// Whether the service itself says which attempt was part of a spray, so that nobody else has to weigh addresses.
    pub const fn tells_sprays(self) -> bool {
        matches!(self, Self::OktaLog)
    }

    /// The format that a word names.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::BY_WORD
            .iter()
            .find(|(known, _)| *known == word)
            .map(|(_, format)| *format)
    }
}

impl std::fmt::Display for Format {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.word())
    }
}

impl serde::Serialize for Format {
    fn serialize<S: serde::Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.serialize_str(self.word())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_names_one_format() {
        for format in Format::ALL {
            assert_eq!(Format::from_word(format.word()), Some(*format));
        }
        assert_eq!(Format::ALL.len(), Format::WORDS.len());
        assert_eq!(Format::from_word("maped_csv"), None);
    }
}
