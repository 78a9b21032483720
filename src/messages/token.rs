//! Token: the identities that a letter carries, each the HMAC of what it stands for.

use std::fmt::Write;

use data_encoding::BASE32_NOPAD;
use hmac::{Hmac, Mac};
use sha2::Sha256;

use super::letter::{LetterError, is_message_id};
use crate::domain::notice::NoticeKind;
use crate::domain::{CampaignId, DeliveryId, EmailAddress};

/// What a Message-ID is made of: the same notice never gets two, two notices never get the same.
#[derive(Clone, Copy, Debug)]
pub struct MessageIdParts<'a> {
    /// The campaign.
    pub campaign: CampaignId,
    /// What the letter is about, by number: its conversation, which stands for the cases in it.
    pub about: &'a [i64],
    /// What kind of letter.
    pub kind: NoticeKind,
    /// The how manieth of its kind about this.
    pub sequence: u32,
    /// From [`super::Messages::template_hash`].
    pub template: &'a [u8; 32],
    /// The reader's address.
    pub to: &'a EmailAddress,
    /// The domain that the letter is sent from.
    pub domain: &'a str,
}

/// `<token@domain>`, the token being the HMAC of everything that makes this notice this notice.
pub fn message_id(site_key: &[u8], parts: &MessageIdParts<'_>) -> Result<String, LetterError> {
    let mut mac = keyed(site_key, b"message-id")?;
    let mut add = |bytes: &[u8]| {
        // Each part with its length, so that two lists of parts never run together into the same bytes.
        mac.update(&(bytes.len() as u64).to_be_bytes());
        mac.update(bytes);
    };
    add(&parts.campaign.0.to_be_bytes());
    add(&(parts.about.len() as u64).to_be_bytes());
    for number in parts.about {
        add(&number.to_be_bytes());
    }
    add(parts.kind.word().as_bytes());
    add(&parts.sequence.to_be_bytes());
    add(parts.template);
    add(parts.to.folded().as_bytes());
    let domain =
        idna::domain_to_ascii(parts.domain).map_err(|_| LetterError::MessageId("domain"))?;
    let mut id = String::from("<");
    id.push_str(&lower(&mac.finalize().into_bytes()));
    // Writing to a String cannot go wrong.
    let _ = write!(id, "@{domain}>");
    if is_message_id(&id) {
        Ok(id)
    } else {
        Err(LetterError::MessageId("domain"))
    }
}

/// Octets of the MAC in a VERP token: 80 bits, which nobody guesses by sending bounces.
const VERP_MAC: usize = 10;

/// The envelope sender of a delivery: `PREFIX+TOKEN@` the bounce domain. Whoever holds the token can only bounce this delivery.
pub fn verp(
    site_key: &[u8],
    delivery: DeliveryId,
    prefix: &str,
    bounce_domain: &str,
) -> Result<EmailAddress, LetterError> {
    let id = delivery.0.to_be_bytes();
    let mut mac = keyed(site_key, b"verp")?;
    mac.update(&id);
    let mac = mac.finalize().into_bytes();
    let token: Vec<u8> = id
        .iter()
        .chain(mac.iter().take(VERP_MAC))
        .copied()
        .collect();
    EmailAddress::parse(&format!("{prefix}+{}@{bounce_domain}", lower(&token)))
        .map_err(|_| LetterError::Address("envelope sender"))
}

/// The delivery that an envelope sender of ours names; none for one that we never wrote. Takes the same time whatever
/// part of the token is wrong.
pub fn verp_delivery(site_key: &[u8], address: &EmailAddress) -> Option<DeliveryId> {
    // A relay may have folded the case of the local part.
    let local = address.local().to_ascii_uppercase();
    // Whatever the prefix is now: letters from before it was changed still come back.
    let (_, token) = local.rsplit_once('+')?;
    let bytes = BASE32_NOPAD.decode(token.as_bytes()).ok()?;
    let (id, tag) = bytes.split_first_chunk::<8>()?;
    if tag.len() != VERP_MAC {
        return None;
    }
    let mut mac = keyed(site_key, b"verp").ok()?;
    mac.update(id);
    mac.verify_truncated_left(tag).ok()?;
    Some(DeliveryId(i64::from_be_bytes(*id)))
}

/// Whether an address has the form of our envelope senders, whoever made it.
pub fn is_verp(address: &EmailAddress) -> bool {
    let local = address.local().to_ascii_uppercase();
    local
        .rsplit_once('+')
        .and_then(|(_, token)| BASE32_NOPAD.decode(token.as_bytes()).ok())
        .is_some_and(|bytes| bytes.len() == size_of::<i64>() + VERP_MAC)
}

/// The personal part of a reference: four characters of Crockford's base 32 (no I, L, O, U), from random bytes. The
/// first is a letter, so that a reference never reads as a telephone number. Whether it is taken is the store's business.
pub fn personal_reference(random: [u8; 4]) -> String {
    const CROCKFORD: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    let [first, rest @ ..] = random;
    let pick = |at: usize| CROCKFORD.get(at).copied().map_or('X', char::from);
    std::iter::once(pick(10 + usize::from(first) % 22))
        .chain(rest.into_iter().map(|byte| pick(usize::from(byte) % 32)))
        .collect()
}

/// An HMAC for one purpose: a token made for one is worthless for another.
fn keyed(site_key: &[u8], purpose: &[u8]) -> Result<Hmac<Sha256>, LetterError> {
    if site_key.is_empty() {
        return Err(LetterError::Key);
    }
    let mut mac = Hmac::<Sha256>::new_from_slice(site_key).map_err(|_| LetterError::Key)?;
    mac.update(purpose);
    mac.update(&[0]);
    Ok(mac)
}

pub(super) fn lower(bytes: &[u8]) -> String {
    BASE32_NOPAD.encode(bytes).to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const KEY: &[u8] = b"a key of this site";

    fn address(text: &str) -> EmailAddress {
        EmailAddress::parse(text).unwrap()
    }

    #[test]
    fn a_message_id_is_stable_and_every_part_of_it_counts() {
        let (ada, bob) = (address("ada@parl.example"), address("bob@parl.example"));
        let parts = MessageIdParts {
            campaign: CampaignId(1),
            about: &[2, 3],
            kind: NoticeKind::Weak,
            sequence: 1,
            template: &[7; 32],
            to: &ada,
            domain: "notices.parl.example",
        };
        let first = message_id(KEY, &parts).unwrap();
        // Worked out apart from this code: another value would give every notice in an outbox a second identity.
        assert_eq!(
            first,
            "<mxjj7e6ejwj4sq26w77ip5qwvp77gclxjtlrhdeqf3hmfgxwkxsa@notices.parl.example>"
        );
        assert_eq!(first, message_id(KEY, &parts).unwrap());
        let folded = MessageIdParts {
            to: &address("ADA@PARL.example"),
            ..parts
        };
        assert_eq!(first, message_id(KEY, &folded).unwrap());
        let others = [
            message_id(b"another key", &parts),
            message_id(
                KEY,
                &MessageIdParts {
                    campaign: CampaignId(2),
                    ..parts
                },
            ),
            message_id(
                KEY,
                &MessageIdParts {
                    about: &[2],
                    ..parts
                },
            ),
            message_id(
                KEY,
                &MessageIdParts {
                    about: &[3, 2],
                    ..parts
                },
            ),
            message_id(
                KEY,
                &MessageIdParts {
                    kind: NoticeKind::Attacked,
                    ..parts
                },
            ),
            message_id(
                KEY,
                &MessageIdParts {
                    sequence: 2,
                    ..parts
                },
            ),
            message_id(
                KEY,
                &MessageIdParts {
                    template: &[8; 32],
                    ..parts
                },
            ),
            message_id(KEY, &MessageIdParts { to: &bob, ..parts }),
        ];
        let mut all: Vec<_> = others.into_iter().map(Result::unwrap).collect();
        all.push(first);
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), count);
        assert!(message_id(b"", &parts).is_err());
        for domain in ["", "a b", "a>\r\nBcc: x"] {
            assert!(
                message_id(KEY, &MessageIdParts { domain, ..parts }).is_err(),
                "{domain:?}"
            );
        }
    }

    proptest! {
        #[test]
        fn a_bounce_finds_its_delivery_and_a_forged_one_finds_none(id in any::<i64>(), at in 0_usize..29, to in prop::sample::select(b"abcdefghijklmnopqrstuvwxyz234567".to_vec())) {
            let ours = verp(KEY, DeliveryId(id), "b", "bounces.parl.example").unwrap();
            prop_assert!(ours.local().len() <= 60);
            prop_assert_eq!(verp_delivery(KEY, &ours), Some(DeliveryId(id)));
            let shouted = address(&ours.expose().to_ascii_uppercase());
            prop_assert_eq!(verp_delivery(KEY, &shouted), Some(DeliveryId(id)));
            prop_assert_eq!(verp_delivery(b"another key", &ours), None);
            let mut forged = ours.expose().as_bytes().to_vec();
            let changed = forged[2 + at] != to;
            forged[2 + at] = to;
            let forged = address(std::str::from_utf8(&forged).unwrap());
            prop_assert_eq!(verp_delivery(KEY, &forged).is_none(), changed);
        }

        #[test]
        fn a_reference_part_is_four_characters_that_nobody_misreads(random in any::<[u8; 4]>()) {
            let part = personal_reference(random);
            prop_assert_eq!(part.len(), 4);
            prop_assert!(part.chars().next().unwrap().is_ascii_uppercase());
            prop_assert!(!part.contains(['I', 'L', 'O', 'U']));
            prop_assert!(super::super::Reference::new("DB-2507", &part).is_ok());
        }
    }

    #[test]
    fn what_we_never_wrote_names_no_delivery() {
        for text in [
            "b@x.example",
            "b+@x.example",
            "b+aaaa@x.example",
            "c+aaaaaaaaaaaaaaaaaaaaaaaaaaaaa@x.example",
            "b+!!!@x.example",
        ] {
            assert_eq!(verp_delivery(KEY, &address(text)), None, "{text}");
        }
        assert!(verp(KEY, DeliveryId(1), "b", "not a domain").is_err());
        assert!(verp(b"", DeliveryId(1), "b", "x.example").is_err());
    }
}
