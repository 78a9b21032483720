//! The hash of a config, the environment, and files that are none.

use std::fs;

use super::*;

#[test]
fn the_hash_follows_values_and_not_how_they_are_written() {
    let hash = |text: &str| read(text).unwrap().hash();
    let plain = hash(EXAMPLE);
    assert_eq!(plain, hash(&format!("# a remark\n\n{EXAMPLE}")));
    assert_eq!(
        plain,
        hash(&example(
            "#people = \"0 0 5 * * *\"",
            "people = \"0 0 5 * * *\""
        ))
    );
    assert_eq!(
        plain,
        hash(&example("#skew = \"5 min\"", "skew = \"300 s\""))
    );
    let changes = [
        ("security@westbridge", "safety@westbridge"), // masked alike when printed
        ("#skew = \"5 min\"", "skew = \"301 s\""),
        ("#dot = \"10 min\"", "dot = \"601 s\""),
        ("#people = \"0 0 5 * * *\"", "people = \"0 0 6 * * *\""),
        (
            "#code_page = \"windows-1252\"",
            "code_page = \"windows-1250\"",
        ),
        ("#level = \"info\"", "level = \"warn\""),
        ("\"directory.csv\"", "\"people.csv\""),
        ("##manager_days = 3", "manager_days = 3"),
    ];
    for (from, to) in changes {
        assert_ne!(plain, hash(&example(from, to)), "{to}");
    }
}

#[test]
fn the_level_of_the_environment_goes_before_the_files() {
    let level = |word: &'static str| {
        let env = move |name: &str| (name == LEVEL_VARIABLE).then(|| word.to_owned());
        Config::from_text(EXAMPLE, Path::new(FILE), &env).map(|config| config.log.level)
    };
    assert_eq!(level("DEBUG").unwrap(), tracing::Level::DEBUG);
    assert_eq!(level("").unwrap(), tracing::Level::INFO);
    assert_eq!(
        level("debgu").unwrap_err().to_string(),
        "config.toml: BELL_LOG: in the environment: \"debgu\" is not known; did you mean debug?"
    );
}

#[test]
fn a_file_that_is_no_config_is_told_as_such() {
    let folder = tempfile::tempdir().unwrap();
    let told = |name: &str| {
        let path = folder.path().join(name);
        let wrong = Config::load(&path, &no_env).unwrap_err();
        assert_eq!(wrong.errors.len(), 1, "{wrong}");
        let shown = wrong.to_string();
        shown.replace(&format!("{}/", folder.path().display()), "")
    };
    let write = |name: &str, bytes: &[u8]| fs::write(folder.path().join(name), bytes).unwrap();
    fs::create_dir(folder.path().join("folder")).unwrap();
    write("empty", b"");
    write("remarks", b"# nothing\n\n# here\n");
    write("latin1", b"[organisation]\n# caf\xe9\n");
    write("utf16", b"\xff\xfe[\0a\0]\0");
    write("large", &vec![b'#'; 2 << 20]);
    for (name, expected) in [
        ("none", "none: there is no such file; \"bell init\""),
        ("folder", "folder: this is a folder; name the file in it"),
        ("empty", "empty: the file is empty; \"bell init\""),
        ("remarks", "remarks: the file is empty; \"bell init\""),
        (
            "latin1",
            "latin1:2: this is not UTF-8; save the file as UTF-8",
        ),
        (
            "utf16",
            "utf16:1: this is not UTF-8; save the file as UTF-8",
        ),
        ("large", "large: it is larger than 1 MiB"),
    ] {
        let told = told(name);
        assert!(told.starts_with(expected), "{told}");
    }
}

#[test]
fn a_file_on_disk_reads_as_its_text_does() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(FILE);
    for text in [
        EXAMPLE.to_owned(),
        EXAMPLE.replace('\n', "\r\n"),
        format!("\u{FEFF}{EXAMPLE}"),
    ] {
        fs::write(&path, &text).unwrap();
        let config = Config::load(&path, &no_env).unwrap_or_else(|wrong| panic!("{wrong}"));
        assert_eq!(config.organisation.name, "Westbridge Council");
        assert_eq!(config.file, path);
    }
}
