//! Epoch: whether a database is the one that speaks, or a copy of it, or one that was put back to an earlier time.
//!
//! A database knows who it is; a file outside of it, the paper, knows as well, and how far the record had come. A copy or a
//! backup that was restored does not fit its paper. It stays mute until an operator says that it is the one.

use serde::{Deserialize, Serialize};

/// Who a database says that it is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Identity {
    /// Drawn when it was made, and with each new epoch.
    pub instance: String,
    /// Counts how often an operator has said that it is the one.
    pub epoch: i64,
    /// The newest row of its ledger.
    pub reached: i64,
}

/// What is kept outside of the database.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Paper {
    /// As the database had it.
    pub instance: String,
    /// As the database had it.
    pub epoch: i64,
    /// Where the database was: a hash of its path or URL.
    pub store: String,
    /// How far the ledger had come when it was last looked at.
    pub reached: i64,
}

/// Why a database is mute.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Mute {
    /// It was spoken for, and not here.
    #[error("this machine has never spoken for this database")]
    NoPaper,
    /// It was made anew, or is from before there were epochs.
    #[error("this database does not know itself, and another one was here before it")]
    Stranger,
    /// The same one, but somewhere else.
    #[error("this database was in another place when it last spoke: it may be a copy")]
    Elsewhere,
    /// Another one.
    #[error("this is another database than the one that spoke here last")]
    Another,
    /// An earlier state of it.
    #[error(
        "this database is at row {own} of its ledger, and was at row {paper} before: it is an older state, such as a backup that was restored"
    )]
    Earlier {
        /// Where it is.
        own: i64,
        /// Where it was.
        paper: i64,
    },
}

/// Why a database that is at `store` may not speak; none if it may.
pub fn mute(own: Option<&Identity>, store: &str, paper: Option<&Paper>) -> Option<Mute> {
    let (own, paper) = match (own, paper) {
        (Some(own), Some(paper)) => (own, paper),
        (Some(_), None) => return Some(Mute::NoPaper),
        (None, _) => return Some(Mute::Stranger),
    };
    if own.instance != paper.instance || own.epoch != paper.epoch {
        Some(Mute::Another)
    } else if own.reached < paper.reached {
        Some(Mute::Earlier {
            own: own.reached,
            paper: paper.reached,
        })
    } else if paper.store != store {
        Some(Mute::Elsewhere)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_database_that_the_paper_speaks_of_may_speak() {
        let own = Identity {
            instance: "a".to_owned(),
            epoch: 2,
            reached: 70,
        };
        let paper = Paper {
            instance: "a".to_owned(),
            epoch: 2,
            store: "here".to_owned(),
            reached: 60,
        };
        let asked = |own: &Identity, store| mute(Some(own), store, Some(&paper));
        assert_eq!(asked(&own, "here"), None);
        let at = |reached| Identity {
            reached,
            ..own.clone()
        };
        assert_eq!(asked(&at(60), "here"), None);
        let earlier = Mute::Earlier { own: 59, paper: 60 };
        assert_eq!(asked(&at(59), "here"), Some(earlier));
        assert_eq!(asked(&own, "there"), Some(Mute::Elsewhere));
        for other in [
            Identity {
                epoch: 3,
                ..own.clone()
            },
            Identity {
                instance: "b".to_owned(),
                ..own.clone()
            },
        ] {
            assert_eq!(asked(&other, "here"), Some(Mute::Another));
        }
        assert_eq!(mute(Some(&own), "here", None), Some(Mute::NoPaper));
        assert_eq!(mute(None, "here", Some(&paper)), Some(Mute::Stranger));
    }
}
