//! No bytes make the reader panic.

use proptest::prelude::*;

use super::*;

/// Pieces that a broken config is made of: enough of TOML to get past the parser.
fn piece() -> impl Strategy<Value = String> {
    let words = prop::sample::select(vec![
        "[",
        "]",
        "[[",
        "]]",
        "{",
        "}",
        "=",
        " = ",
        ",",
        ".",
        "\"",
        "'''",
        "\n",
        "#",
        "-",
        "1",
        "99999999999999999999",
        "0xff",
        "1e9",
        "true",
        "07:00",
        "2017-06-23",
        "mail",
        "relay",
        "organisation",
        "texts",
        "realm",
        "source",
        "name",
        "kind",
        "\"smtp\"",
        "ladder",
        "weak",
        "reminder_days",
        "store",
        "url",
        "\"postgres://\"",
        "discord",
        "\\u",
        "é",
        "\u{202E}",
    ]);
    prop_oneof![4 => words.prop_map(str::to_owned), 1 => "\\PC{0,6}"]
}

proptest! {
    #[test]
    fn no_pieces_panic(pieces in prop::collection::vec(piece(), 0..60)) {
        let _ = read(&pieces.concat());
    }

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        match text_of(bytes) {
            Ok(text) => drop(read(&text)),
            Err((line, _)) => prop_assert!(line.is_some_and(|line| (1..=201).contains(&line))),
        }
    }

    #[test]
    fn no_cut_or_stain_of_the_example_panics(at in 0..EXAMPLE.len(), cut in 0usize..40, stain in piece()) {
        let whole: Vec<char> = unmarked(true).chars().collect();
        let kept = whole.iter().take(at).copied();
        let rest = whole.iter().skip(at + cut);
        let text: String = kept.chain(stain.chars()).chain(rest.copied()).collect();
        if let Err(wrong) = read(&text) {
            prop_assert!(!wrong.errors.is_empty());
            prop_assert_eq!(wrong.to_string().lines().count(), wrong.errors.len());
        }
    }

    #[test]
    fn every_value_of_every_key_is_taken_or_told(value in piece(), nth in 0usize..120) {
        let all = unmarked(true);
        let lines = all.lines().enumerate();
        let keys: Vec<_> = lines.filter(|(_, line)| !line.starts_with('#') && line.contains(" = ")).collect();
        let (number, line) = keys[nth % keys.len()];
        let (key, _) = line.split_once(" = ").unwrap();
        let text: Vec<_> = all.lines().enumerate().map(|(at, line)| match at == number {
            true => format!("{key} = {value}"),
            false => line.to_owned(),
        }).collect();
        if let Err(wrong) = read(&text.join("\n")) {
            prop_assert!(!wrong.errors.is_empty());
        }
    }
}
