//! Access: a notice that a service is cut, or back, and the channels that carry it to whoever is cut off (rule 3.10).

use serde::{Deserialize, Serialize};

/// Where an access notice can be read.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Channel {
    /// Mail to all who are concerned.
    Mail,
    /// The staff chat.
    Chat,
    /// The page that lists our notices.
    Intranet,
    /// A text to all who are concerned.
    Sms,
    /// Paper on doors and desks.
    Notice,
}

impl Channel {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Mail,
        Self::Chat,
        Self::Intranet,
        Self::Sms,
        Self::Notice,
    ];

    /// The word that flags, ledger and documents use.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Mail => "mail",
            Self::Chat => "chat",
            Self::Intranet => "intranet",
            Self::Sms => "sms",
            Self::Notice => "notice",
        }
    }

    /// The channel that a word names.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|channel| channel.word() == word)
    }

    /// What it is, for whoever has to post there.
    pub const fn in_words(self) -> &'static str {
        match self {
            Self::Mail => "mail to all who are concerned",
            Self::Chat => "the staff chat",
            Self::Intranet => "the page that lists our notices",
            Self::Sms => "a text to all who are concerned",
            Self::Notice => "paper on doors and desks",
        }
    }
}

/// What became of the service.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// It is cut.
    Restricted,
    /// It is back.
    Restored,
}

impl Change {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Restricted, Self::Restored];

    /// How the ledger calls the notice.
    pub const fn act(self) -> &'static str {
        match self {
            Self::Restricted => "access.restricted",
            Self::Restored => "access.restored",
        }
    }
}

/// Leave to say that a service is cut or back: whoever is cut off has a channel left to read it on, or an operator answers
/// for going without.
///
/// There is no way to one but its three constructors, and nothing is printed or written down without one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AccessNotice {
    change: Change,
    channels: Vec<Channel>,
    cut: Vec<Channel>,
    overridden: Option<String>,
}

impl AccessNotice {
    /// That a service is cut, told on `channels`. With it go the channels of `cut`: people off site lose them too.
    pub fn restricted(channels: &[Channel], cut: &[Channel]) -> Result<Self, NotEnough> {
        Self::kept(Change::Restricted, channels, cut)
    }

    /// That a service is back, told on `channels`. Those of `cut` do not work before it is.
    pub fn restored(channels: &[Channel], cut: &[Channel]) -> Result<Self, NotEnough> {
        Self::kept(Change::Restored, channels, cut)
    }

    /// That a service is cut, told on too few channels, because there are no others. Whoever decides so says why, and
    /// answers for it.
    pub fn overridden(
        channels: &[Channel],
        cut: &[Channel],
        reason: &str,
    ) -> Result<Self, NotEnough> {
        if channels.is_empty() {
            return Err(NotEnough::Nowhere);
        }
        let reason = reason.trim();
        if reason.is_empty() {
            return Err(NotEnough::NoReason);
        }
        Ok(Self {
            change: Change::Restricted,
            channels: each_once(channels),
            cut: each_once(cut),
            overridden: Some(reason.to_owned()),
        })
    }

    /// The rule: two different channels, and one that is not cut with the service.
    fn kept(change: Change, channels: &[Channel], cut: &[Channel]) -> Result<Self, NotEnough> {
        let (channels, cut) = (each_once(channels), each_once(cut));
        if channels.is_empty() {
            return Err(NotEnough::Nowhere);
        }
        let survives = channels.iter().any(|channel| !cut.contains(channel));
        let helpful = Channel::ALL
            .into_iter()
            .filter(|channel| !channels.contains(channel))
            .filter(|channel| survives || !cut.contains(channel))
            .collect();
        match channels[..] {
            [one] => Err(NotEnough::OnlyOne { one, add: helpful }),
            _ if !survives => Err(NotEnough::AllCut {
                told: channels,
                add: helpful,
            }),
            _ => Ok(Self {
                change,
                channels,
                cut,
                overridden: None,
            }),
        }
    }

    /// What became of the service.
    pub const fn change(&self) -> Change {
        self.change
    }

    /// Where it is told, each once.
    pub fn channels(&self) -> &[Channel] {
        &self.channels
    }

    /// What is cut with the service, each once.
    pub fn cut(&self) -> &[Channel] {
        &self.cut
    }

    /// Why it is told on too few channels, if it is.
    pub fn override_reason(&self) -> Option<&str> {
        self.overridden.as_deref()
    }
}

/// In the order of [`Channel::ALL`].
fn each_once(channels: &[Channel]) -> Vec<Channel> {
    Channel::ALL
        .into_iter()
        .filter(|channel| channels.contains(channel))
        .collect()
}

/// Why there is no access notice. Any channel of `add` mends it.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NotEnough {
    /// On no channel at all.
    #[error("an access notice has to be told somewhere (rule 3.10): say on which channels")]
    Nowhere,
    /// On a single channel.
    #[error(
        "an access notice is told on at least two different channels, one of which works without the service (rule 3.10); here is only {}: {}",
        one.word(),
        advice(add)
    )]
    OnlyOne {
        /// The one.
        one: Channel,
        /// What would do.
        add: Vec<Channel>,
    },
    /// On channels that are all cut with the service.
    #[error(
        "an access notice is told on at least one channel that works without the service (rule 3.10), and {} are cut with it: {}",
        words(told, " and "),
        advice(add)
    )]
    AllCut {
        /// Where it would have been told.
        told: Vec<Channel>,
        /// What would do.
        add: Vec<Channel>,
    },
    /// Somebody has it go all the same, and does not say why.
    #[error("whoever has an access notice go on too few channels says why (rule 3.10)")]
    NoReason,
}

/// What to do; with nothing left to add, only people are left.
fn advice(add: &[Channel]) -> String {
    if add.is_empty() {
        "nothing else would reach people, so tell them face to face, and override with a reason"
            .to_owned()
    } else {
        format!("add {}", words(add, " or "))
    }
}

fn words(channels: &[Channel], between: &str) -> String {
    let words: Vec<_> = channels.iter().map(|channel| channel.word()).collect();
    words.join(between)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Channel::{Chat, Intranet, Mail, Notice, Sms};
    use super::*;

    #[test]
    fn losing_a_channel_is_not_told_by_that_channel_alone() {
        for (channels, cut, expected) in [
            (&[Chat, Intranet][..], &[Mail][..], Ok(())),
            (&[Mail, Chat], &[Mail], Ok(())),
            (&[Mail, Chat], &[], Ok(())),
            (
                &[Notice, Mail, Notice],
                &[Mail, Chat, Intranet, Sms],
                Ok(()),
            ),
            (&[], &[], Err(NotEnough::Nowhere)),
            (
                &[Chat, Chat],
                &[Mail],
                Err(NotEnough::OnlyOne {
                    one: Chat,
                    add: vec![Mail, Intranet, Sms, Notice],
                }),
            ),
            (
                &[Mail],
                &[Mail, Intranet],
                Err(NotEnough::OnlyOne {
                    one: Mail,
                    add: vec![Chat, Sms, Notice],
                }),
            ),
            (
                &[Intranet, Mail],
                &[Mail, Intranet, Chat],
                Err(NotEnough::AllCut {
                    told: vec![Mail, Intranet],
                    add: vec![Sms, Notice],
                }),
            ),
            (
                &[Mail, Chat],
                &Channel::ALL,
                Err(NotEnough::AllCut {
                    told: vec![Mail, Chat],
                    add: vec![],
                }),
            ),
        ] {
            for (make, change) in [
                (
                    AccessNotice::restricted as fn(&[Channel], &[Channel]) -> _,
                    Change::Restricted,
                ),
                (AccessNotice::restored, Change::Restored),
            ] {
                let made = make(channels, cut);
                assert_eq!(
                    made.clone().map(|_| ()),
                    expected,
                    "{channels:?} without {cut:?}"
                );
                assert!(made.is_ok_and(|made| made.change() == change) || expected.is_err());
            }
        }
    }

    #[test]
    fn a_refusal_cites_the_rule_and_says_what_to_add() {
        for (channels, cut, said) in [
            (&[][..], &[][..], "say on which channels"),
            (
                &[Mail],
                &[Mail],
                "here is only mail: add chat or intranet or sms or notice",
            ),
            (
                &[Mail, Chat],
                &[Mail, Chat],
                "mail and chat are cut with it: add intranet or sms or notice",
            ),
            (&[Mail, Chat], &Channel::ALL, "face to face"),
        ] {
            let refused = AccessNotice::restricted(channels, cut).unwrap_err();
            let text = refused.to_string();
            assert!(text.contains(said) && text.contains("rule 3.10"), "{text}");
        }
        assert!(NotEnough::NoReason.to_string().contains("rule 3.10"));
    }

    #[test]
    fn somebody_can_answer_for_too_few_channels_but_not_without_a_reason() {
        let made =
            AccessNotice::overridden(&[Mail, Mail], &[Mail], " the chat is down \n").unwrap();
        assert_eq!(made.channels(), [Mail]);
        assert_eq!(made.cut(), [Mail]);
        assert_eq!(made.override_reason(), Some("the chat is down"));
        assert_eq!(made.change(), Change::Restricted);
        let over = AccessNotice::overridden;
        assert_eq!(over(&[Mail], &[], " \t"), Err(NotEnough::NoReason));
        assert_eq!(over(&[], &[], "no time"), Err(NotEnough::Nowhere));
    }

    #[test]
    fn every_channel_has_a_word_of_its_own() {
        for channel in Channel::ALL {
            assert_eq!(Channel::from_word(channel.word()), Some(channel));
        }
        assert_eq!(Channel::from_word("pigeon"), None);
    }

    fn some() -> impl Strategy<Value = Vec<Channel>> {
        prop::collection::vec(prop::sample::select(Channel::ALL.to_vec()), 0..8)
    }

    proptest! {
        #[test]
        fn whoever_is_cut_off_has_a_channel_left(channels in some(), cut in some()) {
            let (told, lost) = (each_once(&channels), each_once(&cut));
            let is_kept = told.len() >= 2 && told.iter().any(|channel| !lost.contains(channel));
            let made = AccessNotice::restricted(&channels, &cut);
            prop_assert_eq!(made.is_ok(), is_kept);
            if let Ok(made) = made {
                prop_assert_eq!(made.channels(), &told[..]);
                prop_assert_eq!(made.cut(), &lost[..]);
                prop_assert_eq!(made.override_reason(), None);
            }
        }

        #[test]
        fn any_channel_that_a_refusal_names_mends_it(channels in some(), cut in some()) {
            match AccessNotice::restored(&channels, &cut) {
                Err(NotEnough::OnlyOne { add, .. } | NotEnough::AllCut { add, .. }) => {
                    let all_cut = Channel::ALL.iter().all(|channel| cut.contains(channel));
                    prop_assert_eq!(add.is_empty(), all_cut);
                    for one in add {
                        let more = [&channels[..], &[one]].concat();
                        prop_assert!(AccessNotice::restored(&more, &cut).is_ok());
                    }
                }
                Ok(_) | Err(NotEnough::Nowhere | NotEnough::NoReason) => {}
            }
        }
    }
}
