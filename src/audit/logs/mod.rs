//! Logs of being attacked: lines about sign-ins, which only weighing turns into findings.

use std::net::IpAddr;

use crate::domain::attempt::Origin;
use crate::domain::identity::Key;

use super::nt;

mod dovecot;
pub(super) mod iis;
mod postfix;
mod prefix;
mod sshd;
pub(super) mod syslog;
pub(super) mod windows;

/// The address that a text names; an IPv4 address mapped into IPv6 is the IPv4 address.
pub(super) fn address(text: &str) -> Option<Origin> {
    let text = text.trim().trim_start_matches('[').trim_end_matches(']');
    let text = text.split_once('%').map_or(text, |(address, _)| address);
    Some(Origin(match text.parse().ok()? {
        IpAddr::V4(four) => four.to_ipv6_mapped().to_bits(),
        IpAddr::V6(six) => six.to_bits(),
    }))
}

/// The key of a name that somebody typed; none if nobody can be called so. What has a hash in it is no name.
fn key(name: &str) -> Option<Key> {
    nt::login(name).and_then(Key::login)
}

/// An address as people write it.
#[cfg(test)]
pub(super) fn shown(from: Option<Origin>) -> String {
    from.map_or("-".to_owned(), |Origin(bits)| {
        std::net::Ipv6Addr::from_bits(bits)
            .to_canonical()
            .to_string()
    })
}

/// What a file's items are, in words.
#[cfg(test)]
fn told(items: &[super::Item]) -> Vec<String> {
    let in_words = |item: &super::Item| match item {
        super::Item::Attempt(attempt) => format!(
            "{:?} {} {} x{}",
            attempt.answer,
            attempt.keys[0].given,
            shown(attempt.from),
            attempt.times
        ),
        super::Item::Row(row) => format!("{} {}", row.weakness, row.keys[0].given),
        super::Item::Reject(reject) => reject.reason.word().to_owned(),
        super::Item::Skipped(skip) => skip.reason.word().to_owned(),
    };
    items.iter().map(in_words).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_compared_as_what_they_are() {
        assert_eq!(address("::ffff:203.0.113.77"), address("203.0.113.77"));
        assert_eq!(address("[2001:DB8::1]"), address("2001:db8:0::1"));
        assert_eq!(address("fe80::1%eth0"), address("fe80::1"));
        assert_eq!(shown(address("::ffff:203.0.113.77")), "203.0.113.77");
        for none in ["-", "", "EVILBOX", "203.0.113.777", "::ffff:203.0.113.77.1"] {
            assert_eq!(address(none), None, "{none}");
        }
    }
}
