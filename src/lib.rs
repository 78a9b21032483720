//! Division Bell: the map.
//!
//! ```text
//! audit file → findings → cases → notices → deliveries → attempts → evidence → closed case → report
//!                             incident → posts
//! ```

pub mod app;
pub mod audit;
pub mod channels;
pub mod clock;
pub mod config;
pub mod directory;
pub mod domain;
pub mod logging;
pub mod messages;
pub mod schedule;
pub mod steps;
pub mod store;
