//! Samples: the people and the organisation that checks, snapshots and previews write to.

use super::constants::{Constants, Sourced, default_consequence, default_zone};
use super::context::{Personal, Reference, Staff, account_label};
use crate::domain::finding::Category;
use crate::domain::notice::NoticeKind;
use crate::domain::person::AccountKind;
use crate::domain::{Moment, PersonName};

impl Constants {
    /// Named samples: everything set, and only what must be.
    pub fn samples() -> [(&'static str, Self); 2] {
        let sourced = |text: &str, evidence: &str| {
            Some(Sourced {
                text: text.to_owned(),
                evidence: evidence.to_owned(),
            })
        };
        let some = |text: &str| Some(text.to_owned());
        let full = Self {
            org: "Westbridge Council".to_owned(),
            team: "Digital Security Team".to_owned(),
            signatory: "Sam Lee".to_owned(),
            how_to_reset:
                "On your work computer, press Ctrl, Alt and Delete. Then choose Change a password."
                    .to_owned(),
            check_route: "go to the staff home page, open Security notices".to_owned(),
            help_route: "Call the number on the back of your staff pass.".to_owned(),
            help_hours: some("We are open from 8am to 8pm."),
            in_person: some("the help desk on the ground floor"),
            no_sign_line: sourced(
                "We have checked, and we have seen no sign that anyone else has used your account.",
                "sign-in review of 1 July",
            ),
            authority_line: sourced(
                "The National Cyber Security Centre is helping us.",
                "agreed on 1 July",
            ),
            source_line: sourced(
                "The list did not come from our systems.",
                "review of 1 July",
            ),
            changes_line: some("We have made sign-in safer."),
            attack_when: some("On Tuesday"),
            audit_note: some("People from outside did this check for us."),
            consequence: default_consequence(),
            manager_line: true,
            containment_line: some(
                "We have locked it and signed it out on all devices, to keep it safe.",
            ),
            seen_when: some("on Tuesday morning"),
            next_contact: some("by noon tomorrow"),
            zone: default_zone(),
        };
        let bare = Self {
            help_hours: None,
            in_person: None,
            no_sign_line: None,
            authority_line: None,
            source_line: None,
            audit_note: None,
            manager_line: false,
            ..full.clone()
        };
        [("full", full), ("bare", bare)]
    }
}

impl Personal {
    /// Named samples for a kind, each with the constants that go with it: one account, several, and the least there can
    /// be, with a name that tries the encodings.
    pub fn samples(kind: NoticeKind) -> Vec<(&'static str, Constants, Self)> {
        let [(_, full), (_, bare)] = Constants::samples();
        let category = match kind {
            NoticeKind::Weak | NoticeKind::Manager | NoticeKind::Delegate => Category::Weak,
            NoticeKind::Attacked | NoticeKind::Reminder2 => Category::Attacked,
            NoticeKind::Breached | NoticeKind::Reminder1 | NoticeKind::ReminderFinal => {
                Category::Breached
            }
            NoticeKind::Compromised | NoticeKind::Done => Category::Compromised,
        };
        let (n, days_left) = match kind {
            NoticeKind::Reminder1 => (1, 2),
            NoticeKind::Reminder2 => (2, 2),
            NoticeKind::ReminderFinal => (3, 0),
            NoticeKind::Weak
            | NoticeKind::Attacked
            | NoticeKind::Breached
            | NoticeKind::Compromised
            | NoticeKind::Done
            | NoticeKind::Manager
            | NoticeKind::Delegate => (0, 0),
        };
        // 5pm on Friday 4 July 2025 in London, and the afternoon before.
        let deadline = Moment::from_micros(1_751_644_800_000_000);
        let changed_at = Moment::from_micros(1_751_552_400_000_000);
        let staff = |named: &[(&str, Option<Moment>)]| {
            let named = named.iter().map(|(name, due_at)| Staff {
                name: PersonName::new(name),
                due_at: *due_at,
            });
            // Nobody but a manager or a delegate reads of anybody else.
            named.filter(|_| !kind.is_to_holder()).collect()
        };
        let one = Self {
            full_name: PersonName::new("Amina Clarke"),
            accounts: vec![account_label(AccountKind::Person, "aclarke")],
            reference: Reference("DB-2507-K7M4".to_owned()),
            category,
            deadline: (!matches!(
                kind,
                NoticeKind::Done
                    | NoticeKind::Compromised
                    | NoticeKind::Manager
                    | NoticeKind::Delegate
            ))
            .then_some(deadline),
            zone: None,
            n,
            total: if n == 0 { 0 } else { 3 },
            days_left,
            most_done: true,
            changed_at: (kind == NoticeKind::Done).then_some(changed_at),
            staff: staff(&[("Zara Ali", Some(deadline))]),
        };
        let several = Self {
            accounts: vec![
                account_label(AccountKind::Person, "aclarke"),
                account_label(AccountKind::Service, "Backup"),
            ],
            days_left: u8::from(days_left > 0),
            staff: staff(&[
                ("Zara Ali", Some(deadline)),
                ("Ben Frost", Some(deadline)),
                ("Cora Lane", None),
            ]),
            ..one.clone()
        };
        let least = Self {
            full_name: PersonName::new("Zo\u{eb} \"Zo\" O'Brien-\u{141}ukasz & Sons <it>"),
            category: match (kind.is_reminder(), category) {
                (true, _) => Category::Weak,
                (false, category) => category,
            },
            most_done: false,
            days_left: 0,
            staff: staff(&[("Zo\u{eb} O'Brien-\u{141}ukasz & Sons <it>", None)]),
            ..one.clone()
        };
        vec![
            ("one", full.clone(), one),
            ("several", full, several),
            ("least", bare, least),
        ]
    }
}
