//! The demo's config.

/// The config of an organisation with this short name and mail domain.
pub(super) fn text(short: &str, domain: &str) -> String {
    format!(
        r#"# The demo's config. `bell init` writes one that explains itself.
[organisation]
name = "Westbridge Council"
team = "Digital Security Team"
signatory = "Sam Lee"
time_zone = "Europe/London"

[organisation.texts]
how_to_reset = "On your work computer, press Ctrl, Alt and Delete. Then choose Change a password."
check_route = "go to the staff home page, open Security notices"
help_route = "Call the number on the back of your staff pass."
help_hours = "We are open from 8am to 8pm."
in_person = "the help desk at the main entrance"
changes_line = "We have made it harder to guess passwords from outside."
attack_when = "At the weekend"
containment_line = "We have blocked sign-in to keep you safe."
seen_when = "at the weekend"
next_contact = "within two working days"

[[realm]]
name = "ad:{short}"
netbios = ["{short}"]
dns = ["{domain}"]

[directory]
file = "in/directory.csv"

[[source]]
name = "password-audit"
kind = "mapped_csv"
mapping = "in/mapping.toml"
bare_sam = true

[[source]]
name = "have-i-been-pwned"
kind = "hibp_domain"
catalogue = "in/breaches.json"
domain = "{domain}"

[[source]]
name = "hashcat"
kind = "hashcat_show"
bare_sam = true

[[source]]
name = "john"
kind = "john_show"
bare_sam = true

[[evidence]]
name = "directory-export"
file = "in/evidence.csv"

[mail]
from_address = "security@{domain}"

[mail.relay]
kind = "folder"
folder = "mail"

[mail.inbox]
maildir = "bounces"

[discord]
file = "discord"

[schedule]
zone = "UTC"
people = "0 0 5 * * *"
intake = "0 0 * * * *"
plan = "0 30 8 * * Mon-Fri"
notify = "0 0 7-19 * * *"
deliver = "0 5 7-19 * * *"
inbox = "0 20 7-19/4 * * *"
confirm = "0 15 1-23/2 * * *"
announce = "0 25 9,13,17 * * *"
statements = "0 10 9-18 * * *"
report = "0 0 7 * * Mon"

[report]
folder = "reports"

[[operator]]
name = "ann"
roles = ["security", "communications"]

[[operator]]
name = "cleo"
roles = ["communications"]

[[operator]]
name = "ben"
roles = ["approver"]
"#
    )
}
