//! The arrows, in the order of the flow: each loads, decides, saves, and is safe to repeat.

pub mod announce;
pub mod audit_steps;
pub mod backup;
pub mod calls;
pub mod campaign;
pub mod confirm;
pub mod contain;
pub mod deliver;
pub mod dropped;
pub mod exempt;
pub mod fetch;
pub mod hand_over;
pub mod heads_up;
pub mod inbox;
pub mod intake;
pub mod ldap;
pub mod letters;
pub mod notify;
pub mod pace;
pub mod people;
pub mod plan;
pub mod reading;
pub mod report;
pub mod seal;
pub mod statements;
pub mod text;
mod ways_in;
