//! Genuine: a letter's reference, as somebody types it who has the letter before them and asks whether it is ours.

/// The longest that a reference of ours can be.
const LONGEST: usize = 32;

/// Reads a reference such as `DB-2507-K7M4`, however it was typed: in small letters, with blanks, dashes of other kinds or
/// none around it, and with the letters that are taken for figures (Crockford's base 32 reads O as 0, and I and L as 1) in
/// its personal part. None: no letter of ours can have it.
pub fn reference(typed: &str) -> Option<String> {
    let mut text = String::new();
    for c in typed.trim().chars().filter(|c| !c.is_whitespace()) {
        if text.len() == LONGEST {
            return None;
        }
        text.push(match c {
            '-' | '\u{2010}'..='\u{2015}' | '\u{2212}' => '-',
            c if c.is_ascii_alphanumeric() => c.to_ascii_uppercase(),
            _ => return None,
        });
    }
    let (campaign, personal) = text.rsplit_once('-')?;
    let (prefix, month) = campaign.split_once('-')?;
    let is_prefix =
        (1..=4).contains(&prefix.len()) && prefix.bytes().all(|b| b.is_ascii_uppercase());
    let is_month = (4..=8).contains(&month.len())
        && month.bytes().take(4).all(|b| b.is_ascii_digit())
        && month.bytes().skip(4).all(|b| b.is_ascii_uppercase());
    let is_personal = (4..=6).contains(&personal.len());
    if !is_prefix || !is_month || !is_personal {
        return None;
    }
    let personal: String = personal
        .chars()
        .map(|c| match c {
            'O' => '0',
            'I' | 'L' => '1',
            other => other,
        })
        .collect();
    Some(format!("{campaign}-{personal}"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_reference_is_read_however_it_was_typed() {
        for typed in [
            "DB-2507-K7M1",
            "  db-2507-k7ml ",
            "DB \u{2013} 2507 \u{2011} K7MI",
            "Db-2507-k7m1",
        ] {
            assert_eq!(reference(typed).as_deref(), Some("DB-2507-K7M1"), "{typed}");
        }
        // The second campaign of a month has a letter, and large ones have longer references.
        assert_eq!(
            reference("DB-2507B-KOM4AA").as_deref(),
            Some("DB-2507B-K0M4AA")
        );
    }

    #[test]
    fn what_no_letter_of_ours_can_have_is_none() {
        for typed in [
            "",
            "DB",
            "DB-2507",
            "DB-2507-K7",
            "DB-25X7-K7M4",
            "DB-2507-K7M4-1",
            "DB-2507-K7M4567",
            "D\u{430}-2507-K7M4",
            "https://db-2507-k7m4",
            "DB-2507-K7M4'; --",
        ] {
            assert_eq!(reference(typed), None, "{typed}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_typed_gives_a_short_reference_or_none(typed in ".{0,80}") {
            if let Some(read) = reference(&typed) {
                prop_assert!(read.len() <= LONGEST);
                prop_assert_eq!(reference(&read), Some(read.clone()));
            }
        }
    }
}
