//! The reader that this target is named after: any bytes are findings, rejects or an error; never a panic, and never a
//! finding of a line that was rejected.
#![no_main]

use std::collections::HashSet;
use std::sync::LazyLock;

use division_bell::audit::{Catalogue, Format, Item, Mapping, ReadOptions, Survey, read};
use division_bell::domain::finding::Weakness;
use libfuzzer_sys::fuzz_target;

static MAPPING: LazyLock<Mapping> = LazyLock::new(|| {
    Mapping::parse(include_str!("../../tests/audits/generic-weak-accounts.mapping.toml")).unwrap()
});
static CATALOGUE: LazyLock<Catalogue> = LazyLock::new(|| {
    Catalogue::parse(include_str!("../../tests/audits/hibp-breaches.json")).unwrap()
});

fuzz_target!(|bytes: &[u8]| {
    let format = Format::from_word(env!("CARGO_BIN_NAME")).expect("a target is named by a format");
    let mut options = ReadOptions {
        mapping: Some(&MAPPING),
        catalogue: Some(&CATALOGUE),
        domain: Some("parl.example"),
        domain_sid: Some("S-1-5-21-1111111111-2222222222-3333333333"),
        time_zone: None,
        weakness: Some(Weakness::Dictionary),
        ..ReadOptions::default()
    };
    let survey = match format {
        Format::Dump => Survey::through(bytes, &options).ok(),
        _ => None,
    };
    options.survey = survey.as_ref();
    let (mut found, mut rejected) = (HashSet::new(), HashSet::new());
    let _ = read(format, bytes, &options, &mut |item| {
        match item {
            Item::Row(row) => found.insert(row.line),
            Item::Reject(reject) => rejected.insert(reject.line),
            Item::Attempt(_) | Item::Skipped(_) => false,
        };
        Ok(())
    });
    assert!(found.is_disjoint(&rejected));
});
