//! The two sets of migrations: the same names, the same tables, the same columns, the same indexes.

use std::collections::BTreeMap;
use std::path::Path;

/// The names of the files of one side, with their texts.
fn side(name: &str) -> BTreeMap<String, String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("migrations")
        .join(name);
    std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            (name, std::fs::read_to_string(path).unwrap())
        })
        .collect()
}

/// Each table's columns, in their order, as a text declares them.
fn columns(text: &str) -> BTreeMap<String, Vec<String>> {
    let mut tables = BTreeMap::new();
    for table in text.split("CREATE TABLE ").skip(1) {
        let (name, rest) = table.split_once(" (").unwrap();
        let body = rest.split_once("\n)").unwrap().0;
        let names = body
            .lines()
            .map(str::trim)
            .filter_map(|line| line.split_whitespace().next())
            .filter(|word| word.starts_with(|c: char| c.is_ascii_lowercase()))
            .map(str::to_owned)
            .collect();
        tables.insert(name.to_owned(), names);
    }
    tables
}

/// Each index, with what it is of.
fn indexes(text: &str) -> Vec<&str> {
    text.split_inclusive('\n')
        .filter_map(|line| line.split_once(" INDEX "))
        .filter_map(|(_, index)| index.split_once(';'))
        .map(|(index, _)| index)
        .collect()
}

#[test]
fn both_sides_have_the_same_migrations_tables_columns_and_indexes() {
    let (sqlite, postgres) = (side("sqlite"), side("postgres"));
    assert!(
        sqlite.keys().eq(postgres.keys()),
        "{:?} {:?}",
        sqlite.keys(),
        postgres.keys()
    );
    for (name, text) in &sqlite {
        let tables = columns(text);
        let indexes = indexes(text);
        assert!(
            !tables.is_empty() || !indexes.is_empty(),
            "{name} makes nothing"
        );
        assert_eq!(indexes, self::indexes(&postgres[name]), "{name}");
        assert!(
            tables.values().all(|columns| columns.len() > 1),
            "{name}: {tables:?}"
        );
        assert_eq!(tables, columns(&postgres[name]), "{name}");
    }
}
