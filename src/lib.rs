//! Division Bell: the map.
//!
//! ```text
//! audit file → findings → cases → notices → deliveries → attempts → evidence → closed case → report
//!                             incident → posts
//! ```

pub mod domain;
pub mod report;
