//! What the communications office can do, free of any chat's words.

pub mod access;
pub mod incident;
pub mod posts;
