//! No secret survives: every file of `tests/audits` is taken in, and then nothing of any is found in the database's files,
//! in what the program said, wrote and logged at its most talkative, or in a core image of it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use division_bell::audit::{CodePage, Format, HEAD_BYTES, Kind, detect};
use division_bell::config::LEVEL_VARIABLE;
use division_bell::steps::people;
use sqlx::Connection;

use crate::support::flow::{Bell, STORE_PASSWORD, Setup, sample};
use crate::support::postgres;
use crate::support::program::{command, run};

/// How every secret of the samples begins, as text, in hexadecimal and in base64. What equals an account's name is not
/// looked for.
const CANARIES: [&str; 6] = ["FAKE-", "FAKE:", "FAKE ", "46414b45", "46414B45", "RkFLR"];

/// What a source of each kind needs. A kind that needs something new has its line here.
fn needs(format: Format) -> &'static str {
    match format.word() {
        "mapped_csv" => "mapping = \"in/generic-weak-accounts.mapping.toml\"",
        "hibp_domain" => "catalogue = \"in/hibp-breaches.json\"\ndomain = \"parl.example\"",
        "hibp_stealer_logs" => "domain = \"parl.example\"",
        "account_names" => "weakness = \"weak/dictionary\"",
        _ => "",
    }
}

fn source(format: Format) -> String {
    format!("all-{}", format.word())
}

/// A source a format, each with a folder of its own, and a schedule that looks at them every second.
fn sections() -> String {
    let sources = Format::ALL.iter().map(|format| {
        let (name, kind, needs) = (source(*format), format.word(), needs(*format));
        format!("[[source]]\nname = \"{name}\"\nkind = \"{kind}\"\nbare_sam = true\n{needs}\n")
    });
    let sources: String = sources.collect();
    format!(
        "{sources}\n[schedule]\nzone = \"UTC\"\nintake = \"* * * * * *\"\ndrop_folder = \"drop\"\n\
         confirm = \"0 0 4 1 Jan *\"\nplan = \"0 0 4 1 Jan *\"\npeople = \"0 0 4 1 Jan *\"\n"
    )
}

async fn bed(store: Option<String>) -> Bell {
    let own = Bell::with(Setup {
        store,
        more: sections(),
        ..Setup::default()
    })
    .await;
    people::sync(&own.app, None, false, "ann").await.unwrap();
    own
}

/// Every sample there is, the refused ones too.
fn samples() -> Vec<PathBuf> {
    let root = sample("").canonicalize().unwrap();
    let mut all = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() && name != "demo" {
                folders.push(path);
            } else if path.is_file()
                && !name.ends_with(".toml")
                && ![
                    "README.md",
                    "directory.csv",
                    "expected.json",
                    "expected-findings.csv",
                ]
                .contains(&name.as_str())
            {
                all.push(path);
            }
        }
    }
    all.sort();
    assert!(all.len() > 40, "{}", all.len());
    all
}

fn format_of(path: &Path) -> Option<Format> {
    let bytes = std::fs::read(path).unwrap();
    let seen = detect(&bytes[..bytes.len().min(HEAD_BYTES)], CodePage::default());
    match seen.ok()?.kind {
        Kind::Audit(format) => Some(format),
        Kind::Hashes(_) => None,
    }
}

/// What is searched for: the canaries, also in the letters that Windows writes, and every hash of the dumps.
fn patterns() -> Vec<Vec<u8>> {
    let wide = |text: &str| -> Vec<u8> { text.encode_utf16().flat_map(u16::to_le_bytes).collect() };
    let mut all: Vec<Vec<u8>> = CANARIES
        .iter()
        .map(|canary| canary.as_bytes().to_vec())
        .collect();
    all.extend(["FAKE-", "FAKE:"].map(wide));
    let mut hashes = BTreeSet::new();
    for name in [
        "secretsdump.ntds",
        "secretsdump-stdout.txt",
        "pwdump.txt",
        "hashcat.potfile",
    ] {
        let text = std::fs::read(sample(name)).unwrap();
        let text = String::from_utf8_lossy(&text).into_owned();
        for word in text.split(|c: char| !c.is_ascii_hexdigit()) {
            if word.len() == 32 {
                hashes.insert(word.to_lowercase());
            }
        }
    }
    // The hashes of no password stand in the program itself.
    hashes.remove("31d6cfe0d16ae931b73c59d7e0c089c0");
    hashes.remove("aad3b435b51404eeaad3b435b51404ee");
    assert!(hashes.len() > 40);
    for hash in hashes {
        let bytes: Vec<u8> = (0..16)
            .map(|at| u8::from_str_radix(&hash[2 * at..2 * at + 2], 16).unwrap())
            .collect();
        all.push(hash.to_uppercase().into_bytes());
        all.push(hash.into_bytes());
        // `grep` reads a pattern a line.
        if !bytes.contains(&b'\n') && !bytes.contains(&0) {
            all.push(bytes);
        }
    }
    all
}

/// Everything of [`patterns`] that is found in files, or in files of folders.
fn leaks(places: &[&Path]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("patterns");
    std::fs::write(&file, patterns().join(&b'\n')).unwrap();
    let out = Command::new("grep")
        .env("LC_ALL", "C")
        .args(["-r", "-a", "-b", "-o", "-F", "-f"])
        .arg(&file)
        .args(places)
        .output()
        .unwrap();
    assert!(out.status.code().is_some_and(|code| code < 2), "{out:?}");
    String::from_utf8_lossy(&out.stdout).into_owned()
}

#[test]
fn the_search_finds_what_it_searches_for() {
    for name in [
        "secretsdump.ntds",
        "hashcat.potfile",
        "hashcat-outfile.jsonl",
        "pwned-passwords-ntlm.txt",
    ] {
        assert!(!leaks(&[&sample(name)]).is_empty(), "{name}");
    }
    let folder = tempfile::tempdir().unwrap();
    let raw = [b"x".as_slice(), &patterns().pop().unwrap(), b"y"].concat();
    std::fs::write(folder.path().join("raw"), raw).unwrap();
    assert!(!leaks(&[folder.path()]).is_empty());
}

#[tokio::test]
async fn after_every_sample_nothing_of_any_secret_is_in_the_database_or_in_what_was_said() {
    for store in crate::support::flow::databases().await {
        let own = bed(store.clone()).await;
        let said = own.path("said");
        std::fs::create_dir(&said).unwrap();
        let mut nth = 0;
        let mut bell = |arguments: &[&std::ffi::OsStr]| {
            nth += 1;
            let answer = run(command()
                .env(LEVEL_VARIABLE, "trace")
                .arg("--config")
                .arg(own.path("bell.toml"))
                .arg("--json")
                .args(arguments));
            let text = format!("{arguments:?}\n{}\n{}\n", answer.out, answer.err);
            std::fs::write(said.join(nth.to_string()), text).unwrap();
            answer
        };
        let mut taken = 0;
        let all = samples();
        for path in &all {
            bell(&["intake".as_ref(), "--explain".as_ref(), path.as_ref()]);
            let answer = match format_of(path) {
                Some(format) => {
                    let source = source(format);
                    bell(&[
                        "intake".as_ref(),
                        path.as_ref(),
                        "--source".as_ref(),
                        source.as_ref(),
                    ])
                }
                None => bell(&["intake".as_ref(), path.as_ref()]),
            };
            // 1 says that lines were rejected as well, so what counts is that there is an audit.
            taken += usize::from(answer.out.contains("\"audit\""));
        }
        let dump = sample("secretsdump.ntds");
        for list in [
            "hashcat.potfile",
            "john.pot",
            "pwned-passwords-ntlm.txt",
            "pwned-range",
        ] {
            let list = sample(list);
            let answer = bell(&[
                "intake".as_ref(),
                dump.as_ref(),
                list.as_ref(),
                "--source".as_ref(),
                "all-dump".as_ref(),
            ]);
            assert_eq!(answer.code, 0, "{answer:?}");
        }
        assert!(
            taken > 12,
            "only {taken} of {} files were taken in",
            all.len()
        );
        for format in ["html", "json"] {
            let out = own.path(&format!("report.{format}"));
            bell(&[
                "report".as_ref(),
                "--format".as_ref(),
                format.as_ref(),
                "--out".as_ref(),
                out.as_ref(),
            ]);
            assert!(out.is_file(), "{format}");
        }
        assert!(own.count("SELECT COUNT(*) FROM findings").await > 100);
        own.app.store.close().await;
        // Its database, its configuration, what was said, and the reports.
        assert_eq!(leaks(&[&own.path("")]), "");
        if let Some(url) = store {
            let mut admin = sqlx::PgConnection::connect(&url).await.unwrap();
            sqlx::query("CHECKPOINT").execute(&mut admin).await.unwrap();
            admin.close().await.unwrap();
            assert_eq!(leaks(&[postgres::server().folder()]), "");
        }
    }
}

/// Those of the places found in a core image that are no part of the program's own text: the demo's files are in it, and
/// have passwords of their own.
fn foreign(found: &str, image: &Path) -> Vec<String> {
    let image = std::fs::read(image).unwrap();
    let demo: Vec<u8> = ["weak-passwords.csv", "weak-passwords-2.csv"]
        .iter()
        .flat_map(|name| std::fs::read(sample("demo").join(name)).unwrap())
        .collect();
    let is_demos = |line: &&str| {
        let offset: usize = line
            .split(':')
            .find_map(|word| word.parse().ok())
            .expect("a path, an offset and what was found");
        let around = &image[offset - 16..offset + 12];
        demo.windows(around.len()).any(|window| window == around)
    };
    let lines = found.lines().filter(|line| !is_demos(line));
    lines.map(ToOwned::to_owned).collect()
}

/// A running service, killed at the end.
struct Serving(Child);

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn after_every_sample_nothing_of_any_secret_is_in_a_core_image_of_the_process() {
    let own = bed(None).await;
    let long_ago = SystemTime::UNIX_EPOCH + Duration::from_secs(1_770_000_000);
    for (nth, path) in samples().iter().enumerate() {
        // What is none of any format is dropped where anything may be.
        let format = format_of(path).unwrap_or(Format::MappedCsv);
        let folder = own.path("drop").join(source(format));
        std::fs::create_dir_all(&folder).unwrap();
        let name = path.file_name().unwrap().to_string_lossy();
        let to = folder.join(format!("{nth}-{name}"));
        std::fs::copy(path, &to).unwrap();
        let file = std::fs::File::options().write(true).open(&to).unwrap();
        file.set_modified(long_ago).unwrap();
    }
    let log = own.path("log");
    let child = command()
        .arg("--config")
        .arg(own.path("bell.toml"))
        .arg("serve")
        .env(LEVEL_VARIABLE, "trace")
        .env(STORE_PASSWORD.0, STORE_PASSWORD.1)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(std::fs::File::create(&log).unwrap())
        .spawn()
        .unwrap();
    let serving = Serving(child);
    let waiting = || {
        let folders = std::fs::read_dir(own.path("drop")).unwrap();
        let files = folders.flat_map(|folder| std::fs::read_dir(folder.unwrap().path()).unwrap());
        files
            .filter(|file| file.as_ref().unwrap().path().is_file())
            .count()
    };
    let until = Instant::now() + Duration::from_secs(120);
    while waiting() > 0 {
        let log = || std::fs::read_to_string(&log).unwrap();
        assert!(
            Instant::now() < until,
            "{} files are left:\n{}",
            waiting(),
            log()
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(own.count("SELECT COUNT(*) FROM findings").await > 100);
    let core = own.path("core");
    let out = Command::new("gcore")
        .arg("-o")
        .arg(&core)
        .arg(serving.0.id().to_string())
        .output()
        .expect("gcore, of Debian's gdb");
    let image = own.path(&format!("core.{}", serving.0.id()));
    let length = std::fs::metadata(&image).map_or(0, |about| about.len());
    assert!(length > 1_000_000, "{out:?}");
    // It is an image of this process: its configuration is in it.
    let known = Command::new("grep")
        .args(["-a", "-c", "parl.example"])
        .arg(&image)
        .output();
    assert!(known.unwrap().status.success());
    let none: [String; 0] = [];
    assert_eq!(foreign(&leaks(&[&image]), &image), none);
    assert_eq!(leaks(&[&log]), "");
    let database = ["bell.db", "bell.db-wal"].map(|name| own.path(name));
    let files: Vec<&Path> = database
        .iter()
        .map(PathBuf::as_path)
        .filter(|path| path.exists())
        .collect();
    assert_eq!(leaks(&files), "");
}
