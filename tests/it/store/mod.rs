//! The store: every method, on SQLite and on PostgreSQL, by the same tests.

mod alarms;
mod audits;
mod bed;
mod bindings;
mod bounces;
mod campaigns;
mod cases;
mod chase;
mod cursors;
mod epochs;
mod evidence;
mod gauges;
mod history;
mod holds;
mod incidents;
mod interactions;
mod keys;
mod last_rungs;
mod ledger;
mod office;
mod other_ways;
mod outbox;
mod people;
mod plans;
mod posts;
mod privacy;
mod races;
mod rates;
mod reach;
mod runs;
mod seals;
mod self_audit;
mod statements;
mod texts;
mod told;

use std::path::Path;

use division_bell::store::Store;

use crate::layers::files_below;
use crate::support::postgres;

pub use bed::Bed;

/// Runs a test on a fresh SQLite file, then on a fresh PostgreSQL database. What failed is on the database named last.
pub async fn both(test: impl AsyncFn(Bed)) {
    println!("on SQLite:");
    let folder = tempfile::tempdir().unwrap();
    let store = sqlite(folder.path()).await;
    test(Bed::new(store.clone())).await;
    store.close().await;
    if let Some(url) = postgres::database().await {
        println!("on PostgreSQL:");
        let store = Store::open(&url, None).await.unwrap();
        test(Bed::new(store.clone())).await;
        store.close().await;
    }
}

/// A fresh SQLite file.
pub async fn sqlite(folder: &Path) -> Store {
    let url = format!("sqlite://{}", folder.join("bell.db").display());
    Store::open(&url, None).await.unwrap()
}

#[test]
fn every_method_of_the_store_is_called_by_this_suite() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |folder: &str| -> String {
        files_below(&root.join(folder))
            .iter()
            .map(|path| std::fs::read_to_string(path).unwrap())
            .collect()
    };
    let methods = methods(&read("src/store"));
    assert!(methods.len() > 80, "only {} were found", methods.len());
    let suite = read("tests/it/store");
    let missing: Vec<&String> = methods
        .iter()
        .filter(|name| {
            !suite.contains(&format!(".{name}(")) && !suite.contains(&format!("::{name}("))
        })
        .collect();
    assert!(
        missing.is_empty(),
        "these methods of the store are called by no test in tests/it/store, so nobody knows whether they work on both \
         databases; add one: {missing:?}"
    );
}

/// The names of all public methods that talk to a database.
fn methods(source: &str) -> Vec<String> {
    source
        .lines()
        .filter_map(|line| line.trim_start().strip_prefix("pub async fn "))
        .map(|rest| {
            rest.chars()
                .take_while(|c| c.is_alphanumeric() || *c == '_')
                .collect()
        })
        .collect()
}

#[test]
fn a_method_is_found_by_its_name() {
    let source = "    /// Text.\n    pub async fn claim(\n        &mut self,\n    pub async fn open<'a>(x: u8) {}\n    async fn own() {}\n";
    assert_eq!(methods(source), ["claim", "open"]);
}
