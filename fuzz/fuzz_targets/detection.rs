//! Detection: any bytes are something, or refused; never a panic.
#![no_main]

use division_bell::audit::{CodePage, Format, detect_for, explain};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    for page in ["windows-1252", "utf-16le"] {
        let page = CodePage::from_name(page).unwrap_or_default();
        let explained = explain(bytes, page);
        assert!(explained.others.0.len() <= 3);
        let _ = explained.to_string();
        for format in Format::ALL {
            let _ = detect_for(*format, bytes, page);
        }
    }
});
