//! The sample directory, other mappings, and damaged files.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

const DIRECTORY: &str = include_str!("../../../tests/evidence/directory.csv");

fn all(
    bytes: &[u8],
    options: &PeopleOptions,
) -> Result<(Summary, Vec<PeopleItem>), DirectoryError> {
    let mut items = Vec::new();
    let summary = read(bytes, options, &mut |item| {
        items.push(item);
        ControlFlow::Continue(())
    })?;
    Ok((summary, items))
}

fn entries(text: &str) -> Vec<DirectoryEntry> {
    let (_, items) = all(text.as_bytes(), &PeopleOptions::default()).unwrap();
    items
        .into_iter()
        .map(|item| match item {
            PeopleItem::Entry { entry, .. } => *entry,
            other => panic!("{other:?}"),
        })
        .collect()
}

#[test]
fn the_sample_directory_has_the_accounts_that_its_page_counts() {
    let people = entries(DIRECTORY);
    let mut kinds = BTreeMap::new();
    for entry in &people {
        *kinds.entry((entry.kind.word(), entry.enabled)).or_insert(0) += 1;
    }
    assert_eq!(people.len(), 39);
    let expected = [
        (("admin", true), 1),
        (("builtin", false), 2),
        (("builtin", true), 1),
        (("machine", true), 2),
        (("person", false), 1),
        (("person", true), 29),
        (("service", true), 2),
        (("shared", false), 1),
    ];
    assert_eq!(kinds, BTreeMap::from(expected));

    let by_sam = |sam: &str| {
        people
            .iter()
            .find(|entry| entry.sam.as_deref() == Some(sam))
            .unwrap()
    };
    let muller = by_sam("müllerj");
    assert_eq!(muller.display_name.expose(), "Jürgen Müller");
    assert_eq!(muller.aliases[0].expose(), "j.mueller@parl.example");
    assert_eq!(
        by_sam("quinnq").display_name.expose(),
        "Quinn, Quentin (Rt Hon)"
    );
    assert_eq!(
        by_sam("hansard").owner_mail.as_ref().unwrap().expose(),
        "bea.bright@parl.example"
    );
    assert_eq!(by_sam("svc-backup").mail, None);
    assert!(by_sam("krbtgt").is_for_operators() && by_sam("PARLDC01$").is_for_operators());
}

#[test]
fn columns_can_be_called_otherwise() {
    let options = PeopleOptions {
        columns: PeopleColumns {
            object_id: "Kennung".into(),
            mail: "E-Mail".into(),
            aliases: "proxyAddresses".into(),
            enabled: "aktiv".into(),
            ..PeopleColumns::default()
        },
        encoding: Encoding::Windows1252,
        default_kind: AccountKind::Person,
    };
    let text = b"sep=;\r\nKENNUNG;e-mail;proxyAddresses;aktiv;display_name;sam\r\n\
            7;a@x.example;SMTP:a@x.example;ja;J\xFCrgen;j\r\n\
            8;;smtp:b@x.example|smtp:c@x.example,d@x.example X500:/o=x;nein;Bea;PC$\r\n";
    let (summary, items) = all(text, &options).unwrap();
    assert_eq!(
        summary,
        Summary {
            rows: 2,
            ..Summary::default()
        }
    );
    let [
        PeopleItem::Entry {
            line: 3,
            entry: first,
        },
        PeopleItem::Entry {
            line: 4,
            entry: second,
        },
    ] = &items[..]
    else {
        panic!("{items:?}");
    };
    assert_eq!(
        (first.display_name.expose(), first.kind, first.enabled),
        ("Jürgen", AccountKind::Person, true)
    );
    let addresses: Vec<_> = second.aliases.iter().map(EmailAddress::expose).collect();
    assert_eq!(addresses, ["b@x.example", "c@x.example", "d@x.example"]);
    assert_eq!((second.kind, second.enabled), (AccountKind::Machine, false));
}

#[test]
fn a_bad_cell_costs_the_cell_and_a_bad_line_the_line() {
    let text = "object_id,mail,aliases,kind,enabled,time_zone,language\n\
            1,no address,x y@z.example,king,perhaps,Mars/Olympus,not a language\n\
            ,a@x.example,,person,true,,\n\
            2,a@x.example,,person,true,Europe/London,en-GB\n\
            3,a@x.example\n";
    let (summary, items) = all(text.as_bytes(), &PeopleOptions::default()).unwrap();
    assert_eq!(
        summary,
        Summary {
            rows: 2,
            rejects: 2,
            flaws: 6,
            ..Summary::default()
        }
    );
    let flaws = items
        .iter()
        .filter(|item| matches!(item, PeopleItem::Flaw(reject) if reject.line == 2))
        .count();
    assert_eq!(flaws, 6);
    let rejects: Vec<_> = items
        .iter()
        .filter_map(|item| match item {
            PeopleItem::Reject(reject) => Some((reject.line, reject.reason)),
            _ => None,
        })
        .collect();
    assert_eq!(
        rejects,
        [(3, RejectReason::NoKey), (5, RejectReason::Malformed)]
    );
    let shown = format!("{items:?}");
    assert!(
        !shown.contains("no address") && !shown.contains("perhaps") && !shown.contains("Olympus")
    );
}

#[test]
fn files_that_are_no_staff_directory_are_refused() {
    let refused = |text: &str| {
        all(text.as_bytes(), &PeopleOptions::default())
            .unwrap_err()
            .to_string()
    };
    assert_eq!(
        refused("mail,sid\na@x.example,S-1\n"),
        "no column is called \"object_id\", which is to hold object_id"
    );
    assert_eq!(refused("<html>"), DirectoryError::WebPage.to_string());
    assert_eq!(refused("\n"), DirectoryError::Empty.to_string());
    assert_eq!(
        refused("\"Length\"\n\"11\"\n"),
        DirectoryError::TypeNames.to_string()
    );
}

#[test]
fn a_column_that_was_asked_for_must_be_there_and_a_secret_one_never_is() {
    let with = |department: &str| PeopleOptions {
        columns: PeopleColumns {
            department: department.into(),
            ..PeopleColumns::default()
        },
        ..PeopleOptions::default()
    };
    let text = b"object_id,Passwort\n1,FAKE-1\n";
    assert!(matches!(
        all(text, &with("Abteilung")),
        Err(DirectoryError::NoColumn {
            field: "department",
            ..
        })
    ));
    assert!(matches!(
        all(text, &with("Passwort")),
        Err(DirectoryError::SecretColumn {
            field: "department"
        })
    ));
    let (_, items) = all(text, &PeopleOptions::default()).unwrap();
    let PeopleItem::Entry { entry, .. } = &items[0] else {
        panic!()
    };
    assert!(!format!("{entry:?}").contains("FAKE"));
    assert!(entry.department.is_empty());
}

#[test]
fn reading_stops_when_told_to() {
    let mut seen = 0;
    let summary = read(DIRECTORY.as_bytes(), &PeopleOptions::default(), &mut |_| {
        seen += 1;
        if seen == 3 {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    })
    .unwrap();
    assert_eq!((seen, summary.rows, summary.stopped), (3, 3, true));
}

#[test]
fn a_large_directory_is_read_line_by_line() {
    /// Lines made on demand, so that only the reader could keep them.
    struct Endless(u64, Vec<u8>);
    impl Read for Endless {
        fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
            if self.1.is_empty() && self.0 < 50_000 {
                self.0 += 1;
                self.1 =
                    format!("{},p{}@parl.example,Person {}\n", self.0, self.0, self.0).into_bytes();
            }
            let count = into.len().min(self.1.len());
            into[..count].copy_from_slice(&self.1[..count]);
            self.1.drain(..count);
            Ok(count)
        }
    }
    let input = b"object_id,mail,display_name\n".chain(Endless(0, Vec::new()));
    let mut last = String::new();
    let summary = read(input, &PeopleOptions::default(), &mut |item| {
        if let PeopleItem::Entry { entry, .. } = item {
            last = entry.object_id;
        }
        ControlFlow::Continue(())
    })
    .unwrap();
    assert_eq!((summary.rows, last.as_str()), (50_000, "50000"));
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused_without_a_panic(
        bytes in proptest::collection::vec(any::<u8>(), 0..400), headed: bool, ansi: bool,
    ) {
        let mut text = if headed { b"object_id,mail,aliases,enabled\n".to_vec() } else { Vec::new() };
        text.extend(bytes);
        let encoding = if ansi { Encoding::Windows1252 } else { Encoding::Utf8 };
        let _ = all(&text, &PeopleOptions { encoding, ..PeopleOptions::default() });
    }

    #[test]
    fn any_damage_to_a_good_file_costs_a_few_lines(at in 0_usize..5_000, byte: u8) {
        let mut text = DIRECTORY.as_bytes().to_vec();
        let header = DIRECTORY.find('\n').unwrap() + 1;
        let at = header + at % (text.len() - header);
        text[at] = byte;
        if byte != 0 {
            let (summary, _) = all(&text, &PeopleOptions::default()).unwrap();
            prop_assert!(summary.rows >= 37, "{summary:?}");
        }
    }
}
