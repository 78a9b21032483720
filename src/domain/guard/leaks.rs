//! Leaks: what is told by its form: addresses, accounts' ids, mentions, links.

use unicode_normalization::UnicodeNormalization;

use super::names::is_english;
use super::words::{Token, Words};
use crate::domain::address::fold;

/// Words that could be what somebody signs in with, folded as the directory's keys are.
pub(super) fn account_words(text: &Words<'_>) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for token in &text.tokens {
        for piece in token.raw.split(['/', '\\']) {
            let word = fold(piece.trim_matches(|c: char| !c.is_alphanumeric()));
            if (3..=64).contains(&word.chars().count()) && !is_english(&word) {
                found.push((token.at, word));
            }
        }
    }
    found
}

/// Accounts that are told by their form alone: `DOMAIN\user`, and Windows' security identifiers.
pub(super) fn account_forms(text: &Words<'_>) -> Vec<usize> {
    text.tokens
        .iter()
        .filter(|token| is_account(token.raw))
        .map(|token| token.at)
        .collect()
}

fn is_account(raw: &str) -> bool {
    let is_sid = raw.to_ascii_uppercase().starts_with("S-1-");
    let is_login = raw.split_once('\\').is_some_and(|(domain, user)| {
        let is_word = |part: &str| part.chars().next().is_some_and(char::is_alphanumeric);
        is_word(domain) && is_word(user)
    });
    is_sid || is_login
}

/// An `@` between two words of which the second reads like a domain.
fn is_address(raw: &str) -> bool {
    let plain: String = raw.nfkc().collect();
    plain.rsplit_once('@').is_some_and(|(local, domain)| {
        local
            .chars()
            .last()
            .is_some_and(|c| c.is_alphanumeric() || "_-+.'".contains(c))
            && domain
                .split_once('.')
                .is_some_and(|(name, rest)| !name.is_empty() && !rest.is_empty())
    })
}

pub(super) fn addresses(text: &Words<'_>) -> Vec<usize> {
    text.tokens
        .iter()
        .filter(|token| is_address(token.raw) && !token.raw.contains("://"))
        .map(|token| token.at)
        .collect()
}

/// `@everyone`, `@here`, `@ann`, `<@1>`, `<@&1>`, `<#1>`: whatever a chat could make a call of.
pub(super) fn mentions(text: &Words<'_>) -> Vec<usize> {
    let is_mention = |token: &&Token<'_>| {
        let plain: String = token.raw.nfkc().collect();
        let calls = plain.char_indices().any(|(at, c)| {
            c == '@'
                && plain
                    .get(at + 1..)
                    .and_then(|rest| rest.chars().next())
                    .is_some_and(|next| next.is_alphanumeric() || matches!(next, '&' | '!'))
        });
        plain.contains("<@")
            || plain.contains("<#")
            || calls && !is_address(token.raw) && !plain.contains("://")
    };
    text.tokens
        .iter()
        .filter(is_mention)
        .map(|token| token.at)
        .collect()
}

/// Links, and names of hosts that a program would make one of, that lead to none of `hosts`.
pub(super) fn links(text: &Words<'_>, hosts: &[String]) -> Vec<usize> {
    let is_allowed = |host: &str| {
        hosts.iter().any(|one| {
            let one = one.to_lowercase();
            host == one
                || host
                    .strip_suffix(&one)
                    .is_some_and(|rest| rest.ends_with('.'))
        })
    };
    text.tokens
        .iter()
        .filter(|token| {
            let plain: String = token.raw.nfkc().collect::<String>().to_lowercase();
            hosts_of(&plain).iter().any(|host| !is_allowed(host))
        })
        .map(|token| token.at)
        .collect()
}

/// The hosts that a token leads to. A markdown link has its words and its address in one token.
fn hosts_of(plain: &str) -> Vec<String> {
    let mut found = Vec::new();
    let separators = ['(', ')', '[', ']', '<', '>', '"', '\'', '|', ',', ';'];
    for piece in plain.split(separators) {
        if let Some((scheme, rest)) = piece.split_once("://") {
            // What is no web link is never on the list.
            if !scheme.ends_with("http") && !scheme.ends_with("https") {
                found.push(String::new());
            }
            let host = rest.split(['/', '?', '#', '\\']).next().unwrap_or_default();
            let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
            let host = host.rsplit_once(':').map_or(host, |(host, _)| host);
            found.push(host.trim_end_matches('.').to_owned());
        } else if ["mailto:", "tel:", "sms:", "javascript:", "data:", "file:"]
            .iter()
            .any(|scheme| piece.starts_with(scheme))
        {
            found.push(String::new());
        } else if !piece.contains('@') {
            let host = piece.split(['/', '?', '#', ':']).next().unwrap_or_default();
            let host = host.trim_matches('.');
            if is_host(host) {
                found.push(host.to_owned());
            }
        }
    }
    found
}

/// Whether a word reads like a domain or an internet address.
fn is_host(word: &str) -> bool {
    let labels: Vec<&str> = word.split(['.', '\u{3002}', '\u{FF61}']).collect();
    let is_label =
        |label: &&str| !label.is_empty() && label.chars().all(|c| c.is_alphanumeric() || c == '-');
    if labels.len() < 2 || !labels.iter().all(is_label) {
        return false;
    }
    let is_number = |label: &&str| label.bytes().all(|b| b.is_ascii_digit());
    if labels.len() == 4 && labels.iter().all(is_number) {
        return true;
    }
    labels.last().is_some_and(|last| {
        last.chars().count() >= 2
            && (last.starts_with("xn--") || last.chars().all(char::is_alphabetic))
    })
}
