//! What a field of an NT hash says, and what may not pass for a name because it holds one.

/// The NT hash of the empty password.
pub(super) const EMPTY_NT: &[u8] = b"31d6cfe0d16ae931b73c59d7e0c089c0";
/// Stands where no LM hash is stored. Cracking it finds an empty half, which says nothing about the password.
pub(super) const EMPTY_LM: &[u8] = b"aad3b435b51404eeaad3b435b51404ee";

/// Whether a field is 32 hexadecimal digits: an NT hash, or both halves of an LM hash.
pub(super) fn is_hash(field: &[u8]) -> bool {
    field.len() == 32 && field.iter().all(u8::is_ascii_hexdigit)
}

/// The 16 bytes of a hash; none if the field is none.
pub(super) fn bytes(field: &[u8]) -> Option<[u8; 16]> {
    let digit = |byte: u8| {
        char::from(byte)
            .to_digit(16)
            .and_then(|d| u8::try_from(d).ok())
    };
    if field.len() != 32 {
        return None;
    }
    let mut bytes = [0; 16];
    for (byte, pair) in bytes.iter_mut().zip(field.chunks_exact(2)) {
        let [high, low] = pair else { return None };
        *byte = digit(*high)? << 4 | digit(*low)?;
    }
    Some(bytes)
}

/// Whether a field of a dump is a hash or says that there is none (`NO PASSWORD****…`, `NO LM-HASH****…`).
pub(super) fn is_hash_field(field: &[u8]) -> bool {
    is_hash(field) || field.starts_with(b"NO ")
}

/// Whether a text could give a hash away: it holds 32 hexadecimal digits in a row.
pub(super) fn holds_hash(text: &str) -> bool {
    let mut run = 0;
    text.bytes().any(|byte| {
        run = if byte.is_ascii_hexdigit() { run + 1 } else { 0 };
        run >= 32
    })
}

/// The name of an account as hash tools write it; none if it cannot be one. A hash, a crypt string or a piece of
/// some other line in the name's place must not become a key that is kept.
pub(super) fn login(name: &str) -> Option<&str> {
    let name = name.trim();
    let fits = name.len() <= 256
        && !name.starts_with('$')
        && !name.chars().any(char::is_control)
        && !holds_hash(name);
    fits.then_some(name)
}

/// Whether a name looks like a former password's: it ends in `_history` and digits.
pub(super) fn is_history(name: &str) -> bool {
    name.rsplit_once("_history")
        .is_some_and(|(before, number)| {
            !before.is_empty()
                && !number.is_empty()
                && number.bytes().all(|byte| byte.is_ascii_digit())
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_former_passwords_name_ends_in_history_and_a_number() {
        for (name, expected) in [
            (r"parl.example\abaraa_history0", true),
            ("abaraa_history12", true),
            ("abaraa_history", false),
            ("abaraa_history0x", false),
            ("_history0", false),
            ("history0", false),
        ] {
            assert_eq!(is_history(name), expected, "{name}");
        }
    }

    #[test]
    fn hashes_do_not_pass_for_names() {
        for name in [
            "e4c62a4c4febfe31cdb0ba3e3a8f0235",
            "x-E4C62A4C4FEBFE31CDB0BA3E3A8F0235",
            "$NT$e4c62a4c4febfe31cdb0ba3e3a8f0235",
            "$2a$05$abcdefghijklmnopqrstuv",
            "a\tb",
        ] {
            assert_eq!(login(name), None, "{name}");
        }
        assert_eq!(login(" WS-LOBBY07$ "), Some("WS-LOBBY07$"));
        assert_eq!(login("anna maria"), Some("anna maria"));
    }
}
