//! Detection: what a file of evidence begins with → its form. A form that the config names wins.

use memchr::memmem;

use crate::domain::evidence::Form;

/// Bytes that are looked at.
const HEAD: usize = 64 * 1024;

/// What the first bytes of a file show it to be. What shows nothing is a table.
pub(super) fn detect(head: &[u8]) -> Form {
    let head = head.get(..HEAD).unwrap_or(head);
    let start = head.trim_ascii_start();
    let first = start
        .split(|&byte| byte == b'\n')
        .next()
        .unwrap_or_default()
        .trim_ascii_end();
    let has = |text: &str| memmem::find(head, text.as_bytes()).is_some();
    match start.first() {
        Some(b'<') if has("<Event") => Form::WindowsEvents,
        Some(b'{' | b'[') if !start.starts_with(b"[20") && !start.starts_with(b"[*]") => {
            json(start, first, &has)
        }
        _ if has("-Last PW Set-") => Form::NetexecUsers,
        _ if start.starts_with(b"dn:")
            || start.starts_with(b"version: 1")
            || start.starts_with(b"# extended LDIF")
            || has("\ndn: ")
            || has("\ndn:: ") =>
        {
            Form::Ldif
        }
        _ if has("Last password change") => Form::Chage,
        _ if is_shadow(first) => Form::Shadow,
        _ if is_passwd_status(first) => Form::PasswdStatus,
        _ if is_get_ad_user(start) => Form::GetAdUser,
        _ => Form::Csv,
    }
}

fn json(start: &[u8], first: &[u8], has: &dyn Fn(&str) -> bool) -> Form {
    let is_ours = memmem::find(first, b"\"changed_at\"").is_some();
    let signs: [(bool, Form); 8] = [
        (has("\"activityDisplayName\""), Form::EntraAudits),
        (
            has("$metadata#users") || (has("\"userPrincipalName\"") && has("\"accountEnabled\"")),
            Form::GraphUsers,
        ),
        (has("admin#reports#activit"), Form::GoogleActivities),
        (has("admin#directory#user"), Form::GoogleUsers),
        (
            has("\"eventType\"") && has("\"outcome\"") && has("\"actor\""),
            Form::OktaLog,
        ),
        (
            has("\"passwordChanged\"") && has("\"profile\""),
            Form::OktaUsers,
        ),
        (
            has("\"krblastpwdchange\"") || has("\"ipauniqueid\"") || has("\"krbprincipalname\""),
            Form::Freeipa,
        ),
        (
            has("\"requiredActions\"")
                || (has("\"realm\"") && has("\"accessTokenLifespan\""))
                || (has("\"credentials\"") && has("\"username\"")),
            Form::KeycloakUsers,
        ),
    ];
    let found = signs
        .into_iter()
        .find(|(is_there, _)| *is_there && !is_ours);
    match found {
        Some((_, form)) => form,
        // A list is no object a line; whoever reads it says so.
        None if start.starts_with(b"{") => Form::Jsonl,
        None => Form::Csv,
    }
}

/// Nine fields, the third a day or nothing.
fn is_shadow(line: &[u8]) -> bool {
    let mut fields = line.split(|&byte| byte == b':');
    let name = fields.next().unwrap_or_default();
    let is_number = |field: &[u8]| field.iter().all(u8::is_ascii_digit);
    !name.is_empty()
        && !name.contains(&b' ')
        && fields.clone().count() == 8
        && fields.skip(1).all(is_number)
}

/// A name, a status, and a date or `never`.
fn is_passwd_status(line: &[u8]) -> bool {
    let words: Vec<&[u8]> = line
        .split(u8::is_ascii_whitespace)
        .filter(|word| !word.is_empty())
        .take(8)
        .collect();
    matches!(
        words.as_slice(),
        [_, b"P" | b"L" | b"NP" | b"PS" | b"LK", date, _, ..]
            if *date == b"never" || date.first().is_some_and(u8::is_ascii_digit)
    )
}

fn is_get_ad_user(start: &[u8]) -> bool {
    let header = start
        .split(|&byte| byte == b'\n')
        .find(|line| !line.starts_with(b"#TYPE"))
        .unwrap_or_default()
        .to_ascii_lowercase();
    let has = |name: &str| {
        header
            .split(|byte| b",;\t\"\r".contains(byte))
            .any(|cell| cell.trim_ascii() == name.as_bytes())
    };
    has("samaccountname") && (has("pwdlastset") || has("passwordlastset")) && !has("changed_at")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_known_by_what_a_file_begins_with() {
        for (head, expected) in [
            ("account,changed_at\nada,2026-02-16\n", Form::Csv),
            ("sep=;\naccount;changed_at\n", Form::Csv),
            (
                "{\"account\":\"ada\",\"changed_at\":null,\"userPrincipalName\":1,\"accountEnabled\":1}\n",
                Form::Jsonl,
            ),
            ("{\"account\":\"ada\"}\n", Form::Jsonl),
            (
                "[\n{\"id\":1,\"passwordChanged\":null,\"profile\":{}}]",
                Form::OktaUsers,
            ),
            (
                "[2026-02-20 08:00:00]> nxc smb\nSMB 192.0.2.1 445 DC -Username- -Last PW Set- -BadPW-\n",
                Form::NetexecUsers,
            ),
            ("root:*:18536:0:99999:7:::\n", Form::Shadow),
            ("root:x:0:0:root:/root:/bin/bash\n", Form::Csv),
            ("abaraa P never 0 99999 7 -1\n", Form::PasswdStatus),
            ("abaraa:\nLast password change\t: never\n", Form::Chage),
            (
                "\"SamAccountName\";\"PasswordLastSet\"\r\n",
                Form::GetAdUser,
            ),
            ("SamAccountName,Mail\n", Form::Csv),
            ("<!doctype html><html>", Form::Csv),
        ] {
            assert_eq!(detect(head.as_bytes()), expected, "{head}");
        }
    }
}
