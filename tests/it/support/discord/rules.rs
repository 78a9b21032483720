//! What Discord refuses, and what we promise never to send.

use serde_json::Value;

type Ruling = Result<(), String>;

fn rule(holds: bool, what: impl Into<String>) -> Ruling {
    if holds { Ok(()) } else { Err(what.into()) }
}

fn only(object: &Value, keys: &[&str]) -> Ruling {
    let map = object.as_object().ok_or("not an object")?;
    let strange: Vec<&String> = map
        .keys()
        .filter(|key| !keys.contains(&key.as_str()))
        .collect();
    rule(strange.is_empty(), format!("nobody asked for {strange:?}"))
}

/// Texts are counted as Discord does it at its strictest.
fn length(value: &Value) -> usize {
    value.as_str().map_or(0, |text| text.encode_utf16().count())
}

fn fits(value: &Value, what: &str, least: usize, most: usize) -> Ruling {
    let length = length(value);
    rule(
        (least..=most).contains(&length),
        format!("{what} has {length} characters"),
    )
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// Commands as a whole set.
pub fn commands(set: &Value) -> Ruling {
    let all = set.as_array().ok_or("commands are a list")?;
    rule(all.len() <= 100, "more than 100 commands")?;
    let mut names = Vec::new();
    for command in all {
        only(command, &["type", "name", "description", "options"])?;
        rule(command["type"] == 1, "no slash command")?;
        described(command)?;
        rule(
            command.to_string().chars().count() <= 8000,
            "a command is too long",
        )?;
        options(command, 0)?;
        names.push(command["name"].clone());
    }
    unique(names)
}

fn unique(mut names: Vec<Value>) -> Ruling {
    let all = names.len();
    names.sort_by_key(Value::to_string);
    names.dedup();
    rule(names.len() == all, "a name comes twice")
}

fn described(one: &Value) -> Ruling {
    fits(&one["name"], "a name", 1, 32)?;
    let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "_-".contains(c);
    let name = one["name"].as_str().unwrap_or_default();
    rule(
        name.chars().all(is_name),
        format!("{name} is no command's name"),
    )?;
    fits(&one["description"], "a description", 1, 100)
}

fn options(parent: &Value, depth: usize) -> Ruling {
    let all = list(&parent["options"]);
    rule(all.len() <= 25, "more than 25 options")?;
    let mut is_optional = false;
    for option in all {
        described(option)?;
        match option["type"].as_u64() {
            Some(kind @ (1 | 2)) => {
                only(option, &["type", "name", "description", "options"])?;
                rule(
                    depth == 0 || depth == 1 && kind == 1,
                    "subcommands too deep",
                )?;
                options(option, depth + 1)?;
            }
            Some(3) => {
                only(
                    option,
                    &[
                        "type",
                        "name",
                        "description",
                        "required",
                        "choices",
                        "autocomplete",
                        "min_length",
                        "max_length",
                    ],
                )?;
                let required = option["required"] == true;
                rule(
                    !(required && is_optional),
                    "a required option after one that is not",
                )?;
                is_optional |= !required;
                let choices = list(&option["choices"]);
                rule(choices.len() <= 25, "more than 25 choices")?;
                rule(
                    choices.is_empty() || option["autocomplete"] != true,
                    "choices and suggestions",
                )?;
                for choice in choices {
                    fits(&choice["name"], "a choice", 1, 100)?;
                    fits(&choice["value"], "a choice", 1, 100)?;
                }
            }
            other => return Err(format!("an option of the type {other:?}")),
        }
    }
    let kinds: Vec<bool> = all
        .iter()
        .map(|option| option["type"].as_u64() < Some(3))
        .collect();
    rule(
        kinds.iter().all(|kind| *kind) || kinds.iter().all(|kind| !*kind),
        "subcommands beside options",
    )?;
    unique(all.iter().map(|option| option["name"].clone()).collect())
}

/// The first answer to an interaction of this kind.
pub fn callback(kind: u64, body: &Value) -> Ruling {
    only(body, &["type", "data"])?;
    let data = &body["data"];
    match (body["type"].as_u64(), kind) {
        (Some(4), 2 | 3 | 5) => {
            rule(data["flags"] == 64, "not for the asker alone")?;
            message(data, &["flags"])
        }
        (Some(5), 2 | 3 | 5) => {
            only(data, &["flags"])?;
            rule(data["flags"] == 64, "not for the asker alone")
        }
        (Some(6), 3) => rule(data.is_null(), "nothing goes with it"),
        // To a form that a button had opened as well.
        (Some(7), 3 | 5) => message(data, &[]),
        (Some(8), 4) => suggestions(data),
        (Some(9), 2 | 3) => form(data),
        (other, _) => Err(format!("{other:?} is no answer to a {kind}")),
    }
}

/// A message, new or edited; `more` are the keys that only some may have.
pub fn message(body: &Value, more: &[&str]) -> Ruling {
    let mut keys = vec!["content", "embeds", "components", "allowed_mentions"];
    keys.extend(more);
    only(body, &keys)?;
    rule(
        body["allowed_mentions"] == serde_json::json!({ "parse": [] }),
        "somebody could be mentioned",
    )?;
    fits(&body["content"], "content", 0, 2000)?;
    let embeds = list(&body["embeds"]);
    rule(embeds.len() <= 10, "more than 10 embeds")?;
    rule(
        length(&body["content"]) > 0 || !embeds.is_empty(),
        "an empty message",
    )?;
    let mut all = 0;
    for embed in embeds {
        for (key, most) in [("title", 256), ("description", 4096)] {
            fits(&embed[key], key, 0, most)?;
            all += length(&embed[key]);
        }
        all += length(&embed["footer"]["text"]);
        for field in list(&embed["fields"]) {
            fits(&field["name"], "a field's name", 1, 256)?;
            fits(&field["value"], "a field", 1, 1024)?;
            all += length(&field["name"]) + length(&field["value"]);
        }
    }
    rule(all <= 6000, format!("{all} characters in embeds"))?;
    let rows = list(&body["components"]);
    rule(rows.len() <= 5, "more than 5 rows")?;
    let mut ids = Vec::new();
    for row in rows {
        rule(row["type"] == 1, "no row")?;
        let buttons = list(&row["components"]);
        rule(
            (1..=5).contains(&buttons.len()),
            "a row has one to five buttons",
        )?;
        for button in buttons {
            only(button, &["type", "style", "label", "custom_id"])?;
            rule(button["type"] == 2, "no button")?;
            fits(&button["label"], "a label", 1, 80)?;
            fits(&button["custom_id"], "a custom_id", 1, 100)?;
            ids.push(button["custom_id"].clone());
        }
    }
    unique(ids)
}

fn suggestions(data: &Value) -> Ruling {
    only(data, &["choices"])?;
    let choices = data["choices"].as_array().ok_or("no choices")?;
    rule(choices.len() <= 25, "more than 25 suggestions")?;
    for choice in choices {
        only(choice, &["name", "value"])?;
        fits(&choice["name"], "a suggestion", 1, 100)?;
        fits(&choice["value"], "a suggestion", 1, 100)?;
    }
    Ok(())
}

fn form(data: &Value) -> Ruling {
    only(data, &["custom_id", "title", "components"])?;
    fits(&data["custom_id"], "a custom_id", 1, 100)?;
    fits(&data["title"], "a form's title", 1, 45)?;
    let rows = list(&data["components"]);
    rule(
        (1..=5).contains(&rows.len()),
        "a form has one to five fields",
    )?;
    for row in rows {
        rule(row["type"] == 1, "no row")?;
        let [field] = list(&row["components"]) else {
            return Err("one field a row".to_owned());
        };
        only(
            field,
            &[
                "type",
                "custom_id",
                "label",
                "style",
                "min_length",
                "max_length",
                "required",
                "value",
                "placeholder",
            ],
        )?;
        rule(field["type"] == 4, "no text field")?;
        fits(&field["custom_id"], "a custom_id", 1, 100)?;
        fits(&field["label"], "a label", 1, 45)?;
        let most = field["max_length"].as_u64().unwrap_or(4000);
        rule((1..=4000).contains(&most), "a field of more than 4000")?;
        fits(
            &field["value"],
            "what is filled in",
            0,
            most.try_into().unwrap_or(4000),
        )?;
    }
    Ok(())
}
