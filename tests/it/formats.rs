//! Audits of every format as an operator gives them: explained, packed, joined with lists of hashes.

use std::io::Write;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::support::flow::{Bell, Setup, databases, sample};
use crate::support::program::{Answer, bell, command, run};

const SOURCES: &str = r#"
[[source]]
name = "dumps"
kind = "dump"
bare_sam = true
domain_sid = "S-1-5-21-1111111111-2222222222-3333333333"

[[source]]
name = "quality"
kind = "dsinternals_report"
bare_sam = true

# What is joined is measured against other audits, and not against its own dump.
[intake]
at_least = 1
times = 2
share_percent = 100
"#;

async fn bed(store: Option<String>) -> Bell {
    let own = Bell::with(Setup {
        store,
        more: SOURCES.to_owned(),
        ..Setup::default()
    })
    .await;
    let synced = division_bell::steps::people::sync(&own.app, None, false, "ann").await;
    synced.unwrap();
    own
}

fn intake(own: &Bell, files: &[&Path]) -> Answer {
    let mut arguments = vec!["intake"];
    arguments.extend(files.iter().map(|file| file.to_str().unwrap()));
    bell(&own.path("bell.toml"), &arguments)
}

#[test]
fn a_file_is_explained_without_a_configuration_or_a_database() {
    let explain = |name: &str| {
        let file = sample(name);
        run(command().args(["intake", "--explain"]).arg(file))
    };
    let answer = explain("dsinternals-report.txt");
    assert_eq!(answer.code, 0, "{answer:?}");
    for words in [
        "UTF-16LE",
        "read as dsinternals_report",
        "the report's title",
        "not read as",
    ] {
        assert!(answer.out.contains(words), "{words}: {}", answer.out);
    }
    let answer = explain("hashcat.potfile");
    assert!(answer.out.contains("a potfile"), "{answer:?}");
    let answer = explain("others/dsinternals-bad-export.csv");
    assert_eq!(answer.code, 1, "{answer:?}");
    assert!(answer.out.contains("ConvertTo-Json"), "{answer:?}");
}

#[tokio::test]
async fn a_dump_given_with_lists_is_read_by_itself_and_joined_with_them() {
    for store in databases().await {
        let own = bed(store).await;
        let dump = sample("secretsdump.ntds");
        let (potfile, range) = (sample("hashcat.potfile"), sample("pwned-range"));
        let answer = intake(&own, &[&potfile, &dump, &range]);
        assert_eq!(answer.code, 0, "{answer:?}");
        let of = |weakness: &str| {
            format!(
                "SELECT COUNT(*) FROM findings WHERE weakness = '{weakness}' AND account_id IS NOT NULL"
            )
        };
        // 18 that hashcat knows, 3 that are leaked, and what the dump shows alone.
        for (weakness, count) in [
            ("weak/cracked", 18),
            ("weak/pwned_hash", 3),
            ("weak/empty", 2),
            ("weak/shared", 5),
            ("hygiene/lm_hash", 1),
        ] {
            assert_eq!(own.count(&of(weakness)).await, count, "{weakness}");
        }
        assert_eq!(own.count("SELECT COUNT(*) FROM audits").await, 2);
        assert!(
            answer
                .out
                .contains("secretsdump.ntds + hashcat.potfile + pwned-range")
        );
        assert!(
            answer.out.contains("16 of them in the dump")
                || answer.out.contains("of them in the dump")
        );
        // The same files again change nothing; with another list it is another audit.
        let before = own.content().await;
        let again = intake(&own, &[&dump, &potfile, &range]);
        assert!(
            again.out.matches("nothing has changed").count() == 2,
            "{again:?}"
        );
        assert!(own.content().await == before);
        intake(&own, &[&dump, &sample("john.pot")]);
        assert_eq!(own.count("SELECT COUNT(*) FROM audits").await, 3);
    }
}

#[tokio::test]
async fn a_list_of_hashes_alone_is_refused_and_says_what_is_missing() {
    let own = bed(None).await;
    for name in ["hashcat.potfile", "pwned-passwords-ntlm.txt"] {
        let answer = intake(&own, &[&sample(name)]);
        assert_eq!(answer.code, 1, "{answer:?}");
        assert!(answer.err.contains("bell intake DUMP LIST"), "{answer:?}");
    }
    let answer = intake(
        &own,
        &[
            &sample("secretsdump.ntds"),
            &sample("pwdump.txt"),
            &sample("john.pot"),
        ],
    );
    assert_eq!(answer.code, 1, "{answer:?}");
    assert!(answer.err.contains("2 dumps"), "{answer:?}");
    assert_eq!(own.count("SELECT COUNT(*) FROM audits").await, 0);
}

#[tokio::test]
async fn a_packed_report_is_read_as_if_it_were_not() {
    let own = bed(None).await;
    let report = std::fs::read(sample("dsinternals-report.txt")).unwrap();
    let mut packer = GzEncoder::new(Vec::new(), Compression::default());
    packer.write_all(&report).unwrap();
    let packed = packer.finish().unwrap();
    let file = own.write("in/report.bin", &packed);
    let answer = intake(&own, &[&file]);
    assert_eq!(answer.code, 0, "{answer:?}");
    assert_eq!(own.count("SELECT COUNT(*) FROM findings").await, 38);
    let cut = own.write("in/cut.gz", &packed[..packed.len() / 2]);
    let answer = intake(&own, &[&cut]);
    assert_eq!(answer.code, 1, "{answer:?}");
    assert!(
        answer.err.contains("cut off") || answer.err.contains("damaged"),
        "{answer:?}"
    );
    assert_eq!(own.count("SELECT COUNT(*) FROM audits").await, 1);
}
