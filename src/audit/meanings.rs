//! Meanings: what a source's configuration says that the labels of exchange formats mean.

use std::collections::HashMap;

use crate::domain::address::fold;
use crate::domain::finding::Weakness;

/// Label → weakness.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Meanings(HashMap<String, Weakness>);

impl Meanings {
    /// Those of these labels, however they are written.
    pub fn new(labels: impl IntoIterator<Item = (String, Weakness)>) -> Self {
        let folded = labels
            .into_iter()
            .map(|(label, weakness)| (Self::folded(&label), weakness));
        Self(folded.collect())
    }

    /// A label as it is compared: without case, with blanks and underscores as dashes.
    pub(super) fn folded(label: &str) -> String {
        fold(label.trim()).replace([' ', '_'], "-")
    }

    /// What a folded label means.
    pub(super) fn get(&self, folded: &str) -> Option<Weakness> {
        self.0.get(folded).copied()
    }
}
