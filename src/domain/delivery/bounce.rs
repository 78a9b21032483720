//! Bounce: what a mail that came back is, and what a report in it means for its letter.

use super::{Answer, Cause, RelayTexts, Reply, Stage, ruling, words};

/// What a report says of a letter.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Verdict {
    /// Delivered, relayed or expanded.
    Progress,
    /// Still being tried: no failure.
    Delayed,
    /// Something came back to this letter that nobody can read: it counts as a failure, and a person looks at it.
    Unparsed,
    /// Given up, whatever class its status has.
    Failed,
}

words! { Verdict {
    Progress = "progress",
    Delayed = "delayed",
    Unparsed = "unparsed",
    Failed = "failed",
} }

/// What a mail is that came to the bounce address. Only the first says anything about a letter.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Returned {
    /// A report about one of our letters.
    Report(Verdict),
    /// Written by a program (RFC 3834), and none of the next two.
    AutoReply,
    /// Somebody is away.
    OutOfOffice,
    /// A mail system wants a proof that a human being wrote.
    Challenge,
    /// Written by a person who answered one of our letters.
    Reply,
    /// A filter has marked it.
    Spam,
    /// It carries something like a token of ours that we never made: guessed, altered, or of another site.
    Forged,
    /// Anything else.
    Other,
}

impl Returned {
    /// All of them, in order.
    pub const ALL: [Self; 11] = [
        Self::Report(Verdict::Failed),
        Self::Report(Verdict::Unparsed),
        Self::Report(Verdict::Delayed),
        Self::Report(Verdict::Progress),
        Self::OutOfOffice,
        Self::AutoReply,
        Self::Challenge,
        Self::Reply,
        Self::Spam,
        Self::Forged,
        Self::Other,
    ];

    /// The word that the database and documents use.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Report(verdict) => verdict.word(),
            Self::AutoReply => "auto_reply",
            Self::OutOfOffice => "out_of_office",
            Self::Challenge => "challenge",
            Self::Reply => "reply",
            Self::Spam => "spam",
            Self::Forged => "forged",
            Self::Other => "other",
        }
    }

    /// What a word names.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.word() == word)
    }
}

/// Where a delivery stands when a report about it comes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Whereabouts {
    /// A relay took it.
    Taken,
    /// A relay may have taken it; it waits to be sent again, or for a human being's decision.
    InDoubt,
    /// On its way just now, never sent, or ended: nothing that a report could change.
    Elsewhere,
}

/// What a report does to a delivery.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Effect {
    /// It is written down, and that is all.
    Nothing,
    /// It did not arrive.
    Bounces,
    /// The relay did have it: it is not sent again.
    Accepts,
}

/// What a report means (sections 5.6 e and 5.7 of the rules). A mail system that reports on a letter has had it, so any
/// report settles a doubt.
pub const fn effect(verdict: Verdict, whereabouts: Whereabouts) -> Effect {
    match (whereabouts, verdict) {
        (Whereabouts::Taken | Whereabouts::InDoubt, Verdict::Failed | Verdict::Unparsed) => {
            Effect::Bounces
        }
        (Whereabouts::InDoubt, Verdict::Delayed | Verdict::Progress) => Effect::Accepts,
        (Whereabouts::Taken, Verdict::Delayed | Verdict::Progress)
        | (Whereabouts::Elsewhere, _) => Effect::Nothing,
    }
}

/// Why a letter came back: what the table says of the same status and words at RCPT. None without a status.
pub fn why(status: Option<(u16, u16, u16)>, diagnostic: &str) -> Option<Cause> {
    let (class, subject, detail) = status?;
    // The basic code follows the class; a report of failure with a class of success is a failure all the same.
    let code = if class == 4 { 450 } else { 550 };
    let reply = Reply {
        enhanced: Some((class, subject, detail)),
        ..Reply::new(code, diagnostic)
    };
    Some(ruling(Stage::Rcpt, &Answer::Reply(reply), &RelayTexts::default()).cause)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_read_back() {
        for known in Returned::ALL {
            assert_eq!(Returned::from_word(known.word()), Some(known));
        }
        assert_eq!(Returned::from_word("erledigt"), None);
    }

    #[test]
    fn only_a_failure_takes_a_letter_back_and_any_report_settles_a_doubt() {
        use Effect::{Accepts, Bounces, Nothing};
        use Whereabouts::{Elsewhere, InDoubt, Taken};
        for (verdict, taken, in_doubt) in [
            (Verdict::Failed, Bounces, Bounces),
            (Verdict::Unparsed, Bounces, Bounces),
            (Verdict::Delayed, Nothing, Accepts),
            (Verdict::Progress, Nothing, Accepts),
        ] {
            assert_eq!(effect(verdict, Taken), taken, "{verdict}");
            assert_eq!(effect(verdict, InDoubt), in_doubt, "{verdict}");
            assert_eq!(effect(verdict, Elsewhere), Nothing, "{verdict}");
        }
    }

    #[test]
    fn the_status_says_why_and_a_soft_one_says_it_too() {
        for (status, cause) in [
            ((5, 1, 1), Cause::BadAddress),
            ((5, 1, 10), Cause::BadAddress),
            ((5, 2, 2), Cause::MailboxFull),
            ((4, 2, 2), Cause::MailboxFull),
            ((5, 2, 1), Cause::MailboxDisabled),
            ((5, 7, 1), Cause::Policy),
            ((5, 0, 0), Cause::RecipientRefused),
            ((4, 4, 7), Cause::NotNow),
        ] {
            assert_eq!(why(Some(status), ""), Some(cause), "{status:?}");
        }
        assert_eq!(why(None, "550 5.1.1 no such user"), None);
    }
}
