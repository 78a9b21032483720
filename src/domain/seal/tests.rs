//! What is sealed is pinned: hashes that were computed by hand from the rule, and every way to alter a record.

use std::collections::HashMap;

use proptest::prelude::*;

use super::*;

/// Two rows of the ledger as a database writes them down, and the text that the first of them hides.
const FIRST: &str = "17,1772442000000000,3:ann9:case.told8,--,";
const SECOND: &str = "20,1772442000000001,4:bell11:case.opened9,--,";
const HIDDEN: &str = "{\"reason\":\"on leave\"}";

fn salt() -> [u8; SALT_BYTES] {
    std::array::from_fn(|nth| nth as u8)
}

fn written() -> Vec<u8> {
    format!("{FIRST}{}:{HIDDEN}{SECOND}-", HIDDEN.len()).into_bytes()
}

fn made_at() -> Moment {
    Moment::from_micros(1_772_442_005_000_000)
}

/// The seal over both rows, and its salts.
fn sealed() -> (Seal, Vec<u8>) {
    let bytes = written();
    let rows = parts(SealedTable::Ledger, &bytes).unwrap();
    let (seen, salts) = fresh(SealedTable::Ledger, &rows, salt);
    let range = (i64::MIN, 20);
    let seal = Seal::over(
        SealedTable::Ledger,
        range,
        &seen,
        &Link::default(),
        made_at(),
    );
    (seal, salts)
}

#[test]
fn a_seal_is_what_the_rule_says_on_every_machine_and_for_ever() {
    let (seal, salts) = sealed();
    assert_eq!(salts, salt());
    assert_eq!(
        HEXLOWER.encode(&seal.leaves),
        "1101598a9162655b957a0300aa427a3f6bd4c63b"
    );
    assert_eq!(
        seal.rows_hash,
        "0dd2de6754927bd52c0aa56a1149ed3e3bea540d870675d26264fb1d35ac36fe"
    );
    assert_eq!(
        seal.hash,
        "2f2d117a8eb27d26beeb898e49ae7c247f39e44b8fd05033a3f738d021f32eb5"
    );
    assert_eq!(
        seal.link().mark().unwrap().to_string(),
        "1-2f2d117a8eb27d26"
    );
    assert!(Chain::default().next(&seal, None).is_empty());
}

#[test]
fn a_seal_on_paper_is_read_back_and_nothing_else_is_taken_for_one() {
    let mark: Mark = " 118-9F2C77AB01D4E6F3 ".parse().unwrap();
    assert_eq!(mark.to_string(), "118-9f2c77ab01d4e6f3");
    for wrong in [
        "",
        "118",
        "118-9f2c",
        "x-9f2c77ab01d4e6f3",
        "118-9f2c77ab01d4e6fg",
    ] {
        assert_eq!(wrong.parse::<Mark>(), Err(NoMark), "{wrong}");
    }
    assert_eq!(Link::default().mark(), None);
}

/// What is told of rows that a database writes down as `bytes`, if nothing was erased.
fn told(bytes: &[u8]) -> Vec<String> {
    let (seal, salts) = sealed();
    let rows = parts(SealedTable::Ledger, bytes).unwrap();
    let seen = again(&seal, &salts, &rows, &HashMap::new());
    compare(&seal, &seen)
        .iter()
        .map(ToString::to_string)
        .collect()
}

#[test]
fn every_way_to_alter_a_row_is_found_and_the_row_is_named() {
    let whole = String::from_utf8(written()).unwrap();
    assert_eq!(told(whole.as_bytes()), [""; 0]);
    let (first, second) = whole.split_at(whole.find(SECOND).unwrap());
    let with = |from: &str, to: &str| whole.replace(from, to);
    for (what, text, expected) in [
        (
            "who did it",
            with("3:ann", "3:ben"),
            vec!["ledger 17: changed"],
        ),
        ("when", with("0001,4", "0002,4"), vec!["ledger 20: changed"]),
        (
            "a hidden text",
            with("on leave", "on lease"),
            vec!["ledger 17: changed"],
        ),
        (
            "no hidden text",
            format!("{FIRST}-{second}"),
            vec!["ledger 17: changed"],
        ),
        (
            "a text where none was",
            format!("{first}{SECOND}1:x"),
            vec!["ledger 20: changed"],
        ),
        ("one is gone", first.to_owned(), vec!["ledger 20: removed"]),
        (
            "the other is gone",
            second.to_owned(),
            vec!["ledger 17: removed"],
        ),
        (
            "one more between",
            format!("{first}{}{second}", FIRST.replace("17,", "18,") + "-"),
            vec!["ledger 18: inserted"],
        ),
        (
            "one more before",
            format!("{}{whole}", FIRST.replace("17,", "-3,") + "-"),
            vec!["ledger -3: inserted"],
        ),
        (
            "they have changed places",
            format!(
                "{}{}",
                second.replace("20,", "17,"),
                first.replace("17,", "20,")
            ),
            vec!["ledger 17: changed", "ledger 20: changed"],
        ),
        (
            "a word has moved to the next column",
            with("3:ann9:case.told", "9:anncase.t3:old"),
            vec!["ledger 17: changed"],
        ),
    ] {
        assert_eq!(told(text.as_bytes()), expected, "{what}");
    }
}

#[test]
fn an_erased_text_leaves_the_chain_whole_as_long_as_what_was_left_is_there() {
    let (seal, salts) = sealed();
    let left = "{}";
    let erasure = Erasure {
        commitment: commitment(&salt(), HIDDEN.as_bytes()),
        left: personal_digest(Some(left.as_bytes())),
    };
    let erased = HashMap::from([(17, erasure)]);
    // The salt is gone as well: nobody can try texts against the hash.
    let nothing = vec![0; salts.len()];
    for (stands, expected) in [
        (format!("{FIRST}2:{{}}{SECOND}-"), vec![]),
        (format!("{FIRST}2:[]{SECOND}-"), vec!["ledger 17: changed"]),
        (format!("{FIRST}-{SECOND}-"), vec!["ledger 17: changed"]),
    ] {
        let rows = parts(SealedTable::Ledger, stands.as_bytes()).unwrap();
        let seen = again(&seal, &nothing, &rows, &erased);
        let breaks: Vec<String> = compare(&seal, &seen)
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(breaks, expected, "{stands}");
    }
}

/// A chain of three seals, of a row each.
fn chain() -> Vec<Seal> {
    let mut before = Link::default();
    (1..=3)
        .map(|id| {
            let row = RowSeen {
                id,
                digest: [id as u8; 32],
                hides: false,
            };
            let after = if id == 1 { i64::MIN } else { id - 1 };
            let seal = Seal::over(
                SealedTable::Replies,
                (after, id),
                &[row],
                &before,
                made_at(),
            );
            before = seal.link();
            seal
        })
        .collect()
}

fn walked(seals: &[Seal]) -> Vec<String> {
    let mut chain = Chain::default();
    seals
        .iter()
        .flat_map(|seal| chain.next(seal, None))
        .map(|one| one.to_string())
        .collect()
}

#[test]
fn every_way_to_alter_a_chain_is_found() {
    let whole = chain();
    assert_eq!(walked(&whole), [""; 0]);
    let altered = |alter: &dyn Fn(&mut Vec<Seal>)| {
        let mut seals = whole.clone();
        alter(&mut seals);
        walked(&seals)
    };
    let gone = altered(&|seals| drop(seals.remove(1)));
    assert_eq!(gone, ["seals 2: removed"]);
    let first_gone = altered(&|seals| drop(seals.remove(0)));
    assert_eq!(first_gone, ["seals 1: removed"]);
    let changed = altered(&|seals| seals[1].rows_hash = BEGINNING.to_owned());
    assert_eq!(changed, ["seals 2: changed"]);
    // Whoever makes its hash fit has to make all later ones anew.
    let refitted = altered(&|seals| {
        seals[1].rows_hash = BEGINNING.to_owned();
        seals[1].hash = seals[1].computed();
    });
    assert_eq!(refitted, ["seals 3: changed"]);
    let narrowed = altered(&|seals| {
        seals[1].after = 1;
        seals[1].upto = 1;
        seals[1].hash = seals[1].computed();
    });
    assert!(
        narrowed.contains(&"seals 2: changed".to_owned()),
        "{narrowed:?}"
    );
    let later = altered(&|seals| seals[2].made_at = Moment::default());
    assert_eq!(later, ["seals 3: changed"]);
}

#[test]
fn a_seal_without_a_signature_after_signed_ones_is_told() {
    let mut seals = chain();
    seals[0].signature = Some("aa".to_owned());
    seals[2].signature = Some("bb".to_owned());
    let mut chain = Chain::default();
    let breaks: Vec<String> = [Some(true), Some(false), Some(false)]
        .into_iter()
        .zip(&seals)
        .flat_map(|(proven, seal)| chain.next(seal, proven))
        .map(|one| one.to_string())
        .collect();
    assert_eq!(
        breaks,
        [
            "seals 2: not signed, unlike those before it",
            "seals 3: signed by somebody else"
        ]
    );
}

#[test]
fn bytes_that_are_no_rows_are_refused() {
    for wrong in [
        "17",
        "17,1,3:an",
        "17,1,3:ann9:case.told8,--,9:x",
        "x,1,-----,-",
    ] {
        assert!(
            parts(SealedTable::Ledger, wrong.as_bytes()).is_err(),
            "{wrong}"
        );
    }
    assert_eq!(unpack(0, &[0x80]), None);
    assert_eq!(unpack(0, &[1, 0, 1, 2]), None);
}

proptest! {
    #[test]
    fn marks_of_rows_come_back_as_they_were(after in 0_i64..1 << 40, steps in prop::collection::vec((1_i64..1 << 30, any::<bool>(), any::<[u8; 32]>()), 0..40)) {
        let mut id = after;
        let rows: Vec<RowSeen> = steps
            .into_iter()
            .map(|(step, hides, digest)| {
                id += step;
                RowSeen { id, digest, hides }
            })
            .collect();
        let leaves = unpack(after, &pack(after, &rows)).unwrap();
        prop_assert_eq!(leaves.len(), rows.len());
        for (leaf, row) in leaves.iter().zip(&rows) {
            prop_assert_eq!((leaf.id, leaf.hides), (row.id, row.hides));
            prop_assert!(row.digest.starts_with(&leaf.beginning));
        }
    }
}
