//! Asked: what somebody wants of us, read from Discord's own JSON. Everything in it is a stranger's: what does not look as
//! it should is refused here, and nothing of it is ever quoted.
//!
//! The JSON is read by us and not by serenity, which drops an event of a form that is newer than itself.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;

use crate::desk::door::Visitor;

/// No text that people type is longer, the commands' options (6000) included.
const LONGEST: usize = 6000;

/// A command has a group and a word below it at most.
const DEEPEST: usize = 3;

/// Where an answer goes. Whoever has the token can answer, so it is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Ticket {
    /// Discord's number of it, which never comes twice.
    pub id: u64,
    /// What lets us answer it, for 15 minutes.
    pub token: String,
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ticket")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// One thing that somebody wants.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Asked {
    /// Where the answer goes.
    pub ticket: Ticket,
    /// Who asks, and where.
    pub visitor: Visitor,
    /// What for.
    pub what: What,
}

/// What somebody wants.
#[derive(Clone, PartialEq, Eq)]
pub enum What {
    /// A command, sent off.
    Command(Command),
    /// A command that is still being typed.
    Typing {
        /// As far as it is.
        command: Command,
        /// The option that they are at.
        at: String,
    },
    /// A button.
    Press {
        /// What we wrote on its back.
        id: String,
    },
    /// A form, sent off.
    Form {
        /// What we wrote on its back.
        id: String,
        /// What they filled in, by the names that we gave.
        fields: BTreeMap<String, String>,
    },
}

/// What people type is theirs: only what kind of thing it is is shown.
impl fmt::Debug for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Command(_) => "Command",
            Self::Typing { .. } => "Typing",
            Self::Press { .. } => "Press",
            Self::Form { .. } => "Form",
        })
    }
}

/// A command and its options.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Command {
    /// Its words: `incident`, `open`.
    pub path: Vec<String>,
    /// What was given with it, by name.
    pub options: BTreeMap<String, String>,
}

impl Command {
    /// An option, if it was given and is not blank.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.options
            .get(name)
            .map(|text| text.trim())
            .filter(|text| !text.is_empty())
    }

    /// Its words, in one line.
    pub fn words(&self) -> String {
        self.path.join(" ")
    }
}

/// Something that cannot be read; perhaps it can still be answered.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Unreadable(pub Option<Ticket>);

/// Reads one of Discord's interactions.
pub fn read(event: &Value) -> Result<Asked, Unreadable> {
    let Some(ticket) = ticket(event) else {
        return Err(Unreadable(None));
    };
    let what = visitor(event).and_then(|visitor| Some((visitor, what(event)?)));
    match what {
        Some((visitor, what)) => Ok(Asked {
            ticket,
            visitor,
            what,
        }),
        None => Err(Unreadable(Some(ticket))),
    }
}

fn ticket(event: &Value) -> Option<Ticket> {
    let token = event.get("token")?.as_str()?;
    // It becomes part of an address.
    let is_one = (1..=512).contains(&token.len())
        && token
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.=:~".contains(&byte))
        && !token.starts_with('.');
    is_one.then(|| {
        Some(Ticket {
            id: number(event.get("id")?)?,
            token: token.to_owned(),
        })
    })?
}

fn visitor(event: &Value) -> Option<Visitor> {
    let guild = match event.get("guild_id") {
        None | Some(Value::Null) => None,
        Some(id) => Some(number(id)?),
    };
    let member = event.get("member").filter(|member| member.is_object());
    let user = match member {
        Some(member) => member.get("user")?,
        None => event.get("user")?,
    };
    let roles = member
        .and_then(|member| member.get("roles"))
        .and_then(Value::as_array)
        .map(|roles| roles.iter().filter_map(number).take(500).collect())
        .unwrap_or_default();
    Some(Visitor {
        user: number(user.get("id")?)?,
        guild,
        roles,
    })
}

fn what(event: &Value) -> Option<What> {
    let data = event.get("data")?;
    match event.get("type")?.as_u64()? {
        2 => command(data).map(|(command, _)| What::Command(command)),
        3 => Some(What::Press {
            id: text(data.get("custom_id")?)?,
        }),
        4 => command(data).and_then(|(command, at)| Some(What::Typing { command, at: at? })),
        5 => Some(What::Form {
            id: text(data.get("custom_id")?)?,
            fields: fields(data.get("components")?)?,
        }),
        _ => None,
    }
}

/// A command with its options, and the one that is being typed.
fn command(data: &Value) -> Option<(Command, Option<String>)> {
    let mut path = vec![text(data.get("name")?)?];
    let mut level = data;
    loop {
        let options = match level.get("options") {
            None | Some(Value::Null) => &[][..],
            Some(options) => options.as_array()?,
        };
        let group = options
            .iter()
            .find(|option| matches!(kind(option), Some(1 | 2)));
        let Some(group) = group.filter(|_| path.len() < DEEPEST) else {
            let (options, at) = given(options)?;
            return Some((Command { path, options }, at));
        };
        path.push(text(group.get("name")?)?);
        level = group;
    }
}

fn kind(option: &Value) -> Option<u64> {
    option.get("type")?.as_u64()
}

fn given(all: &[Value]) -> Option<(BTreeMap<String, String>, Option<String>)> {
    let (mut options, mut at) = (BTreeMap::new(), None);
    if all.len() > 25 {
        return None;
    }
    for option in all {
        let name = text(option.get("name")?)?;
        let value = match option.get("value")? {
            Value::String(value) if value.chars().count() <= LONGEST => value.clone(),
            Value::Number(number) => number.to_string(),
            Value::Bool(yes) => yes.to_string(),
            _ => return None,
        };
        if option.get("focused").and_then(Value::as_bool) == Some(true) {
            at = Some(name.clone());
        }
        options.insert(name, value);
    }
    Some((options, at))
}

/// Rows of one field each, as we make them; Discord may wrap them in another component one day.
fn fields(rows: &Value) -> Option<BTreeMap<String, String>> {
    let mut fields = BTreeMap::new();
    for row in rows.as_array()?.iter().take(25) {
        let inner = match (row.get("components"), row.get("component")) {
            (Some(inner), _) => inner.as_array()?.iter().collect(),
            (None, Some(inner)) => vec![inner],
            (None, None) => vec![row],
        };
        for field in inner.into_iter().take(25) {
            let Some(name) = field.get("custom_id") else {
                continue;
            };
            let value = match field.get("value") {
                None | Some(Value::Null) => String::new(),
                Some(value) => value.as_str()?.to_owned(),
            };
            if value.chars().count() > LONGEST {
                return None;
            }
            fields.insert(text(name)?, value);
        }
    }
    Some(fields)
}

/// A name or a mark of ours: short, and printable.
fn text(value: &Value) -> Option<String> {
    let text = value.as_str()?;
    let is_fine = (1..=100).contains(&text.chars().count()) && !text.chars().any(char::is_control);
    is_fine.then(|| text.to_owned())
}

fn number(value: &Value) -> Option<u64> {
    match value {
        Value::String(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            digits.parse().ok()
        }
        Value::Number(number) => number.as_u64(),
        _ => None,
    }
    .filter(|id| *id > 0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn slash() -> Value {
        json!({
            "id": "90", "application_id": "1", "type": 2, "token": "tok90", "guild_id": "2", "channel_id": "21",
            "member": { "user": { "id": "31", "username": "alice" }, "roles": ["25", 26] },
            "data": { "id": "50", "name": "incident", "type": 1, "options": [
                { "name": "open", "type": 1, "options": [{ "name": "title", "type": 3, "value": " Phish " }] }
            ] },
        })
    }

    #[test]
    fn a_command_is_read_with_who_asks_and_where() {
        let asked = read(&slash()).unwrap();
        assert_eq!(
            asked.visitor,
            Visitor {
                user: 31,
                guild: Some(2),
                roles: vec![25, 26],
            }
        );
        let What::Command(command) = asked.what else {
            panic!("no command");
        };
        assert_eq!(command.words(), "incident open");
        assert_eq!(command.get("title"), Some("Phish"));
        assert_eq!(command.get("next_update"), None);
    }

    #[test]
    fn what_is_strange_is_refused_and_can_still_be_answered_if_it_says_where() {
        for (path, bad) in [
            ("/data/name", json!(7)),
            ("/data/options", json!("x")),
            ("/data/options/0/options/0/value", json!({ "a": 1 })),
            ("/data/options/0/options/0/value", json!("x".repeat(6001))),
            ("/data/options/0/name", json!("x".repeat(101))),
            ("/member/user/id", json!("31 or 1=1")),
            ("/member/user/id", json!("0")),
            ("/guild_id", json!("18446744073709551616")),
            ("/type", json!(99)),
            ("/data", json!(null)),
        ] {
            let mut event = slash();
            *event.pointer_mut(path).unwrap() = bad;
            let Err(Unreadable(Some(ticket))) = read(&event) else {
                panic!("{path}");
            };
            assert_eq!(ticket.id, 90);
        }
        for (path, bad) in [
            ("/id", json!("x")),
            ("/token", json!("../../channels/1/messages")),
            ("/token", json!("..")),
            ("/token", json!("a b")),
            ("/token", json!("")),
            ("/token", json!(["tok"])),
        ] {
            let mut event = slash();
            *event.pointer_mut(path).unwrap() = bad;
            assert_eq!(read(&event), Err(Unreadable(None)), "{path}");
        }
    }

    #[test]
    fn a_form_is_read_however_discord_wraps_its_fields() {
        let field = json!({ "type": 4, "custom_id": "body", "value": "text" });
        for component in [
            json!({ "type": 1, "components": [field] }),
            json!({ "type": 18, "component": field }),
            field,
        ] {
            let mut event = slash();
            event["type"] = json!(5);
            event["data"] = json!({ "custom_id": "open:1", "components": [component] });
            let What::Form { id, fields } = read(&event).unwrap().what else {
                panic!("no form");
            };
            assert_eq!(id, "open:1");
            assert_eq!(fields["body"], "text");
        }
    }

    #[test]
    fn nothing_that_is_typed_and_no_token_is_ever_shown() {
        let mut event = slash();
        event["token"] = json!("s3ntinel");
        let shown = format!("{:?}", read(&event).unwrap());
        assert!(
            !shown.contains("s3ntinel") && !shown.contains("Phish"),
            "{shown}"
        );
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            ".{0,12}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 16, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map(
                    "id|token|type|data|name|options|value|custom_id|components",
                    inner,
                    0..4
                )
                .prop_map(Value::from_iter),
            ]
        })
    }

    proptest! {
        #[test]
        fn whatever_comes_nothing_panics(
            path in prop::sample::select(vec!["/id", "/token", "/type", "/guild_id", "/member", "/member/roles", "/data", "/data/options", "/data/options/0", "/data/options/0/options"]),
            with in any_json(),
        ) {
            let mut event = slash();
            *event.pointer_mut(path).unwrap() = with.clone();
            let _ = read(&event);
            let _ = read(&with);
        }
    }
}
