//! Decides. Values in, values out: `now` is an argument, and nothing here knows a database, a socket or a file.
//!
//! The vocabulary, in the order of the flow:
//! audit file → findings → cases → notices → deliveries → attempts → evidence → closed case → report.

pub mod access;
pub mod address;
pub mod attempt;
pub mod audience;
pub mod calendar;
pub mod campaign;
pub mod case;
pub mod closing;
pub mod containment;
pub mod course;
pub mod delivery;
pub mod duty;
pub mod epoch;
pub mod escalation;
pub mod evidence;
pub mod figures;
pub mod fill;
pub mod finding;
pub mod format;
pub mod genuine;
pub mod guard;
pub mod hand_over;
pub mod identity;
pub mod ids;
pub mod incident;
pub mod ladder;
pub mod moment;
pub mod notice;
pub mod person;
pub mod phone;
pub mod policy;
pub mod post;
pub mod privacy;
pub mod questions;
pub mod rate;
pub mod reply;
pub mod report;
pub mod seal;
pub mod self_audit;
pub mod stated;
pub mod statement;
pub mod survival;
pub mod text;
pub mod timeline;
pub mod totp;
pub mod way;

pub use address::{EmailAddress, PersonName};
pub use ids::*;
pub use moment::Moment;
pub use phone::Mobile;
pub use way::{Destination, Room, Way, Ways};
