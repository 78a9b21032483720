//! What the communications office can do, free of any chat's words.

pub mod access;
pub mod clock;
pub mod door;
pub mod genuine;
mod guard;
pub mod incident;
pub mod keys;
pub mod nudges;
pub mod office;
pub mod partner;
pub mod posts;
pub mod progress;
pub mod roles;
pub mod statement;
pub mod tries;
mod wording;
