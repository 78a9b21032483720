//! Definitions: the commands as Discord shows them, and whether a server has exactly these.

use serde_json::{Map, Value, json};

use crate::domain::audience::Audience;
use crate::domain::incident::IncidentState;

/// Discord's types of options.
const SUBCOMMAND: u8 = 1;

const GROUP: u8 = 2;
const TEXT: u8 = 3;

/// The longest text that is taken as an option; longer ones have a form.
pub const LINE: usize = 200;

/// All commands that we have.
pub fn all() -> Value {
    json!([
        command(
            "incident",
            "What staff and public are told about",
            incident()
        ),
        command(
            "statement",
            "Texts for staff, press and partners",
            statement()
        ),
        command(
            "reset",
            "How far the new passwords are",
            vec![word(
                "progress",
                "The counts, over all or in one department",
                vec![text(
                    "department",
                    "As the staff directory writes it",
                    false
                )],
            )],
        ),
        command(
            "verify",
            "Whether a letter that you got is ours",
            vec![text(
                "code",
                "The reference in it, such as DB-2507-K7M4",
                true
            )],
        ),
        json!({ "type": 1, "name": "help", "description": "What I can do" }),
    ])
}

fn incident() -> Vec<Value> {
    let which = || chosen("incident", "Which one");
    let next = |required| {
        text(
            "next_update",
            "When people hear more: 14:30, or in 2 h",
            required,
        )
    };
    let states = IncidentState::ALL.map(IncidentState::word);
    vec![
        word(
            "open",
            "Open an incident",
            vec![
                text("title", "In a few words, without names: it is public", true),
                next(false),
            ],
        ),
        word(
            "state",
            "Move an incident on",
            vec![
                which(),
                one_of("state", "Where it is now", &states),
                next(false),
            ],
        ),
        word(
            "promise",
            "Promise when people hear more",
            vec![which(), next(true)],
        ),
        word("show", "All incidents, and the figures", Vec::new()),
        word("log", "The whole story of one", vec![which()]),
        below(
            GROUP,
            "partner",
            "Whom you speak to about it: NCSC, NCA, ICO and others",
            vec![
                word(
                    "add",
                    "Write a partner down",
                    vec![
                        which(),
                        text("name", "NCSC, NCA, ICO, or another", true),
                        text("contact", "Whom you speak to there: a team", true),
                        text("reference", "Their number for it", false),
                        text("wording", "How they are to be named", false),
                    ],
                ),
                word("list", "The partners of an incident", vec![which()]),
                word(
                    "clear",
                    "They agreed to be named in the wording that is on record",
                    vec![
                        chosen("partner", "Which one"),
                        text("with", "Who agreed, over there", true),
                    ],
                ),
            ],
        ),
    ]
}

fn statement() -> Vec<Value> {
    let which = || vec![chosen("statement", "Which one")];
    let audiences = Audience::ALL.map(Audience::word);
    vec![
        word(
            "draft",
            "Write a statement, in a form or from a template",
            vec![
                chosen("incident", "What it is about"),
                one_of("audience", "Who reads it", &audiences),
                text("template", "The template's name, such as holding", false),
            ],
        ),
        word("edit", "Change a draft; voids its approval", which()),
        word("preview", "As its readers would see it now", which()),
        word(
            "approve",
            "See what somebody else wrote, and approve it",
            which(),
        ),
        word("publish", "Put an approved one out", which()),
        word(
            "schedule",
            "Have an approved one put out at a time",
            vec![
                chosen("statement", "Which one"),
                text("at", "When: 14:30, or 2026-03-02 14:30", true),
            ],
        ),
        word("cancel", "Take one off the clock, or give it up", which()),
        word("correct", "Put a published one right by a new one", which()),
        word(
            "withdraw",
            "Take a published one back by a new one",
            which(),
        ),
        word("history", "Its texts, and who did what", which()),
    ]
}

fn command(name: &str, description: &str, words: Vec<Value>) -> Value {
    json!({ "type": 1, "name": name, "description": description, "options": words })
}

fn word(name: &str, description: &str, options: Vec<Value>) -> Value {
    below(SUBCOMMAND, name, description, options)
}

fn below(kind: u8, name: &str, description: &str, options: Vec<Value>) -> Value {
    json!({ "type": kind, "name": name, "description": description, "options": options })
}

fn text(name: &str, description: &str, required: bool) -> Value {
    json!({ "type": TEXT, "name": name, "description": description, "required": required, "max_length": LINE })
}

/// Something that there is already: suggested while its name is typed.
fn chosen(name: &str, description: &str) -> Value {
    json!({ "type": TEXT, "name": name, "description": description, "required": true, "autocomplete": true })
}

fn one_of(name: &str, description: &str, words: &[&str]) -> Value {
    let choices: Vec<Value> = words
        .iter()
        .map(|word| json!({ "name": word, "value": word }))
        .collect();
    json!({ "type": TEXT, "name": name, "description": description, "required": true, "choices": choices })
}

/// Every command in its words, with what it does.
pub fn words() -> Vec<(String, String)> {
    let mut found = Vec::new();
    walk(&all(), "", &mut found);
    found
}

/// Whether there is such a command.
pub fn knows(words: &str) -> bool {
    self::words().iter().any(|(known, _)| known == words)
}

fn walk(level: &Value, before: &str, found: &mut Vec<(String, String)>) {
    for one in level.as_array().into_iter().flatten() {
        let text = |key: &str| one.get(key).and_then(Value::as_str).unwrap_or_default();
        let words = format!("{before}{}", text("name"));
        let is_option = one.get("type").and_then(Value::as_u64) == Some(TEXT.into());
        let inner = one.get("options").and_then(Value::as_array);
        let is_last = |inner: &Vec<Value>| {
            inner
                .iter()
                .all(|option| option.get("type").and_then(Value::as_u64) == Some(TEXT.into()))
        };
        match (is_option, inner) {
            (true, _) => {}
            (false, Some(inner)) if !is_last(inner) => {
                walk(&Value::Array(inner.clone()), &format!("{words} "), found);
            }
            (false, _) => found.push((words, text("description").to_owned())),
        }
    }
}

/// Whether a server's commands are these, whatever Discord adds to them and however it orders them.
pub fn are_same(theirs: &Value, ours: &Value) -> bool {
    bare_all(theirs) == bare_all(ours)
}

fn bare_all(commands: &Value) -> Option<Vec<Value>> {
    let mut all: Vec<Value> = commands.as_array()?.iter().map(bare).collect();
    all.sort_by_key(|command| {
        let name = command.get("name").and_then(Value::as_str);
        name.unwrap_or_default().to_owned()
    });
    Some(all)
}

/// What of a command or an option is ours, without what is as it is anyway.
fn bare(one: &Value) -> Value {
    let mut kept = Map::new();
    for key in [
        "type",
        "name",
        "description",
        "required",
        "autocomplete",
        "choices",
        "min_length",
        "max_length",
        "options",
    ] {
        let value = match (key, one.get(key)) {
            (_, None | Some(Value::Null | Value::Bool(false))) => continue,
            (_, Some(Value::Array(all))) if all.is_empty() => continue,
            ("options", Some(Value::Array(all))) => all.iter().map(bare).collect(),
            ("choices", Some(Value::Array(all))) => all
                .iter()
                .map(|choice| json!([choice.get("name"), choice.get("value")]))
                .collect(),
            (_, Some(value)) => value.clone(),
        };
        kept.insert(key.to_owned(), value);
    }
    Value::Object(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn each(options: &Value, look: &mut dyn FnMut(&Value)) {
        for option in options.as_array().unwrap() {
            look(option);
            if let Some(inner) = option.get("options") {
                each(inner, look);
            }
        }
    }

    #[test]
    fn what_discord_adds_to_a_command_makes_no_other_of_it() {
        let ours = all();
        let mut theirs = ours.clone();
        let commands = theirs.as_array_mut().unwrap();
        commands.reverse();
        for (nth, command) in commands.iter_mut().enumerate() {
            command["id"] = json!(nth.to_string());
            command["version"] = json!("7");
            command["nsfw"] = json!(false);
            command["default_member_permissions"] = Value::Null;
            command["description_localizations"] = Value::Null;
        }
        assert!(are_same(&theirs, &ours));
        theirs[0]["description"] = json!("Something else");
        assert!(!are_same(&theirs, &ours));
        assert!(!are_same(&json!([]), &ours));
        assert!(!are_same(&json!({ "message": "no" }), &ours));
    }

    #[test]
    fn a_command_is_known_by_its_words() {
        assert!(knows("incident open") && knows("help"));
        assert!(!knows("incident") && !knows("incident open title") && !knows(""));
    }

    #[test]
    fn discord_takes_every_command() {
        each(&all(), &mut |one| {
            let name = one["name"].as_str().unwrap();
            let is_name = |c: char| c.is_ascii_lowercase() || c == '_' || c == '-';
            assert!(
                (1..=32).contains(&name.len()) && name.chars().all(is_name),
                "{name}"
            );
            let description = one["description"].as_str().unwrap();
            assert!((1..=100).contains(&description.chars().count()), "{name}");
            let options = one.get("options").and_then(Value::as_array);
            assert!(options.is_none_or(|options| options.len() <= 25), "{name}");
            let choices = one.get("choices").and_then(Value::as_array);
            assert!(choices.is_none_or(|choices| choices.len() <= 25), "{name}");
        });
        for command in all().as_array().unwrap() {
            assert!(command.to_string().chars().count() <= 8000);
        }
    }
}
