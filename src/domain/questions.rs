//! Questions: the five that every text about an incident answers (rule 2.1).
//!
//! Read from the words, which can be mistaken: so what seems unanswered is shown to whoever writes and approves, with the
//! words that are looked for, and it stops an approval.

use serde::Serialize;

/// One of the five.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Question {
    /// What do we know?
    Known,
    /// What do we not know yet?
    NotKnown,
    /// What are we doing?
    Doing,
    /// What should the reader do?
    ToDo,
    /// When do they hear more?
    Next,
}

impl Question {
    /// All of them, in the order in which people ask.
    pub const ALL: [Self; 5] = [
        Self::Known,
        Self::NotKnown,
        Self::Doing,
        Self::ToDo,
        Self::Next,
    ];

    /// The question, and how an answer may begin.
    pub const fn in_words(self) -> &'static str {
        match self {
            Self::Known => "what we know (\"We know …\", \"We have found …\")",
            Self::NotKnown => "what we do not know yet (\"We do not know …\", \"We are still …\")",
            Self::Doing => "what we are doing (\"We are …\")",
            Self::ToDo => {
                "what the reader should do (\"You do not need …\", \"Please …\", \"If you …\")"
            }
            Self::Next => "when they hear more (\"We will tell you more by {{ next_update }}\")",
        }
    }

    /// Words, one of which an answer has.
    const fn signs(self) -> &'static [&'static str] {
        match self {
            Self::Known => &[
                "we know",
                "we now know",
                "we found",
                "we have found",
                "we have stopped",
                "what we know",
                "is working again",
                "are working again",
                "is over",
            ],
            Self::NotKnown => &[
                "not know",
                "do not yet know",
                "not yet know",
                "we are still",
                "still need to",
                "can learn",
                "is left to find",
            ],
            Self::Doing => &[
                "we are ",
                "we have made",
                "we will look",
                "what we are doing",
            ],
            Self::ToDo => &[
                "you do not need",
                "you don't need",
                "you need",
                "please",
                "if you ",
                "you can ",
                "what you",
            ],
            Self::Next => &[],
        }
    }
}

/// The questions that a filled text leaves open. `has_promise` says whether it names the promised next update; a text about
/// an incident that `is_over` promises none.
pub fn unanswered(text: &str, has_promise: bool, is_over: bool) -> Vec<Question> {
    let folded = text
        .to_lowercase()
        .replace('\u{2019}', "'")
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ");
    Question::ALL
        .into_iter()
        .filter(|question| match question {
            Question::Next => !has_promise && !is_over,
            Question::Known | Question::NotKnown | Question::Doing | Question::ToDo => {
                !question.signs().iter().any(|sign| folded.contains(sign))
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_answers_all_five_or_is_told_which_it_leaves_open() {
        let whole = "We know what happened. We do not know yet\nwho did it. We are looking. You do not need to do anything.";
        assert_eq!(unanswered(whole, true, false), []);
        assert_eq!(unanswered(whole, false, false), [Question::Next]);
        assert_eq!(unanswered(whole, false, true), []);
        assert_eq!(unanswered("Hello.", true, false).len(), 4);
        for question in Question::ALL {
            assert!(!question.in_words().is_empty());
        }
    }
}
