//! Way: how somebody can be told, in which order ways are tried, and where each leads.

use std::fmt;

use serde::{Deserialize, Serialize, Serializer};

use super::address::{EmailAddress, PersonName};
use super::finding::Category;
use super::phone::Mobile;

/// How somebody can be told.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum Way {
    /// A letter to their own mailbox.
    #[serde(rename = "mail")]
    Mail,
    /// A letter to an address outside the directory.
    #[serde(rename = "mail.2")]
    SecondMail,
    /// A text to their mobile.
    #[serde(rename = "sms")]
    Sms,
    /// A printed letter in the internal post.
    #[serde(rename = "letter")]
    Letter,
    /// A human being: a task.
    #[serde(rename = "person")]
    Person,
}

impl Way {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Mail,
        Self::SecondMail,
        Self::Sms,
        Self::Letter,
        Self::Person,
    ];

    /// The word that config, database (`deliveries.channel`) and documents use.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Mail => "mail",
            Self::SecondMail => "mail.2",
            Self::Sms => "sms",
            Self::Letter => "letter",
            Self::Person => "person",
        }
    }

    /// The way that a word names.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|way| way.word() == word)
    }

    /// Whether it ends at the relay.
    pub const fn is_mail(self) -> bool {
        matches!(self, Self::Mail | Self::SecondMail)
    }
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// Why an order of ways is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadOrder {
    /// Whom no way reaches is a human being's work.
    #[error(
        "it does not end with \"person\"; whom no other way reaches is reached by a human being"
    )]
    PersonLast,
    /// The same way twice.
    #[error("\"{0}\" is there twice; name each way once")]
    Twice(Way),
    /// Rule 3.9.
    #[error(
        "a compromised account's own mailbox may be read by the intruder (rule 3.9); take \"mail\" out"
    )]
    AffectedMailbox,
}

/// In which order ways are tried, category by category.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Ways {
    weak: Vec<Way>,
    attacked: Vec<Way>,
    breached: Vec<Way>,
    compromised: Vec<Way>,
}

impl Default for Ways {
    fn default() -> Self {
        let ordinary = vec![Way::Mail, Way::SecondMail, Way::Person];
        Self {
            weak: ordinary.clone(),
            attacked: ordinary.clone(),
            breached: ordinary,
            compromised: vec![Way::SecondMail, Way::Sms, Way::Letter, Way::Person],
        }
    }
}

impl Ways {
    /// The order for a category.
    pub fn of(&self, category: Category) -> &[Way] {
        match category {
            Category::Weak => &self.weak,
            Category::Attacked => &self.attacked,
            Category::Breached => &self.breached,
            Category::Compromised => &self.compromised,
        }
    }

    /// Replaces the order for a category.
    pub fn set(&mut self, category: Category, order: Vec<Way>) -> Result<(), BadOrder> {
        check(category, &order)?;
        match category {
            Category::Weak => self.weak = order,
            Category::Attacked => self.attacked = order,
            Category::Breached => self.breached = order,
            Category::Compromised => self.compromised = order,
        }
        Ok(())
    }

    /// The same without a way that does not exist here, such as texts where there is no gateway.
    #[must_use]
    pub fn without(mut self, way: Way) -> Self {
        for order in [
            &mut self.weak,
            &mut self.attacked,
            &mut self.breached,
            &mut self.compromised,
        ] {
            order.retain(|one| *one != way);
        }
        self
    }
}

fn check(category: Category, order: &[Way]) -> Result<(), BadOrder> {
    if category == Category::Compromised && order.contains(&Way::Mail) {
        return Err(BadOrder::AffectedMailbox);
    }
    let mut seen = Vec::with_capacity(order.len());
    for way in order {
        if seen.contains(way) {
            return Err(BadOrder::Twice(*way));
        }
        seen.push(*way);
    }
    if order.last() == Some(&Way::Person) {
        Ok(())
    } else {
        Err(BadOrder::PersonLast)
    }
}

/// Where the internal post leaves a letter: one line. Printing it shows its first character.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Room(String);

impl Room {
    /// Cleans a line as names are cleaned; none if nothing is left.
    pub fn new(text: &str) -> Option<Self> {
        let clean: String = PersonName::new(text).expose().chars().take(100).collect();
        (!clean.is_empty()).then_some(Self(clean))
    }

    /// The whole line, for the letter and the store.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Room {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}***", self.0.chars().next().unwrap_or('*'))
    }
}

impl fmt::Debug for Room {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Where a notice goes, by which way. Printing it masks it.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Destination {
    /// Their own mailbox.
    Mail(EmailAddress),
    /// An address outside the directory.
    SecondMail(EmailAddress),
    /// Their mobile.
    Sms(Mobile),
    /// Their place in the internal post.
    Letter(Room),
}

impl Destination {
    /// Reads what the store keeps: a way's word and where it leads. None if they do not go together.
    pub fn read(way: &str, text: &str) -> Option<Self> {
        match Way::from_word(way)? {
            Way::Mail => EmailAddress::parse(text).ok().map(Self::Mail),
            Way::SecondMail => EmailAddress::parse(text).ok().map(Self::SecondMail),
            Way::Sms => Mobile::parse(text).ok().map(Self::Sms),
            Way::Letter => Room::new(text).map(Self::Letter),
            Way::Person => None,
        }
    }

    /// By which way.
    pub const fn way(&self) -> Way {
        match self {
            Self::Mail(_) => Way::Mail,
            Self::SecondMail(_) => Way::SecondMail,
            Self::Sms(_) => Way::Sms,
            Self::Letter(_) => Way::Letter,
        }
    }

    /// The whole of it, for whoever sends and for the store.
    pub fn expose(&self) -> &str {
        match self {
            Self::Mail(address) | Self::SecondMail(address) => address.expose(),
            Self::Sms(mobile) => mobile.expose(),
            Self::Letter(room) => room.expose(),
        }
    }

    /// The form in which an approval is bound to it.
    pub fn folded(&self) -> String {
        match self {
            Self::Mail(address) | Self::SecondMail(address) => address.folded(),
            Self::Sms(mobile) => mobile.expose().to_owned(),
            Self::Letter(room) => super::address::fold(room.expose()),
        }
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mail(address) | Self::SecondMail(address) => address.fmt(f),
            Self::Sms(mobile) => mobile.fmt(f),
            Self::Letter(room) => room.fmt(f),
        }
    }
}

impl Serialize for Destination {
    /// Masked.
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.collect_str(self)
    }
}

/// How sure it is that a printed letter reached its reader, by what the tick sheet says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HandedOver {
    /// Somebody put their name to it, with a date.
    Signed,
    /// A tick, and no name.
    Ticked,
}

impl HandedOver {
    /// The word that the ledger uses.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Signed => "letter, signed",
            Self::Ticked => "letter, ticked",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_ends_with_a_human_being_and_never_leads_to_a_mailbox_that_is_read() {
        use Way::{Letter, Mail, Person, SecondMail, Sms};
        for (category, order, expected) in [
            (Category::Weak, vec![Mail, Sms, Person], Ok(())),
            (Category::Compromised, vec![Sms, Letter, Person], Ok(())),
            (Category::Weak, vec![Person], Ok(())),
            (Category::Weak, vec![], Err(BadOrder::PersonLast)),
            (Category::Weak, vec![Mail], Err(BadOrder::PersonLast)),
            (
                Category::Weak,
                vec![Person, Mail],
                Err(BadOrder::PersonLast),
            ),
            (
                Category::Weak,
                vec![Sms, Sms, Person],
                Err(BadOrder::Twice(Sms)),
            ),
            (
                Category::Compromised,
                vec![SecondMail, Mail, Person],
                Err(BadOrder::AffectedMailbox),
            ),
        ] {
            assert_eq!(
                Ways::default().set(category, order.clone()),
                expected,
                "{order:?}"
            );
        }
        for category in Category::ALL {
            assert_eq!(check(category, Ways::default().of(category)), Ok(()));
        }
    }

    #[test]
    fn a_destination_is_read_back_by_its_way_and_masks_itself() {
        for (way, text, shown) in [
            ("mail", "ada@parl.example", "a***@parl.example"),
            ("mail.2", "ada@home.example", "a***@home.example"),
            ("sms", "+447700900123", "+***23"),
            ("letter", "Room 4.12, west wing", "R***"),
        ] {
            let destination = Destination::read(way, text).unwrap();
            assert_eq!(destination.way().word(), way);
            assert_eq!(destination.expose(), text);
            assert_eq!(destination.to_string(), shown);
            assert!(!format!("{destination:?}").contains(text));
            assert_eq!(serde_json::to_value(&destination).unwrap(), shown);
        }
        assert_eq!(Destination::read("sms", "ada@parl.example"), None);
        assert_eq!(Destination::read("person", "x"), None);
        assert_eq!(Destination::read("letter", " \n "), None);
    }
}
