//! Lists of hashes: any bytes pass by a dump; never a panic.
#![no_main]

use division_bell::audit::{HashList, ReadOptions, Survey};
use libfuzzer_sys::fuzz_target;

const DUMP: &[u8] = include_bytes!("../../tests/audits/secretsdump.ntds");

fuzz_target!(|bytes: &[u8]| {
    let options = ReadOptions::default();
    for list in HashList::ALL {
        for range in [None, Some("E4C62")] {
            let Ok(mut survey) = Survey::through(DUMP, &options) else {
                continue;
            };
            if let Ok(joined) = survey.join(list, bytes, range, &options) {
                assert!(joined.known <= joined.hashes);
            }
        }
    }
});
