//! Layers: imports point down, never up and never sideways.
//!
//! Reads every `crate::` path of `src`, so that the drawing in the house rules stays true.

use std::path::{Path, PathBuf};

/// From the top down. Who stands further up may import whoever stands further down.
const LAYERS: &[Layer] = &[
    // Who asks.
    Layer::meeting(&[
        "lib", "main", "cli", "commands", "demo", "serve", "schedule", "web", "bot",
    ]),
    // Load, decide, save; and what the communications office can do.
    Layer::apart(&["desk", "steps"]),
    // Wiring.
    Layer::meeting(&["app", "config", "logging"]),
    // The edges.
    Layer::apart(&[
        "audit",
        "directory",
        "messages",
        "channels",
        "store",
        "report",
    ]),
    // What all others speak of.
    Layer::meeting(&["domain", "clock", "token"]),
];

/// Who may import less than their height allows.
const ONLY: &[(&str, &[&str])] = &[
    ("config", &["domain"]),
    ("logging", &["config", "domain"]),
    ("clock", &["domain"]),
    ("token", &[]),
    ("domain", &[]),
];

/// What decides knows nothing of these: no task, no database, no network, no file, no environment.
const NOT_IN_DOMAIN: &[&str] = &[
    "tokio",
    "sqlx",
    "lettre",
    "serenity",
    "reqwest",
    "std::fs",
    "std::env",
    "std::net",
    "std::process",
];

struct Layer {
    modules: &'static [&'static str],
    /// Whether those of one layer know each other.
    meet: bool,
}

impl Layer {
    const fn meeting(modules: &'static [&'static str]) -> Self {
        Self {
            modules,
            meet: true,
        }
    }

    const fn apart(modules: &'static [&'static str]) -> Self {
        Self {
            modules,
            meet: false,
        }
    }
}

/// How far down a module stands.
fn height(module: &str) -> Option<usize> {
    LAYERS
        .iter()
        .position(|layer| layer.modules.contains(&module))
}

/// Why `from` may not import `to`; none if it may.
fn objection(from: &str, to: &str) -> Option<String> {
    if from == to {
        return None;
    }
    let unknown = |module: &str| {
        format!(
            "the module {module} is in no layer: put it into LAYERS in tests/it/layers.rs, at the height from which all \
             its imports point down"
        )
    };
    let (Some(own), Some(other)) = (height(from), height(to)) else {
        let missing = if height(from).is_none() { from } else { to };
        return Some(unknown(missing));
    };
    if let Some((_, allowed)) = ONLY.iter().find(|(module, _)| *module == from) {
        return (!allowed.contains(&to)).then(|| match allowed {
            [] => format!("{from} imports nothing of ours, and here it imports {to}"),
            _ => format!(
                "{from} may import {} only, and here it imports {to}",
                allowed.join(" and ")
            ),
        });
    }
    match own.cmp(&other) {
        std::cmp::Ordering::Less => None,
        std::cmp::Ordering::Equal if LAYERS[own].meet => None,
        std::cmp::Ordering::Equal => Some(format!(
            "{from} and {to} do not know each other: move what both need into domain, or let a step join them"
        )),
        std::cmp::Ordering::Greater => Some(format!(
            "{from} stands below {to}: hand it what it needs, or move the code up"
        )),
    }
}

/// The offences of one file of the module `module`, whose own submodules are `children`: line and reason.
fn offences(module: &str, children: &[String], text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    if height(module).is_none() {
        found.extend(objection(module, "domain").map(|why| (1, why)));
        return found;
    }
    for root in ["crate", "division_bell"] {
        found.extend(
            heads(text, root)
                .into_iter()
                .filter_map(|(line, head)| Some((line, objection(module, &head)?))),
        );
    }
    // `super::` can climb out of a module as well.
    found.extend(
        heads(text, "super")
            .into_iter()
            .filter(|(_, head)| height(head).is_some() && !children.contains(head))
            .filter_map(|(line, head)| Some((line, objection(module, &head)?))),
    );
    if module == "domain" {
        found.extend(
            NOT_IN_DOMAIN
                .iter()
                .flat_map(|name| uses(text, name).into_iter().map(move |line| (line, name)))
                .map(|(line, name)| {
                    (
                        line,
                        format!(
                            "domain decides and does nothing: {name} belongs into a step or an edge"
                        ),
                    )
                }),
        );
    }
    found.sort();
    found.dedup();
    found
}

/// Lines in which `name`, a crate or a module of `std`, is used.
fn uses(text: &str, name: &str) -> Vec<usize> {
    if let Some((root, wanted)) = name.split_once("::") {
        return heads(text, root)
            .into_iter()
            .filter(|(_, head)| head == wanted)
            .map(|(line, _)| line)
            .collect();
    }
    let in_paths = heads(text, name).into_iter().map(|(line, _)| line);
    let whole = [format!("use {name};"), format!("use {name} as ")];
    let in_uses = code(text)
        .into_iter()
        .filter(|(_, line)| whole.iter().any(|whole| line.contains(whole)))
        .map(|(line, _)| line);
    in_paths.chain(in_uses).collect()
}

/// The first names after `root::`, each with its line: of `root::{a, b::{c, d}}` it is a and b.
fn heads(text: &str, root: &str) -> Vec<(usize, String)> {
    let lines = code(text);
    let joined: String = lines.iter().map(|(_, line)| format!("{line}\n")).collect();
    let start = format!("{root}::");
    let mut found = Vec::new();
    for (at, _) in joined.match_indices(&start) {
        let before = joined[..at].chars().next_back();
        // Part of a longer name, or a text such as a log target.
        if before.is_some_and(|c| c.is_alphanumeric() || "_:\"".contains(c)) {
            continue;
        }
        let line = joined[..at].matches('\n').count() + 1;
        let mut rest = joined[at + start.len()..].trim_start();
        while let Some(further) = rest.strip_prefix("super::").filter(|_| root == "super") {
            rest = further;
        }
        match rest.strip_prefix('{') {
            Some(group) => found.extend(group_heads(group).into_iter().map(|head| (line, head))),
            None => found.push((line, word(rest))),
        }
    }
    found.retain(|(_, head)| !head.is_empty());
    found
}

/// The first names in a group that was just opened.
fn group_heads(group: &str) -> Vec<String> {
    let (mut heads, mut depth, mut item) = (Vec::new(), 0_usize, String::new());
    for c in group.chars() {
        match c {
            '}' if depth == 0 => break,
            ',' if depth == 0 => heads.push(word(std::mem::take(&mut item).trim())),
            '{' => depth += 1,
            '}' => depth -= 1,
            c => item.push(c),
        }
    }
    heads.push(word(item.trim()));
    heads
}

fn word(text: &str) -> String {
    text.chars()
        .take_while(|c| c.is_alphanumeric() || *c == '_')
        .collect()
}

/// Numbered lines without their comments.
fn code(text: &str) -> Vec<(usize, &str)> {
    let comment = |line: &str| {
        line.match_indices("//")
            .map(|(at, _)| at)
            .find(|at| !line[..*at].ends_with(':'))
    };
    text.lines()
        .enumerate()
        .map(|(number, line)| {
            (
                number + 1,
                comment(line).map_or(line, |at| line.get(..at).unwrap_or_default()),
            )
        })
        .collect()
}

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// All files below a folder.
pub fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for path in crate::support::files(folder) {
        if path.is_dir() {
            all.extend(files_below(&path));
        } else {
            all.push(path);
        }
    }
    all
}

fn stem(path: &Path) -> String {
    path.file_stem().unwrap().to_string_lossy().into_owned()
}

#[test]
fn imports_point_down() {
    let source = source();
    let mut all = Vec::new();
    let mut files = 0;
    for path in files_below(&source) {
        if path.extension().is_none_or(|extension| extension != "rs") {
            continue;
        }
        files += 1;
        let inside = path.strip_prefix(&source).unwrap();
        let first = Path::new(inside.components().next().unwrap().as_os_str());
        let module = stem(first);
        let children: Vec<String> = files_below(&source.join(&module))
            .iter()
            .map(|path| stem(path))
            .chain(
                crate::support::files(&source.join(&module))
                    .iter()
                    .map(|path| stem(path)),
            )
            .collect();
        let text = std::fs::read_to_string(&path).unwrap();
        all.extend(
            offences(&module, &children, &text)
                .into_iter()
                .map(|(line, why)| format!("src/{}:{line}: {why}", inside.display())),
        );
    }
    assert!(files > 50, "only {files} files were read");
    assert!(all.is_empty(), "\n{}\n", all.join("\n"));
}

#[test]
fn an_import_that_does_not_point_down_is_found() {
    for (module, line, expected) in [
        (
            "store",
            "use crate::steps::intake;",
            "store stands below steps",
        ),
        (
            "store",
            "    let x = crate::messages::load();",
            "store and messages do not know each other",
        ),
        (
            "audit",
            "use crate::{domain::Moment, directory::{Table, Row}};",
            "audit and directory",
        ),
        (
            "audit",
            "use crate::{\n    domain::Moment,\n    directory,\n};",
            "audit and directory",
        ),
        (
            "desk",
            "use crate::steps::announce;",
            "desk and steps do not know each other",
        ),
        ("app", "use crate::cli::Cli;", "app stands below cli"),
        (
            "store",
            "        $crate::app::App",
            "store stands below app",
        ),
        (
            "config",
            "use crate::clock::Clock;",
            "config may import domain only",
        ),
        (
            "logging",
            "use crate::app::App;",
            "logging may import config and domain only",
        ),
        (
            "clock",
            "use crate::config::Config;",
            "clock may import domain only",
        ),
        (
            "domain",
            "use crate::clock::Clock;",
            "domain imports nothing of ours",
        ),
        (
            "domain",
            "use super::super::store::Tx;",
            "domain imports nothing of ours",
        ),
        ("domain", "use tokio::sync::Mutex;", "tokio belongs"),
        ("domain", "use sqlx;", "sqlx belongs"),
        (
            "domain",
            "use std::{collections::HashMap, fs};",
            "std::fs belongs",
        ),
        ("domain", "    std::env::var(\"HOME\")", "std::env belongs"),
        ("domain", "use std::net::IpAddr;", "std::net belongs"),
        (
            "store",
            "use crate::ghost::Sheet;",
            "the module ghost is in no layer",
        ),
        (
            "ghost",
            "use crate::domain::Moment;",
            "the module ghost is in no layer",
        ),
        ("ghost", "", "the module ghost is in no layer"),
        (
            "main",
            "use division_bell::ghost::Sheet;",
            "the module ghost is in no layer",
        ),
    ] {
        let found = offences(module, &[], line);
        assert!(
            matches!(&found[..], [(_, why)] if why.contains(expected)),
            "{module}: {line}: {found:?}"
        );
    }
}

#[test]
fn an_import_that_points_down_is_none_of_our_business() {
    for (module, text) in [
        (
            "steps",
            "use crate::app::App;\nuse crate::store::{Tx, Campaign};",
        ),
        ("commands", "use crate::{cli::Cli, serve};"),
        (
            "store",
            "use crate::store::people;\nuse crate::domain::{AccountId, Moment};",
        ),
        (
            "store",
            "// see crate::steps::deliver\n/// [`crate::app::App`]",
        ),
        ("domain", "let scrate::steps = 1; mycrate::steps::go();"),
        (
            "domain",
            "use super::report;\nuse std::collections::HashMap; let tokio_like = 1;",
        ),
        ("domain", "/// As tokio::time has it."),
        ("main", "use division_bell::cli::Cli;"),
        (
            "store",
            "tracing::warn!(target: \"division_bell::steps\", \"slow\");",
        ),
        ("steps", "use super::report::write;"),
    ] {
        assert_eq!(
            offences(module, &["report".to_owned()], text),
            [],
            "{module}: {text}"
        );
    }
}

#[test]
fn the_line_of_an_offence_is_told() {
    let text = "//! A file.\n\nuse std::fmt;\n\nuse crate::steps::notify;\n";
    assert_eq!(offences("store", &[], text)[0].0, 5);
}
