//! Audience: who reads a text, and the rule that a text which was approved for one goes to no other.

use serde::{Deserialize, Serialize};

/// Who reads a text.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Audience {
    /// Everybody who works here.
    Staff,
    /// The public, and the press.
    Press,
    /// Other organisations that are concerned.
    Partners,
}

impl Audience {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Staff, Self::Press, Self::Partners];

    /// The word that config, database and documents use.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Staff => "staff",
            Self::Press => "press",
            Self::Partners => "partners",
        }
    }

    /// The audience that a word names.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.word() == word)
    }
}

/// Why a text does not go to a channel.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Misdirected {
    /// Others read there than those that it was approved for.
    #[error(
        "it was approved for {}, and {} read there; have a text of its own approved for them",
        .text.word(), .channel.word()
    )]
    OtherReaders {
        /// Whom it was approved for.
        text: Audience,
        /// Who reads there.
        channel: Audience,
    },
    /// Nobody is known to read there.
    #[error("no [[audience]] of the config has this channel; add it to one, and restart")]
    NobodyReads,
    /// It was approved for other channels.
    #[error("this channel is not among those that it was approved for")]
    OtherChannel,
}

/// Whether a text that was approved for `text`, and if they are named for `channels` alone, may be said on `channel`, which
/// `readers` read. Asked at the moment of posting: what the config said at the approval may not be true any more.
pub fn may_say(
    text: Audience,
    channels: &[String],
    channel: &str,
    readers: Option<Audience>,
) -> Result<(), Misdirected> {
    let readers = readers.ok_or(Misdirected::NobodyReads)?;
    if readers != text {
        return Err(Misdirected::OtherReaders {
            text,
            channel: readers,
        });
    }
    if !channels.is_empty() && !channels.iter().any(|one| one == channel) {
        return Err(Misdirected::OtherChannel);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_for_one_audience_goes_to_no_other_whatever_channels_it_names() {
        let named = ["room".to_owned()];
        for text in Audience::ALL {
            for readers in Audience::ALL {
                for channels in [&[][..], &named] {
                    let said = may_say(text, channels, "room", Some(readers));
                    assert_eq!(said.is_ok(), text == readers, "{text:?} {readers:?}");
                }
            }
            assert_eq!(
                may_say(text, &named, "room", None),
                Err(Misdirected::NobodyReads)
            );
            assert_eq!(
                may_say(text, &named, "hall", Some(text)),
                Err(Misdirected::OtherChannel)
            );
        }
    }
}
