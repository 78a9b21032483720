//! Known files that are no audits, or are not read yet: each is named, and says what to do instead.

use super::super::{hibp, john};
use super::Refusal;
use super::head::{By, Head, Look, Shape};

/// A file that is known, and why it is not read.
pub(super) struct Known {
    pub(super) title: &'static str,
    pub(super) look: fn(&Head<'_>) -> Look,
    why: Why,
}

enum Why {
    Html,
    TypeNames,
    LengthColumn,
    ErrorAnswer,
    StealerLogs,
    Instead(&'static str),
    NotYet,
}

impl Known {
    pub(super) const fn refusal(&self) -> Refusal {
        match self.why {
            Why::Html => Refusal::Html,
            Why::TypeNames => Refusal::TypeNames,
            Why::LengthColumn => Refusal::LengthColumn,
            Why::ErrorAnswer => Refusal::ErrorAnswer,
            Why::StealerLogs => Refusal::StealerLogs,
            Why::Instead(instead) => Refusal::NoAccounts {
                what: self.title,
                instead,
            },
            Why::NotYet => Refusal::NotRead(self.title),
        }
    }
}

const fn known(title: &'static str, why: Why, look: fn(&Head<'_>) -> Look) -> Known {
    Known { title, look, why }
}

const fn not_yet(title: &'static str, look: fn(&Head<'_>) -> Look) -> Known {
    known(title, Why::NotYet, look)
}

/// All of them.
pub(super) const KNOWN: &[Known] = &[
    known("an HTML page", Why::Html, html),
    known("an export of type names", Why::TypeNames, type_names),
    known("an export of lengths", Why::LengthColumn, length_column),
    known(
        "an error that a service answered",
        Why::ErrorAnswer,
        hibp::look_error,
    ),
    known(
        "the Have I Been Pwned catalogue of breaches",
        Why::Instead("configure it as the catalogue that a domain search is joined with"),
        |head| {
            head.json_with(&["Name", "BreachDate", "DataClasses"])
                .unless(
                    &head.json_with(&["BreachSearchResults"]),
                    "it names accounts",
                )
        },
    ),
    known(
        "a passwd file with no finding in it",
        Why::Instead("crack it, and give what \"john --show\" prints"),
        passwd,
    ),
    known(
        "Have I Been Pwned's stealer logs by e-mail domain",
        Why::StealerLogs,
        hibp::look_stealer_logs,
    ),
    not_yet("a downloaded Have I Been Pwned domain report", |head| {
        head.json_with(&["BreachSearchResults"])
    }),
    not_yet("a list of Entra risk detections", |head| {
        head.json_with(&["riskState", "riskEventType"])
    }),
    not_yet("a list of Entra risky users", |head| {
        head.json_with(&["riskState", "userPrincipalName"]).unless(
            &head.json_with(&["riskEventType"]),
            "it has \"riskEventType\"",
        )
    }),
    not_yet("a list of Entra risky users", |head| {
        head.table_with(&["riskstate", "userprincipalname"])
    }),
    not_yet("a list of Entra sign-ins", |head| {
        head.table_with(&["date (utc)", "request id"])
    }),
    not_yet("an Okta system log", |head| {
        head.json_with(&["eventType", "outcome", "actor"])
    }),
    not_yet("a Google Workspace log", google),
    not_yet("a list of OCSF events", |head| {
        head.json_with(&["class_uid"])
    }),
    not_yet("a list of IntelMQ events", |head| {
        head.json_with(&["classification.type"])
    }),
    not_yet("a STIX bundle", |head| head.json_with(&["type", "bundle"])),
    not_yet("a PasswordSolution quality table", |head| {
        head.table_with(&["rulename", "duplicatepasswordgroups"])
    }),
    not_yet("what NetExec or CrackMapExec printed", |head| {
        head.lines_like("a protocol, an address and what happened", is_netexec)
    }),
    not_yet("a mail or system log", |head| {
        head.lines_like("of a mail or sign-in service", is_mail_or_system_log)
    }),
    not_yet("an IIS log", |head| {
        head.line_with("a line that begins with \"#Fields:\"", |line| {
            line.starts_with("#Fields:")
        })
    }),
    not_yet("a Windows security log", windows_events),
];

fn html(head: &Head<'_>) -> Look {
    if let Some(no) = head.unless_shape(Shape::Markup) {
        return no;
    }
    let start: String = head
        .start
        .chars()
        .take(2000)
        .collect::<String>()
        .to_ascii_lowercase();
    let signs = [
        "<!doctype html",
        "<html",
        "<head",
        "<body",
        "<!-- saved from",
    ];
    if signs.iter().any(|sign| start.contains(sign)) {
        Look::yes(By::Sign, "it begins as a page of a web site")
    } else {
        Look::no(1, "it has no element of HTML")
    }
}

fn windows_events(head: &Head<'_>) -> Look {
    if let Some(no) = head.unless_shape(Shape::Markup) {
        return no;
    }
    if head
        .start
        .contains("schemas.microsoft.com/win/2004/08/events")
    {
        Look::yes(By::Sign, "XML of the Windows event log")
    } else {
        Look::no(1, "it does not name the namespace of the Windows event log")
    }
}

fn type_names(head: &Head<'_>) -> Look {
    head.line_with(
        "the name \"System.Collections.Generic.SortedSet\"",
        |line| line.contains("System.Collections.Generic.SortedSet"),
    )
}

fn length_column(head: &Head<'_>) -> Look {
    match head.columns() {
        [only] if only == "length" => Look::yes(By::Sign, "its only column is \"Length\""),
        _ => Look::no(0, "its only column is not \"Length\""),
    }
}

fn google(head: &Head<'_>) -> Look {
    let alerts = head.json_with(&["alertId"]);
    if head.has_text("admin#reports#activit") {
        return Look::yes(By::Sign, "JSON with \"admin#reports#activity\"");
    }
    alerts
}

fn passwd(head: &Head<'_>) -> Look {
    head.lines_like("of a passwd file whose passwords are elsewhere", |line| {
        john::form_of(line.as_bytes()) == Some(john::Form::Passwd)
            && matches!(line.split(':').nth(1), Some("x" | "*" | "!"))
    })
}

/// Protocol, address, port, host, and what happened.
fn is_netexec(line: &str) -> bool {
    ["[+]", "[-]", "[*]"].iter().any(|sign| line.contains(sign))
        && [
            "SMB", "LDAP", "LDAPS", "WINRM", "SSH", "RDP", "MSSQL", "FTP", "WMI", "VNC",
        ]
        .iter()
        .any(|protocol| {
            line.split(|c: char| !c.is_ascii_alphanumeric())
                // A terminal copy has its colours: `ESC[34mSMB`.
                .any(|word| word.strip_prefix("34m").unwrap_or(word) == *protocol)
        })
}

fn is_mail_or_system_log(line: &str) -> bool {
    [
        "dovecot",
        "postfix/",
        "sshd[",
        "sshd-session[",
        "pam_unix(",
        "sudo:",
        "fail2ban",
    ]
    .iter()
    .any(|program| line.contains(program))
}
