//! Division Bell: the map.
//!
//! ```text
//! audit file → findings → cases → notices → deliveries → attempts → evidence → closed case → report
//!                             incident → posts
//! ```

pub mod app;
pub mod audit;
pub mod channels;
pub mod cli;
pub mod clock;
pub mod commands;
pub mod config;
pub mod demo;
pub mod desk;
pub mod directory;
pub mod domain;
pub mod logging;
pub mod messages;
pub mod report;
pub mod schedule;
pub mod serve;
pub mod steps;
pub mod store;
